"""Runs tests against mutants in forks of one process that has collected them: a mutant costs what its tests cost.

The first round runs all tests, to learn their seconds and, once more, which lines each runs. The second runs, for each mutant, the
tests that run its lines until one fails: those that killed in its module before first, then the most telling.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import math
import os
import pickle
import resource
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import cast

import pytest
from _pytest.runner import runtestprotocol

from mutation import swap, trace
from mutation.mutators import Mutant, mutated

Known = dict[CodeType, list[FunctionType]]
SOURCES = Path(__file__).resolve().parents[2] / "compiler"
MEMORY = 6 << 30
"""Bytes of address space that a fork may take."""


@dataclass(frozen=True, slots=True)
class Target:
    """A mutant of a file, and the text that the file had when it was made."""

    path: Path
    source: str
    mutant: Mutant


@dataclass(slots=True)
class Verdict:
    """outcome: killed, timeout, survived, uncovered, or cold (it takes a process that has not imported the module yet); by: the
    test that killed it, or None."""

    outcome: str
    seconds: float
    by: str | None = None


@dataclass(slots=True)
class Learned:
    """seconds: of each test that passes, as it runs among the others, untraced, in the order of collection; lines: the tests that
    run each line; breadth: how many lines a test runs; broken: tests that fail unmutated and take no part; waiting: tests that need
    what is made once for a file."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    breadth: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)

    def covering(self, path: Path, lines: tuple[int, int]) -> set[str]:
        return {test for line in range(lines[0], lines[1] + 1) for test in self.lines.get((str(path), line), ())}

    def chosen(self, path: Path, tests: Iterable[str], kills: Mapping[str, int], own: str, budget: float) -> list[str]:
        """Tests for a mutant of a file, the most telling first, as many as `budget` seconds hold. kills: how many mutants of the
        file each has killed; own: the folder of the package's tests. Those that share what is made once for a file come last."""

        def rank(test: str) -> tuple[bool, float, bool, bool, int, float]:
            file = test.partition("::")[0]
            rate = -kills.get(test, 0) / (self.seconds[test] + 0.01)
            near = path.stem in Path(file).stem
            return (
                test in self.waiting,
                rate,
                not near,
                not file.startswith(own),
                self.breadth[test],
                self.seconds[test],
            )

        taken: list[str] = []
        total = 0.0
        for test in sorted(tests, key=rank):
            if not taken or total + self.seconds[test] <= budget:
                total += self.seconds[test]
                taken.append(test)
        last = [test for test in self.seconds if test in self.waiting and test in set(taken)]
        return [test for test in taken if test not in self.waiting] + last

    def limit(self, tests: Iterable[str]) -> float:
        """Seconds of CPU after which tests hang for sure: they share less of what is made once than when they were measured."""
        return 15 + 3 * sum(self.seconds[test] for test in tests)


def module(path: Path) -> str:
    """The name by which a file of ours is imported."""
    return ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")


def forked(call: Callable[[], object], limit: float | None = None) -> object:
    """What a call returns in a fork of this process; TimeoutError where it takes more seconds of CPU than `limit`, or waits ten
    times as long, ChildProcessError where it dies."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(read)
            os.setpgid(0, 0)
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            if limit is not None:
                most = math.ceil(limit + time.process_time())
                resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
            with os.fdopen(write, "wb") as out:
                pickle.dump(call(), out)
        finally:
            os._exit(0)
    os.close(write)
    data, end = b"", None if limit is None else time.monotonic() + 10 * limit
    late = False
    while not late:
        ready, _, _ = select.select([read], [], [], None if end is None else max(0.0, end - time.monotonic()))
        part = os.read(read, 1 << 20) if ready else b""
        data, late = data + part, not ready
        if not part:
            break
    os.close(read)
    if late:
        _kill(child)
    _, status = os.waitpid(child, 0)
    if late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        raise TimeoutError
    if not data:
        raise ChildProcessError
    return pickle.loads(data)


def _kill(child: int) -> None:
    for stop in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            stop(child, signal.SIGKILL)


def _failing(items: Sequence[pytest.Item]) -> str | None:
    """The first test that fails, of some that are run in this order."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return item.nodeid
    return None


