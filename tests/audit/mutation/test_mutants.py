"""The audit against mutants of trees that kvmc built: it finds them where they are, and nothing where the meaning stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from audit.mutation import draw, same
from audit.mutation.report import COUNT, SEED, render, run
from audit.mutation.trees import ROOT, Built, all_built

QUICK = 100
SAME = 200
LEAST = 0.99


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Built]:
    return all_built(tmp_path_factory.mktemp("mutation") / "sites")


def test_the_trees_are_right(built: list[Built]) -> None:
    assert [item.message for one in built for item in one.audit(one.trees)] == []
    bare = [Built(one.name, one.trees, one.topologies, one.site, {}) for one in built]
    assert [item.message for one in bare for item in one.audit(one.trees)] == [], "nor without their locks"


def test_a_sample_is_found(built: list[Built]) -> None:
    result = run(built, QUICK, "quick")
    assert len(result.cells) > QUICK * 0.6, "every operator in its turn"
    assert [mutant.title for mutant in result.living] == []


def test_what_stays_the_same_is_no_finding(built: list[Built]) -> None:
    by_name = {one.name: one for one in built}
    count = SAME // 4
    told = [
        f"{mutant.kind} {mutant.path}: {item.message}"
        for mutant in same.draw(built, count, "quick")
        for item in by_name[mutant.site].audit(mutant.trees)
    ]
    assert told == []


def test_the_draw_is_the_same_every_time(built: list[Built]) -> None:
    first, second = ([(m.title, m.trees) for m in draw.draw(built, 80, "x")] for _ in range(2))
    assert first == second
    assert first != [(m.title, m.trees) for m in draw.draw(built, 80, "y")]


def test_a_blind_audit_would_fail(built: list[Built]) -> None:
    mutant = next(draw.draw(built, 1, "x"))
    assert not draw.killed(mutant, [])
    elsewhere = [item for one in built for item in one.audit({**one.trees, "ghost": {"x": "y"}})]
    assert not draw.killed(mutant, elsewhere)


@pytest.mark.proof
def test_a_thousand_are_found(built: list[Built], record_property: Callable[[str, object], None]) -> None:
    result = run(built, COUNT, SEED)
    record_property("found", f"{result.killed.total()} of {COUNT}")
    assert result.killed.total() >= LEAST * COUNT, [mutant.title for mutant in result.living]
    page = Path(ROOT / "docs" / "audit-mutants.md")
    assert page.read_text() == render(result), "run python -m audit.mutation.report"


@pytest.mark.proof
def test_two_hundred_that_stay_the_same(built: list[Built], record_property: Callable[[str, object], None]) -> None:
    by_name = {one.name: one for one in built}
    told = [
        f"{mutant.kind} {mutant.path}: {item.message}"
        for mutant in same.draw(built, SAME, SEED)
        for item in by_name[mutant.site].audit(mutant.trees)
    ]
    record_property("changes without a finding", SAME - len(told))
    assert told == []
