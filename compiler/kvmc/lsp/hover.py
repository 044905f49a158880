"""What a place means: a setting's doc, default and resolved value; a block with all that it inherits; a device."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.diagnostics import Span
from kvmc.driver.show import block_text, written
from kvmc.lsp.devices import device_text
from kvmc.lsp.sites import View
from kvmc.lsp.symbols import at, enclosing
from kvmc.model.nodes import UNKNOWN, Node
from kvmc.model.settings import blocks, settings
from kvmc.model.table import BlockRow, Row
from kvmc.model.values import PciAddress
from kvmc.syntax.tree import Block, Count, ListValue, Setting, Word


@dataclass(frozen=True, slots=True)
class Hover:
    """Markdown, and what it is of."""

    text: str
    span: Span


def hover(view: View, file: str, offset: int) -> Hover | None:
    """What the word at a place means."""
    tree = view.files.get(file)
    path = enclosing(tree, offset) if tree is not None else ()
    if not path:
        return None
    item, around = path[-1], [one for one in path[:-1] if isinstance(one, Block)]
    if isinstance(item, Setting):
        return _setting(view, item, around, offset)
    row = blocks().get(item.kind.text)
    if row is None or not item.header.start <= offset <= item.header.end:
        return None
    if _covers(item.kind.span, offset):
        return Hover(_block_doc(row), item.kind.span)
    return _name(view, file, offset)


def _setting(view: View, item: Setting, around: list[Block], offset: int) -> Hover | None:
    row = settings(around[-1].kind.text).get(item.name.text) if around and around[-1].kind.text in blocks() else None
    if row is None:
        return None
    if _covers(item.name.span, offset):
        node = _node(view, around)
        return Hover(_setting_doc(row) + (_resolved(view, node, row) if node else ""), item.name.span)
    named = _name(view, item.span.file, offset)
    if named is not None:
        return named
    parts = item.value.items if isinstance(item.value, ListValue) else (item.value,)
    word = next((one for one in parts if isinstance(one, Word) and _covers(one.span, offset)), None)
    if word is not None:
        return _device(view, word) or Hover(_setting_doc(row), word.span)
    count = next((one for one in parts if isinstance(one, Count) and _covers(one.span, offset)), None)
    return Hover(_setting_doc(row), count.span) if count else None


def _covers(span: Span, offset: int) -> bool:
    return span.start <= offset <= span.end


def _block_doc(row: BlockRow) -> str:
    usage = " ".join((row.name, *row.labels)) + (f" : {row.parents.upper()}" if row.parents else "")
    return f"```kvmt\n{usage}\n```\n{row.doc} Since {row.since}."


def _setting_doc(row: Row) -> str:
    default = f"default `{row.default}`" if row.default is not None else "required" if row.required else "no default"
    return f"```kvmt\n{row.name} = {row.example}\n```\n{row.doc}\n\n{row.kind.words}; {default}; since {row.since}"


def _resolved(view: View, node: Node, row: Row) -> str:
    """The value that holds in a block, and where it was set."""
    given = node.values.get(row.name)
    if given is None or given.value is UNKNOWN:
        return ""
    line, _ = view.sources.position(given.span.file, given.span.start)
    text = f"\n\nHere `{written(given, view.sources)}`, set by {given.block} at {given.span.file}:{line}"
    # what an ancestor says, where this block overrides it
    base = view.merged(_parent_kind(node), node.parent.text) if node.parent else None
    inherited = base.values.get(row.name) if base else None
    if inherited is not None and inherited is not given:
        line, _ = view.sources.position(inherited.span.file, inherited.span.start)
        text += f"; overrides `{written(inherited, view.sources)}` of {inherited.block} at {inherited.span.file}:{line}"
    return text


def _parent_kind(node: Node) -> str:
    return node.row.parents or ""


def _node(view: View, around: list[Block]) -> Node | None:
    """The merged block of nested blocks, where it is one of the site's."""
    top = around[0]
    name = top.labels[-1].text if top.labels else ""
    node = view.merged(top.kind.text, name)
    for block in around[1:]:
        label = block.labels[-1].text if block.labels else ""
        node = node.children.get((block.kind.text, label)) if node else None
    return node


def _name(view: View, file: str, offset: int) -> Hover | None:
    """A name, as a definition or a reference: the block that it names, with all that it inherits."""
    found = at(view.occurrences, file, offset)
    if found is None:
        return None
    kind, name = found.symbol.kind, found.symbol.name
    if kind == "devices":
        nodes = [
            (host.name, host.labelled("devices")[name])
            for host in view.analysis.merged["host"].values()
            if name in host.labelled("devices")
        ]
        texts = list(dict.fromkeys(block_text(node, view.sources) for _, node in nodes))
        hosts = ", ".join(host for host, _ in nodes)
        body = "\n".join(texts)
        return Hover(f"```kvmt\n{body}```\nOn {hosts}." if nodes else f"no host has `{name}`", found.word.span)
    node = view.merged(kind, name)
    if node is None:
        return None
    return Hover(f"```kvmt\n{block_text(node, view.sources)}```\n{node.row.doc}", found.word.span)


def _device(view: View, word: Word) -> Hover | None:
    try:
        address = PciAddress.parse(word.text)
    except ValueError:
        return None
    lines = []
    for host, topology in view.topologies.items():
        device = (topology.pci or {}).get(address)
        if device is not None:
            lines.append(f"- {host}: {device_text(device)}")
    return Hover(f"`{address}`\n" + "\n".join(lines or ["in no topology of the site"]), word.span)
