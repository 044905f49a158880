"""What may stand at a place: blocks and settings from the table, values by their kind, names and devices from the site."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from kvmc import std
from kvmc.lsp.devices import device_text
from kvmc.lsp.sites import View
from kvmc.model.kinds import Choice, Flag, Kind, ListOf, OneOrMore, OrNone, PageCounts, PageSize, Size
from kvmc.model.settings import blocks, children, defaults, settings
from kvmc.model.table import BlockRow, Row
from kvmc.model.texts import CpuModel, Pci, Ref, RelativePath
from kvmc.model.values import size_text
from kvmc.syntax.cursor import Cursor, locate

_FILES = 200
"""Files that are offered as a path, at most."""


class What(Enum):
    """What an offer is, for the editor's icon."""

    SETTING = "setting"
    BLOCK = "block"
    WORD = "word"
    VALUE = "value"
    NAME = "name"
    DEVICE = "device"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Offer:
    """One completion: `text` goes in place of the word at the cursor. detail: a few words beside it; doc: a sentence."""

    text: str
    what: What
    detail: str = ""
    doc: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Offers:
    """The offers for a place; they replace `[start, end)`."""

    start: int
    end: int
    offers: tuple[Offer, ...]


def complete(view: View, file: str, offset: int) -> Offers:
    """What may stand at the offset of a file."""
    text = view.reader.texts[file]
    cursor = locate(text, offset)
    found = () if cursor.in_comment else tuple(_offers(view, file, cursor))
    return Offers(cursor.start, cursor.end, found)


def _offers(view: View, file: str, cursor: Cursor) -> Iterator[Offer]:
    header = cursor.blocks[-1] if cursor.blocks else ("",)
    kind = header[0] if header else "?"
    before = cursor.before
    if kind and kind not in blocks():
        return
    if not before:
        yield from _items(kind, cursor.names)
    elif len(before) >= 2 and before[1] == "=":
        row = settings(kind).get(before[0]) if kind else None
        taken = set(before[2:])
        if row is not None and (len(before) == 2 or "[" in before):
            yield from (offer for offer in _values(view, file, row, row.kind) if offer.text not in taken)
    elif before[0] == "import" and len(before) == 1:
        yield from _sources(view, file)
    elif before[0] in blocks():
        yield from _header(view, cursor, blocks()[before[0]])


def _items(kind: str, there: frozenset[str]) -> Iterator[Offer]:
    """Blocks and settings that a block may have and has not."""
    if kind:
        for row in settings(kind).values():
            if row.name not in there:
                yield Offer(f"{row.name} = ", What.SETTING, _default(row), row.doc, row.name)
    else:
        yield Offer("import ", What.WORD, "another file", "Takes in the blocks of another file.", "import")
    for block in children(kind):
        usage = " ".join((block.name, *block.labels))
        yield Offer(f"{block.name} ", What.BLOCK, usage, block.doc, block.name)


def _default(row: Row) -> str:
    return f"default {row.default}" if row.default is not None else "required" if row.required else ""


def _header(view: View, cursor: Cursor, row: BlockRow) -> Iterator[Offer]:
    before = cursor.before
    if before[-1] == ":":
        if row.parents:
            yield from _names(view, row.parents)
    elif len(before) == 1 and row.words:
        words = row.words.get(cursor.blocks[-1][0], ()) if cursor.blocks else ()
        yield from (Offer(f"{word} ", What.WORD, "", row.doc, word) for word in words)
    elif len(before) == 1 and len(row.labels) == 2:
        for word in row.labels[0].split("|"):
            yield Offer(f"{word} ", What.WORD, "", row.doc, word)
    elif len(before) == 1 and row.within and row.labels and cursor.blocks:
        # a label of an ancestor's block: to override it
        around = cursor.blocks[-1]
        parent = around[around.index(":") + 1] if ":" in around[:-1] else ""
        base = blocks()[around[0]].parents or ""
        node = view.merged(base, parent.strip('"'))
        if node is not None:
            yield from (Offer(label, What.NAME, f"{row.name} of {node.top}") for label in node.labelled(row.name))


