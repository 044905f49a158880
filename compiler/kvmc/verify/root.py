"""A captured host: a folder, or an archive, that may be anything. Every read is bounded, follows no link out, raises nothing."""

from __future__ import annotations

import fnmatch
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

MAX_FILE_BYTES = 1 << 20
MAX_ENTRIES = 100_000
"""Of one folder, and of one archive."""
MAX_ARCHIVE_BYTES = 256 << 20


class Root(Protocol):
    """Paths are relative, with forward slashes. Texts have each byte that is not UTF-8 replaced."""

    def read(self, path: str) -> str | None:
        """The file; None where it is not there, no plain file, or larger than `MAX_FILE_BYTES`."""

    def find(self, pattern: str) -> list[str]:
        """The paths that a pattern of shell wildcards matches, part by part, sorted."""


@dataclass(frozen=True)
class FolderRoot:
    """A folder. A link that leaves it is not followed."""

    folder: Path

    @cached_property
    def _inside(self) -> str:
        return os.path.realpath(self.folder)

    def _place(self, path: str) -> str | None:
        real = os.path.realpath(self.folder / path)
        return real if real.startswith(self._inside.rstrip("/") + "/") else None

    def read(self, path: str) -> str | None:
        try:
            place = self._place(path)
            if place is None:
                return None
            handle = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        with os.fdopen(handle, "rb") as file:
            try:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    return None
                data = file.read(MAX_FILE_BYTES + 1)
            except OSError:
                return None
        return data.decode("utf-8", "replace") if len(data) <= MAX_FILE_BYTES else None

    def find(self, pattern: str) -> list[str]:
        return sorted(self._match("", pattern.split("/")))

    def _match(self, before: str, parts: list[str]) -> Iterator[str]:
        first, rest = parts[0], parts[1:]
        names = self._names(before) if any(sign in first for sign in "*?[") else [first]
        for name in names:
            if not fnmatch.fnmatchcase(name, first) and name != first:
                continue
            path = f"{before}{name}"
            if rest:
                yield from self._match(f"{path}/", rest)
            elif (self.folder / path).exists():
                yield path

    def _names(self, folder: str) -> list[str]:
        place = self._place(folder or ".") if folder else self._inside
        try:
            with os.scandir(place or os.devnull) as entries:
                return [entry.name for entry, _ in zip(entries, range(MAX_ENTRIES), strict=False)]
        except OSError:
            return []


@dataclass(frozen=True, slots=True)
class TextRoot:
    """An archive that was read, or texts that a test made."""

    texts: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> str | None:
        return self.texts.get(path)

    def find(self, pattern: str) -> list[str]:
        depth = pattern.count("/")
        return sorted(path for path in self.texts if path.count("/") == depth and _matches(path, pattern))


def _matches(path: str, pattern: str) -> bool:
    return all(fnmatch.fnmatchcase(*pair) for pair in zip(path.split("/"), pattern.split("/"), strict=True))


def open_root(path: Path) -> Root | str:
    """What lies at the path, or why it is no captured root."""
    if path.is_dir():
        return FolderRoot(path)
    try:
        with tarfile.open(path) as archive:
            return TextRoot(_texts(archive))
    except (tarfile.TarError, EOFError):
        return "is neither a folder nor a tar archive"
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()}"
    except Exception:  # zlib, lzma and header fields each have errors of their own
        return "is a damaged archive"


def _texts(archive: tarfile.TarFile) -> dict[str, str]:
    texts: dict[str, str] = {}
    budget = MAX_ARCHIVE_BYTES
    for member, _ in zip(archive, range(MAX_ENTRIES), strict=False):
        file = archive.extractfile(member) if member.isreg() and member.size <= MAX_FILE_BYTES else None
        if file is not None and budget > 0:
            data = file.read(MAX_FILE_BYTES)
            budget -= len(data)
            texts[str(PurePosixPath(member.name)).lstrip("/")] = data.decode("utf-8", "replace")
    return texts
