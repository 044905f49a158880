"""From the site file to the items of all its files: reading, the language version, imports."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kvmc import std
from kvmc.diagnostics import Bag, Fix, Label, Span
from kvmc.diagnostics.codes import driver, schema, syntax
from kvmc.model.names import NearNames, shown
from kvmc.syntax.parser import parse
from kvmc.syntax.text import MAX_BYTES
from kvmc.syntax.tree import Block, File, Setting, Word

VERSION = "1"

_REASONS = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "is below something that is not a folder",
    errno.EACCES: "may not be read",
    errno.EPERM: "may not be read",
    errno.ELOOP: "is a symbolic link",
    errno.ENAMETOOLONG: "has too long a name",
}

_NOT_FILES = (
    (stat.S_ISLNK, "is a symbolic link"),
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


def read_bytes(path: Path, limit: int) -> bytes | str:
    """At most `limit` + 1 bytes of a regular file, or why there are none. Never waits, as opening a named pipe would."""
    try:
        mode = path.lstat().st_mode
        for test, reason in _NOT_FILES:
            if test(mode):
                return reason
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return "is not a file"
            return file.read(limit + 1)
    except OSError as error:
        return _REASONS.get(
            error.errno or 0, f"cannot be read ({errno.errorcode.get(error.errno or 0, 'unknown error')})"
        )


@dataclass(slots=True)
class _Open:
    """A file whose imports are being followed. via: the import that named it."""

    name: str
    via: Span | None
    rest: Iterator[Setting | Block]
    imported: dict[str, Span]


class SourceReader:
    """Reads a site file and its imports. open_texts: texts that an editor holds, by absolute path: they stand for what is on disk.

    items: of all files, each import's in its place. files, texts: by shown name, as far as they could be read.
    """

    def __init__(
        self,
        path: Path,
        open_texts: Mapping[str, str] | None = None,
        parse: Callable[[str, str], tuple[File | None, Bag]] = parse,
    ) -> None:
        self.path = path
        self.folder = path.parent
        self.parse = parse
        self.open_texts = open_texts or {}
        self.items: list[Setting | Block] = []
        self.files: dict[str, File] = {}
        self.texts: dict[str, str] = {}
        self.bag = Bag()
        self.open: list[_Open] = []

    def read_all(self) -> None:
        self.enter(self.path.name, None)
        while self.open:
            current = self.open[-1]
            for item in current.rest:
                if isinstance(item, Block) and item.kind.text == "import":
                    depth = len(self.open)
                    self.follow(item, current)
                    if len(self.open) > depth:
                        break
                else:
                    self.items.append(item)
            else:
                self.open.pop()

    def enter(self, name: str, via: Span | None) -> None:
        """Read and parse one file, and stand before its first item."""
        text = self.text(name, via)
        if text is None:
            return
        self.texts[name] = text
        file, bag = self.parse(name, text)
        self.bag.extend(bag)
        if file is not None:
            self.files[name] = file
            items = self.body(file) if not bag.has_errors else file.items
            self.open.append(_Open(name, via, iter(items), {}))

    def text(self, name: str, via: Span | None) -> str | None:
        path = std.path(name) if name.startswith(std.PREFIX) else self.folder / name
        opened = self.open_texts.get(os.path.normpath(Path.cwd() / path)) if self.open_texts else None
        if opened is not None:
            return opened.removeprefix("\ufeff")
        if name.startswith(std.PREFIX):
            return std.text(name)
        code = driver.IMPORT_UNREADABLE if via else driver.SITE_UNREADABLE
        data = read_bytes(self.folder / name, MAX_BYTES)
        if isinstance(data, str):
            self.bag.error(code, f"file {shown(name)} {data}", via)
            return None
        if len(data) > MAX_BYTES:
            self.bag.error(syntax.TOO_LARGE, f"file {shown(name)} has more than {MAX_BYTES} bytes", via)
            return None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            text = f"file {shown(name)} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}"
            self.bag.error(driver.NOT_UTF8, text, via)
            return None

    def body(self, file: File) -> tuple[Setting | Block, ...]:
        """The items behind the language version, which must be the first."""
        first = file.items[0] if file.items else None
        if not isinstance(first, Block) or first.kind.text != "kvmt":
            span = first.span if first else Span(file.name, 0, min(1, len(self.texts[file.name])))
            span = first.header if isinstance(first, Block) else span
            text = f"file {shown(file.name)} does not begin with its language version"
            help = f"write `kvmt {VERSION}` as its first line"
            fix = Fix(Span(file.name, 0, 0), f"kvmt {VERSION}\n", help)
            self.bag.error(syntax.NO_HEADER, text, span, help=[help], fixes=[fix])
            return file.items
        if [label.text for label in first.labels] != [VERSION] or first.parent or first.items:
            version = " ".join(label.text for label in first.labels)
            text = f"unknown language version {shown(version)}" if version else "the language version is missing"
            fix = Fix(first.header, f"kvmt {VERSION}", f"write `kvmt {VERSION}`")
            help = f"this kvmc reads `kvmt {VERSION}`"
            self.bag.error(syntax.UNKNOWN_VERSION, text, first.header, help=[help], fixes=[fix])
        return file.items[1:]

    def follow(self, item: Block, current: _Open) -> None:
        if len(item.labels) != 1 or item.parent or item.items:
            self.bag.error(
                schema.BAD_LABELS, "`import` takes one path", item.header, help=['write `import "file.kvmt"`']
            )
            return
        word = item.labels[0]
        target = self.target(word, current.name)
        if target is None:
            return
        earlier = current.imported.setdefault(target, item.span)
        if earlier is not item.span:
            text = f"file `{target}` is imported twice"
            self.bag.error(driver.IMPORT_TWICE, text, Label(item.span), secondary=[Label(earlier, "first here")])
            return
        chain = [one.name for one in self.open]
        if target in chain:
            within = self.open[chain.index(target) :]
            text = "files import each other: " + " imports ".join(
                f"`{name}`" for name in (*(one.name for one in within[:8]), target)
            )
            secondary = [Label(one.via, f"imports `{one.name}`") for one in within[1:8] if one.via]
            self.bag.error(driver.IMPORT_CYCLE, text, Label(item.span, f"imports `{target}`"), secondary=secondary)
        elif target not in self.texts:
            self.enter(target, item.span)

    def target(self, word: Word, importer: str) -> str | None:
        """The shown name of an imported file; None, with an error, for a path that is none of ours."""
        path = word.text
        name = posixpath.normpath(posixpath.join(posixpath.dirname(importer), path))
        problem, help = "", "write a path relative to this file, below the folder of the site file"
        if path.startswith(std.PREFIX) or importer.startswith(std.PREFIX):
            return self.library(word, importer)
        if not path.strip() or path.endswith("/") or not path.isprintable():
            problem = f"import path {shown(path)} names no file"
        elif path.startswith("/"):
            problem = f"import path {shown(path)} is absolute"
        elif set(path) & set("*?["):
            problem, help = f"import path {shown(path)} is a pattern", "import each file by its name"
        elif name.startswith("..") or not self.inside(name):
            problem = f"import path {shown(path)} leads out of the folder of the site file"
        elif name.startswith(std.PREFIX):
            problem = f"import path {shown(path)} leads into a folder `{std.FOLDER}`, as the standard library is called"
            help = "give the folder another name"
        if problem:
            self.bag.error(driver.IMPORT_PATH, problem, word.span, help=[help])
            return None
        return name

    def library(self, word: Word, importer: str) -> str | None:
        """The name of a file of the standard library, which its own files may give relative to themselves."""
        path = word.text
        known = std.names()
        name = path if path.startswith(std.PREFIX) else std.PREFIX + path
        beside = posixpath.join(posixpath.dirname(importer), path)
        plain = path == posixpath.normpath(path) and path.isprintable()
        if plain and not importer.startswith(std.PREFIX) and os.path.lexists(self.folder / beside):
            text = f"import path {shown(path)} means the standard library, and there is a file {shown(beside)} here too"
            help = f"give the folder `{std.FOLDER}` here another name, also where it is imported from"
            self.bag.error(driver.STANDARD_LIBRARY_SHADOWED, text, word.span, help=[help])
            return None
        if name in known:
            return name
        near = NearNames().names(path, known) or known
        fixes = [Fix(word.span, f'"{one}"', f"write `{one}`") for one in near]
        help = f"did you mean {' or '.join(f'`{one}`' for one in near)}?"
        text = f"the standard library has no file {shown(path)}"
        self.bag.error(driver.NOT_IN_STANDARD_LIBRARY, text, word.span, help=[help], fixes=fixes)
        return None

    def inside(self, name: str) -> bool:
        """Whether no symbolic link among the folders leads elsewhere."""
        folder = os.path.realpath(self.folder)
        return Path(os.path.realpath((self.folder / name).parent)).is_relative_to(folder)
