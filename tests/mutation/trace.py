"""Which lines of some files a call runs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any


def lines_of(call: Callable[[], object], files: Iterable[str]) -> set[tuple[str, int]]:
    """The lines of `files`, which are named as code objects name them, that `call` runs in this thread and its new ones."""
    wanted = frozenset(files)
    found: set[tuple[str, int]] = set()

    def inside(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            found.add((frame.f_code.co_filename, frame.f_lineno))
        return inside

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in wanted:
            return None
        found.add((frame.f_code.co_filename, frame.f_lineno))
        return inside

    before = sys.gettrace()
    threading.settrace(enter)
    sys.settrace(enter)
    try:
        call()
    finally:
        sys.settrace(before)
        threading.settrace(None)
    return found
