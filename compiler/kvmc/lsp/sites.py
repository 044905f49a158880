"""Sites as an editor sees them: open texts over the disk, read anew after each change, what did not change taken from before."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kvmc import std
from kvmc.diagnostics import Bag, Diagnostic, Label, Sources
from kvmc.driver.inputs import SITE_NAME, read_topologies
from kvmc.lsp.symbols import Occurrence, occurrences
from kvmc.model.imports import SourceReader
from kvmc.model.load import Analysis, analyse
from kvmc.model.nodes import Node
from kvmc.syntax.parser import parse
from kvmc.syntax.tree import Block, File
from kvmc.topology.model import Topology
from kvmc.topology.read import Source, read_source

_MAX_PARENTS = 16
"""Folders above a file in which its site is looked for."""


@dataclass
class View:
    """One site at one moment. loose: the file is of no site, so only its own form and blocks are judged.

    diagnostics: those that are told. topologies: by host, as far as they could be read.
    """

    path: Path
    reader: SourceReader
    analysis: Analysis
    diagnostics: tuple[Diagnostic, ...]
    topologies: dict[str, Topology]
    loose: bool = False

    @property
    def files(self) -> dict[str, File]:
        return self.reader.files

    @property
    def sources(self) -> Sources:
        return Sources(self.reader.texts)

    @cached_property
    def occurrences(self) -> tuple[Occurrence, ...]:
        return occurrences(self.files.values())

    def names(self, kind: str) -> list[str]:
        """All names of one kind that are defined, in source order."""
        found = (one.symbol.name for one in self.occurrences if one.block and one.symbol.kind == kind)
        return list(dict.fromkeys(found))

    def merged(self, kind: str, name: str) -> Node | None:
        return self.analysis.merged.get(kind, {}).get(name)

    def absolute(self, file: str) -> str:
        """The path of a file by its shown name."""
        return str(std.path(file)) if file.startswith(std.PREFIX) else os.path.normpath(self.path.parent / file)

    def shown(self, path: str) -> str | None:
        """The name by which the site's spans know a file."""
        names = (Path(os.path.relpath(path, self.path.parent)).as_posix(), std.name_of(Path(path)))
        return next((name for name in names if name in self.reader.texts), None)


@dataclass
class Sites:
    """All that is open. Paths are absolute and normal."""

    texts: dict[str, str] = field(default_factory=dict)
    _views: dict[str, View] = field(default_factory=dict)
    _trees: dict[str, tuple[str, File | None, Bag]] = field(default_factory=dict)
    _topologies: dict[tuple[str, str], tuple[tuple[int, int], Source | None, Bag]] = field(default_factory=dict)

    def change(self, path: str, text: str | None) -> None:
        """Take an open file's text; None where it was closed, or changed on disk."""
        self._views.clear()
        if text is None:
            self.texts.pop(path, None)
        else:
            self.texts[path] = text

    def forget_disk(self) -> None:
        """Read closed files anew."""
        self._views.clear()

    def view(self, path: str) -> View:
        """The site that a file belongs to, or the file alone."""
        candidates = [path] if self._is_site(path) else []
        candidates += [str(folder / SITE_NAME) for folder in list(Path(path).parents)[:_MAX_PARENTS]]
        # an open site of another name may import the file too
        candidates += [one for one in self.texts if one != path and self._is_site(one)]
        for candidate in candidates:
            if candidate in self.texts or Path(candidate).is_file():
                view = self.site(candidate)
                if view.shown(path) is not None:
                    return view
        return self.site(path, loose=True)

    def site(self, path: str, *, loose: bool = False) -> View:
        """The site whose site file this is."""
        known = self._views.get(path)
        if known is None or known.loose != loose:
            known = self._views[path] = self._read(Path(path), loose)
        return known

    def _is_site(self, path: str) -> bool:
        text = self.texts.get(path)
        file = self._parse(path, text)[0] if text is not None else None
        return file is not None and any(isinstance(one, Block) and one.kind.text == "site" for one in file.items)

    def _read(self, path: Path, loose: bool) -> View:
        folder = str(path.parent)
        reader = SourceReader(path, self.texts, lambda name, text: self._parse_as(folder, name, text))
        reader.read_all()
        analysis = analyse(reader)
        if loose:
            items = _alone(reader) if not reader.bag.has_errors else ()
            return View(path, reader, analysis, (*reader.bag, *items), {}, loose=True)
        topologies, told = read_topologies(path.parent, _wanted(analysis), self._topology)
        if reader.bag.has_errors:
            return View(path, reader, analysis, tuple(reader.bag), topologies)
        bag = reader.bag
        bag.extend(analysis.bag)
        bag.extend(told)
        return View(path, reader, analysis, tuple(bag), topologies)

    def _parse_as(self, folder: str, name: str, text: str) -> tuple[File | None, Bag]:
        return self._parse(os.path.normpath(Path(folder, name)), text, name)

    def _parse(self, path: str, text: str, name: str = "") -> tuple[File | None, Bag]:
        text = text.removeprefix("\ufeff")
        key = f"{path}\0{name}"
        known = self._trees.get(key)
        if known is None or known[0] != text:
            known = self._trees[key] = (text, *parse(name or path, text))
        bag = Bag()
        bag.extend(known[2])
        return known[1], bag

    def _topology(self, path: Path, shown: str) -> tuple[Source | None, Bag]:
        try:
            info = path.stat()
            stamp = (info.st_mtime_ns, info.st_size)
        except OSError:
            stamp = (0, 0)
        known = self._topologies.get((str(path), shown))
        if known is None or known[0] != stamp:
            known = self._topologies[str(path), shown] = (stamp, *read_source(path, shown))
        return known[1], known[2]


def _alone(reader: SourceReader) -> Bag:
    """Of a file that is part of no site: what its own blocks are blamed for, whatever else there is."""
    from kvmc.model.names import NearNames
    from kvmc.model.schema import check_blocks

    bag = Bag()
    check_blocks(reader.items, NearNames(), bag)
    return bag


def _wanted(analysis: Analysis) -> dict[str, tuple[tuple[str, ...], Label | None]]:
    """Each host's topology files, as lowering finds them, also where the site has errors."""
    wanted: dict[str, tuple[tuple[str, ...], Label | None]] = {}
    for name, host in analysis.merged["host"].items():
        given = host.values.get("topology")
        if given is not None and isinstance(given.value, tuple):
            folder = posixpath.dirname(given.span.file)
            paths = tuple(posixpath.normpath(posixpath.join(folder, path)) for path in given.value)
            wanted[name] = (paths, Label(given.span))
    return wanted
