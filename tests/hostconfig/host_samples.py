"""Hosts to derive settings for: the shapes that differ, built by hand."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from kvmc.diagnostics import Bag, Span
from kvmc.hostconfig.host import HostSettings, derive_host_settings
from kvmc.hostconfig.plan import HostPlan
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.origins import Origin, Origins, Path
from kvmc.model.site import Boot, DevicePool, Host, Isolation, Platform, Profile
from kvmc.model.values import PageCount, PciAddress, Version, VersionRange
from kvmc.resolver.placement import HostPools
from kvmc.topology import Cpu, Node, PciDevice, Sriov, Topology

GIB = 1024**2
PF = PciAddress.parse("0000:3b:00.0")
PF2 = PciAddress.parse("0000:af:00.0")


def versions(text: str) -> VersionRange:
    parts = [Version(*map(int, part.split("."))) for part in text.split("..")]
    return VersionRange(parts[0], parts[-1])


def platform(**changes: Any) -> Platform:
    values: dict[str, Any] = {
        "name": "rt12",
        "kernel": "6.1",
        "libvirt": "9.0",
        "qemu": "7.2",
        "tuned": "2.20",
        "boot": Boot.GRUB,
        "realtime": True,
        "emulator": "/usr/bin/qemu-system-x86_64",
    } | changes
    for name in ("kernel", "libvirt", "qemu", "tuned"):
        values[name] = versions(values[name])
    return Platform(**values)


def devices(**vfs: int) -> Mapping[str, DevicePool]:
    return {
        name: DevicePool(name=name, parent=parent, vfs=count, addresses=())
        for (name, count), parent in zip(vfs.items(), (PF, PF2), strict=False)
    }


def host(**changes: Any) -> Host:
    values: dict[str, Any] = {
        "name": "edge-17a",
        "pool": "edge",
        "platform": "rt12",
        "topology": ("hosts/edge-17a.json",),
        "rack": None,
        "isolation": Isolation.BOOT,
        "profile": Profile.REALTIME,
        "housekeeping_cores": 1,
        "housekeeping_threads": 8,
        "shared_cores": 0,
        "shared_overcommit": 4,
        "vswitch_cores": 0,
        "reserve_memory_kib": 8 * GIB,
        "reserve_pages": (),
        "pages": (PageCount(96, GIB),),
        "devices": {},
    }
    return Host(**(values | changes))


def topology(
    nodes: Sequence[tuple[int, str]],
    vendor: str | None = "GenuineIntel",
    *,
    smt: int = 1,
    l3: int = 1,
    arch: str = "x86_64",
    extra: Sequence[Node] = (),
    sizes: tuple[int, ...] = (2048, GIB),
    pci: Mapping[PciAddress, PciDevice] | None = None,
) -> Topology:
    """Nodes with their CPUs. smt: siblings are that many equal slices of a node's CPUs; l3: caches a node."""
    sets = [(id, CpuSet.parse(cpus)) for id, cpus in nodes]
    cores: list[CpuSet] = []
    caches: list[CpuSet] = []
    for _, cpus in sets:
        here = list(cpus)
        width = len(here) // smt
        node_cores = [CpuSet.of(here[index + width * thread] for thread in range(smt)) for index in range(width)]
        cores += node_cores
        step = width // l3
        caches += [union(node_cores[start : start + step]) for start in range(0, width, step)]
    all_nodes = [Node(id, cpus, 192 * GIB, {}, sizes) for id, cpus in sets] + list(extra)
    return Topology(
        arch=arch,
        online=union(cpus for _, cpus in sets),
        nodes=tuple(sorted(all_nodes, key=lambda node: node.id)),
        packages=tuple(cpus for _, cpus in sets),
        cores=tuple(cores),
        l3=tuple(caches),
        pci=pci,
        cpu=Cpu(vendor),
    )


def two_pfs(vfs: int = 64) -> Mapping[PciAddress, PciDevice]:
    return {address: PciDevice(address, sriov=Sriov(vfs, 16, 1)) for address in (PF, PF2)}


INTEL = topology([(0, "0-15,32-47"), (1, "16-31,48-63")], smt=2, pci=two_pfs())
"""Two nodes, siblings 32 apart."""
AMD = topology([(0, "0-63"), (1, "64-127")], "AuthenticAMD", l3=8, pci=two_pfs())
"""Two nodes with eight L3 caches each."""
SPARSE = topology([(0, "0-7"), (4, "8-15")], extra=(Node(2, CpuSet(), 64 * GIB, {}, (2048, GIB)), Node(6, CpuSet(), 0)))
"""Node ids 0, 2, 4, 6: 2 has no CPU, 6 nothing at all."""
SINGLE = topology([(0, "0-15")], "AuthenticAMD", smt=2)
ARM = topology([(0, "0-31"), (1, "32-63")], None, arch="aarch64", pci=two_pfs())
ALL = {"intel": INTEL, "amd": AMD, "sparse": SPARSE, "single": SINGLE, "arm": ARM}


def pools(where: Topology, *, housekeeping: int = 1, shared: int = 0, vswitch: int = 0) -> HostPools:
    """Whole cores of each node, in order: housekeeping, shared, vswitch, the rest dedicated."""
    assert where.cores is not None
    taken: list[list[CpuSet]] = [[], [], [], []]
    for node in where.nodes:
        cores = [core for core in where.cores if core.issubset(node.cpus)]
        edges = [0, housekeeping, housekeeping + shared, housekeeping + shared + vswitch, len(cores)]
        for index, (start, end) in enumerate(itertools.pairwise(edges)):
            taken[index] += cores[start:end]
    keep, share, switch, rest = (union(cores) for cores in taken)
    return HostPools(keep, share, rest, switch)


def origins(*settings: Path, name: str = "edge-17a", pool: str = "edge") -> Origins:
    """A table in which the pool set everything of the host; each origin has a span of its own."""
    table: dict[Path, Origin] = {
        ("host", name): Origin(Span("site.kvmt", 0, 5), Span("site.kvmt", 0, 5), f"host {name}")
    }
    known: list[Path] = [("host", name, key) for key in ("isolation", "profile", "pages", "housekeeping")]
    known += [("platform", "rt12", "kernel"), ("site", "s", "targets"), ("host", name, "reserve", "pages"), *settings]
    for index, path in enumerate(known, 1):
        span = Span("site.kvmt", index * 100, index * 100 + 10)
        table[path] = Origin(span, span, f"pool {pool}" if path[0] == "host" else " ".join(path[:2]))
    return Origins(table)


def settle(
    where: Topology, *, on: Platform | None = None, of: HostPools | None = None, **changes: Any
) -> tuple[HostSettings, Bag]:
    return derive_host_settings(host(**changes), where, of or pools(where), on or platform(), origins())


def plan(where: Topology, *, on: Platform | None = None, of: HostPools | None = None, **changes: Any) -> HostPlan:
    """A plan without guests; the settings must have no error."""
    on, of = on or platform(), of or pools(where)
    own, bag = settle(where, on=on, of=of, **changes)
    assert not bag.has_errors, list(bag)
    return HostPlan(
        host="edge-17a",
        arch=where.arch,
        vendor=where.cpu.vendor,
        platform=on,
        pools=of,
        isolated=own.isolated,
        pages=own.pages,
        settings=own.settings,
        sriov=own.sriov,
        guests=(),
        retired={},
    )
