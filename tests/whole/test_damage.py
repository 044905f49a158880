"""Damaged examples: never a traceback, never long, an error with its place each, and nearly always beside the damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from whole.damage import KINDS, Tally, tally

SECONDS = 1.0
SHARE = 0.95


def _holds(found: Tally, told: Callable[[str, object], None]) -> None:
    count = len(found.faulty)
    slowest = max(one.seconds for one in (*found.faulty, *found.same, *found.other))
    told("variants with an error", count)
    told("first error within a line of the damage", f"{found.near} of {count}")
    told("drawn beside them: valid and the same, valid and another site", f"{len(found.same)}, {len(found.other)}")
    told("slowest", f"{slowest:.2f} s")
    assert set(found.kinds()) == set(KINDS)
    assert all(one.located for one in found.faulty)
    assert slowest < SECONDS
    far = "\n".join(f"{one.damage.file} {one.damage.kind} {one.damage.lines}: {one.messages[0]}" for one in found.far())
    assert found.near >= SHARE * count, f"{found.near} of {count}\n{far}"


@pytest.mark.proof
@pytest.mark.parametrize("seed", ["a", "b", "c", "d", "e", "f", "g", "h"])
def test_three_hundred(seed: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    _holds(tally(seed, 300, tmp_path), record_property)


def test_a_sample(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    _holds(tally("kvmc", 100, tmp_path), record_property)
