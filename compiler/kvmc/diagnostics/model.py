"""Spans, diagnostics and the bag that passes collect them in.

A pass never raises for a user's mistake: it returns its value beside a `Bag`. The driver stops between phases when the bag
holds an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How much a diagnostic weighs: an error stops the build, a warning and a note do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Code:
    """A stable name of one kind of diagnostic: `KVMC` and four digits, never used again for another.

    The first two digits are the phase: 00 driver, 01 syntax, 02 schema and names, 03 topology and capacity, 04 placement,
    05 host settings and targets, 06 artifacts and locks, 07 audit, 08 verify, diff and import.
    """

    id: str
    severity: Severity
    title: str


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range `[start, end)` of code points in one source file.

    `file` is the path as shown to the user: relative to the folder of the site file, with forward slashes.
    """

    file: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Label:
    """A span and a short text that says what it has to do with the diagnostic."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """A replacement of a source range that does what a `help` says. text: what stands there then. title: what it does, as a label
    of a menu: "write `64GiB`". Each fix of a diagnostic mends it alone: several are alternatives, the likeliest first."""

    span: Span
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One cause, told once.

    message: what is wrong; lower case, no full stop, backticks round names, numbers on both sides.
    primary: the smallest place that still says it; None where no source line is to blame.
    secondary: other places that take part. notes: facts. help: what to do, each a thing that works.
    fixes: those helps that are a plain replacement, for programs.
    """

    code: Code
    message: str
    primary: Label | None = None
    secondary: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()

    @property
    def severity(self) -> Severity:
        return self.code.severity


@dataclass(slots=True)
class Bag:
    """Diagnostics in the order they were found, each cause once (same code and same primary span, or same message)."""

    items: list[Diagnostic] = field(default_factory=list)
    _seen: set[tuple[str, object]] = field(default_factory=set)

    def add(self, diagnostic: Diagnostic) -> None:
        place: object = diagnostic.primary.span if diagnostic.primary else diagnostic.message
        key = (diagnostic.code.id, place)
        if key not in self._seen:
            self._seen.add(key)
            self.items.append(diagnostic)

    def error(
        self,
        code: Code,
        message: str,
        primary: Label | Span | None = None,
        *,
        secondary: Iterable[Label] = (),
        notes: Iterable[str] = (),
        help: Iterable[str] = (),
        fixes: Iterable[Fix] = (),
    ) -> None:
        """Add a diagnostic; its severity is the code's own."""
        label = Label(primary) if isinstance(primary, Span) else primary
        self.add(Diagnostic(code, message, label, tuple(secondary), tuple(notes), tuple(help), tuple(fixes)))

    def extend(self, other: Iterable[Diagnostic]) -> None:
        for diagnostic in other:
            self.add(diagnostic)

    @property
    def has_errors(self) -> bool:
        return any(item.severity is Severity.ERROR for item in self.items)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Sources:
    """The texts that spans point into, by the file name that the spans carry."""

    texts: Mapping[str, str]

    def position(self, file: str, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1, the column in code points."""
        text = self.texts.get(file, "")
        offset = min(offset, len(text))
        line = text.count("\n", 0, offset) + 1
        return line, offset - (text.rfind("\n", 0, offset) + 1) + 1
