"""A campaign: a package's mutants, or a sample of them, and what became of each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, settings

from mutation import cold
from mutation.mutators import mutants
from mutation.warm import SOURCES, Learned, Target, Verdict, Warm, forked, module

ROOT = Path(__file__).resolve().parents[2]
TESTS = {
    "kvmc/audit": ("tests/audit",),
    "kvmc/hostconfig": ("tests/hostconfig", "tests/targets"),
    "kvmc/resolver": ("tests/resolver",),
}
"""The tests that are to tell, by package."""
BUDGET = 20.0
"""Seconds of CPU of tests that a mutant may cost, untraced."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A mutant with its verdict. module: below the package, without its ending."""

    module: str
    target: Target
    verdict: Verdict

    @property
    def key(self) -> str:
        return f"{self.module} | {self.target.mutant.key}"


def targets(package: str, count: int | None, seed: str, only: Sequence[str] = ()) -> list[Target]:
    """The mutants of a package in the order of its files, or a sample. only: names of modules."""
    every = [
        Target(path, source, mutant)
        for path in sorted((SOURCES / package).glob("*.py"))
        if not only or path.stem in only
        for source in [path.read_text()]
        for mutant in mutants(source)
    ]
    if count is None or count >= len(every):
        return every
    chosen = sorted(random.Random(f"{package} {seed}").sample(range(len(every)), count))
    return [every[number] for number in chosen]


def run(package: str, wanted: Sequence[Target], say: Callable[[str], None], tests: Sequence[str] = ()) -> list[Judged]:
    """Tries each mutant. tests: folders or files in place of the package's own. Leaves this process without kvmc imported."""
    cold.prepare()
    files = sorted((SOURCES / package).glob("*.py"))
    folders = list(tests or TESTS[package])

    def warm() -> tuple[Learned, list[Verdict]]:
        settings.register_profile(
            "mutation", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
        )
        settings.load_profile("mutation")
        plugin = Warm(wanted, files, TESTS[package][0], BUDGET, say)
        pytest.main([*cold.PYTEST, *folders], plugins=[plugin])
        return plugin.learned, plugin.verdicts

    learned, verdicts = cast("tuple[Learned, list[Verdict]]", forked(warm))
    waiting = [number for number, one in enumerate(verdicts) if one.outcome == "cold"]
    say(f"{len(waiting)} mutants of what runs at import")
    kills: Counter[str] = Counter()
    for done, number in enumerate(waiting, 1):
        target = wanted[number]
        chosen = learned.chosen(target.path, _covering(target, files, learned), kills, TESTS[package][0], BUDGET)
        verdicts[number] = (
            cold.verdict(target, module(target.path), chosen, learned.limit(chosen))
            if chosen
            else Verdict("uncovered", 0.0)
        )
        kills.update(filter(None, (verdicts[number].by,)))
        if not done % 20:
            say(f"{done} of {len(waiting)}: {dict(Counter(verdicts[n].outcome for n in waiting[:done]))}")
    return [Judged(target.path.stem, target, verdict) for target, verdict in zip(wanted, verdicts, strict=True)]


def recalled(package: str, rows: Sequence[Sequence[object]]) -> list[Judged]:
    """Verdicts that `--json` wrote: package, line, outcome, key and the test that killed, in the order of the package's files."""
    wanted = {(row[1], row[3]): row for row in rows if row[0] == package}
    if not wanted:
        return []
    every = [Judged(one.path.stem, one, Verdict("", 0.0)) for one in targets(package, None, "")]
    found: dict[object, Judged] = {}
    for one in every:
        place = one.target.mutant.lines[0], one.key
        if place in wanted and place not in found:
            row = wanted[place]
            found[place] = Judged(one.module, one.target, Verdict(str(row[2]), 0.0, str(row[4]) or None))
    return list(found.values())


def _covering(target: Target, files: Sequence[Path], learned: Learned) -> set[str]:
    """The tests that run the mutant's lines, if it is in a function; else that run the module, or one that imports it."""
    if target.mutant.late:
        return learned.covering(target.path, target.mutant.lines)
    near = {str(path) for path in files if path == target.path or target.path.stem in path.read_text()}
    return {test for (path, _), tests in learned.lines.items() if path in near for test in tests}
