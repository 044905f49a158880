"""A campaign: a package's mutants, or a sample of them, and what became of each."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, settings

from mutation import cold
from mutation.learn import ROOT, Cache, Learned, put
from mutation.mutators import mutants
from mutation.warm import SOURCES, Target, Verdict, Warm, forked, module

_RESOLVER = (
    "advice", "cases", "choosing", "exact", "failures", "golden", "hosts_away", "keep", "locks", "near", "optional", "packing",
    "pools", "properties", "relations", "repacking", "shapes", "solve", "stability", "verdicts",
)  # fmt: skip
TESTS = {
    "kvmc/audit": ("tests/audit",),
    "kvmc/hostconfig": ("tests/hostconfig", "tests/targets"),
    "kvmc/resolver": tuple(f"tests/resolver/test_{name}.py" for name in _RESOLVER),
}
"""The tests that are to tell, by package. Of the resolver's not those of long sequences of edits, which take longer than a mutant
may."""
BUDGET = 20.0
"""Seconds of CPU of tests that a mutant may cost, untraced, where nobody says another number."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A mutant with its verdict. module: below the package, without its ending."""

    module: str
    target: Target
    verdict: Verdict

    @property
    def key(self) -> str:
        return f"{self.module} | {self.target.mutant.key}"


DEAD = ("killed", "timeout")
CACHE = ROOT / ".cache" / "mutation"


@dataclass(slots=True)
class Progress:
    """Tells of each verdict as it falls, and keeps it in a file at once, so that a campaign that is stopped has told what it knows:
    the mutants come in the order in which they were drawn, so that these are a fair sample too.

    total: how many will come; known: equivalent ones; rows: of other packages of this campaign.
    """

    package: str
    total: int
    known: Mapping[str, str]
    say: Callable[[str], None]
    file: Path | None = None
    rows: list[list[object]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def judged(self, target: Target, verdict: Verdict) -> None:
        if verdict.outcome == "cold":
            return
        one = Judged(target.path.stem, target, verdict)
        self.rows.append([self.package, target.mutant.lines[0], verdict.outcome, one.key, verdict.by or ""])
        self.counts[verdict.outcome] += 1
        if self.file is not None:
            put(self.file, json.dumps(self.rows, indent=0))
        if (verdict.outcome in DEAD) == (one.key in self.known):
            self.say(told(one))
        done = self.counts.total()
        if not done % 25 or done == self.total:
            dead = sum(self.counts[one] for one in DEAD)
            self.say(f"{done} of {self.total}: {100 * dead / done:.1f} % dead, {dict(self.counts)}")


def _own(package: str) -> str:
    """The folder of the package's own tests."""
    return f"tests/{package.removeprefix('kvmc/')}"


def told(one: Judged) -> str:
    """A mutant that the tests do not kill, or one that is said to mean the same and that they kill, for a reader."""
    mutant, verdict = one.target.mutant, one.verdict
    place = f"{one.target.path.relative_to(ROOT)}:{mutant.lines[0]}: {mutant.function or 'module'}"
    if verdict.outcome in DEAD:
        return f"{place}: said to be equivalent, {verdict.outcome} by {verdict.by or 'its time'}: {one.key}"
    tried = f"{verdict.tests} tests" + (f" of {verdict.tests + verdict.left}" if verdict.left else "")
    how = "no test runs it" if verdict.outcome == "uncovered" else f"lives through {tried}"
    return f"{place}: {how}: {mutant.kind}\n    {mutant.before}\n    -> {mutant.after}"


def targets(package: str, only: Sequence[str] = ()) -> list[Target]:
    """The mutants of a package in the order of its files. only: names of modules."""
    return [
        Target(path, source, mutant)
        for path in sorted((SOURCES / package).glob("*.py"))
        if not only or path.stem in only
        for source in [path.read_text()]
        for mutant in mutants(source)
    ]


def sample(package: str, count: int | None, seed: str, only: Sequence[str] = ()) -> list[Target]:
    """Mutants in a random order, each of the package as likely as any other: a smaller sample is the beginning of a larger one."""
    every = targets(package, only)
    random.Random(f"{package} {seed}").shuffle(every)
    return every[:count]


def run(
    package: str, wanted: Sequence[Target], progress: Progress, cache: Path, tests: Sequence[str], budget: float
) -> list[Judged]:
    """Tries each mutant; in the order of the files. tests: folders or files in place of the package's own; budget: seconds of CPU
    of tests that a mutant may cost. Leaves this process without kvmc imported."""
    cold.prepare()
    files = sorted((SOURCES / package).glob("*.py"))
    folders = list(tests or TESTS[package])

    def warm() -> tuple[Learned, list[Verdict]]:
        # A failure need not be made small here.
        settings.register_profile(
            "mutation",
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        settings.load_profile("mutation")
        kept = Cache(cache, package)
        plugin = Warm(wanted, files, _own(package), budget, kept, progress.say, progress.judged)
        pytest.main([*cold.PYTEST, *folders], plugins=[plugin])
        return plugin.learned, plugin.verdicts

    # What it told, it told in a process of its own: here it is kept once more, and goes on.
    learned, verdicts = cast("tuple[Learned, list[Verdict]]", forked(warm))
    say, progress.say = progress.say, lambda _: None
    for target, verdict in zip(wanted, verdicts, strict=True):
        progress.judged(target, verdict)
    progress.say = say
    waiting = [number for number, one in enumerate(verdicts) if one.outcome == "cold"]
    progress.say(f"{len(waiting)} mutants of what runs at import")
    kills: Counter[str] = Counter()
    for number in waiting:
        target = wanted[number]
        covering = _covering(target, files, learned)
        chosen = learned.chosen(target.path, covering, kills, _own(package), budget)
        verdicts[number] = (
            cold.verdict(target, module(target.path), chosen, learned.limit(chosen), len(covering) - len(chosen))
            if chosen
            else Verdict("uncovered", 0.0)
        )
        kills.update(filter(None, (verdicts[number].by,)))
        progress.judged(target, verdicts[number])
    found = [Judged(target.path.stem, target, verdict) for target, verdict in zip(wanted, verdicts, strict=True)]
    return sorted(found, key=lambda one: (one.target.path, one.target.mutant.number))


def recalled(package: str, rows: Sequence[Sequence[object]]) -> list[Judged]:
    """Verdicts that `--json` wrote: package, line, outcome, key and the test that killed, in the order of the package's files."""
    wanted = {(row[1], row[3]): row for row in rows if row[0] == package}
    if not wanted:
        return []
    every = [Judged(one.path.stem, one, Verdict("", 0.0)) for one in targets(package)]
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
