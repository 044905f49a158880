"""The writer: all changes of a build or none, also when it is killed in between.

New texts are laid beside the old ones and forced to the medium, the journal then says `commit`, files are renamed and removed one
by one, and the journal goes last. Killed before `commit`, the next build undoes; behind it, the next build finishes.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts as codes
from kvmc.output import JOURNAL
from kvmc.output.disk import Disk, obstacle, read_found, reason
from kvmc.output.journal import JOURNAL_TEMP, Entry, Journal, Phase, dumps, loads, of_changes
from kvmc.output.tree import Changes, Layout, Place, Root


@contextmanager
def hold(site: Path, *, shared: bool = False) -> Iterator[Bag]:
    """Hold the site's folder against other builds; the bag has an error where another one runs, or the folder can't be held.

    shared: for those that only read; they do not keep each other out.

    The hold is the kernel's (flock on the folder itself): it leaves no file and ends with the process.
    """
    bag = Bag()
    handle = -1
    try:
        handle = os.open(site, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES) and handle >= 0:
            bag.error(codes.BUSY, "another build of this site is running", help=["wait until it has ended"])
        else:
            bag.error(codes.WRITE_FAILED, f"cannot hold the site's folder against other builds: {reason(error)}")
    try:
        yield bag
    finally:
        if handle >= 0:
            os.close(handle)


def interrupted(site: Path) -> Bag:
    """An error where a build was interrupted, for the commands that write nothing."""
    bag = Bag()
    journal = _read_journal(site, bag)
    if journal is not None:
        bag.error(
            codes.INTERRUPTED,
            "interrupted build: the files on disk are a mix of an old and a new build"
            if journal.phase is Phase.COMMIT
            else "interrupted build: its files lie beside the old ones, which are whole",
            notes=[f"its journal is `{JOURNAL}`"],
            help=[f"run `kvmc build`: it will {_cure(journal)} the interrupted build first"],
        )
    return bag


def recover(site: Path, disk: Disk | None = None) -> Bag:
    """Finish or undo an interrupted build, if there was one. The caller holds the site's folder."""
    disk = disk or Disk()
    bag = Bag()
    journal = _read_journal(site, bag)
    if bag.has_errors:
        return bag
    try:
        if journal is None:
            if (site / JOURNAL_TEMP).exists():
                disk.unlink(site / JOURNAL_TEMP)
            return bag
        if journal.phase is Phase.COMMIT:
            _finish(journal.layout(site), journal, disk)
        else:
            _undo(journal.layout(site), journal, disk)
    except OSError as error:
        _failed(f"cannot {_cure(journal) if journal else 'clean up behind'} an interrupted build", error, bag)
        return bag
    bag.error(codes.RECOVERED, f"an interrupted build was {'finished' if journal.phase is Phase.COMMIT else 'undone'}")
    return bag


def write(layout: Layout, changes: Changes, disk: Disk | None = None) -> Bag:
    """Make the changes. The caller holds the site's folder, has recovered, and has compared without errors.

    Where the disk refuses (full, no permission) the old tree stays as it was and the bag tells why.
    """
    bag = Bag()
    if not changes:
        return bag
    disk = disk or Disk()
    journal = of_changes(layout, changes, Phase.PREPARE, _missing_folders(layout, changes))
    try:
        _may_remove(layout, changes)
        _put_journal(layout.site, journal, disk)
        _prepare(layout, journal, changes, disk)
        journal = of_changes(layout, changes, Phase.COMMIT, journal.folders)
        _put_journal(layout.site, journal, disk)
    except BaseException as error:
        if not isinstance(error, Exception) and journal.phase is Phase.COMMIT:
            raise  # it is not known whether the commit counts: the next build reads the journal
        try:
            if (
                journal.phase is Phase.COMMIT
            ):  # it may lie there: a kill from here on must not finish what is being undone
                _drop_journal(layout.site, disk)
            _undo(layout, journal, disk)
        except OSError as second:
            _failed("cannot undo a build that failed", second, bag)
        if not isinstance(error, OSError):
            raise
        _failed("cannot write the generated files; nothing was changed", error, bag)
        return bag
    try:
        _finish(layout, journal, disk)
    except OSError as error:
        _failed(
            "cannot finish writing the generated files",
            error,
            bag,
            help="remove the cause, then build again: it goes on",
        )
    return bag


def _cure(journal: Journal) -> str:
    return "finish" if journal.phase is Phase.COMMIT else "undo"


def _failed(message: str, error: OSError, bag: Bag, help: str = "") -> None:
    name = Path(os.fsdecode(error.filename)).name if isinstance(error.filename, str | bytes | os.PathLike) else ""
    where = f" (at `{name}`)" if name else ""
    bag.error(codes.WRITE_FAILED, f"{message}: {reason(error)}{where}", help=[help] if help else [])