def _names(view: View, kind: str) -> Iterator[Offer]:
    for name in view.names(kind):
        yield Offer(name, What.NAME, kind)


def _values(view: View, file: str, row: Row, kind: Kind) -> Iterator[Offer]:
    """Values of a setting. What is free to choose has the table's example."""
    if isinstance(kind, ListOf):
        if isinstance(kind.item, Ref | Pci):
            yield from _values(view, file, row, kind.item)
        else:
            known = defaults(row.block)[row.name]
            some = known if isinstance(known, tuple) and known else row.example.strip("[]").split(", ")
            yield from (Offer(str(one), What.VALUE) for one in some)
    elif isinstance(kind, OneOrMore):
        yield from _values(view, file, row, kind.item)
    elif isinstance(kind, OrNone):
        yield Offer("none", What.WORD)
        yield from _values(view, file, row, kind.kind)
    elif isinstance(kind, Choice):
        yield from (Offer(one, What.WORD, "default" if one == row.default else "") for one in kind.options)
    elif isinstance(kind, Flag):
        yield from (Offer(one, What.WORD, "default" if one == row.default else "") for one in ("true", "false"))
    elif isinstance(kind, Ref):
        yield from _names(view, kind.kind)
    elif isinstance(kind, Pci):
        yield from _devices(view)
    elif isinstance(kind, PageSize):
        yield from (Offer(size_text(size), What.VALUE) for size in _page_sizes(view))
    elif isinstance(kind, PageCounts):
        yield Offer("none", What.WORD)
        yield from (Offer(f"64 * {size_text(size)}", What.VALUE, "pages") for size in _page_sizes(view))
    elif isinstance(kind, Size):
        yield from (Offer(f"{1 << power}GiB", What.VALUE) for power in range(9))
        yield from (Offer(f"{1 << power}MiB", What.VALUE) for power in range(8, 10))
    elif isinstance(kind, CpuModel):
        models = ("host-passthrough", "host-model", "maximum")
        yield from (Offer(one, What.WORD, "default" if one == row.default else "") for one in models)
    elif isinstance(kind, RelativePath):
        yield from _files(view, file, lambda name: not name.endswith(".kvmt"))
    else:
        yield from (Offer(one, What.VALUE) for one in dict.fromkeys(filter(None, (row.default, row.example))))


def _page_sizes(view: View) -> list[int]:
    """Those of the hosts' nodes, in KiB; x86's where no topology tells."""
    found = {size for one in view.topologies.values() for node in one.nodes for size in node.page_sizes_kib}
    return sorted(found) or [2 * 1024, 1024 * 1024]


def _devices(view: View) -> Iterator[Offer]:
    """PCI functions of all hosts that were read; those that several hosts have, once."""
    seen: dict[str, tuple[str, list[str]]] = {}
    for host, topology in view.topologies.items():
        for address, device in (topology.pci or {}).items():
            seen.setdefault(str(address), (device_text(device), []))[1].append(host)
    for text, (detail, hosts) in seen.items():
        yield Offer(f'"{text}"', What.DEVICE, detail, f"On {', '.join(hosts)}.")


def _sources(view: View, file: str) -> Iterator[Offer]:
    known = set(view.reader.texts)
    yield from _files(view, file, lambda name: name.endswith(".kvmt"), known)
    for name in std.names():
        if name not in known:
            text = std.text(name)
            comments = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
            yield Offer(f'"{name}"', What.FILE, "standard library", next(iter(comments), ""))


def _files(view: View, file: str, fits: object, known: Iterable[str] = ()) -> Iterator[Offer]:
    """Files below the site's folder, as paths relative to the file that shall name them."""
    assert callable(fits)
    root = view.path.parent
    home = (root / file).parent
    count = 0
    for folder, folders, names in os.walk(root):
        hidden = ("generated", "locks", std.FOLDER) if Path(folder) == root else ()
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in hidden)
        for name in sorted(names):
            path = Path(os.path.relpath(Path(folder, name), root)).as_posix()
            if fits(name) and not name.startswith(".") and path not in known and count < _FILES:
                count += 1
                yield Offer(f'"{Path(os.path.relpath(Path(folder, name), home)).as_posix()}"', What.FILE)
