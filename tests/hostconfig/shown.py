"""Plans and what is told about them as text, for goldens: every field, every place, every word.

`EVERYWHERE` knows an origin for every path that is asked for, and bears its name: what is pointed at can be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from audit.golden import same
from kvmc.diagnostics import Diagnostic, Label, Span
from kvmc.model.cpuset import CpuSet
from kvmc.model.origins import Origin, Origins
from kvmc.model.origins import Path as Names
from kvmc.model.values import PciAddress

FOLDER = Path(__file__).parents[1] / "golden" / "hostconfig"
_MANY = 40


class _Everywhere(dict[Names, Origin]):
    """An origin for each path, without one in it. inherited: guests have all by inheritance."""

    def __init__(self, *, inherited: bool) -> None:
        super().__init__()
        self.inherited = inherited

    def get(self, path: Names, _default: object = None) -> Origin:
        name = " ".join(path)
        use = Span(f"use of {' '.join(path[:2])}", 0, 1) if self.inherited and path[0] == "vm" else None
        return Origin(Span(name, 0, 1), Span(name, 0, 1), f"<{name}>", use)


EVERYWHERE = Origins(_Everywhere(inherited=False))
INHERITED = Origins(_Everywhere(inherited=True))
NOWHERE = Origins({})


def _place(label: Label | None) -> str:
    if label is None:
        return "nowhere"
    return f"{label.span.file}{f': {label.text}' if label.text else ''}"


def told(items: Iterable[Diagnostic]) -> str:
    lines: list[str] = []
    for item in items:
        lines += [f"{item.code.id} {item.severity}: {item.message}", f"  at {_place(item.primary)}"]
        lines += [f"  and {_place(label)}" for label in item.secondary]
        lines += [f"  note: {note}" for note in item.notes]
        lines += [f"  help: {help}" for help in item.help]
    return "\n".join(lines) or "nothing is told"


def word(value: Any) -> str:
    """A value on one line; of a dataclass the fields that are not their defaults."""
    if isinstance(value, CpuSet):
        return f"{{{value}}}"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, PciAddress):
        return str(value)
    if isinstance(value, tuple | list):
        items = [*value[:3], f"{len(value)} in all", value[-1]] if len(value) > _MANY else value
        return f"[{', '.join(map(word, items))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {word(one)}' for key, one in value.items())}}}"
    if is_dataclass(value) and type(value).__str__ is object.__str__:
        parts = [(one.name, getattr(value, one.name), one.default) for one in fields(value)]
        return " ".join(
            f"{name}={word(part)}" for name, part, default in parts if default is MISSING or part != default
        )
    return repr(value) if isinstance(value, str) else str(value)


def lines(value: Any, base: Any = None) -> str:
    """A dataclass, a field a line: those that are not their defaults, or beside a `base` those that differ from it."""
    found: list[str] = []
    for one in fields(value):
        part = getattr(value, one.name)
        usual = one.default if base is None else getattr(base, one.name)
        if usual is not MISSING and part == usual:
            continue
        if isinstance(part, tuple) and part and is_dataclass(part[0]) and not isinstance(part[0], CpuSet):
            found += [f"{one.name}:", *(f"  {word(item)}" for item in part)]
        else:
            found.append(f"{one.name}: {word(part)}")
    return "\n".join(found) or "as the plain one"


def golden(name: str, title: str, text: str, *, update: bool) -> None:
    assert same(name, title, text, update=update, folder=FOLDER), text
