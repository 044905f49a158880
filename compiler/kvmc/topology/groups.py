"""What every reader needs: CPU lists from outside, groups from what each CPU says of itself, and the bounds of numbers."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence

from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import MAX_CPU, CpuSet
from kvmc.topology.failure import ReadFailure, quoted
from kvmc.topology.model import CoreKind

MAX_NODE = 1023
"""The highest node number: the kernel's largest NODES_SHIFT is 10."""
MAX_KIB = 1 << 50
"""Of memory: 1 EiB, above what any architecture addresses."""
MAX_DISTANCE = 0xFFFF
"""ACPI's are below 256; device trees may have larger ones."""
NO_ID = frozenset({-1, 65535, 0xFFFFFFFF})
"""What the kernel writes for a cluster or die that the platform does not have (-1; older ones as 16 bits)."""

_MOST_GROUPS = 1024
"""Of a mask: four times what the kernel's limit of CPUs needs."""
CACHE_TYPES = ("data", "instruction", "unified")


def parse_cpus(text: str, where: str) -> CpuSet:
    """A CPU list of a file. `where`: how a message names its place. Raises ReadFailure."""
    try:
        return CpuSet.parse(text)
    except ValueError as error:
        reason = str(error) if str(error).isprintable() else f"{quoted(text)} is not a list of CPUs"
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{where}: {reason}") from error


def parse_mask(text: str, where: str) -> CpuSet:
    """A CPU mask: hexadecimal groups of 32 bits with commas between them, the highest first. Raises ReadFailure."""
    groups = text.removeprefix("0x").split(",")
    grouped = len(groups) <= _MOST_GROUPS and all(re.fullmatch(r"[0-9a-fA-F]{1,8}", group) for group in groups)
    if not grouped and (len(groups) > 1 or re.fullmatch(r"[0-9a-fA-F]{1,2048}", groups[0]) is None):
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{where} holds {quoted(text)}, which is not a CPU mask")
    value = int("".join([groups[0], *(group.rjust(8, "0") for group in groups[1:])]), 16)
    if value.bit_length() > MAX_CPU + 1:
        message = f"{where} names CPU {value.bit_length() - 1}, above {MAX_CPU}, the kernel's limit"
        raise ReadFailure(codes.TOPOLOGY_VALUE, message)
    return CpuSet(value)


def distinct(groups: Iterable[CpuSet]) -> tuple[CpuSet, ...]:
    """Each group once, by its first CPU; empty ones are dropped."""
    return tuple(sorted({group for group in groups if group}, key=lambda group: (group.first, group.mask)))


def numbered(groups: Sequence[CpuSet], ids: Mapping[CpuSet, int]) -> tuple[int, ...] | None:
    """The number of each group; None unless each has one of its own."""
    found = tuple(ids[group] for group in groups if group in ids)
    return found if found and len(set(found)) == len(groups) else None


def disjoint(groups: Iterable[CpuSet]) -> bool:
    """Whether no CPU is in two of them."""
    seen = 0
    for group in groups:
        if seen & group.mask:
            return False
        seen |= group.mask
    return True


def of_keys(keys: Mapping[int, Hashable]) -> tuple[CpuSet, ...]:
    """Groups of the CPUs that have the same key."""
    masks: dict[Hashable, int] = {}
    for cpu, key in keys.items():
        masks[key] = masks.get(key, 0) | 1 << cpu
    return distinct(CpuSet(mask) for mask in masks.values())


def by_capacity(capacity: Mapping[int, int]) -> dict[CoreKind, CpuSet] | None:
    """A hybrid CPU's kinds by what each CPU can do: the strongest are for performance, all others for efficiency."""
    if len(set(capacity.values())) < 2:
        return None
    most = max(capacity.values())
    strong = CpuSet.of(cpu for cpu, value in capacity.items() if value == most)
    return {CoreKind.PERFORMANCE: strong, CoreKind.EFFICIENCY: CpuSet.of(capacity) - strong}
