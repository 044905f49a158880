"""What a build wants on disk against what lies there: the changes, and whose files they touch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kvmc.artifacts import Seal
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts as codes
from kvmc.output.disk import Found, digest_of, obstacle, read_found, walk

TEMP_SUFFIX = ".kvmc-new"
LOCKS = "locks"
GENERATED = "generated"

_NAMED = 10
"""Files named in one diagnostic before the rest is only counted."""


class Root(StrEnum):
    """The two folders that kvmc writes in."""

    TREE = "tree"
    LOCKS = "locks"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a site's files lie. `tree` is the folder of the hosts' folders, `shown` how messages name it; `moved`: it is not the
    site's own `generated`, so what else is in it is nobody's business here."""

    site: Path
    tree: Path
    shown: str
    moved: bool = False

    @classmethod
    def of(cls, site: Path, output: Path | None = None) -> Layout:
        """The layout of a site's folder; `output` moves the generated tree alone, and may itself be a link."""
        site = site.resolve()
        own = site / GENERATED
        if output is None or output.resolve() == own:
            return cls(site, own, GENERATED)
        return cls(site, output.resolve(), output.as_posix(), moved=True)

    def folder(self, root: Root) -> Path:
        return self.tree if root is Root.TREE else self.site / LOCKS

    def path(self, place: Place) -> Path:
        return self.folder(place.root) / place.path

    def way(self, place: Place) -> tuple[Path, str]:
        """Where to begin to look for what bars the way to a file, and the path from there: every part below the site's folder
        counts; of a moved tree, every part below it."""
        if place.root is Root.TREE and self.moved:
            return self.tree, place.path
        return self.site, self.name(place)

    def name(self, place: Place) -> str:
        """The file as messages name it."""
        return f"{self.shown if place.root is Root.TREE else LOCKS}/{place.path}"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A file's place: one of the two roots and a relative path with forward slashes.

    Raises ValueError for a path that could leave its root.
    """

    root: Root
    path: str

    def __post_init__(self) -> None:
        parts = self.path.split("/")
        if any(part in ("", ".", "..") or "\0" in part or "\n" in part for part in parts):
            raise ValueError(f"`{self.path!r}` is not a plain relative path")

    @property
    def temp(self) -> Place:
        """Where the new text waits, in the same folder."""
        folder, slash, name = self.path.rpartition("/")
        return Place(self.root, f"{folder}{slash}.{name}{TEMP_SUFFIX}")


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file as it shall lie on disk, seal included."""

    text: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a build wants.

    hosts: host -> path below its folder -> file. locks: host -> text. gone: hosts that are no longer the site's, whose files and
    locks go. prune: also remove files of ours that are wanted no more; without it nothing is removed.
    """

    hosts: Mapping[str, Mapping[str, OutputFile]]
    locks: Mapping[str, str]
    gone: Sequence[str] = ()
    prune: bool = True


@dataclass(frozen=True, slots=True)
class Write:
    """A file to write; `old` is what lies there."""

    place: Place
    file: OutputFile
    old: Found | None


@dataclass(frozen=True, slots=True)
class Remove:
    """A file to remove."""

    place: Place
    old: Found


@dataclass(frozen=True, slots=True)
class Changes:
    """What must change, in the order of places; `same` counts the files that are as they should be."""

    writes: tuple[Write, ...]
    removes: tuple[Remove, ...]
    same: int

    def __bool__(self) -> bool:
        return bool(self.writes or self.removes)


def compare(layout: Layout, wanted: Wanted, *, force: bool = False) -> tuple[Changes, Bag]:
    """What must change on disk. Errors: a file edited by hand (unless forced), a foreign file or a link in the way, a folder that
    can't be read. With an error in the bag the changes may be shown but not made."""
    bag = Bag()
    files = {Place(Root.TREE, f"{host}/{path}"): file for host, of in wanted.hosts.items() for path, file in of.items()}
    files |= {Place(Root.LOCKS, f"{host}.json"): OutputFile(text) for host, text in wanted.locks.items()}
    writes: list[Write] = []
    removes: list[Remove] = []
    for place in sorted(files):
        write = _against(layout, place, files[place], bag, force=force)
        if write is not None:
            writes.append(write)
    for place in sorted(_candidates(layout, wanted, bag)):
        if place not in files:
            _judge_extra(layout, place, removes, bag, force=force)
    if wanted.prune and not bag.has_errors:
        _name_left(layout, wanted, removes, bag)
    return Changes(tuple(writes), tuple(removes), len(files) - len(writes)), bag


def _against(layout: Layout, place: Place, file: OutputFile, bag: Bag, *, force: bool) -> Write | None:
    """The write that a wanted file needs; None where it is there already, or must not be written."""
    name = layout.name(place)
    try:
        if _barred(layout, place, bag):
            return None
        old = read_found(layout.path(place))
    except OSError as error:
        bag.error(codes.TREE_UNREADABLE, f"cannot read `{name}`: {reason(error)}")
        return None
    write = Write(place, file, old)
    if old is None or place.root is Root.LOCKS:
        return None if old and old.digest == digest_of(file.text) else write
    if old.digest == digest_of(file.text):
        return None if old.executable == bool(file.mode & 0o100) else write
    if old.seal is Seal.FOREIGN:
        bag.error(
            codes.IN_THE_WAY,
            f"`{name}` was not written by kvmc and stands where a generated file belongs",
            help=["move it away, then build again"],
        )
    elif old.seal is Seal.EDITED and not force:
        _edited(name, "", bag)
    return write


