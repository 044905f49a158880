"""The disk: every operation that changes it, one method each, and reading that follows no symbolic link."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from kvmc.artifacts import Seal

_HEAD = 8192
"""Bytes in which a seal must begin: it stands in the first two lines."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file as it lies on disk. `text` has each byte that is not UTF-8 replaced; `digest` is of the bytes."""

    text: str
    digest: str
    executable: bool

    @property
    def seal(self) -> Seal:
        """Whose file it is."""
        from kvmc.artifacts import inspect

        return inspect(self.text)


def reason(error: OSError) -> str:
    """What the system says, as a message ends."""
    return (error.strerror or type(error).__name__).lower()


class Disk:
    """What the writer may do."""

    def make_folder(self, path: Path) -> None:
        """Make one folder that everyone may read, whatever the umask; one that is there stays as it is."""
        with suppress(FileExistsError):
            path.mkdir()
            path.chmod(0o755)

    def write_new(self, path: Path, text: str, mode: int) -> None:
        """Write a new file and force it to the medium; debris of that name goes first. The mode is exact, whatever the umask."""
        with suppress(FileNotFoundError):
            path.unlink()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def replace(self, path: Path, text: str, mode: int) -> None:
        """Put one file in its place, whole or not at all."""
        part = path.with_name(f".{path.name}.part")
        self.write_new(part, text, mode)
        self.rename(part, path)

    def unlink(self, path: Path) -> None:
        """Remove a file; one that is not there is no error."""
        with suppress(FileNotFoundError):
            path.unlink()

    def remove_folder(self, path: Path) -> bool:
        """Remove an empty folder; False where it is not empty, or not there."""
        try:
            path.rmdir()
        except OSError:
            return False
        return True

    def sync_folder(self, path: Path) -> None:
        """Force a folder's entries to the medium; one that is gone needs nothing."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_found(path: Path, *, whole: bool = True) -> Found | None:
    """The regular file at `path`; None where nothing is there or it is no regular file. Raises OSError where it can't be read.

    whole: read all of it even where its beginning has no seal; without, such a file comes back as foreign, its text cut.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        if path.is_symlink() or not path.is_file():
            return None
        raise
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            return None
        data = file.read() if whole else _read_sealed(file)
    text = data.decode(errors="replace")
    return Found(text, hashlib.sha256(data).hexdigest(), bool(info.st_mode & stat.S_IXUSR))


def _read_sealed(file: BinaryIO) -> bytes:
    from kvmc.artifacts import SEAL

    head = file.read(_HEAD)
    return head + file.read() if SEAL.encode() in head else head


def digest_of(text: str) -> str:
    """The digest that `Found` has for a file with this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def walk(folder: Path) -> Iterator[str]:
    """All files below a folder that is no link, as relative paths with forward slashes, sorted; links are not followed and count as
    files. Raises OSError where a folder can't be read."""
    pending = [""]
    files: list[str] = []
    while pending:
        prefix = pending.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{prefix}{entry.name}/")
                else:
                    files.append(f"{prefix}{entry.name}")
    yield from sorted(files)


def obstacle(root: Path, path: str) -> tuple[str, bool] | None:
    """What bars the way from `root` to `path` below it: the barring part, and whether it is a symbolic link.

    A link at the end bars too; the root itself is the caller's.
    """
    parts = path.split("/")
    here = root
    for index, part in enumerate(parts):
        here = here / part
        try:
            mode = here.lstat().st_mode
        except FileNotFoundError:
            return None
        last = index == len(parts) - 1
        if stat.S_ISLNK(mode):
            return "/".join(parts[: index + 1]), True
        if not (stat.S_ISREG(mode) if last else stat.S_ISDIR(mode)):
            return "/".join(parts[: index + 1]), False
    return None
