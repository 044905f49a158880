"""A form of measurement, empty or filled in: `measure/baseline.json` of a host, format 1.

`measures`: each with its `name`, the `file` of its result, that file's `format`, the `path` of the value in it, its `unit`, which
way is `better` (`lower` or `higher`), and `measured`: the value, or null. `guests`: where each guest was placed then.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes

FORMAT = 1
MAX_BYTES = 16 << 20
_TEXTS = ("name", "file", "format", "unit", "better")


@dataclass(frozen=True, slots=True)
class Measure:
    """One value. `file` is below the folder of results."""

    name: str
    file: str
    format: str
    path: tuple[str, ...]
    unit: str
    better: str
    measured: float | None


@dataclass(frozen=True, slots=True)
class Form:
    """A form. guests: name to placement, as it stands."""

    host: str
    guests: Mapping[str, object]
    measures: tuple[Measure, ...]
    body: Mapping[str, object]


def read(path: Path, bag: Bag) -> Form | None:
    """A form, or None with an error. Nothing in it can lead out of the folder of results."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES >> 20} MiB")
        return parse(data.decode())
    except (OSError, ValueError, RecursionError) as problem:
        reason = problem.strerror or str(problem) if isinstance(problem, OSError) else str(problem)
        bag.error(
            codes.MEASURE_UNREADABLE,
            f"`{path}` is no form of measurement: {reason[:100].lower()}",
            help=["`measure/baseline.json` of a host that is built with the target `measure` is one"],
        )
        return None


def parse(text: str) -> Form:
    """A form from its text. Raises ValueError with what is wrong."""
    body = json.loads(text)
    if not isinstance(body, dict) or body.get("format") != FORMAT or isinstance(body.get("format"), bool):
        raise ValueError(f"its format is not {FORMAT}")
    host, guests, rows = body.get("host"), body.get("guests"), body.get("measures")
    if not isinstance(host, str) or not isinstance(guests, dict) or not isinstance(rows, list):
        raise ValueError("it lacks `host`, `guests` or `measures`")
    measures = tuple(_measure(row) for row in rows)
    if len({one.name for one in measures}) != len(measures):
        raise ValueError("a measure is there twice")
    return Form(host, guests, measures, body)


def _measure(row: object) -> Measure:
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in _TEXTS):
        raise ValueError("a measure lacks " + ", ".join(f"`{name}`" for name in _TEXTS))
    path, value = row.get("path"), row.get("measured")
    if not isinstance(path, list) or not all(isinstance(part, str) for part in path):
        raise ValueError(f"the path of {row['name']!r} is no list of texts")
    if row["better"] not in ("lower", "higher"):
        raise ValueError(f"{row['name']!r} says neither `lower` nor `higher`")
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
    ):
        raise ValueError(f"what {row['name']!r} measured is no number")
    place = PurePosixPath(row["file"])
    if place.is_absolute() or ".." in place.parts or "\0" in row["file"] or not place.parts:
        raise ValueError(f"the file of {row['name']!r} is not below the results")
    return Measure(row["name"], row["file"], row["format"], tuple(path), row["unit"], row["better"], value)


def filled(form: Form, values: Mapping[str, float | None]) -> str:
    """The form's text with values by name; without the seal, since it is no longer kvmc's."""
    rows = [
        {
            "name": one.name,
            "file": one.file,
            "format": one.format,
            "path": list(one.path),
            "unit": one.unit,
            "better": one.better,
            "measured": values.get(one.name),
        }
        for one in form.measures
    ]
    body = {"format": FORMAT, "host": form.host, "guests": form.guests, "measures": rows}
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"
