"""Every setting of the language has an effect: two sites that differ in it alone differ in a file, a lock or what is told."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from kvmc.diagnostics import Severity
from kvmc.driver.outcome import Outcome
from kvmc.driver.stages import plan_site, render
from kvmc.model.settings import ROWS
from kvmc.model.table import Row
from kvmc.resolver.locks import dumps
from kvmc_targets import BUILTIN
from whole.effect_site import WITH, Needs, text_of, write_folder

Effect = dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("effects")
    write_folder(folder)
    return folder


SEEN: dict[str, tuple[Effect, set[str]]] = {}
"""What each text gave: most pairs share one half."""


def effect(folder: Path, text: str) -> tuple[Effect, set[str]]:
    """All that a build would write, and all that it tells; and the codes of its errors."""
    if text not in SEEN:
        path = folder / "site.kvmt"
        path.write_text(text, encoding="utf-8")
        outcome = plan_site(path)
        if outcome.ok:
            render(outcome, BUILTIN)
        SEEN[text] = _written(outcome), {item.code.id for item in outcome.bag if item.severity is Severity.ERROR}
    return SEEN[text]


def _written(outcome: Outcome) -> Effect:
    files = {f"{host}/{path}": file.text for host, files in outcome.files.items() for path, file in files.items()}
    locks = {f"locks/{host}": dumps(lock) for host, lock in outcome.next_locks.items()}
    return {**files, **locks, "told": "\n".join(f"{item.code.id} {item.message}" for item in outcome.bag)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.block}.{row.name}")
def test_each_setting_has_an_effect(folder: Path, row: Row) -> None:
    needs = WITH.get((row.block, row.name), Needs())
    block = needs.block or row.block
    own = needs.given.get(block, {})
    value = needs.value or row.example
    without = effect(folder, text_of(needs.given, needs.more))
    changed = {**needs.given, block: {**own, **needs.instead, row.name: value}}
    having = effect(folder, text_of(changed, needs.more))
    assert without[1] == set(), "the site without it is at fault"
    assert having[1] == ({needs.error} if needs.error else set())
    assert having[0] != without[0], f"`{row.name}` has no effect"


def test_each_setting_is_in_another_test() -> None:
    """By its name at a place where a setting or a model's field stands, in a test of a stage."""
    mine = {Path(__file__).name, "effect_site.py"}
    tests = [path for path in Path(__file__).parents[1].rglob("*.py") if path.name not in mine]
    words = Counter(word for path in tests for word in re.findall(r"\w+", path.read_text(encoding="utf-8")))
    assert [row.name for row in ROWS if not words[row.name] and not words[row.model_field]] == []


def test_a_site_is_the_same_without_a_change(folder: Path) -> None:
    """Else every setting would seem to have an effect."""
    text = text_of({})
    first = effect(folder, text)
    SEEN.clear()
    assert effect(folder, text) == first != effect(folder, text + "# a comment\n" + "vm more : base\n")
    assert effect(folder, text + "# a comment\n") == first


def test_what_a_pair_needs_is_of_a_setting() -> None:
    assert set(WITH) <= {(row.block, row.name) for row in ROWS}
