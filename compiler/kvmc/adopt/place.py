"""Where a domain runs, as a lock can hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kvmc.adopt.numbers import cpus, size_kib
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.values import PciAddress
from kvmc.resolver.placement import CellPlacement, GuestPlacement

if TYPE_CHECKING:
    from lxml.etree import _Element

    from kvmc.topology.model import Topology


def cells_of(root: _Element, vcpus: int, memory: int) -> list[tuple[int | None, tuple[int, ...], int]]:
    """(host node, vCPUs, KiB) of each guest node; the host node where the domain binds it to one."""
    bound = root.find("numatune/memory")
    nodeset = cpus(bound.get("nodeset")) if bound is not None else CpuSet()
    found = root.findall("cpu/numa/cell")
    if not found:
        return [(nodeset.first if len(nodeset) == 1 else None, tuple(range(vcpus)), memory)]
    own = {one.get("cellid"): cpus(one.get("nodeset")) for one in root.iterfind("numatune/memnode")}
    rows: list[tuple[int | None, tuple[int, ...], int]] = []
    for number, cell in enumerate(found):
        nodes = own.get(cell.get("id", str(number)), nodeset)
        size = size_kib(cell.get("memory", ""), cell.get("unit"))
        rows.append((nodes.first if len(nodes) == 1 else None, tuple(cpus(cell.get("cpus"))), size or memory))
    return rows


def place(
    name: str,
    host: str,
    root: _Element,
    cells: list[tuple[int | None, tuple[int, ...], int]],
    pins: Mapping[int, CpuSet],
    owns: CpuSet,
    devices: Mapping[tuple[str, str], PciAddress],
    topology: Topology,
) -> tuple[GuestPlacement, str]:
    """The placement, and why a lock cannot hold it as it was; empty where it may. One that cannot be held keeps the identity.
    owns: the vCPUs that are pinned to one CPU each."""
    why: list[str] = []
    made: list[CellPlacement] = []
    first = 0
    for node, vcpus, memory in cells:
        masks = [pins.get(vcpu, CpuSet()) for vcpu in vcpus]
        dedicated = bool(owns)
        own = [pins[vcpu] for vcpu in vcpus if vcpu in owns]
        there = union(masks)
        if not vcpus or vcpus != tuple(range(first, first + len(vcpus))):
            why.append("its guest nodes do not have its vCPUs in order")
        if node is None:
            node = next((one.id for one in topology.nodes if there and there.issubset(one.cpus)), None)
        if node is None and not dedicated:
            node = next((one.id for one in topology.nodes if one.cpus), 0)
            if there or len(topology.nodes) > 1:
                why.append("it floats over more than one node's CPUs")
        home = next((one for one in topology.nodes if one.id == node), None)
        if home is None:
            why.append("its pins are on more than one node")
        elif dedicated and not there.issubset(home.cpus):
            why.append(f"its pins {there} are not on node {home.id}, which has its memory")
        if len(union(own)) < len(own):
            why.append("two of its vCPUs are pinned to one CPU")
        first += len(vcpus)
        usable = home.cpus if home is not None and home.cpus else topology.online
        filled = tuple(mask or usable for mask in masks) or (usable,)
        made.append(CellPlacement(home.id if home is not None else 0, tuple(range(len(filled))), filled, memory))
    told = root.find("cputune/emulatorpin")
    emulator = cpus(told.get("cpuset")) if told is not None else CpuSet()
    emulator = emulator or CpuSet.of([topology.online.first])
    return GuestPlacement(name, host, tuple(made), emulator, CpuSet(), devices), why[0] if why else ""
