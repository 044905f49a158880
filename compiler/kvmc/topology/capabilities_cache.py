"""Sizes in libvirt's host capabilities, and its cache banks with what resctrl can do to them (`<cache>`, `<memory_bandwidth>`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import CpuSet
from kvmc.topology.failure import ReadFailure, quoted
from kvmc.topology.groups import MAX_KIB, parse_cpus
from kvmc.topology.model import CacheKind, Resctrl

if TYPE_CHECKING:
    from lxml import etree

# virScaleInteger in libvirt's src/util/virutil.c, in bytes
_UNITS: dict[str, int] = {
    "b": 1,
    "B": 1,
    "bytes": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{unit: 1024**power for power, letter in enumerate("KMGT", 1) for unit in (letter, letter.lower(), f"{letter}iB")},
}

_TYPES = {"both": "unified", "data": "data", "code": "instruction"}
_SUFFIX = {"both": "", "data": "DATA", "code": "CODE"}


def kib_of(element: etree._Element, text: str, where: str) -> int:
    """A size with the element's unit, in KiB. Raises ReadFailure."""
    unit = element.get("unit") or "KiB"
    if unit not in _UNITS or re.fullmatch(r"\s*[0-9]{1,18}\s*", text) is None:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{where}: {quoted(f'{text} {unit}')} is not a size")
    kib = int(text) * _UNITS[unit] // 1024
    if kib > MAX_KIB:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{where} is {kib} KiB, above {MAX_KIB}")
    return kib


def cache_kinds(host: etree._Element, online: CpuSet) -> tuple[CacheKind, ...]:
    """libvirt lists banks of L2 and L3 alone."""
    found: dict[tuple[int, str, int], CpuSet] = {}
    for bank in host.findall("cache/bank"):
        level, kind = bank.get("level") or "", bank.get("type") or ""
        if level not in ("1", "2", "3", "4") or kind not in _TYPES or bank.get("size") is None:
            continue
        key = (int(level), _TYPES[kind], kib_of(bank, bank.get("size") or "", "size of a cache bank"))
        found[key] = found.get(key, CpuSet()) | (parse_cpus(bank.get("cpus") or "", "CPUs of a cache bank") & online)
    return tuple(CacheKind(*key, cpus) for key, cpus in sorted(found.items()) if cpus)


def read_resctrl(host: etree._Element) -> tuple[Resctrl, ...]:
    """Of the first bank or node that has each; all of a host's have the same. libvirt tells sizes and not bits."""
    found: dict[str, Resctrl] = {}
    for bank in host.findall("cache/bank"):
        for control in bank.findall("control"):
            kind, closids = control.get("type") or "", _number(control.get("maxAllocs"))
            if kind not in _SUFFIX or closids is None:
                continue
            least = _size(control, "min")
            # before 5.0 the granularity is left out where the smallest part is one way
            way = _size(control, "granularity") or least
            whole = kib_of(bank, bank.get("size") or "", "size of a cache bank")
            name = f"L{quoted(bank.get('level') or '').strip('`')[:1]}{_SUFFIX[kind]}"
            ways, fewest = (whole // way, (least or way) // way) if way else (None, None)
            found.setdefault(name, Resctrl(name, closids, ways, fewest, way or None))
    for control in host.findall("memory_bandwidth/node/control"):
        closids = _number(control.get("maxAllocs"))
        if closids is not None:
            step, least = _number(control.get("granularity")), _number(control.get("min"))
            found.setdefault("MB", Resctrl("MB", closids, step_percent=step, min_percent=least))
    return tuple(found[name] for name in sorted(found))


def _size(control: etree._Element, name: str) -> int | None:
    text = control.get(name)
    return None if text is None else kib_of(control, text, f"`{name}` of a cache control")


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,5}", text) and int(text) else None
