"""Which lines of some files run while it is told to look."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any


class Lines:
    """found: the lines of `files`, which are named as code objects name them, that ran in this thread and its new ones."""

    def __init__(self, files: Iterable[str]) -> None:
        self.wanted = frozenset(files)
        self.found: set[tuple[str, int]] = set()
        self._left: dict[CodeType, set[int]] = {}

    def run(self, call: Callable[[], object]) -> set[tuple[str, int]]:
        """The lines that a call runs."""
        before = sys.gettrace()
        with self.apart() as found:
            threading.settrace(self._enter)
            sys.settrace(self._enter)
            try:
                call()
            finally:
                sys.settrace(before)
                threading.settrace(None)
        return found

    @contextmanager
    def apart(self) -> Iterator[set[tuple[str, int]]]:
        """Keeps what runs inside to itself."""
        outer = self.found, self._left
        self.found, self._left = set(), {}
        try:
            yield self.found
        finally:
            self.found, self._left = outer

    def _enter(self, frame: FrameType, _event: str, _: Any) -> Any:
        code = frame.f_code
        left = self._left.get(code)
        if left is None:
            lines = {line for _, _, line in code.co_lines() if line is not None}
            left = self._left[code] = lines if code.co_filename in self.wanted else set()
        # Where all of a function has been seen, looking on would only take time.
        if not left:
            return None
        found, file = self.found, code.co_filename

        def inside(frame: FrameType, event: str, _: Any) -> Any:
            if event == "line" and frame.f_lineno in left:
                left.discard(frame.f_lineno)
                found.add((file, frame.f_lineno))
            return inside

        return inside(frame, "line", None)
