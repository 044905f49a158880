"""Inheritance: each pool, host, class and guest with what its ancestors set, setting by setting, labelled blocks by label."""

from __future__ import annotations

from dataclasses import replace

from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import schema as codes
from kvmc.model.names import NearNames, shown
from kvmc.model.nodes import Node, Tables

MAX_ANCESTORS = 64
"""A reader must be able to follow the chain."""


def inherit(tables: Tables, near: NearNames, bag: Bag) -> tuple[Tables, dict[tuple[str, str], tuple[str, ...]]]:
    """The tables with every block merged, and the lineage of each (kind, name), nearest ancestor first."""
    merged: Tables = dict(tables)
    lineage: dict[tuple[str, str], tuple[str, ...]] = {}
    for base, heir in (("pool", "host"), ("class", "vm")):
        parents = _parents(tables, base, near, bag)
        merged[base] = {}
        cut: set[str | None] = set()
        for name in _by_generation(tables[base], parents):
            parent = parents[name]
            ancestors = (parent, *lineage[base, parent]) if parent else ()
            if len(ancestors) > MAX_ANCESTORS or parent in cut:
                if parent not in cut:
                    text = f"{base} `{name}` has more than {MAX_ANCESTORS} ancestors"
                    bag.error(
                        codes.TOO_MANY_ANCESTORS, text, tables[base][name].header, help=["give it a nearer parent"]
                    )
                cut.add(name)
                tables[base][name].complete = False
                parent, ancestors = None, ()
            lineage[base, name] = ancestors
            merged[base][name] = merge(merged[base].get(parent or ""), tables[base][name])
        merged[base] = {name: merged[base][name] for name in tables[base]}
        merged[heir] = {}
        for name, node in tables[heir].items():
            parent = _find(node, base, tables, near, bag)
            lineage[heir, name] = (parent, *lineage[base, parent]) if parent else ()
            merged[heir][name] = merge(merged[base].get(parent or ""), node)
    return merged, lineage


def merge(parent: Node | None, node: Node) -> Node:
    """A block over its parent, which is merged itself. What it does not touch is shared, not copied."""
    if parent is None:
        return node
    children = parent.children
    if node.children:
        children = dict(parent.children)
        for key, child in node.children.items():
            children[key] = merge(children.get(key), child)
    values = {**parent.values, **node.values} if node.values else parent.values
    return replace(node, values=values, children=children, complete=parent.complete and node.complete)


def _find(node: Node, base: str, tables: Tables, near: NearNames, bag: Bag) -> str | None:
    """The name of the parent, or None; a parent that cannot be leaves the block incomplete."""
    word = node.parent
    if word is None:
        return None
    if word.text in tables[base]:
        return word.text
    node.complete = False
    other = next((kind for kind, known in tables.items() if kind != base and word.text in known), None)
    if other is not None:
        text = f"`{word.text}` is a {other}, a {node.row.name} has a {base} as its parent"
        secondary = [Label(tables[other][word.text].header, f"a {other}")]
        advice = near.advice(word.text, tables[base], word.span, few=6)
        bag.error(codes.WRONG_PARENT, text, word.span, secondary=secondary, help=advice.help, fixes=advice.fixes)
    else:
        advice = near.advice(word.text, tables[base], word.span, few=6)
        label = Label(word.span, f"parent of `{node.name}`")
        text = f"no {base} {shown(word.text)}"
        bag.error(codes.UNKNOWN_NAME, text, label, help=advice.help, fixes=advice.fixes)
    return None


def _parents(tables: Tables, base: str, near: NearNames, bag: Bag) -> dict[str, str | None]:
    """The parent of each block of one kind; a cycle is told once and cut."""
    known = tables[base]
    parents = {name: _find(node, base, tables, near, bag) for name, node in known.items()}
    done: set[str] = set()
    for start in known:
        path: dict[str, None] = {}
        name: str | None = start
        while name is not None and name not in done and name not in path:
            path[name] = None
            name = parents[name]
        if name is not None and name in path:
            walk = list(path)
            cycle = walk[walk.index(name) :]
            chain = (
                " : ".join(f"`{one}`" for one in (*cycle, cycle[0])) if len(cycle) <= 8 else f"of {len(cycle)} blocks"
            )
            bag.error(
                codes.INHERITANCE_CYCLE,
                f"{base} `{name}` is its own ancestor: {chain}",
                Label(known[name].header),
                secondary=[Label(known[one].header, f"has parent `{parents[one]}`") for one in cycle[1:8]],
                help=["take one parent away"],
            )
            for one in cycle:
                parents[one] = None
                known[one].complete = False
        done.update(path)
    return parents


def _by_generation(known: dict[str, Node], parents: dict[str, str | None]) -> list[str]:
    """Names so that a parent stands before its children."""
    order: list[str] = []
    done: set[str] = set()
    for start in known:
        path: list[str] = []
        name: str | None = start
        while name is not None and name not in done:
            path.append(name)
            done.add(name)
            name = parents[name]
        order += reversed(path)
    return order
