"""A folder of artifacts, one folder a host, as texts: the only part of the audit that touches the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

MAX_FILE_BYTES = 4 << 20
MAX_TOTAL_BYTES = 256 << 20
MAX_FILES = 20_000
"""Over all hosts. Beyond any of the three a file is given as an empty text."""


def read_tree(dir: Path) -> Mapping[str, Mapping[str, str]]:
    """Host -> path below its folder -> text, both sorted. `*.kvmc-new` and folders that begin with a dot are left out.

    Links are not followed. What can't be read (a link, a device, no permission, too large) is there with an empty text, which
    the audit calls unreadable; bytes that are not UTF-8 become lone surrogates, which it does too. Raises nothing.
    """
    budget = MAX_TOTAL_BYTES
    count = 0
    trees: dict[str, dict[str, str]] = {}
    for host in _folders(dir):
        trees[host.name] = {}
        for path, shown in _files(host):
            count += 1
            text = _read(path, min(MAX_FILE_BYTES, budget)) if count <= MAX_FILES else ""
            budget -= len(text)
            trees[host.name][shown] = text
    return trees


def read_texts(path: Path) -> Mapping[str, str]:
    """A folder's files by their path below it, sorted, hidden folders left out; a file as the one entry of an empty path."""
    if not path.is_dir():
        return {"": _read(path, MAX_FILE_BYTES, follow=True)}
    budget = MAX_TOTAL_BYTES
    texts: dict[str, str] = {}
    for file, shown in _files(path):
        hidden = any(part.startswith(".") for part in shown.split("/"))
        if hidden or file.is_symlink() or len(texts) == MAX_FILES:
            continue  # what a link leads to is there by itself, or is none of this host
        texts[shown] = _read(file, min(MAX_FILE_BYTES, budget))
        budget -= len(texts[shown])
    return texts


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _folders(dir: Path) -> Iterator[Path]:
    for entry in _entries(dir):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield dir / entry.name


def _files(host: Path) -> Iterator[tuple[Path, str]]:
    """Each file with its path below the host, in order of the paths."""
    found: list[tuple[str, Path]] = []
    pending = [(host, "")]
    while pending and len(found) <= MAX_FILES:
        folder, prefix = pending.pop()
        for entry in _entries(folder):
            shown = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                pending.append((folder / entry.name, shown + "/"))
            elif not entry.name.endswith(".kvmc-new"):
                found.append((shown, folder / entry.name))
    for shown, path in sorted(found):
        yield path, shown


def _read(path: Path, limit: int, *, follow: bool = False) -> str:
    """follow: a link that the user named himself is what it leads to."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    except OSError:
        return ""
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return ""
        try:
            data = file.read(limit + 1)
        except OSError:
            return ""
    return data.decode("utf-8", "surrogateescape") if len(data) <= limit else ""
