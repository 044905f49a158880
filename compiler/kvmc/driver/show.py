"""One guest, host or class with all that it inherits and all defaults, in the language itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from kvmc import std
from kvmc.diagnostics import Bag, Sources
from kvmc.diagnostics.codes import driver, schema
from kvmc.diagnostics.text import visible
from kvmc.model.imports import SourceReader
from kvmc.model.inherit import inherit
from kvmc.model.load import analyse
from kvmc.model.names import NearNames
from kvmc.model.nodes import Given, Node
from kvmc.model.schema import check_blocks
from kvmc.model.settings import children, settings
from kvmc.syntax.format import format_text
from kvmc.syntax.parser import parse
from kvmc.syntax.tree import Block, Count, ListValue, Setting

_CODES = {"vm": driver.NO_SUCH_VM, "host": driver.NO_SUCH_HOST, "class": schema.UNKNOWN_NAME}


def show_block(path: Path, kind: str, name: str) -> tuple[str | None, Bag, Sources]:
    """The block as kvmt text, each value with a comment that names the file and the line that set it; None beside errors. A class
    of the standard library is shown whether the site imports it or not, below its own comment."""
    reader = SourceReader(path)
    reader.read_all()
    sources, bag = Sources(reader.texts), reader.bag
    if bag.has_errors:
        return None, bag, sources
    found = analyse(reader)
    bag.extend(found.bag)
    if bag.has_errors:
        return None, bag, sources
    node = found.merged[kind].get(name)
    if kind == "class" and (node is None or node.header.file.startswith(std.PREFIX)):
        text = _of_library(name, node, sources)
        if text is not None:
            return text, bag, sources
    if node is None:
        help = NearNames().help(name, found.merged[kind])
        noun = "guest" if kind == "vm" else kind
        bag.error(_CODES[kind], f"the site has no {noun} `{visible(name)}`", help=help)
        return None, bag, sources
    return block_text(node, sources), bag, sources


def _of_library(name: str, node: Node | None, sources: Sources) -> str | None:
    """A class of the standard library below its own comment; None where the library has none of the name. node: as the site has it,
    where the site imports it."""
    from kvmc.model.classes import std_class

    known = std_class(name)
    if known is None:
        return None
    head = [*known.comment, ""] if node is not None else [*known.comment, "", f'import "{known.file}" to have it', ""]
    if node is None:
        texts = {known.file: std.text(known.file)}
        file, _ = parse(known.file, texts[known.file])
        assert file is not None, "a test keeps the library readable"
        bag, near = Bag(), NearNames()
        items = [item for item in file.items if isinstance(item, Block) and item.kind.text == "class"]
        merged, _ = inherit(check_blocks(items, near, bag), near, bag)
        node, sources = merged["class"][name], Sources(texts)
    comment = "".join(f"# {line}".rstrip() + "\n" for line in head[:-1])
    return f"{comment}{block_text(node, sources)}"


def block_text(node: Node, sources: Sources) -> str:
    """A merged block in canonical form; what has neither a value nor a default is left out."""
    text = "".join(f"{line}\n" for line in _block(node, sources))
    made, bag = format_text(node.name, text)
    if made is None:
        raise RuntimeError(f"cannot read what was printed: {bag.items[0].message}")
    return made


def _block(node: Node, sources: Sources) -> Iterator[str]:
    label = sources.texts[node.label.file][node.label.start : node.label.end] if node.name else ""
    # of a block with two labels the name holds both, and the place is the last one's
    first = node.name.partition(" ")[0] if node.row.words else ""
    header = " ".join(part for part in (node.row.name, first, label) if part)
    parent = f" : {node.parent.text}" if node.parent else ""
    yield f"{header}{parent} {{ # {_place(node.header.file, node.header.start, sources)}"
    for row in settings(node.row.name).values():
        given = node.values.get(row.name)
        if given is not None:
            yield f"{row.name} = {written(given, sources)} # {_place(given.span.file, given.span.start, sources)}"
        elif row.default is not None:
            yield f"{row.name} = {row.default} # default"
    for child in children(node.row.name):
        there: Mapping[str, Node] = node.labelled(child.name)
        for inner in there.values():
            yield from _block(inner, sources)
        if not there and not child.labels:
            yield f"{child.name} {{ # default"
            yield from (
                f"{row.name} = {row.default} # default"
                for row in settings(child.name).values()
                if row.default is not None
            )
            yield "}"
    yield "}"


def _place(file: str, offset: int, sources: Sources) -> str:
    return f"{visible(file)}:{sources.position(file, offset)[0]}"


def written(given: Given, sources: Sources) -> str:
    """The value as the source has it, on one line and without the comments in it."""
    text = sources.texts[given.at.file][given.at.start : given.at.end]
    file, _ = parse("", f"x = {text}\n")
    assert file is not None and isinstance(file.items[0], Setting)
    value, offset = file.items[0].value, len("x = ")

    def element(part: object) -> str:
        if isinstance(part, Count):
            return f"{element(part.number)} * {element(part.size)}"
        span = part.span  # type: ignore[attr-defined]
        return text[span.start - offset : span.end - offset]

    return f"[{', '.join(map(element, value.items))}]" if isinstance(value, ListValue) else element(value)
