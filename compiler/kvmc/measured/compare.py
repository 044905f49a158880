"""One filled-in form against another."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.diagnostics.text import visible
from kvmc.measured.form import Form, Measure


@dataclass(frozen=True, slots=True)
class Row:
    """A measure in both; `verdict` is `same`, `better`, `worse` or `not measured`."""

    name: str
    unit: str
    baseline: float | None
    measured: float | None
    verdict: str


def compare(baseline: Form, result: Form, tolerance: float, bag: Bag) -> list[Row]:
    """Every measure of the baseline, in its order. tolerance: the part of the baseline (0.1: a tenth) up to which a value is the
    same; of a baseline of zero, zero alone."""
    if baseline.host != result.host:
        bag.error(
            codes.MEASURE_OTHER,
            f"the baseline is of host `{baseline.host}`, and the result of `{result.host}`",
        )
        return []
    for name, placed in baseline.guests.items():
        if name in result.guests and result.guests[name] != placed:
            bag.error(
                codes.MEASURE_MOVED,
                f"guest `{name}` had another placement when the baseline was measured",
                help=["measure a baseline anew for what is placed now"],
            )
    there = {one.name: one for one in result.measures}
    rows = [_row(one, there.get(one.name), tolerance) for one in baseline.measures]
    for row in rows:
        if row.verdict == "worse":
            bag.error(
                codes.MEASURE_WORSE,
                f"`{row.name}` is {row.measured:g} {row.unit}, and {row.baseline:g} in the baseline",
            )
    return rows


def _row(one: Measure, other: Measure | None, tolerance: float) -> Row:
    old, new = one.measured, other.measured if other else None
    if old is None or new is None:
        return Row(one.name, one.unit, old, new, "not measured")
    if abs(new - old) <= abs(old) * tolerance:
        return Row(one.name, one.unit, old, new, "same")
    return Row(one.name, one.unit, old, new, "worse" if (new > old) == (one.better == "lower") else "better")


def table(rows: list[Row]) -> str:
    """For people; a line a measure."""
    shown = [
        (
            visible(row.name),
            *("-" if one is None else f"{one:g}" for one in (row.baseline, row.measured)),
            visible(row.unit),
            row.verdict,
        )
        for row in rows
    ]
    head = ("measure", "baseline", "measured", "unit", "")
    widths = [max(len(row[at]) for row in (head, *shown)) for at in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *shown)
    ]
    return "\n".join(lines) + "\n"