def _edited(name: str, what: str, bag: Bag) -> None:
    bag.error(
        codes.HAND_EDITED,
        f"`{name}` was edited by hand{what}",
        notes=["its text does not match the digest in its seal"],
        help=["put the change into the site and remove the file, or build with `--force` to give the edit up"],
    )


def _barred(layout: Layout, place: Place, bag: Bag) -> bool:
    """Whether a link or something that is no plain file or folder bars the way; tells it once for each obstacle."""
    base, path = layout.way(place)
    found = obstacle(base, path)
    if found is None:
        return False
    part, link = found
    name = part if base == layout.site else f"{layout.shown}/{part}"
    if link:
        bag.error(
            codes.SYMLINK,
            f"`{name}` is a symbolic link, and kvmc does not write through links",
            help=["replace it by what it points to; `-o DIR` moves the whole generated tree"],
        )
    else:
        kind = "not a folder" if part != path else "not a file"
        bag.error(codes.IN_THE_WAY, f"`{name}` is {kind}", help=["move it away, then build again"])
    return True


def _candidates(layout: Layout, wanted: Wanted, bag: Bag) -> set[Place]:
    """Files that lie where ours do: all of them in the folders of the site's hosts, of hosts that are gone, and of the site's own
    tree."""
    if not wanted.prune:
        return set()
    found = {Place(Root.LOCKS, f"{host}.json") for host in wanted.gone}
    found |= {place for place in _listed(layout, Root.LOCKS, "", bag) if _is_temp(place)}
    for folder in _host_folders(layout, wanted, bag):
        found.update(_listed(layout, Root.TREE, folder, bag))
    return found


def _host_folders(layout: Layout, wanted: Wanted, bag: Bag) -> Iterable[str]:
    if layout.moved:
        return dict.fromkeys([*wanted.hosts, *wanted.gone])
    try:
        return sorted(entry.name for entry in layout.tree.iterdir() if not layout.tree.is_symlink())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        bag.error(codes.TREE_UNREADABLE, f"cannot read `{layout.shown}`: {reason(error)}")
        return []


def _listed(layout: Layout, root: Root, folder: str, bag: Bag) -> Iterable[Place]:
    base = layout.folder(root) / folder
    if base.is_symlink() or not base.is_dir() or layout.folder(root).is_symlink():
        return []
    prefix = f"{folder}/" if folder else ""
    try:
        return [Place(root, prefix + path) for path in walk(base) if "\n" not in path]
    except OSError as error:
        bag.error(codes.TREE_UNREADABLE, f"cannot read below `{layout.shown}/{folder}`: {reason(error)}")
        return []


def _is_temp(place: Place) -> bool:
    name = place.path.rpartition("/")[2]
    return name.startswith(".") and name.endswith(TEMP_SUFFIX)


def _judge_extra(layout: Layout, place: Place, removes: list[Remove], bag: Bag, *, force: bool) -> None:
    """A file that is not wanted: ours goes, an edited one only by force, a foreign one stays. Locks and the writer's own leftovers
    are ours by their names."""
    name = layout.name(place)
    try:
        old = read_found(layout.path(place), whole=place.root is Root.LOCKS or _is_temp(place))
    except OSError as error:
        bag.error(codes.TREE_UNREADABLE, f"cannot read `{name}`: {reason(error)}")
        return
    if old is None:
        return
    if place.root is Root.TREE and not _is_temp(place):
        if old.seal is Seal.FOREIGN:
            return
        if old.seal is Seal.EDITED and not force:
            _edited(name, " and is no longer generated", bag)
            return
    removes.append(Remove(place, old))


def _name_left(layout: Layout, wanted: Wanted, removes: Iterable[Remove], bag: Bag) -> None:
    """One note for each host that goes now and leaves others' files behind."""
    going = {remove.place for remove in removes}
    hosts = {place.path.split("/")[0] for place in going if place.root is Root.TREE and "/" in place.path}
    for host in sorted((hosts | set(wanted.gone)) - set(wanted.hosts)):
        left = [place for place in _listed(layout, Root.TREE, host, bag) if place not in going]
        if left:
            names = [f"`{layout.name(place)}`" for place in left[:_NAMED]]
            if len(left) > _NAMED:
                names.append(f"and {len(left) - _NAMED} more")
            bag.error(
                codes.LEFT_BEHIND,
                f"host `{host}` is gone from the site, but files that are not kvmc's stay in `{layout.shown}/{host}`",
                notes=[", ".join(names)],
            )


def reason(error: OSError) -> str:
    """What the system says, as a message ends."""
    return (error.strerror or type(error).__name__).lower()
