"""What a campaign knows of its tests: their seconds, and which lines of the package each runs. Kept from one campaign to the next,
a file of tests at a time, for as long as neither the sources nor those tests nor what they stand on change."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STANDS_ON = ("compiler", "examples", "grammar", "targets")
LONGEST = 2.0
"""Seconds of CPU of one test; it is not worth its time above, and takes no part."""
_PASSING = {"__pycache__", ".pytest_cache"}


@dataclass(slots=True)
class Ran:
    """lines: of each file of the package, below the root, those that the test runs; none where it fails unmutated, and then it
    takes no part; waits: it needs what is made once for a file of tests."""

    seconds: float
    lines: dict[str, list[int]]
    broken: bool = False
    waits: bool = False


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

    def add(self, tests: Mapping[str, Ran]) -> None:
        for name, test in tests.items():
            if test.broken:
                self.broken.append(name)
                continue
            self.seconds[name] = test.seconds
            self.breadth[name] = sum(map(len, test.lines.values()))
            if test.waits:
                self.waiting.add(name)
            for path, lines in test.lines.items():
                for line in lines:
                    self.lines.setdefault((str(ROOT / path), line), []).append(name)

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

    def limits(self, tests: Iterable[str]) -> dict[str, float]:
        """Seconds of CPU after which each test hangs for sure; not of those that share what is made once."""
        return {test: 5 + 4 * self.seconds[test] for test in tests if test not in self.waiting}


class Cache:
    """A folder with one file a file of tests."""

    def __init__(self, folder: Path, package: str) -> None:
        self.folder = folder / package.replace("/", ".")
        found = hashlib.sha256(f"{sys.version} {sys.platform} {ROOT} {package}".encode())
        for path in _files(*(ROOT / one for one in STANDS_ON)):
            found.update(_bytes(path))
        self._base = found.digest()

    def read(self, file: str, names: Sequence[str]) -> dict[str, Ran] | None:
        """What is known of the tests of a file, which is named below the root; None where they have to be learned."""
        try:
            kept = json.loads(self._path(file).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if kept["digest"] != self._digest(file) or list(kept["tests"]) != list(names):
            return None
        return {name: Ran(**one) for name, one in kept["tests"].items()}

    def write(self, file: str, tests: Mapping[str, Ran]) -> None:
        path = self._path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = {name: asdict(test) for name, test in tests.items()}
        put(path, json.dumps({"digest": self._digest(file), "tests": rows}))

    def _path(self, file: str) -> Path:
        return self.folder / f"{file.removesuffix('.py').replace('/', '.')}.json"

    def _digest(self, file: str) -> str:
        """Of the sources, the tests, what they import of the tests' own, and the data beside them."""
        tests = ROOT / "tests"
        found = hashlib.sha256(self._base)
        waiting, seen = [ROOT / file, *tests.glob("**/conftest.py")], set[Path]()
        while waiting:
            path = waiting.pop()
            if path not in seen:
                seen.add(path)
                waiting += _imported(path.read_text())
        top = (ROOT / file).relative_to(tests).parts[0]
        golden = [tests / "golden" / top] if any("golden" in path.read_text() for path in seen) else []
        data = [path for path in _files(tests / top, *golden) if path.suffix != ".py"]
        for path in sorted(seen | set(data)):
            found.update(_bytes(path))
        return found.hexdigest()


def _imported(text: str) -> Iterator[Path]:
    """Modules of the tests that a module of theirs imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
        elif isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
    for name in sorted(names):
        path = ROOT / "tests" / f"{name.replace('.', '/')}.py"
        if path.is_file():
            yield path


def _bytes(path: Path) -> bytes:
    return f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest()


def put(path: Path, text: str) -> None:
    """Writes a file that is never seen half."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


def _files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            with contextlib.suppress(OSError):
                if not _PASSING & set(path.parts) and path.is_file():
                    yield path
