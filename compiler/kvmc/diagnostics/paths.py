"""How files are named to other programs: spans name them from the site's folder, those programs from the folder kvmc runs in."""

from __future__ import annotations

from collections.abc import Callable

Place = Callable[[str], str]
"""The path, with forward slashes, of a file as spans name it."""


def as_named(file: str) -> str:
    """The file as spans name it."""
    return file
