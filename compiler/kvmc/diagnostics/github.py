"""Annotations of GitHub's workflow commands, one line a diagnostic: they show at the lines of a pull request.

Columns count code points from 1. GitHub takes them only where the span is within one line.
"""

from __future__ import annotations

from kvmc.diagnostics.model import Bag, Diagnostic, Severity, Sources
from kvmc.diagnostics.paths import Place, anchor, as_named
from kvmc.diagnostics.text import visible

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render(bag: Bag, sources: Sources, place: Place = as_named) -> str:
    """All diagnostics in the order they were found; empty for an empty bag."""
    return "".join(_line(item, sources, place) + "\n" for item in bag)


def _line(item: Diagnostic, sources: Sources, place: Place) -> str:
    properties: list[tuple[str, str | int]] = []
    label, _ = anchor(item)
    if label is not None:
        span = label.span
        line, column = sources.position(span.file, span.start)
        end_line, end_column = sources.position(span.file, span.end)
        properties = [("file", place(span.file)), ("line", line)]
        if line == end_line:
            properties += [("col", column), ("endLine", end_line), ("endColumn", end_column)]
        else:
            properties.append(("endLine", end_line))
    properties.append(("title", item.code.id))
    told = ",".join(f"{name}={_property(str(value))}" for name, value in properties)
    texts = [item.message, *(f"note: {text}" for text in item.notes), *(f"help: {text}" for text in item.help)]
    lines = [visible(line) for text in texts for line in text.split("\n")]
    return f"::{_COMMANDS[item.severity]} {told}::{_data(chr(10).join(lines))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
