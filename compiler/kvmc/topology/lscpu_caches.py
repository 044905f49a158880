"""The column `l1d:l1i:l2:l3` of `lscpu -e`: for each CPU the number of each of its caches.

Where a CPU lacks a cache, some releases write `-` and others leave the part out, and then which one is missing shows only from the
others: data and instruction cache of a CPU have one number, and every CPU with a L2 and a L3 is like one that has all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kvmc.diagnostics.codes import topology as codes
from kvmc.topology.failure import ReadFailure, quoted


def read_caches(rows: Mapping[int, Mapping[str, Any]], columns: Iterable[str]) -> dict[int, dict[str, str]] | None:
    """By CPU, the number of each cache by its name. None where the column is missing. Raises ReadFailure."""
    column = next((name for name in sorted(columns) if re.fullmatch(r"l[0-9][di]?(?::l[0-9][di]?)*", name)), None)
    if column is None:
        return None
    levels = column.split(":")
    cells = {cpu: [part for part in str(row.get(column) or "").split(":") if part] for cpu, row in rows.items()}
    whole = [cell for cell in cells.values() if len(cell) == len(levels)]
    found: dict[int, dict[str, str]] = {}
    for cpu, cell in cells.items():
        if not cell:
            found[cpu] = {}
            continue
        choices = [levels] if len(cell) == len(levels) else _choices(levels, cell, whole)
        if len(choices) != 1:
            told = f"{len(cell)} of {len(levels)} caches, {quoted(':'.join(cell))}"
            raise ReadFailure(
                codes.TOPOLOGY_INCOMPLETE,
                f"CPU {cpu} has {told} in the column {quoted(column)}: which it lacks is not told",
                help=("take a sysfs tree or `kvmc topology scan` of that host instead",),
            )
        found[cpu] = {name: number for name, number in zip(choices[0], cell, strict=True) if number != "-"}
    return found


def _choices(levels: Sequence[str], cell: Sequence[str], whole: Sequence[Sequence[str]]) -> list[list[str]]:
    """The parts that a short cell may be: the lower caches or the upper ones."""
    if levels[:2] != ["l1d", "l1i"] or not all(other[0] == other[1] for other in whole) or len(cell) > len(levels):
        return []
    lower = len(cell) >= 2 and cell[0] == cell[1]
    upper = any(list(other[-len(cell) :]) == list(cell) for other in whole) and len(cell) <= len(levels) - 2
    return [list(levels[: len(cell)])] * lower + [list(levels[-len(cell) :])] * upper
