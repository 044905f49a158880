"""Values out of what tools wrote: JSON of fio, sysstat and cyclictest, stress-ng's YAML, libvirt's counters, numastat's table."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.measured.form import MAX_BYTES, Form, Measure
from kvmc.model.cpuset import CpuSet

_BEFORE = "vcpus-before"
_NODES = re.compile(r"Node ([0-9]+)")


def read(form: Form, folder: Path, bag: Bag) -> dict[str, float | None]:
    """Each measure's value by its name. One that is not there is None, with a warning; one warning a file."""
    found: dict[str, float | None] = {}
    told: set[str] = set()
    for one in form.measures:
        try:
            found[one.name] = value(one, folder)
        except (OSError, ValueError, RecursionError) as problem:
            found[one.name] = None
            reason = problem.strerror or str(problem) if isinstance(problem, OSError) else str(problem)
            if one.file not in told:
                told.add(one.file)
                bag.error(codes.MEASURE_NO_RESULT, f"`{one.name}` has no value: `{one.file}`: {reason[:80].lower()}")
    return found


def value(measure: Measure, folder: Path) -> float:
    """One value. Raises OSError, or ValueError with what is wrong with the file."""
    text = _text(folder / measure.file)
    if measure.format == "json":
        return max(_numbers(json.loads(text), measure.path))
    if measure.format == "stress-ng":
        return _stress(text, measure.path[0] if measure.path else "")
    if measure.format == "domstats":
        before = _text((folder / measure.file).with_name(_BEFORE))
        return _growth(before, text, measure.path)
    if measure.format == "numastat":
        return _elsewhere(text, CpuSet.parse(measure.path[0] if measure.path else ""))
    raise ValueError(f"its format {measure.format!r} is none that is known")


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError("it is too large")
    return data.decode()


def _numbers(value: object, path: tuple[str, ...]) -> list[float]:
    found = [one for one in _walk(value, path) if math.isfinite(one)]
    if not found:
        raise ValueError("it holds no such value")
    return found


def _walk(value: object, path: tuple[str, ...]) -> Iterator[float]:
    if not path:
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield float(value)
        return
    head, *rest = path
    below: list[object] = []
    if isinstance(value, dict):
        below = list(value.values()) if head == "*" else [value[head]] if head in value else []
    elif isinstance(value, list):
        at = int(head) if head.isdecimal() else len(value)
        below = value if head == "*" else value[at : at + 1]
    for one in below:
        yield from _walk(one, tuple(rest))


def _stress(text: str, key: str) -> float:
    match = re.search(rf"^ +{re.escape(key)}: ([0-9.]{{1,30}})$", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"it has no `{key}`")
    return float(match[1])


def _growth(before: str, after: str, path: tuple[str, ...]) -> float:
    """How much the counters of all vCPUs grew together."""
    pattern = re.compile(
        r"^ *" + r"\.".join("[0-9]+" if part == "*" else re.escape(part) for part in path) + r"=([0-9]{1,20})\r?$",
        re.MULTILINE,
    )
    first, last = pattern.findall(before), pattern.findall(after)
    if not last or len(first) != len(last):
        raise ValueError("it has not the same counters as before")
    grown = sum(map(int, last)) - sum(map(int, first))
    if grown < 0:
        raise ValueError("its counters went back: the guest was started anew meanwhile")
    return float(grown)


def _elsewhere(text: str, nodes: CpuSet) -> float:
    """MB that are on other nodes than a guest's; each node's column has its name above it."""
    names: list[int] = []
    far = 0.0
    seen = False
    for line in text.splitlines():
        if "Node " in line:
            names = [int(name) for name in _NODES.findall(line)]
        elif line.startswith("Total") and names:
            numbers = [float(word) for word in line.split()[1 : 1 + len(names)]]
            far += sum(number for node, number in zip(names, numbers, strict=False) if node not in nodes)
            seen = True
    if not seen:
        raise ValueError("it is no table of numastat's")
    return round(far, 2)
