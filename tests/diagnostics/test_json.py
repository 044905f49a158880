"""The rendering for programs."""

from __future__ import annotations

import json

from kvmc.diagnostics import Bag, Code, Label, Severity, Sources, Span
from kvmc.diagnostics.json import render

ERROR = Code("KVMC9901", Severity.ERROR, "an error")
WARNING = Code("KVMC9902", Severity.WARNING, "a warning")


def test_one_object_with_places_from_one_and_ends_behind() -> None:
    bag = Bag()
    bag.error(
        ERROR,
        "wrong `ä`",
        Label(Span("site.kvmt", 6, 9), "here"),
        secondary=[Label(Span("site.kvmt", 0, 1))],
        notes=["fact"],
        help=["cure"],
    )
    bag.error(WARNING, "second")
    whole = json.loads(render(bag, Sources({"site.kvmt": "ä\n  b\nc"}), {"files": []}))
    assert list(whole) == ["format", "errors", "warnings", "diagnostics", "files"]
    assert (whole["format"], whole["errors"], whole["warnings"]) == (1, 1, 1)
    first, second = whole["diagnostics"]
    assert first == {
        "code": "KVMC9901",
        "severity": "error",
        "title": "an error",
        "message": "wrong `ä`",
        "primary": {
            "file": "site.kvmt",
            "line": 3,
            "column": 1,
            "end_line": 3,
            "end_column": 2,
            "start": 6,
            "end": 9,
            "text": "here",
        },
        "secondary": [
            {
                "file": "site.kvmt",
                "line": 1,
                "column": 1,
                "end_line": 1,
                "end_column": 2,
                "start": 0,
                "end": 1,
                "text": "",
            }
        ],
        "notes": ["fact"],
        "help": ["cure"],
    }
    assert second["primary"] is None


def test_the_text_is_plain_ascii_whatever_the_input() -> None:
    bag = Bag()
    bag.error(ERROR, "bad \x1b \u202e \ud800")
    assert render(bag, Sources({})).isascii()
