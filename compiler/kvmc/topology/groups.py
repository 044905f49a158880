"""What every reader needs: CPU lists from outside, groups from what each CPU says of itself, and the bounds of numbers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import CpuSet
from kvmc.topology.failure import ReadFailure, quoted

MAX_NODE = 1023
"""The highest node number: the kernel's largest NODES_SHIFT is 10."""
MAX_KIB = 1 << 50
"""Of memory: 1 EiB, above what any architecture addresses."""
MAX_DISTANCE = 0xFFFF
"""ACPI's are below 256; device trees may have larger ones."""
NO_ID = frozenset({-1, 65535, 0xFFFFFFFF})
"""What the kernel writes for a cluster or die that the platform does not have (-1; older ones as 16 bits)."""


def parse_cpus(text: str, where: str) -> CpuSet:
    """A CPU list of a file. `where`: how a message names its place. Raises ReadFailure."""
    try:
        return CpuSet.parse(text)
    except ValueError as error:
        reason = str(error) if str(error).isprintable() else f"{quoted(text)} is not a list of CPUs"
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{where}: {reason}") from error


def distinct(groups: Iterable[CpuSet]) -> tuple[CpuSet, ...]:
    """Each group once, by its first CPU; empty ones are dropped."""
    return tuple(sorted({group for group in groups if group}, key=lambda group: (group.first, group.mask)))


def of_keys(keys: Mapping[int, Hashable]) -> tuple[CpuSet, ...]:
    """Groups of the CPUs that have the same key."""
    masks: dict[Hashable, int] = {}
    for cpu, key in keys.items():
        masks[key] = masks.get(key, 0) | 1 << cpu
    return distinct(CpuSet(mask) for mask in masks.values())
