"""A site of one host and a few guests in every shape, from source text to files, and the same files with a mistake in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from kvmc.driver.audit import audit_tree
from kvmc.driver.build import Options, build_site
from kvmc.driver.outcome import Outcome
from kvmc.topology.model import Topology
from kvmc.topology.snapshot import dumps
from kvmc_targets import BUILTIN
from support.machines import machine

SITE = """\
kvmt 1
site s {{
  identity = "s.example.net"
}}
platform deb12 {{
  kernel   = "6.1"
  libvirt  = "9.0"
  qemu     = "7.2"
  tuned    = "2.20"
  realtime = true
}}
pool p {{
  platform = deb12
  pages    = 16 * 1GiB
  shared {{
    cores = {shared}
  }}
{pool}}}
host a : p {{
  topology = "a.json"
}}
network net {{
  bridge = br0
}}
storage disks {{
  source = "/dev/vg/{{vm}}-{{disk}}"
}}
class base {{
  vcpus   = 4
  memory  = 4GiB
  pages   = 1GiB
  machine = pc-q35-7.2
  nic eth0 {{
    network = net
  }}
}}
{guests}"""


@dataclass(frozen=True)
class Built:
    """A folder with a site in it, and what the last build said."""

    folder: Path
    outcome: Outcome

    @property
    def codes(self) -> list[str]:
        return [item.code.id for item in self.outcome.bag]

    @property
    def messages(self) -> list[str]:
        return [item.message for item in self.outcome.bag]

    def path(self, vm: str) -> Path:
        return self.folder / f"generated/a/domains/{vm}.xml"

    def xml(self, vm: str) -> etree._Element:
        return etree.parse(self.path(vm)).getroot()

    def pins(self, vm: str) -> list[str]:
        return [one.get("cpuset", "") for one in self.xml(vm).iterfind("cputune/vcpupin")]

    def again(self) -> Built:
        """The same site built with its locks alone."""
        return Built(self.folder, build_site(self.folder / "site.kvmt", BUILTIN, Options(locked=True)))

    def audit(self, vm: str, old: str, new: str) -> list[str]:
        """What the audit says where one guest's file has another text; the file is put back."""
        path = self.path(vm)
        text = path.read_text()
        assert old in text, text
        path.write_text(text.replace(old, new, 1))
        outcome = audit_tree(self.folder / "generated", self.folder / "site.kvmt", {})
        path.write_text(text)
        return [f"{item.code.id} {item.message}" for item in outcome.bag]


def build(
    folder: Path, guests: str, topology: Topology | None = None, pool: Iterable[str] = (), shared: int = 2
) -> Built:
    """Build a site of these guest blocks on one host: 2 nodes with 16 cores of 2 threads and one L3 each, unless one is given."""
    (folder / "a.json").write_text(dumps(topology or machine(cores_per_l3=16, memory_gib=64)))
    lines = "".join(f"  {line}\n" for line in pool)
    (folder / "site.kvmt").write_text(SITE.format(guests=guests, pool=lines, shared=shared))
    return Built(folder, build_site(folder / "site.kvmt", BUILTIN))
