"""The value between the resolver and the host half."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress


@dataclass(frozen=True, slots=True)
class HostPools:
    """The four pools of a host, whole cores each, disjoint; together all usable CPUs."""

    housekeeping: CpuSet
    shared: CpuSet
    dedicated: CpuSet
    vswitch: CpuSet


@dataclass(frozen=True, slots=True)
class CellPlacement:
    """One guest node on one host node. Those without vCPUs come last.

    vcpus: the guest's vCPU ids, in order. pins: for each of them the CPUs it may run on: one CPU where dedicated (siblings side
    by side, L3 by L3), the node's shared CPUs where shared. memory_kib: guest memory of this cell. memory: nodes, each with the KiB
    of it that are counted there; empty where all is on `node`.
    """

    node: int
    vcpus: tuple[int, ...]
    pins: tuple[CpuSet, ...]
    memory_kib: int
    memory: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class GuestPlacement:
    """One guest.

    cells: in guest order; host nodes differ. emulator: the mask of QEMU's own threads and of I/O threads; with `emulator = own`
    the cores that are the guest's alone. idle: siblings kept empty for `threads = isolate`. devices: the PCI function behind each
    `nic` and `hostdev` that has one, by (kind, label).
    """

    vm: str
    host: str
    cells: tuple[CellPlacement, ...]
    emulator: CpuSet
    idle: CpuSet
    devices: Mapping[tuple[str, str], PciAddress]


@dataclass(frozen=True, slots=True)
class Placement:
    """All of a site: pools by host, guests by name, both in source order."""

    pools: Mapping[str, HostPools]
    guests: Mapping[str, GuestPlacement]
