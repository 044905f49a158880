"""A small real site on disk, for the tests of the driver and the command line."""

from __future__ import annotations

from pathlib import Path

from kvmc.model.cpuset import CpuSet
from kvmc.topology.model import Cpu, Node, Topology

PLATFORM = """\
platform deb12 {
  kernel  = "6.1"
  libvirt = "9.0"
  qemu    = "7.2"
  tuned   = "2.20"
  boot    = grub
}
pool compute {
  platform  = deb12
  isolation = none
  profile   = throughput
  pages     = 8 * 1GiB
  housekeeping {
    cores = 1
  }
  shared {
    cores      = 1
    overcommit = 4
  }
  reserve {
    memory = 4GiB
  }
}
network lan {
  bridge = br0
}
storage local {
  type   = block
  source = "/dev/vg0/{vm}-{disk}"
}
class base {
  machine = pc-q35-7.2
  cpu     = host-passthrough
  disk root {
    storage = local
  }
  nic eth0 {
    network = lan
  }
}
class big : base {
  pinning = dedicated
  vcpus   = 4
  memory  = 4GiB
  pages   = 1GiB
}
class small : base {
  pinning = shared
  vcpus   = 2
  memory  = 2GiB
}
"""

VMS = {"db-1": "big", "db-2": "big", "web-1": "small"}


def site_text(hosts: tuple[str, ...] = ("kvm-a", "kvm-b"), vms: dict[str, str] = VMS) -> str:
    blocks = ["kvmt 1\n", 'site lab {\n  identity = "lab.example.net"\n}\n', PLATFORM]
    blocks += [f'host {host} : compute {{\n  topology = "hosts/x.json"\n}}\n' for host in hosts]
    blocks += [f"vm {vm} : {parent}\n" for vm, parent in vms.items()]
    return "\n".join(blocks)


def topology(cores: int = 8) -> Topology:
    """Two nodes of 32 GiB with `cores` cores of two threads each; one L3 a node."""
    all_cores = [CpuSet.of((core, core + 2 * cores)) for core in range(2 * cores)]
    halves = [CpuSet.of(cpu for one in all_cores[half * cores :][:cores] for cpu in one) for half in (0, 1)]
    nodes = tuple(
        Node(id, cpus, 32 * 1024**2, {0: 10 if id == 0 else 21, 1: 21 if id == 0 else 10}, (2048, 1024**2))
        for id, cpus in enumerate(halves)
    )
    cpu = Cpu("GenuineIntel", "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz")
    online = CpuSet.of(range(4 * cores))
    return Topology("x86_64", online, nodes, tuple(halves), tuple(all_cores), tuple(halves), cpu=cpu)


def make_site(folder: Path, text: str | None = None) -> Path:
    """Write the site's folder; gives the site file."""
    from kvmc.topology.snapshot import dumps

    (folder / "hosts").mkdir(parents=True, exist_ok=True)
    (folder / "hosts/x.json").write_text(dumps(topology()))
    path = folder / "site.kvmt"
    path.write_text(site_text() if text is None else text)
    return path
