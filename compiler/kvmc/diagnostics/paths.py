"""How files are named to other programs: spans name them from the site's folder, those programs from the folder kvmc runs in."""

from __future__ import annotations

from collections.abc import Callable

from kvmc.diagnostics.model import Diagnostic, Label
from kvmc.std import PREFIX

Place = Callable[[str], str]
"""The path, with forward slashes, of a file as spans name it."""


def as_named(file: str) -> str:
    """The file as spans name it."""
    return file


def anchor(item: Diagnostic) -> tuple[Label | None, tuple[Label, ...]]:
    """The label at whose place another program shows it, and the others.

    A line of the standard library is of no file that it has: the first place of the site's own goes before.
    """
    labels = [*([item.primary] if item.primary else []), *item.secondary]
    own = next((label for label in labels if not label.span.file.startswith(PREFIX)), item.primary)
    return own, tuple(label for label in labels if label is not own)
