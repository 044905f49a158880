"""The standard library of classes: the `.kvmt` files beside this module, which sources import as `std/NAME.kvmt`.

They are read only where a source imports one. Spans, messages and `kvmc show` call them by that name too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

FOLDER = "std"
PREFIX = f"{FOLDER}/"
SUFFIX = ".kvmt"


def names() -> tuple[str, ...]:
    """All files, as sources import them, sorted."""
    return tuple(sorted(PREFIX + one.name for one in _folder().iterdir() if one.name.endswith(SUFFIX)))


def text(name: str) -> str:
    """The text of one of `names()`."""
    return (_folder() / name.removeprefix(PREFIX)).read_text(encoding="utf-8")


def path(name: str) -> Path:
    """Where a file of the library lies on disk, for editors; in a zipped package there is nothing at that path."""
    return Path(__file__).parent / name.removeprefix(PREFIX)


def name_of(path: Path) -> str | None:
    """The name of the file of the library that lies at a path; None for every other path."""
    return PREFIX + path.name if path.parent == Path(__file__).parent and path.suffix == SUFFIX else None


def _folder() -> Traversable:
    from importlib.resources import files

    return files(__name__)
