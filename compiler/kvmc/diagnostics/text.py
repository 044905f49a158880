"""Diagnostics for people: the form of rustc, plain text; colour is a last step and changes nothing else."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from kvmc.diagnostics.model import Bag, Diagnostic, Label, Severity, Sources, Span

TAB = 4
MAX_WIDTH = 160
"""Columns of a source line that are shown; of a longer one, a window around its first label."""

_BEFORE = 40
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class Style(Enum):
    """What a piece of a line is, with its ANSI codes."""

    PLAIN = ""
    BOLD = "1"
    FRAME = "1;34"
    ERROR = "1;31"
    WARNING = "1;33"
    NOTE = "1;36"


_OF_SEVERITY = {Severity.ERROR: Style.ERROR, Severity.WARNING: Style.WARNING, Severity.NOTE: Style.NOTE}

if TYPE_CHECKING:
    _Piece = tuple[Style, str]


def render(bag: Bag, sources: Sources, *, colour: bool = False) -> str:
    """All diagnostics in the order they were found, and the summary; empty for an empty bag."""
    lines: list[list[_Piece]] = []
    for diagnostic in bag:
        lines += _diagnostic(diagnostic, sources)
        lines.append([])
    summary = summarise(bag)
    if summary:
        lines.append([(Style.PLAIN, summary)])
    elif lines:
        lines.pop()
    return "".join(_paint(line, colour) + "\n" for line in lines)


def summarise(bag: Bag) -> str:
    """`2 errors, 1 warning`; empty where there is neither."""
    errors = sum(item.severity is Severity.ERROR for item in bag)
    warnings = sum(item.severity is Severity.WARNING for item in bag)
    if not errors and not warnings:
        return ""
    return f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def visible(text: str) -> str:
    """The text with each control and format character (line ends, escapes, bidirectional marks) written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) if unicodedata.category(char) in _HIDDEN else char for char in text)


def _escape(char: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char) or char.encode("unicode_escape", "surrogatepass").decode()


def _paint(line: list[_Piece], colour: bool) -> str:
    if colour:
        return "".join(f"\x1b[{style.value}m{text}\x1b[0m" if style.value and text else text for style, text in line)
    return "".join(text for _, text in line).rstrip()


def _diagnostic(diagnostic: Diagnostic, sources: Sources) -> list[list[_Piece]]:
    style = _OF_SEVERITY[diagnostic.severity]
    head = f"{diagnostic.severity}[{diagnostic.code.id}]"
    lines: list[list[_Piece]] = [[(style, head), (Style.BOLD, f": {visible(diagnostic.message)}")]]
    labels = ([diagnostic.primary] if diagnostic.primary else []) + list(diagnostic.secondary)
    gutter = max((len(str(_line(sources, label.span))) for label in labels), default=1)
    files: dict[str, list[Label]] = {}
    for label in labels:
        files.setdefault(label.span.file, []).append(label)
    for number, (file, group) in enumerate(files.items()):
        line, column = sources.position(file, group[0].span.start)
        arrow = ":::" if number else "-->"
        lines.append([(Style.FRAME, f"{' ' * gutter}{arrow} "), (Style.PLAIN, f"{visible(file)}:{line}:{column}")])
        lines.append([(Style.FRAME, f"{' ' * gutter} |")])
        lines += _excerpt(group, diagnostic.primary, style, sources, gutter)
    if labels and (diagnostic.notes or diagnostic.help):
        lines.append([(Style.FRAME, f"{' ' * gutter} |")])
    for kind, texts in (("note", diagnostic.notes), ("help", diagnostic.help)):
        for text in texts:
            first, *rest = text.split("\n")
            lines.append(
                [(Style.FRAME, f"{' ' * gutter} = "), (Style.BOLD, kind), (Style.PLAIN, f": {visible(first)}")]
            )
            lines += [[(Style.PLAIN, f"{' ' * (gutter + 9)}{visible(more)}")] for more in rest]
    return lines


def _line(sources: Sources, span: Span) -> int:
    return sources.position(span.file, span.start)[0]


def _excerpt(
    labels: Iterable[Label], primary: Label | None, style: Style, sources: Sources, gutter: int
) -> list[list[_Piece]]:
    """The lines of one file that have labels, ascending, each with a row of marks a label, left to right."""
    by_line: dict[int, list[Label]] = {}
    for label in labels:
        by_line.setdefault(_line(sources, label.span), []).append(label)
    rows: list[list[_Piece]] = []
    for number in sorted(by_line):
        group = sorted(by_line[number], key=lambda label: (label.span.start, label is not primary))
        shown = _Shown.of(sources, group[0].span)
        rows.append([(Style.FRAME, f"{number:>{gutter}} | "), (Style.PLAIN, shown.text)])
        for label in group:
            start, width = shown.columns(label.span)
            mark, of = ("^", style) if label is primary else ("-", Style.FRAME)
            text = f" {visible(label.text)}" if label.text else ""
            rows.append([(Style.FRAME, f"{' ' * gutter} | "), (of, f"{' ' * start}{mark * width}{text}")])
    return rows


@dataclass(frozen=True, slots=True)
class _Shown:
    """A source line as it is shown. `edges[i]` is the column where the code point `i` of the line begins, one more at the end."""

    text: str
    begin: int
    edges: tuple[int, ...]

    @classmethod
    def of(cls, sources: Sources, span: Span) -> _Shown:
        text = sources.texts.get(span.file, "")
        at = min(span.start, len(text))
        begin = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        line = text[begin : end if end >= 0 else len(text)].removesuffix("\r")
        cut_left = cut_right = False
        if len(line) > MAX_WIDTH:
            cut = max(0, at - begin - _BEFORE)
            cut_left, cut_right = cut > 0, len(line) > cut + MAX_WIDTH
            line = line[cut : cut + MAX_WIDTH]
            begin += cut
        out = "..." if cut_left else ""
        column = len(out)
        edges = [column]
        for char in line:
            piece = " " * (TAB - column % TAB) if char == "\t" else visible(char)
            out += piece
            column += sum(_width(one) for one in piece)
            edges.append(column)
        return cls(out + ("..." if cut_right else ""), begin, tuple(edges))

    def columns(self, span: Span) -> tuple[int, int]:
        """Where the marks begin and how many they are, at least one; a span over several lines is marked in its first."""
        last = len(self.edges) - 1
        start = self.edges[max(0, min(span.start - self.begin, last))]
        end = self.edges[max(0, min(span.end - self.begin, last))]
        return start, max(1, end - start)


def _width(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
