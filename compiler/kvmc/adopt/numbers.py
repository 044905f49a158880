"""Numbers as libvirt's XML has them; what is none is an empty value, and shows as a difference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress

if TYPE_CHECKING:
    from lxml.etree import _Element

_UNITS = {"b": 1 / 1024, "bytes": 1 / 1024, "KB": 1000 / 1024, "k": 1, "KiB": 1, "MB": 10**6 / 1024, "GB": 10**9 / 1024}
_UNITS |= {name: 1024**power for power, letter in enumerate("MGT", 1) for name in (letter, f"{letter}iB")}


def size_kib(text: str, unit: str | None) -> int:
    """A size of libvirt's in KiB; 0 where it is none."""
    scale = _UNITS.get(unit or "KiB")
    return int(int(text) * scale) if scale and re.fullmatch(r"[0-9]{1,15}", text) else 0


def cpus(text: str | None) -> CpuSet:
    """libvirt's list, with exclusions; empty where it is none."""
    try:
        parts = (text or "").replace(" ", "").split(",")
        return CpuSet.parse(",".join(p for p in parts if p and not p.startswith("^"))) - CpuSet.parse(
            ",".join(p[1:] for p in parts if p.startswith("^"))
        )
    except ValueError:
        return CpuSet()


def pci(element: _Element | None) -> PciAddress | None:
    """The address that an `<address>` says."""
    if element is None or element.get("bus") is None:
        return None
    try:
        parts = [int(element.get(part, "0"), 0) for part in ("domain", "bus", "slot", "function")]
    except ValueError:
        return None
    within = parts[0] <= 0xFFFFFFFF and parts[1] <= 255 and parts[2] <= 31 and parts[3] <= 7
    return PciAddress(*parts) if within and min(parts) >= 0 else None
