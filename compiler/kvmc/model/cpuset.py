"""Sets of CPU numbers, in the kernel's list form (`0-3,8`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_CPU = 8191
"""The highest CPU number accepted: the kernel's largest NR_CPUS is 8192 (arch/x86/Kconfig, NR_CPUS_RANGE_END)."""

_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


@dataclass(frozen=True, slots=True, order=True)
class CpuSet:
    """An immutable set of CPU numbers, kept as a bit mask (bit n is CPU n)."""

    mask: int = 0

    @classmethod
    def of(cls, cpus: Iterable[int]) -> CpuSet:
        mask = 0
        for cpu in cpus:
            mask |= 1 << cpu
        return cls(mask)

    @classmethod
    def parse(cls, text: str) -> CpuSet:
        """Read the kernel's list form; spaces and an empty text are allowed. Raises ValueError with what is wrong."""
        mask = 0
        for part in text.replace(" ", "").split(","):
            if not part:
                continue
            match = _PART.fullmatch(part)
            if match is None:
                raise ValueError(f"`{part[:40]}` is not a CPU or a range of CPUs")
            low = int(match[1])
            high = int(match[2] or low)
            if high < low:
                raise ValueError(f"range `{part}` ends below its start")
            if high > MAX_CPU:
                raise ValueError(f"CPU {high} is above {MAX_CPU}, the kernel's limit")
            mask |= ((1 << (high - low + 1)) - 1) << low
        return cls(mask)

    def __iter__(self) -> Iterator[int]:
        mask = self.mask
        while mask:
            low = mask & -mask
            yield low.bit_length() - 1
            mask ^= low

    def __len__(self) -> int:
        return self.mask.bit_count()

    def __bool__(self) -> bool:
        return self.mask != 0

    def __contains__(self, cpu: object) -> bool:
        return isinstance(cpu, int) and cpu >= 0 and bool(self.mask >> cpu & 1)

    def __or__(self, other: CpuSet) -> CpuSet:
        return CpuSet(self.mask | other.mask)

    def __and__(self, other: CpuSet) -> CpuSet:
        return CpuSet(self.mask & other.mask)

    def __sub__(self, other: CpuSet) -> CpuSet:
        return CpuSet(self.mask & ~other.mask)

    def issubset(self, other: CpuSet) -> bool:
        return self.mask & ~other.mask == 0

    @property
    def first(self) -> int:
        """The lowest CPU. Raises ValueError on the empty set."""
        if not self.mask:
            raise ValueError("the empty set has no first CPU")
        return (self.mask & -self.mask).bit_length() - 1

    def __str__(self) -> str:
        """The shortest list form, ascending: `0-3,8`."""
        parts: list[str] = []
        start = previous = -1
        for cpu in self:
            if start >= 0 and cpu == previous + 1:
                previous = cpu
                continue
            if start >= 0:
                parts.append(str(start) if start == previous else f"{start}-{previous}")
            start = previous = cpu
        if start >= 0:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
        return ",".join(parts)

    def __repr__(self) -> str:
        return f"CpuSet({str(self)!r})"


EMPTY = CpuSet()
"""No CPU: the default of fields and parameters."""


def union(sets: Iterable[CpuSet]) -> CpuSet:
    """All CPUs of all the sets."""
    mask = 0
    for one in sets:
        mask |= one.mask
    return CpuSet(mask)


def named(cpus: CpuSet) -> str:
    """`CPU 3`, `CPUs 2-3,8`."""
    return f"CPU {cpus}" if len(cpus) == 1 else f"CPUs {cpus}"
