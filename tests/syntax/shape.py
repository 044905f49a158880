"""What a tree says without its places: two texts with the same shape mean the same."""

from __future__ import annotations

from kvmc.syntax.tree import Block, Count, ListValue, Setting, Value, Word


def shape(item: Setting | Block) -> tuple:  # type: ignore[type-arg]
    def element(one: Word | Count) -> tuple:  # type: ignore[type-arg]
        return (one.number.text, one.size.text) if isinstance(one, Count) else (one.text, one.quoted)

    def value(one: Value) -> object:
        return [element(part) for part in one.items] if isinstance(one, ListValue) else element(one)

    if isinstance(item, Setting):
        return (item.name.text, value(item.value))
    parent = element(item.parent) if item.parent else None
    return (item.kind.text, [element(one) for one in item.labels], parent, [shape(one) for one in item.items])
