"""Diagnostics for programs: one object a run.

Lines and columns count from 1, columns and offsets in code points; offsets count from 0; an end is the first place behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from kvmc.diagnostics.model import Bag, Diagnostic, Label, Severity, Sources

FORMAT = 1


def render(bag: Bag, sources: Sources, more: Mapping[str, object] | None = None) -> str:
    """The object as text that ends with a newline. `more`: fields of the command's own, behind the diagnostics."""
    whole = {
        "format": FORMAT,
        "errors": sum(item.severity is Severity.ERROR for item in bag),
        "warnings": sum(item.severity is Severity.WARNING for item in bag),
        "diagnostics": [_diagnostic(item, sources) for item in bag],
        **(more or {}),
    }
    return json.dumps(whole, indent=2) + "\n"


def _diagnostic(item: Diagnostic, sources: Sources) -> dict[str, object]:
    return {
        "code": item.code.id,
        "severity": str(item.severity),
        "title": item.code.title,
        "message": item.message,
        "primary": _label(item.primary, sources) if item.primary else None,
        "secondary": [_label(label, sources) for label in item.secondary],
        "notes": list(item.notes),
        "help": list(item.help),
    }


def _label(label: Label, sources: Sources) -> dict[str, object]:
    span = label.span
    line, column = sources.position(span.file, span.start)
    end_line, end_column = sources.position(span.file, span.end)
    return {
        "file": span.file,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "start": span.start,
        "end": span.end,
        "text": label.text,
    }
