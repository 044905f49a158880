"""Runs tests against mutants in forks of one process that has collected them: a mutant costs what its tests cost.

The first round runs all tests that are not known yet, to learn their seconds and, once more, which lines each runs. The second
runs, for each mutant, the tests that run its lines until one fails: those that killed in its module before first, then the most
telling.
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
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import cast

import pytest
from _pytest.runner import runtestprotocol

from mutation import swap, trace
from mutation.learn import LONGEST, ROOT, Cache, Learned, Ran
from mutation.mutators import Mutant, mutated

Known = dict[CodeType, list[FunctionType]]
SOURCES = ROOT / "compiler"
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
    test that killed it, or None; tests: how many were tried on it at most; left: how many run its lines and found no time."""

    outcome: str
    seconds: float
    by: str | None = None
    tests: int = 0
    left: int = 0


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


def _failing(items: Sequence[pytest.Item], limits: Mapping[str, float]) -> str | None:
    """The first test that fails, of some that are run in this order, each for as many seconds of CPU as `limits` allows it."""
    most = resource.getrlimit(resource.RLIMIT_CPU)
    for item, following in zip(items, [*items[1:], None], strict=True):
        if item.nodeid in limits:
            end = math.ceil(time.process_time() + limits[item.nodeid])
            resource.setrlimit(resource.RLIMIT_CPU, (min(end, most[0]), most[1]))
        else:
            resource.setrlimit(resource.RLIMIT_CPU, most)
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
    mutant may cost; judged: told of each verdict, as it falls, in the process of the tests."""

    def __init__(
        self,
        targets: Sequence[Target],
        files: Sequence[Path],
        own: str,
        budget: float,
        cache: Cache,
        say: Callable[[str], None],
        judged: Callable[[Target, Verdict], None],
    ) -> None:
        self.targets, self.own, self.budget, self.cache, self.say = targets, own, budget, cache, say
        self.judged = judged
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
        self._learn_all(session.items)
        seconds = sum(self.learned.seconds.values())
        self.say(f"{len(items)} tests, {seconds:.0f} s; fail unmutated: {self.learned.broken or 'none'}")
        # What kvmc imports only where a site needs it has to be here, or its functions can't be given a mutant's code.
        for name in self.modules:
            importlib.import_module(name)
        known = swap.functions(self.files)
        original: dict[Path, CodeType] = {}
        kills: dict[Path, Counter[str]] = {}
        for target in self.targets:
            if target.path not in original:
                original[target.path] = compile(target.source, str(target.path), "exec")
            killers = kills.setdefault(target.path, Counter())
            verdict = self._try(target, items, known, original[target.path], killers)
            if verdict.by is not None:
                killers[verdict.by] += 1
            self.verdicts.append(verdict)
            self.judged(target, verdict)
        return True

    def _learn_all(self, items: Sequence[pytest.Item]) -> None:
        by_file: dict[str, list[pytest.Item]] = {}
        for item in items:
            by_file.setdefault(item.nodeid.partition("::")[0], []).append(item)
        unknown = {
            file: some
            for file, some in by_file.items()
            if self.cache.read(file, [item.nodeid for item in some]) is None
        }
        if unknown:
            self.say(f"learns {sum(map(len, unknown.values()))} tests of {len(unknown)} files")

            def learn() -> None:
                for file, some in unknown.items():
                    self.cache.write(file, self._learn(some))

            forked(learn)
        for file, some in by_file.items():
            tests = self.cache.read(file, [item.nodeid for item in some])
            if tests is None:
                raise RuntimeError(f"the tests of {file} changed, or ended the process, while they were learned")
            self.learned.add(tests)

    def _learn(self, items: Sequence[pytest.Item]) -> dict[str, Ran]:
        """The tests of one file. What is made once for the file is made anew for the second round, to be seen."""
        found: dict[str, Ran] = {}

        def run(item: pytest.Item, following: pytest.Item | None) -> bool:
            return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))

        pairs = list(zip(items, [*items[1:], None], strict=True))
        for item, following in pairs:
            before = time.process_time()
            passed = run(item, following)
            found[item.nodeid] = Ran(round(time.process_time() - before, 4), {}, broken=not passed)
        for item, following in pairs:
            test = found[item.nodeid]
            if test.broken or test.seconds > LONGEST:
                continue
            _forget()
            lines = self._lines.run(lambda one=item, then=following: run(one, then))  # type: ignore[misc]
            needs = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
            made = [one for several in needs for one in several if one in self._made]
            test.waits = any(one.scope in ("module", "session", "package") and self._made[one] for one in made)
            for path, line in sorted(lines.union(*(self._made[one] for one in made))):
                test.lines.setdefault(str(Path(path).relative_to(ROOT)), []).append(line)
        return found

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
            return _failing([items[test] for test in tests], self.learned.limits(tests))

        return outcome(run, self.learned.limit(tests), tests, len(covering) - len(tests))


def outcome(run: Callable[[], str | None], limit: float, tests: Sequence[str], left: int) -> Verdict:
    """The verdict of a call that tries a mutant: in a fork, for as many seconds of CPU as `limit` says."""
    before = time.perf_counter()
    by: str | None = None
    try:
        by = cast("str | None", forked(run, limit))
    except TimeoutError:
        told = "timeout"
    except ChildProcessError:
        told = "killed"
    else:
        if by == "cold":
            return Verdict("cold", 0.0)
        told = "survived" if by is None else "killed"
    return Verdict(told, round(time.perf_counter() - before, 1), by, len(tests), left)
