"""Paths that a source names: they stay below the folder of the site."""

from __future__ import annotations

from pathlib import Path, PurePosixPath


def leaves(folder: Path, path: str) -> bool:
    """Whether a path leads out of the folder, by its parts or by a link."""
    if "\0" in path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return True
    try:
        return not (folder / path).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False  # a loop of links, a name too long: the reader tells it better
