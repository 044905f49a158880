"""Small immutable values with the forms that the kernel, libvirt and virsh write them in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

KIB_PER_UNIT = {"KiB": 1, "MiB": 1024, "GiB": 1024**2, "TiB": 1024**3}

_PCI = re.compile(r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([01][0-9a-fA-F])\.([0-7])")


def size_text(kib: int) -> str:
    """A size in KiB, in the largest binary unit that holds it whole: `64GiB`."""
    for unit in ("TiB", "GiB", "MiB"):
        if kib and kib % KIB_PER_UNIT[unit] == 0:
            return f"{kib // KIB_PER_UNIT[unit]}{unit}"
    return f"{kib}KiB"


class PciAddress(NamedTuple):
    """A PCI function: domain, bus, slot (device) and function. Text form `0000:3b:00.0`, as sysfs has it."""

    domain: int
    bus: int
    slot: int
    function: int

    @classmethod
    def parse(cls, text: str) -> PciAddress:
        """Read `[dddd:]bb:ss.f`, hexadecimal. Raises ValueError."""
        match = _PCI.fullmatch(text)
        if match is None:
            raise ValueError(f"`{text[:40]}` is not a PCI address")
        return cls(int(match[1] or "0", 16), int(match[2], 16), int(match[3], 16), int(match[4]))

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.slot:02x}.{self.function}"


class Version(NamedTuple):
    """A release: major and minor. A third part is a fix of the same release and is not told apart."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True)
class VersionRange:
    """All releases from `low` to `high`, both included; one release has both the same."""

    low: Version
    high: Version

    def since(self, major: int, minor: int) -> bool:
        """Whether the whole range is at or above the release."""
        return self.low >= (major, minor)

    def before(self, major: int, minor: int) -> bool:
        """Whether the whole range is below the release."""
        return self.high < (major, minor)

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}..{self.high}"


class PageCount(NamedTuple):
    """A number of huge pages of one size, in KiB a page. Text form `96 * 1GiB`."""

    number: int
    size_kib: int

    @property
    def kib(self) -> int:
        return self.number * self.size_kib

    def __str__(self) -> str:
        return f"{self.number} * {size_text(self.size_kib)}"
