"""Small sites that together use all that a site can say, built once: bases for trees with one fault."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from audit.mutation.trees import Built, build
from hostconfig.test_fleet import flags
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology.model import CacheKind, CoreKind, Cpu, Memory, Node, PciDevice, Resctrl, Sriov, Topology
from kvmc.topology.snapshot import dumps
from support.machines import GIB, machine

FOLDER = Path(__file__).parent / "rigs"


def _devices() -> Iterable[PciDevice]:
    for text, node, kind, group, root in (
        ("0000:3b:00.0", 0, 0x020000, 30, "0000:3a"),
        ("0000:41:00.0", 0, 0x010802, 31, "0000:40"),
        ("0000:af:00.0", 1, 0x030000, 32, "0000:ae"),
        ("0000:af:00.1", 1, 0x040300, 32, "0000:ae"),
    ):
        address = PciAddress.parse(text)
        sriov = Sriov(8, 16, 1) if kind == 0x020000 else None
        yield PciDevice(address, node, None, kind, 0x8086, 0x1592, iommu_group=group, sriov=sriov, root=root)


def _intel() -> Topology:
    return dataclasses.replace(
        machine(cores_per_l3=6, memory_gib=24, pci=_devices()),
        cpu=Cpu("GenuineIntel", "Intel(R) Xeon(R)", frozenset(("ept", "vmx", "constant_tsc"))),
    )


def _parts() -> Topology:
    """As `_intel`, with L3 caches of 16 ways that the kernel counts from 1 down to 0."""
    found = _intel()
    kinds = (CacheKind(3, "unified", 32 * 1024, found.online),)
    limits = (Resctrl("L3", 8, 16, 1), Resctrl("MB", 8, step_percent=10, min_percent=10))
    return dataclasses.replace(found, caches=kinds, resctrl=limits, l3_ids=(1, 0))


def _amd() -> Topology:
    cpu = Cpu("AuthenticAMD", "AMD EPYC 9354", flags("EPYC-Genoa") | {"sev_snp"})
    return dataclasses.replace(machine(l3_per_node=2, cores_per_l3=6, memory_gib=32), cpu=cpu)


def _arm() -> Topology:
    return dataclasses.replace(machine(1, cores_per_l3=10, threads=1, memory_gib=24, pci=_devices()), arch="aarch64")


def _hybrid() -> Topology:
    """Four performance cores of two threads (CPUs 0-7) and eight efficiency cores (8-15)."""
    cores = [CpuSet.of((cpu, cpu + 1)) for cpu in range(0, 8, 2)] + [CpuSet.of([cpu]) for cpu in range(8, 16)]
    kinds = {CoreKind.PERFORMANCE: CpuSet.parse("0-7"), CoreKind.EFFICIENCY: CpuSet.parse("8-15")}
    found = machine(1, cores_per_l3=16, threads=1, memory_gib=16)
    return dataclasses.replace(found, cores=tuple(cores), core_kinds=kinds)


def _hbm() -> Topology:
    """Two nodes with CPUs, and one of HBM beside each."""
    found = machine(cores_per_l3=6, memory_gib=16)
    rows = {0: (10, 21, 13, 23), 1: (21, 10, 23, 13), 2: (13, 23, 10, 23), 3: (23, 13, 23, 10)}
    nodes = [dataclasses.replace(node, distances=dict(enumerate(rows[node.id]))) for node in found.nodes]
    hbm = [Node(id, CpuSet(), 8 * GIB, dict(enumerate(rows[id])), memory=Memory.HBM) for id in (2, 3)]
    return dataclasses.replace(found, nodes=(*nodes, *hbm))


MACHINES = {
    "hybrid": _hybrid,
    "arm": _arm,
    "hbm": _hbm,
    "measured": _intel,
    "amd": _amd,
    "intel": _intel,
    "parts": _parts,
}
"""The machine of each rig; those whose audit takes least come first, and have the faults that all could have."""


@cache
def rig(name: str) -> Built:
    """A rig by its name, built in a folder that is gone when it is."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source" / name
        (source / "hosts").mkdir(parents=True)
        (source / "site.kvmt").write_text((FOLDER / f"{name}.kvmt").read_text())
        (source / "hosts/host.json").write_text(dumps(MACHINES[name]()))
        return build(source, Path(folder) / name)
