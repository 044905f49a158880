"""Runs tests against mutants in forks of one process that has collected them: a mutant costs what its tests cost.

The first round runs each test by itself, to learn its seconds and which lines it runs. The second runs, for each mutant, the tests
that run its lines until one fails: those that killed in its module before first, then the fastest.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import resource
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import cast

import pytest
from _pytest.runner import runtestprotocol

from mutation import swap, trace
from mutation.mutators import Mutant, mutated

SLOWEST = 8.0
"""Seconds of CPU that a test may take, traced, to take part."""
Known = dict[CodeType, list[FunctionType]]
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
    """tests: seconds of each test that passes, in the order of collection; lines: what runs each line; broken: tests that fail
    unmutated, slow: that take too long; neither takes part."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    def covering(self, path: Path, lines: tuple[int, int]) -> list[str]:
        found = {test for line in range(lines[0], lines[1] + 1) for test in self.lines.get((str(path), line), ())}
        return [test for test in self.seconds if test in found]


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


class Warm:
    """pytest's plugin that takes the place of its loop. budget: seconds of tests that a mutant may cost, by their first run."""

    def __init__(
        self, targets: Sequence[Target], files: Iterable[Path], budget: float, say: Callable[[str], None]
    ) -> None:
        self.targets, self.budget, self.say = targets, budget, say
        self.files = frozenset(str(path) for path in files)
        self.learned = Learned()
        self.verdicts: list[Verdict] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        self._learn(items)
        learned = self.learned
        seconds = sum(learned.seconds.values())
        left_out = f"fail unmutated: {learned.broken or 'none'}; too slow: {learned.slow or 'none'}"
        self.say(f"{len(items)} tests, {seconds:.0f} s traced; {left_out}")
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
            if not number % 100:
                self.say(f"{number} of {len(self.targets)}: {dict(Counter(one.outcome for one in self.verdicts))}")
        return True

    def _learn(self, items: dict[str, pytest.Item]) -> None:
        def one(item: pytest.Item) -> tuple[str | None, float, set[tuple[str, int]]]:
            failed: list[str | None] = []
            before = time.process_time()
            lines = trace.lines_of(lambda: failed.append(_failing([item])), self.files)
            return failed[0], time.process_time() - before, lines

        for test, item in items.items():
            try:
                learned = forked(lambda item=item: one(item), SLOWEST)  # type: ignore[misc]
                failed, seconds, lines = cast("tuple[str | None, float, set[tuple[str, int]]]", learned)
            except TimeoutError:
                self.learned.slow.append(test)
                continue
            except ChildProcessError:
                self.learned.broken.append(test)
                continue
            if failed is not None:
                self.learned.broken.append(test)
                continue
            self.learned.seconds[test] = seconds
            for line in lines:
                self.learned.lines.setdefault(line, []).append(test)

    def chosen(self, target: Target, killers: Counter[str]) -> list[str]:
        """The tests for a mutant, in the order of running."""
        seconds = self.learned.seconds
        tests = sorted(
            self.learned.covering(target.path, target.mutant.lines), key=lambda one: (-killers[one], seconds[one])
        )
        taken: list[str] = []
        total = 0.0
        for test in tests:
            total += seconds[test]
            if taken and total > self.budget:
                break
            taken.append(test)
        return taken

    def _try(
        self, target: Target, items: dict[str, pytest.Item], known: Known, original: CodeType, killers: Counter[str]
    ) -> Verdict:
        if not target.mutant.late:
            return Verdict("cold", 0.0)
        tests = self.chosen(target, killers)
        if not tests:
            return Verdict("uncovered", 0.0)

        def run() -> str | None:
            code = compile(mutated(target.source, target.mutant.number), str(target.path), "exec")
            if not swap.put(original, code, known):
                return "cold"
            return _failing([items[test] for test in tests])

        before = time.perf_counter()
        limit = 3 + sum(self.learned.seconds[test] for test in tests)
        try:
            by = cast("str | None", forked(run, limit))
        except TimeoutError:
            return Verdict("timeout", time.perf_counter() - before)
        except ChildProcessError:
            return Verdict("killed", time.perf_counter() - before)
        if by == "cold":
            return Verdict("cold", 0.0)
        return Verdict("survived" if by is None else "killed", time.perf_counter() - before, by)
