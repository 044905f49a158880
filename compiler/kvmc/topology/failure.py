"""How a reader inside this package gives up: one cause, which `read_topology` turns into one diagnostic."""

from __future__ import annotations

from collections.abc import Iterable

from kvmc.diagnostics import Bag
from kvmc.diagnostics.model import Code

SHOWN_LENGTH = 60
MAX_NAME = 256
"""Characters of a name that a source tells: an architecture, a CPU's model or feature."""


class ReadFailure(Exception):  # noqa: N818 - not a bug of ours: it never leaves the package
    """What is wrong with the input. It never leaves `kvmc.topology`."""

    def __init__(self, code: Code, message: str, *, notes: Iterable[str] = (), help: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.notes = tuple(notes)
        self.help = tuple(help)

    def report(self, bag: Bag, shown: str) -> None:
        bag.error(self.code, f"{quoted(shown)}: {self.message}", notes=self.notes, help=self.help)


def quoted(text: str) -> str:
    """Foreign text in backticks: one line, printable, cut where it is long."""
    text = text[:1000].replace("`", "'")
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return f"`{safe if len(safe) <= SHOWN_LENGTH else safe[: SHOWN_LENGTH - 1] + '…'}`"


def is_name(text: object) -> bool:
    """Whether it is a text that may stand as a name."""
    return isinstance(text, str) and 0 < len(text) <= MAX_NAME and text.isprintable()
