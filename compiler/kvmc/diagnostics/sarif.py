"""SARIF 2.1.0 (OASIS), for code scanning and editors: one log with one run.

Columns count code points from 1, as the run says (`columnKind`); ends are the first place behind, as in SARIF. A byte order mark is
not counted (SARIF 3.30.5). Rules are those that the results use, in the order of their codes.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from kvmc.diagnostics.codes import registry
from kvmc.diagnostics.fixes import fixes
from kvmc.diagnostics.model import Bag, Diagnostic, Fix, Label, Severity, Sources, Span
from kvmc.diagnostics.paths import Place, anchor, as_named
from kvmc.diagnostics.text import visible

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def render(bag: Bag, sources: Sources, version: str, place: Place = as_named) -> str:
    """The log as text that ends with a newline."""
    known = registry()
    used = sorted({item.code.id: known.get(item.code.id, item.code) for item in bag}.items())
    index = {id: number for number, (id, _) in enumerate(used)}
    rules = [
        {
            "id": id,
            "shortDescription": {"text": code.title},
            "help": {
                "text": f"kvmc explain {id}",
                "markdown": f"`kvmc explain {id}` tells what it means, with an example",
            },
            "defaultConfiguration": {"level": _LEVELS[code.severity]},
        }
        for id, code in used
    ]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "kvmc", "version": version, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(item, index[item.code.id], sources, place) for item in bag],
            }
        ],
    }
    return json.dumps(log, indent=2) + "\n"


def _result(item: Diagnostic, rule: int, sources: Sources, place: Place) -> dict[str, Any]:
    more = [f"note: {text}" for text in item.notes] + [f"help: {text}" for text in item.help]
    lines = [visible(line) for text in (item.message, *more) for line in text.split("\n")]
    result: dict[str, Any] = {
        "ruleId": item.code.id,
        "ruleIndex": rule,
        "level": _LEVELS[item.severity],
        "message": {"text": _plain("\n".join(lines)), "markdown": "\n\n".join(lines)},
    }
    own, others = anchor(item)
    if own is not None:
        result["locations"] = [_location(own, sources, place)]
    if others:
        result["relatedLocations"] = [
            {"id": number, **_location(label, sources, place)} for number, label in enumerate(others, 1)
        ]
    found = fixes(item, sources)
    if found:
        result["fixes"] = [_fix(one, sources, place) for one in found]
    return result


def _plain(text: str) -> str:
    """`[text](target)` is a link in a plain text too (SARIF 3.11.6); a user's text shall not become one."""
    return text.replace("](", "] (")


def _location(label: Label, sources: Sources, place: Place) -> dict[str, Any]:
    location: dict[str, Any] = {"physicalLocation": _physical(label.span, sources, place)}
    if label.text:
        location["message"] = {"text": _plain(visible(label.text))}
    return location


def _physical(span: Span, sources: Sources, place: Place) -> dict[str, Any]:
    return {"artifactLocation": {"uri": _uri(place(span.file))}, "region": _region(span, sources)}


def _region(span: Span, sources: Sources) -> dict[str, int]:
    line, column = sources.position(span.file, span.start)
    end_line, end_column = sources.position(span.file, span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _uri(path: str) -> str:
    return quote(path.encode("utf-8", "surrogateescape"), safe="/~")


def _fix(fix: Fix, sources: Sources, place: Place) -> dict[str, Any]:
    replacement = {"deletedRegion": _region(fix.span, sources), "insertedContent": {"text": fix.text}}
    return {
        "description": {"text": _plain(visible(fix.title)), "markdown": visible(fix.title)},
        "artifactChanges": [
            {"artifactLocation": {"uri": _uri(place(fix.span.file))}, "replacements": [replacement]},
        ],
    }
