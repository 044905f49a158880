"""What goes to the two streams, also where nobody listens on them any more."""

from __future__ import annotations

import os
import sys
from typing import TextIO


class OutputError(Exception):
    """A stream takes no more, and someone may miss it: the disk behind it is full."""


def put(text: str) -> None:
    """A result, to standard output."""
    _put(sys.stdout, text)


def tell(text: str) -> None:
    """A diagnostic, to standard error."""
    _put(sys.stderr, text)


def wants_colour() -> bool:
    """Whether standard error is a terminal whose user has not said no (https://no-color.org)."""
    return sys.stderr is not None and sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _put(stream: TextIO | None, text: str) -> None:
    """Write, each character that the stream's encoding lacks as an escape. A reader that went away changes nothing for us: what was
    done is done, and the exit status tells it."""
    if stream is None or not text:
        return
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _drop(stream)
    except OSError as error:
        _drop(stream)
        raise OutputError((error.strerror or type(error).__name__).lower()) from error


def _drop(stream: TextIO) -> None:
    """The interpreter flushes once more at its end: let it flush into nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
