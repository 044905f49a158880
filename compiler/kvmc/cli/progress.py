"""A sign of life on long work: one line on a terminal, nothing anywhere else."""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType

_WAIT = 1.0
"""Seconds before the first sign: most runs end before it."""
_EACH = 0.5


class Progress:
    """Used around the work, which says its stage: `with Progress() as stage: stage("placing 40 guests")`.

    Silent where standard error is no terminal, and in CI (the variable that all CI services set).
    """

    def __init__(self) -> None:
        self._text = ""
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if sys.stderr is not None and sys.stderr.isatty() and not os.environ.get("CI"):
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        return self

    def __call__(self, text: str) -> None:
        self._text = text

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        if self._done.wait(_WAIT):
            return
        elapsed = _WAIT
        while True:
            sys.stderr.write(f"\r\x1b[K{self._text} ({elapsed:.0f} s)")
            sys.stderr.flush()
            if self._done.wait(_EACH):
                break
            elapsed += _EACH
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