def _read_journal(site: Path, bag: Bag) -> Journal | None:
    """The journal; None where there is none, or with an error where it can't be read."""
    try:
        found = read_found(site / JOURNAL)
        if found is not None:
            return loads(found.text)
        if not os.path.lexists(site / JOURNAL):
            return None
        why = "it is not a plain file"
    except ValueError as error:
        why = str(error)
    except OSError as error:
        why = reason(error)
    bag.error(
        codes.JOURNAL_UNREADABLE,
        f"cannot read the journal `{JOURNAL}` of an interrupted build: {why}",
        help=[f"remove `{JOURNAL}`, then build again; compare the result with your repository's last commit"],
    )
    return None


def _missing_folders(layout: Layout, changes: Changes) -> tuple[tuple[Root, str], ...]:
    """Folders that the writes need and that are not there, outermost first."""
    needed: dict[tuple[Root, str], None] = {}
    for write in changes.writes:
        parts = write.place.path.split("/")[:-1]
        for depth in range(len(parts) + 1):
            needed[write.place.root, "/".join(parts[:depth])] = None
    return tuple(key for key in sorted(needed) if not (layout.folder(key[0]) / key[1]).is_dir())


def _may_remove(layout: Layout, changes: Changes) -> None:
    """Raise PermissionError now where a removal would fail behind the commit."""
    for remove in changes.removes:
        folder = layout.path(remove.place).parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _put_journal(site: Path, journal: Journal, disk: Disk) -> None:
    disk.write_new(site / JOURNAL_TEMP, dumps(journal), 0o644)
    disk.rename(site / JOURNAL_TEMP, site / JOURNAL)
    disk.sync_folder(site)


def _prepare(layout: Layout, journal: Journal, changes: Changes, disk: Disk) -> None:
    made = [layout.folder(root) / path for root, path in journal.folders]
    for folder in made:
        if not folder.parent.is_dir():  # of a moved tree: the user named the place, kvmc makes the way to it
            folder.parent.mkdir(parents=True)
        disk.make_folder(folder)
    for write in changes.writes:
        disk.write_new(layout.path(write.place.temp), write.file.text, write.file.mode)
    _sync([*(layout.path(write.place).parent for write in changes.writes), *(folder.parent for folder in made)], disk)


def _sync(folders: Iterable[Path], disk: Disk) -> None:
    for folder in dict.fromkeys(folders):
        disk.sync_folder(folder)


def _plain(layout: Layout, place: Place) -> bool:
    """Whether no link bars the way, so that a journal can't lead outside."""
    return obstacle(*layout.way(place)) is None


def _finish(layout: Layout, journal: Journal, disk: Disk) -> None:
    """Move all new texts in and remove what goes. A file that has neither its old nor its new text was written by someone since: it
    stays, and the comparison that follows tells whose it is."""
    for entry in journal.entries:
        if not _plain(layout, entry.place):
            continue
        if entry.new is None:
            found = read_found(layout.path(entry.place))
            if found is not None and found.digest == entry.old:
                disk.unlink(layout.path(entry.place))
        else:
            _move_in(layout, entry, disk)
    _sync((layout.path(entry.place).parent for entry in journal.entries), disk)
    for entry in journal.entries:
        if entry.new is None:
            _remove_empty(layout, entry.place, disk)
    _drop_journal(layout.site, disk)


def _move_in(layout: Layout, entry: Entry, disk: Disk) -> None:
    temp = layout.path(entry.place.temp)
    waiting = read_found(temp) if _plain(layout, entry.place.temp) else None
    if waiting is None:
        return
    there = read_found(layout.path(entry.place))
    if waiting.digest == entry.new and (there.digest if there else None) in (entry.old, entry.new):
        disk.rename(temp, layout.path(entry.place))
    else:
        disk.unlink(temp)


def _remove_empty(layout: Layout, place: Place, disk: Disk) -> None:
    """Remove the folders round a removed file that are empty now, up to its root."""
    folder = place.path
    while "/" in folder:
        folder = folder.rpartition("/")[0]
        if not disk.remove_folder(layout.folder(place.root) / folder):
            return


def _undo(layout: Layout, journal: Journal, disk: Disk) -> None:
    """Remove what was laid beside the old files, and the folders made for it."""
    for entry in journal.entries:
        if entry.new is not None and _plain(layout, entry.place.temp):
            disk.unlink(layout.path(entry.place.temp))
    for root, path in reversed(journal.folders):
        disk.remove_folder(layout.folder(root) / path)
    _drop_journal(layout.site, disk)


def _drop_journal(site: Path, disk: Disk) -> None:
    disk.unlink(site / JOURNAL_TEMP)
    disk.unlink(site / JOURNAL)
    disk.sync_folder(site)
