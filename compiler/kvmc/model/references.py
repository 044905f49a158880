"""References: every name that a setting gives must be that of a block. Judged where it is written, inherited or not, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kvmc.diagnostics import Bag, Label, Span
from kvmc.diagnostics.codes import schema as codes
from kvmc.model.kinds import ListOf
from kvmc.model.names import NearNames
from kvmc.model.nodes import Node, Tables
from kvmc.model.settings import settings
from kvmc.model.texts import Ref


def check_references(tables: Tables, merged: Tables, near: NearNames, bag: Bag) -> None:
    """tables: the blocks as written; merged: with their ancestors. A device pool must be one that a host has."""
    known: dict[str, Mapping[str, object]] = dict(tables)
    known["devices"] = {label: None for host in merged["host"].values() for label in host.labelled("devices")}
    unused = {label for pool in merged["pool"].values() for label in pool.labelled("devices")}
    for nodes in tables.values():
        for top in nodes.values():
            for node in (top, *top.children.values()):
                for kind, name, span in _references(node):
                    if name in known[kind]:
                        continue
                    if kind == "devices":
                        text = f"no host has a device pool `{name}`"
                        notes = ["a pool that no host has as its parent defines it"] if name in unused else []
                    else:
                        text, notes = f"no {kind} `{name}`", []
                    advice = near.advice(name, known[kind], span, few=6)
                    bag.error(codes.UNKNOWN_NAME, text, Label(span), notes=notes, help=advice.help, fixes=advice.fixes)


def _references(node: Node) -> Iterator[tuple[str, str, Span]]:
    """The kind, the name and the place of each reference in a block's own settings."""
    for name, given in node.values.items():
        kind = settings(node.row.name)[name].kind
        if isinstance(kind, Ref) and isinstance(given.value, str):
            yield kind.kind, given.value, given.at
        elif isinstance(kind, ListOf) and isinstance(kind.item, Ref) and isinstance(given.value, tuple):
            for one, span in zip(given.value, given.parts, strict=True):
                yield kind.item.kind, str(one), span
