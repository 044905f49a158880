"""Puts a mutant of a module into a process that has imported it: each function of the module gets its mutated code."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from types import CodeType, FunctionType

Key = tuple[str, str, int, int]
"""A code object: its file, qualified name, first line, and which of those that are equal in these."""


def keyed(code: CodeType) -> Iterator[tuple[Key, CodeType]]:
    """The code objects inside one, each with its key, in their order."""
    seen: Counter[tuple[str, str, int]] = Counter()

    def walk(one: CodeType) -> Iterator[tuple[Key, CodeType]]:
        for inner in one.co_consts:
            if isinstance(inner, CodeType):
                name = (inner.co_filename, inner.co_qualname, inner.co_firstlineno)
                yield (*name, seen[name]), inner
                seen[name] += 1
                yield from walk(inner)

    yield from walk(code)


def functions(files: frozenset[str]) -> dict[CodeType, list[FunctionType]]:
    """Every function of the files that this process has, by its code."""
    found: dict[CodeType, list[FunctionType]] = {}
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename in files:
            found.setdefault(one.__code__, []).append(one)
    return found


def put(old: CodeType, new: CodeType, known: dict[CodeType, list[FunctionType]]) -> bool:
    """Gives the functions of a module their new code; False where a function can't take it (another closure), or where none is here
    whose code is another."""
    mutated = dict(keyed(new))
    changed = False
    for key, code in keyed(old):
        for function in known.get(code, ()):
            other = mutated.get(key)
            if other is None or len(other.co_freevars) != len(code.co_freevars):
                return False
            function.__code__ = other
            changed |= other != code
    return changed
