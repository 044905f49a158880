"""Mutants of what runs when a module is imported: each in a process that has imported what kvmc stands on, and nothing of kvmc."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

import pytest

from mutation.mutators import mutated
from mutation.warm import Target, Verdict, outcome

STANDS_ON = ("hypothesis", "jinja2", "lark", "lxml.etree", "pydantic", "pytest", "typer", "xml.etree.ElementTree")
PYTEST = ("-q", "-s", "-W", "ignore", "-p", "no:cacheprovider", "-m", "not proof")


def prepare() -> None:
    """Imports what is not kvmc's own."""
    for name in STANDS_ON:
        importlib.import_module(name)


class _Loader(importlib.machinery.SourceFileLoader):
    number = 0
    source = ""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        return compile(mutated(self.source, self.number), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, mutated."""

    def __init__(self, name: str, target: Target) -> None:
        self.name, self.target = name, target

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        loader = _Loader(fullname, str(self.target.path))
        loader.source = self.target.source
        loader.number = self.target.mutant.number
        package = [str(self.target.path.parent)] if self.target.path.stem == "__init__" else None
        return importlib.util.spec_from_file_location(
            fullname, self.target.path, loader=loader, submodule_search_locations=package
        )


class _Only:
    """Keeps the tests that are named, in the order of their names."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.order = {test: number for number, test in enumerate(tests)}
        self.failed: str | None = None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.order), key=lambda item: self.order[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def verdict(target: Target, module: str, tests: Sequence[str], limit: float, left: int) -> Verdict:
    """The verdict on one mutant, by tests that are named with their files, below the present folder. left: tests not tried."""

    def run() -> str | None:
        sys.meta_path.insert(0, _Finder(module, target))
        only = _Only(tests)
        files = sorted({test.partition("::")[0] for test in tests})
        code = pytest.main([*PYTEST, "-x", *files], plugins=[only])
        return only.failed or (None if code == 0 else "collection")

    return outcome(run, limit, tests, left)
