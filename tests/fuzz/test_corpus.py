"""The inputs that fuzzing kept: each takes the front end where no smaller one does, or once made it raise."""

from __future__ import annotations

import pytest

from fuzz.drive import KEPT, MAX_LENGTH, mutator, seeds
from fuzz.targets import TARGETS
from kvmc.diagnostics import Bag
from kvmc.syntax.format import format_text

MAX_KEPT = 500_000


@pytest.mark.parametrize("target", TARGETS)
def test_kept_inputs_raise_nothing(target: str) -> None:
    paths = sorted((KEPT / target).iterdir())
    assert len(paths) > 20
    for path in paths:
        TARGETS[target](path.read_bytes())


def test_the_corpus_stays_small() -> None:
    assert sum(path.stat().st_size for path in KEPT.rglob("*") if path.is_file()) < MAX_KEPT


@pytest.mark.parametrize("target", TARGETS)
def test_targets_tell_a_bug(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each raises where what it fuzzes is broken, so that a run without a finding says something."""
    import fuzz.targets

    def broken(*_: object, **__: object) -> object:
        raise KeyError("a bug")

    for name in ("analyse", "format_text"):
        monkeypatch.setattr(fuzz.targets, name, broken)
    with pytest.raises(KeyError):
        TARGETS[target](b"kvmt 1\n")


def test_formatting_that_loses_a_comment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import fuzz.targets

    def losing(name: str, text: str) -> tuple[str | None, Bag]:
        made, bag = format_text(name, text)
        return made.replace("# a", "") if made else None, bag

    monkeypatch.setattr(fuzz.targets, "format_text", losing)
    with pytest.raises(AssertionError):
        TARGETS["format"](b"x = 1  # a\n")


def test_changes_of_an_input_fit_and_vary() -> None:
    change = mutator(lambda data, size: data[:size] + b"x")
    data = next(seeds()).encode()
    made = {change(data, MAX_LENGTH, seed) for seed in range(50)}
    assert len(made) > 20 and all(len(one) <= MAX_LENGTH + 1 for one in made)
