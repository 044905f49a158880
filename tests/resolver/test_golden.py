"""Small sites with all that is answered, to the CPU and the word: goldens, a section a site. `--update` writes them anew.

Where one of these changes, a guest of some user's site moves, or a message says another number: it is to be meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from audit.golden import same
from kvmc.resolver import failures, missing
from resolver import sites_cpus, sites_locks, sites_memory, sites_relations
from resolver.telling import Step, answers

FOLDER = Path(__file__).parents[1] / "golden" / "resolver"
CASES: Mapping[str, Mapping[str, Callable[[], list[Step]]]] = {
    "cpus": sites_cpus.CASES,
    "memory": sites_memory.CASES,
    "relations": sites_relations.CASES,
    "locks": sites_locks.CASES,
}
IDS = [(file, title) for file, cases in CASES.items() for title in cases]


@pytest.fixture(autouse=True)
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact search says more where it is installed."""
    monkeypatch.setattr(missing, "find_spec", lambda _: None)
    monkeypatch.setattr(failures, "find_spec", lambda _: None)


@pytest.mark.parametrize(("file", "title"), IDS, ids=[title for _, title in IDS])
def test_a_small_site(file: str, title: str, pytestconfig: pytest.Config) -> None:
    text = answers(CASES[file][title]())
    assert same(file, title, text, update=pytestconfig.getoption("--update"), folder=FOLDER), text
