"""The table of claims: whole, up to date, and true of the settings, codes, names, lines and tests that it speaks of."""

from __future__ import annotations

import ast
import os
import re
from functools import cache
from pathlib import Path

import pytest

from claims.page import KINDS, PAGE, ROOT, Claim, claims, generated, render
from kvmc.diagnostics.codes import registry as codes
from kvmc.knowledge.registry import names
from kvmc.model.rows_device import DEVICE_ROWS
from kvmc.model.rows_guest import GUEST_ROWS
from kvmc.model.rows_host import HOST_ROWS

ROWS = claims()
_SHINGLE = 7
"""Words in a row that two texts do not share by chance."""


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@cache
def settings() -> frozenset[str]:
    return frozenset({f"{row.block} {row.name}" for row in (*HOST_ROWS, *GUEST_ROWS, *DEVICE_ROWS)} | {"pool devices"})


@cache
def known() -> frozenset[str]:
    return frozenset(names())


def wrong(row: Claim) -> list[str]:
    """What a row speaks of and is not there."""
    found = [f"setting {one}" for one in row.settings if one not in settings()]
    found += [f"code {one}" for one in row.codes if one not in codes()]
    found += [f"name {one}" for one in row.names if one not in known()]
    if row.line and not (
        generated(row.line).is_file() and row.line[1] in generated(row.line).read_text(encoding="utf-8")
    ):
        found.append(f"line {row.line[1]}")
    for test in row.tests:
        file, _, name = test.partition("::")
        if not (ROOT / file).is_file() or (name and name not in functions(ROOT / file)):
            found.append(f"test {test}")
    return found


def test_all_are_there_in_order() -> None:
    assert [row.id for row in ROWS] == [f"C{number:02}" for number in range(1, 118)]
    assert {row.kind for row in ROWS} == set(KINDS)


def test_each_speaks_of_what_is_there() -> None:
    assert {row.id: found for row in ROWS if (found := wrong(row))} == {}


def test_each_says_what_is_done_and_shows_it() -> None:
    for row in ROWS:
        nothing = row.does.startswith("nothing: ")
        assert row.tests or nothing, f"{row.id} is shown by no test"
        assert not nothing or not (row.settings or row.codes or row.names), f"{row.id} does something"
        assert not nothing or len(row.does.split()) > 4, f"{row.id} says no reason"
        if row.kind == "number":
            assert not (row.settings or row.names), f"{row.id} is a number alone"
        if row.kind == "absent":
            assert row.names, f"{row.id} is explained by no name"


def test_no_figure_of_an_article_is_repeated() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not re.search(r"[0-9] ?(?:%|percent|times|ns\b|us\b|ms\b|x\b)", text)


def test_the_page_is_written_from_the_data() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(ROWS), "run python -m claims.page with tests on the path"


def test_a_wrong_row_is_told() -> None:
    row = Claim(
        "C00",
        "real",
        "",
        "",
        "",
        ("class speed",),
        ("KVMC9999",),
        ("no_such_knob",),
        ("tiny/small/x", "y"),
        ("tests/no.py::x",),
    )
    assert len(wrong(row)) == 5
    here = "tests/claims/test_claims.py"
    assert wrong(Claim("C00", "real", "", "", "", (), (), (), (), (f"{here}::test_that_is_not_here", here))) == [
        f"test {here}::test_that_is_not_here"
    ]


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9_]+", text.lower())
    return {tuple(words[at : at + _SHINGLE]) for at in range(len(words) - _SHINGLE + 1)}


def test_nothing_is_copied() -> None:
    shared = Path(os.environ.get("KVMC_SHARED") or ROOT.parent / "shared")
    source = shared / "claims.md"
    if not source.is_file():
        pytest.skip("the notes on the article are not here")
    theirs = shingles(source.read_text(encoding="utf-8"))
    ours = {row.id: shingles(row.claim) | shingles(row.truth) | shingles(row.does) for row in ROWS}
    assert {id: found for id, words in ours.items() if (found := words & theirs)} == {}
