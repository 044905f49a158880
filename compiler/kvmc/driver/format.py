"""Files to their canonical form: which files, what changes, and writing it."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kvmc.diagnostics import Bag, Sources
from kvmc.diagnostics.codes import driver, syntax
from kvmc.diagnostics.text import visible
from kvmc.model.imports import read_bytes
from kvmc.output.disk import Disk, reason
from kvmc.syntax.format import format_text
from kvmc.syntax.text import MAX_BYTES

SUFFIX = ".kvmt"


@dataclass(frozen=True, slots=True)
class Formatted:
    """One file: its text as it is (undecoded line ends and mark included) and as it shall be."""

    shown: str
    old: str
    new: str

    @property
    def changed(self) -> bool:
        return self.old != self.new

    def diff(self) -> str:
        """A unified diff; a line end or a mark that goes is written as an escape."""
        lines = difflib.unified_diff(
            self.old.split("\n"), self.new.split("\n"), f"a/{self.shown}", f"b/{self.shown}", lineterm=""
        )
        return "".join(f"{'	'.join(visible(part) for part in line.split('	'))}\n" for line in lines)


@dataclass(slots=True)
class FormatOutcome:
    """What a run found. files: those that could be read, in order. texts: for the diagnostics."""

    bag: Bag = field(default_factory=Bag)
    files: list[Formatted] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> Sources:
        return Sources(self.texts)

    @property
    def changed(self) -> list[Formatted]:
        return [one for one in self.files if one.changed]


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """The files that paths mean: each file itself; below a folder all `.kvmt` files, sorted, none in hidden folders, no links."""
    seen: set[Path] = set()
    for path in paths:
        for file in _below(path) if path.is_dir() else [path]:
            if file not in seen:
                seen.add(file)
                yield file


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(root) / name
            if name.endswith(SUFFIX) and not file.is_symlink():
                yield file


def format_bytes(shown: str, data: bytes, outcome: FormatOutcome) -> None:
    """Format one file's bytes; what is wrong with them goes to the bag."""
    if len(data) > MAX_BYTES:
        outcome.bag.error(syntax.TOO_LARGE, f"file `{visible(shown)}` has more than {MAX_BYTES} bytes")
        return
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        told = f"file `{visible(shown)}` is not UTF-8: byte 0x{data[error.start]:02x} in line {line}"
        outcome.bag.error(driver.NOT_UTF8, told)
        return
    made, bag = format_text(shown, text)
    outcome.texts[shown] = text.removeprefix("\ufeff")
    outcome.bag.extend(bag)
    if made is not None:
        outcome.files.append(Formatted(shown, text, made))


def format_files(paths: Iterable[Path], *, write: bool) -> FormatOutcome:
    """Format files on disk; `write`: put the canonical form in place of each that differs."""
    outcome = FormatOutcome()
    for path in find(paths):
        data = read_bytes(path, MAX_BYTES)
        if isinstance(data, str):
            outcome.bag.error(driver.SITE_UNREADABLE, f"file `{visible(str(path))}` {data}")
            continue
        before = len(outcome.files)
        format_bytes(str(path), data, outcome)
        if write and len(outcome.files) > before and outcome.files[-1].changed:
            try:
                _replace(path, outcome.files[-1].new)
            except OSError as error:
                told = f"file `{visible(str(path))}` cannot be written: {reason(error)}"
                outcome.bag.error(driver.SITE_UNREADABLE, told)
    return outcome


def _replace(path: Path, text: str) -> None:
    """Put a text in place of a file's, all or nothing; its mode stays, and its owner where the system lets us."""
    disk, beside = Disk(), path.with_name(f".{path.name}.kvmc-fmt")
    info = path.stat()
    try:
        disk.write_new(beside, text, stat.S_IMODE(info.st_mode))
        if (info.st_uid, info.st_gid) != (os.getuid(), os.getgid()):
            os.chown(beside, info.st_uid, info.st_gid)
            beside.chmod(stat.S_IMODE(info.st_mode))
        disk.rename(beside, path)
    except OSError:
        disk.unlink(beside)
        raise
    disk.sync_folder(path.parent)