def _forget() -> None:
    """Empties what kvmc's functions remember, so that each test runs what it asks."""
    for one in gc.get_objects():
        if isinstance(one, functools._lru_cache_wrapper) and str(one.__module__).startswith("kvmc"):
            one.cache_clear()


class Warm:
    """pytest's plugin that takes the place of its loop. own: the folder of the package's tests; budget: seconds of tests that a
    mutant may cost."""

    def __init__(
        self, targets: Sequence[Target], files: Sequence[Path], own: str, budget: float, say: Callable[[str], None]
    ) -> None:
        self.targets, self.own, self.budget, self.say = targets, own, budget, say
        self.modules = [module(path) for path in files]
        self.files = frozenset(str(path) for path in files)
        self.learned = Learned()
        self.verdicts: list[Verdict] = []
        self._lines = trace.Lines(self.files)
        self._made: dict[object, set[tuple[str, int]]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        """What a fixture runs that lives longer than a test counts for each test that needs it."""
        if fixturedef.scope == "function":
            return (yield)
        with self._lines.apart() as found:
            result = yield
        self._made.setdefault(fixturedef, set()).update(found)
        return result

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        self.learned = cast("Learned", forked(lambda: self._learn(session.items)))
        seconds = sum(self.learned.seconds.values())
        self.say(f"{len(items)} tests, {seconds:.0f} s; fail unmutated: {self.learned.broken or 'none'}")
        # What kvmc imports only where a site needs it has to be here, or its functions can't be given a mutant's code.
        for name in self.modules:
            importlib.import_module(name)
        known = swap.functions(self.files)
        original: dict[Path, CodeType] = {}
        kills: dict[Path, Counter[str]] = {}
        for number, target in enumerate(self.targets, 1):
            if target.path not in original:
                original[target.path] = compile(target.source, str(target.path), "exec")
            killers = kills.setdefault(target.path, Counter())
            verdict = self._try(target, items, known, original[target.path], killers)
            if verdict.by is not None:
                killers[verdict.by] += 1
            self.verdicts.append(verdict)
            if not number % 50:
                self.say(f"{number} of {len(self.targets)}: {dict(Counter(one.outcome for one in self.verdicts))}")
        return True

    def _learn(self, items: Sequence[pytest.Item]) -> Learned:
        learned = Learned()

        def run(item: pytest.Item, following: pytest.Item | None) -> bool:
            return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))

        pairs = list(zip(items, [*items[1:], None], strict=True))
        for item, following in pairs:
            before = time.process_time()
            if run(item, following):
                learned.seconds[item.nodeid] = time.process_time() - before
            else:
                learned.broken.append(item.nodeid)
        for item, following in pairs:
            _forget()
            lines = self._lines.run(lambda one=item, then=following: run(one, then))  # type: ignore[misc]
            if item.nodeid not in learned.seconds:
                continue
            needs = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
            made = [one for several in needs for one in several if one in self._made]
            if any(one.scope in ("module", "session", "package") and self._made[one] for one in made):
                learned.waiting.add(item.nodeid)
            lines = lines.union(*(self._made[one] for one in made))
            learned.breadth[item.nodeid] = len(lines)
            for line in lines:
                learned.lines.setdefault(line, []).append(item.nodeid)
        return learned

    def _try(
        self, target: Target, items: dict[str, pytest.Item], known: Known, original: CodeType, killers: Counter[str]
    ) -> Verdict:
        if not target.mutant.late:
            return Verdict("cold", 0.0)
        covering = self.learned.covering(target.path, target.mutant.lines)
        tests = self.learned.chosen(target.path, covering, killers, self.own, self.budget)
        if not tests:
            return Verdict("uncovered", 0.0)

        def run() -> str | None:
            code = compile(mutated(target.source, target.mutant.number), str(target.path), "exec")
            if not swap.put(original, code, known):
                return "cold"
            _forget()
            return _failing([items[test] for test in tests])

        before = time.perf_counter()
        try:
            by = cast("str | None", forked(run, self.learned.limit(tests)))
        except TimeoutError:
            return Verdict("timeout", time.perf_counter() - before)
        except ChildProcessError:
            return Verdict("killed", time.perf_counter() - before)
        if by == "cold":
            return Verdict("cold", 0.0)
        return Verdict("survived" if by is None else "killed", time.perf_counter() - before, by)
