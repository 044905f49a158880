"""Mutants of the packages that must be right: how many the tests kill, equivalent ones left out; the goal is 85 of 100."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mutation import swap
from mutation.campaign import DEAD, TESTS, sample, targets
from mutation.learn import ROOT, Cache, Learned, Ran
from mutation.mutators import mutants, mutated
from mutation.report import EQUIVALENT, GOAL, equivalents, percent

SAMPLE = 80
FLOORS = {"kvmc/audit": 0.68, "kvmc/hostconfig": 0.85, "kvmc/resolver": 0.64}
"""What the tests must kill of a sample: two standard deviations of a sample's rate, or more, below what was measured. audit: 77 of
100; hostconfig: 191 of 200, and 177 of 200 before the last tests; resolver: 84 of 113, the beginning
of a sample that was not judged to its end."""

NOT_PROVEN = (
    "mutants that the sample did not draw: `make mutation` tries more, and writes docs/mutation.md",
    "that 85 of 100 are killed: the figures are what is, and only a fall below what was measured fails",
    "the resolver beyond 169 mutants of two samples that were stopped; how the packing heuristics choose is held by few tests",
    "texts for people, annotations, decorators and asserts: they are not mutated",
)

SOURCE = '''
"""A docstring."""
from x import y

LIMIT = 3


@dataclass(frozen=True)
class Some:
    """Another."""

    name: str = "none"

    def call(self, one: int, *, two: int = 7) -> int:
        assert one
        if one < LIMIT and not two:
            raise ValueError(f"`{one}` is too small")
        self.name = "a"
        return one + two


def told(bag):
    bag.error("no such thing")
    for item in bag:
        if item:
            continue
    return [one for one in bag if one == 1 or one is None]
'''
EXPECTED = {
    ("", "constant", "3", "4"),
    ("Some", "constant", "'none'", "'XXnone'"),
    ("", "constant", "7", "8"),
    ("Some.call", "comparison", "one < LIMIT", "one <= LIMIT"),
    ("Some.call", "boolean", "one < LIMIT and (not two)", "one < LIMIT or not two"),
    ("Some.call", "boolean", "not two", "two"),
    ("Some.call", "condition", "one < LIMIT and (not two)", "not (one < LIMIT and (not two))"),
    ("Some.call", "removal", "raise ValueError(f'`{one}` is too small')", "pass"),
    ("Some.call", "removal", "self.name = 'a'", "pass"),
    ("Some.call", "constant", "'a'", "'XXa'"),
    ("Some.call", "return", "return one + two", "return None"),
    ("Some.call", "arithmetic", "one + two", "one - two"),
    ("told", "removal", "bag.error('no such thing')", "pass"),
    ("told", "condition", "item", "not item"),
    ("told", "removal", "continue", "pass"),
    ("told", "return", "return [one for one in bag if one == 1 or one is None]", "return None"),
    ("told", "boolean", "one == 1 or one is None", "one == 1 and one is None"),
    ("told", "condition", "one == 1 or one is None", "not (one == 1 or one is None)"),
    ("told", "comparison", "one == 1", "one != 1"),
    ("told", "comparison", "one is None", "one is not None"),
    ("told", "constant", "1", "2"),
}


def test_the_mutants_of_a_module() -> None:
    found = mutants(SOURCE)
    told = {(one.function, one.kind, one.before, one.after) for one in found}
    # The default of a parameter belongs to the class's body, where it is made.
    assert told == (EXPECTED - {("", "constant", "7", "8")}) | {("Some", "constant", "7", "8")}
    assert {one.function for one in found if not one.late} == {"", "Some"}
    assert all(SOURCE.splitlines()[one.lines[0] - 1].strip() for one in found)


def test_each_mutant_is_one_change() -> None:
    original = ast.unparse(ast.parse(SOURCE)).splitlines()
    for one in mutants(SOURCE):
        lines = ast.unparse(mutated(SOURCE, one.number)).splitlines()
        assert len(lines) == len(original)
        assert sum(line != other for line, other in zip(lines, original, strict=True)) == 1, one


def test_a_function_gets_the_mutants_code() -> None:
    source = "def plus(one, two):\n    inner = lambda: two\n    return one + inner()\n"
    names: dict[str, Callable[[int, int], int]] = {}
    code = compile(source, "<mutation>", "exec")
    exec(code, names)
    held = names["plus"]
    assert held(5, 3) == 8
    (number,) = (one.number for one in mutants(source) if one.kind == "arithmetic")
    known = swap.functions(frozenset({"<mutation>"}))
    assert swap.put(code, compile(mutated(source, number), "<mutation>", "exec"), known)
    assert held(5, 3) == 2


def test_each_equivalent_one_is_a_mutant_and_has_a_reason() -> None:
    known = equivalents(EQUIVALENT.read_text())
    modules = {key.partition(" | ")[0] for key in known}
    keys = {
        f"{target.path.stem} | {target.mutant.key}" for package in TESTS for target in targets(package, sorted(modules))
    }
    assert set(known) - keys == set()
    assert all(len(reason.split()) > 2 for reason in known.values())


def test_a_smaller_sample_begins_a_larger_one() -> None:
    def names(count: int, seed: str) -> list[tuple[str, int]]:
        return [(one.path.stem, one.mutant.number) for one in sample("kvmc/resolver", count, seed)]

    assert names(40, "1") == names(60, "1")[:40] and len(set(names(60, "1"))) == 60
    assert names(40, "1") != names(40, "2")
    assert len({module for module, _ in names(60, "1")}) > 15


def test_what_is_known_of_tests_is_kept_until_they_change(tmp_path: Path) -> None:
    file, path = "tests/mutation/test_mutation.py", "compiler/kvmc/resolver/near.py"
    tests = {
        "one": Ran(1.5, {path: [3, 4]}, waits=True),
        "two": Ran(0.5, {path: [4]}),
        "bad": Ran(0.1, {}, broken=True),
    }
    cache = Cache(tmp_path, "kvmc/resolver")
    assert cache.read(file, list(tests)) is None
    cache.write(file, tests)
    assert cache.read(file, list(tests)) == tests
    assert cache.read(file, ["one", "two"]) is None, "another test is there"
    assert cache.read("tests/mutation/learn.py", list(tests)) is None, "another file"
    assert Cache(tmp_path, "kvmc/audit").read(file, list(tests)) is None, "another package"
    kept = tmp_path / "kvmc.resolver" / "tests.mutation.test_mutation.json"
    kept.write_text(kept.read_text().replace('"digest": "', '"digest": "0'))
    assert cache.read(file, list(tests)) is None, "another state of the sources"


def test_which_tests_are_asked_first_and_for_how_long() -> None:
    path = ROOT / "compiler/kvmc/resolver/near.py"
    lines = {str(path.relative_to(ROOT)): [7, 8]}
    learned = Learned()
    learned.add(
        {
            "tests/whole/test_a.py::wide": Ran(2.0, lines),
            "tests/resolver/test_b.py::own": Ran(3.0, lines),
            "tests/resolver/test_b.py::waits": Ran(1.0, lines, waits=True),
            "tests/resolver/test_near.py::near": Ran(4.0, lines),
            "tests/resolver/test_near.py::bad": Ran(0.0, lines, broken=True),
        }
    )
    covering = learned.covering(path, (8, 9))

    def chosen(budget: float, **kills: int) -> list[str]:
        named = {test: kills.get(test.rpartition("::")[2], 0) for test in covering}
        return [test.rpartition("::")[2] for test in learned.chosen(path, covering, named, "tests/resolver", budget)]

    assert learned.covering(path, (9, 12)) == set() and learned.broken == ["tests/resolver/test_near.py::bad"]
    assert chosen(20) == ["near", "own", "wide", "waits"]
    assert chosen(20, wide=1) == ["wide", "near", "own", "waits"]
    assert chosen(6) == ["near", "wide"], "as many as the time holds"
    assert chosen(1) == ["near"], "one, whatever it takes"
    assert learned.limits(covering) == {
        "tests/whole/test_a.py::wide": 13.0,
        "tests/resolver/test_b.py::own": 17.0,
        "tests/resolver/test_near.py::near": 21.0,
    }


def _campaign(folder: Path, *argv: str) -> list[list[str]]:
    out = folder / "verdicts.json"
    paths = os.pathsep.join(str(ROOT / part) for part in ("compiler", "grammar", "targets", "tests"))
    command = [sys.executable, "-m", "mutation", *argv, "--json", str(out)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, check=True, capture_output=True)
    rows: list[list[str]] = json.loads(out.read_text())
    return rows


@pytest.mark.proof
def test_tests_that_look_away_kill_nothing(tmp_path: Path) -> None:
    """A campaign with the tests of another module: what they do not run, they do not kill."""
    rows = _campaign(tmp_path, "kvmc/audit", "--only", "groups", "--tests", "tests/audit/test_cpulists.py")
    assert len(rows) > 30 and {row[2] for row in rows} == {"uncovered"}


@pytest.mark.proof
@pytest.mark.parametrize("package", FLOORS)
def test_a_sample_is_killed(package: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    rows = _campaign(tmp_path, package, "--count", str(SAMPLE), "--seed", "proof")
    known = equivalents(EQUIVALENT.read_text())
    outcomes = [row[2] for row in rows if row[3] not in known]
    dead = sum(one in DEAD for one in outcomes)
    rate = percent(dead, len(outcomes))
    record_property("killed", f"{dead} of {len(outcomes)}, {rate}; the goal is {100 * GOAL:.0f} %")
    assert dead >= FLOORS[package] * len(outcomes), [row[3] for row in rows if row[2] not in DEAD]
