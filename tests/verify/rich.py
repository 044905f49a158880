"""The telco edge with what it does not use by itself: raw settings and elements, a slice, mixed vCPUs, uneven nodes."""

from __future__ import annotations

import shutil
from pathlib import Path

from verify.simulate import EXAMPLES, Built, built

HOST_LINES = """\
  base_slice_ns = 4000000
  raw sysctl "net.core.rmem_max" {
    value  = "16777216"
    reason = "bursts of packets"
  }
  raw sysctl "net.ipv4.conf.*.rp_filter" {
    value  = "0"
    reason = "routes are asymmetric"
  }
  raw modprobe "nvme.poll_queues" {
    value  = "4"
    reason = "polled I/O"
  }
  raw cmdline "threadirqs" {
  }
"""
VSOCK = "<vsock model='virtio'><cid auto='no' address='7'/></vsock>"
GUESTS = f"""\
vm ems-1 : oam {{
  raw xml "agent" {{
    at     = devices
    value  = "{VSOCK}"
    reason = "for the agent"
  }}
  raw xml "serial" {{
    at    = "disk root"
    value = "<serial>EMS1</serial>"
  }}
}}

vm mix-1 : cnf {{
  pinning   = mixed
  dedicated = "0-1"
  isolation = any
  vcpus     = 4
  memory    = 8GiB
  pages     = 1GiB
}}

vm lop-1 : cnf {{
  pinning   = dedicated
  isolation = any
  vcpus     = 6
  memory    = 12GiB
  pages     = 1GiB
  hyperv    = true
  tpm       = true
  node 0 {{
    vcpus  = 4
    memory = 8GiB
  }}
  node 1 {{
    vcpus  = 2
    memory = 4GiB
  }}
}}
"""


def build_rich(folder: Path) -> Built:
    site = folder / "rich"
    shutil.copytree(EXAMPLES / "telco-edge", site)
    path = site / "site.kvmt"
    text = path.read_text()
    for old, new in (
        ("  isolation = boot\n  profile", f"{HOST_LINES}  isolation = boot\n  profile"),
        ("vm ems-1 : oam\n", GUESTS),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text)
    return built(site)
