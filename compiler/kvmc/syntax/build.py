"""lark's tree to ours. Recursion is as deep as blocks are nested, which the parser bounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kvmc.diagnostics import Bag, Fix, Label, Span
from kvmc.diagnostics.codes import syntax as codes
from kvmc.syntax.tree import Block, Count, File, ListValue, Setting, Value, Word

if TYPE_CHECKING:
    from lark import Token, Tree

_ESCAPE = re.compile(r"\\(.)")


def build(name: str, tree: Tree[Token], bag: Bag) -> File:
    """The file's tree; adds errors for escapes that the language does not have."""
    return File(name, _Builder(name, bag).items(tree.children))


class _Builder:
    def __init__(self, name: str, bag: Bag) -> None:
        self.name = name
        self.bag = bag

    def items(self, nodes: Sequence[Any]) -> tuple[Setting | Block, ...]:
        """Settings and blocks; what was broken is left out."""
        items: list[Setting | Block] = []
        for node in nodes:
            kind = getattr(node, "data", None)
            if kind == "setting":
                items.append(self.setting(node))
            elif kind == "block":
                items.append(self.block(node))
            elif kind == "broken":
                for child in node.children[1:]:
                    self.items(child.children)
        return tuple(items)

    def setting(self, node: Tree[Token]) -> Setting:
        name, _equal, value = node.children
        read = self.value(value)
        word = self.word(name)
        return Setting(word, read, Span(self.name, word.span.start, read.span.end))

    def block(self, node: Tree[Token]) -> Block:
        words: list[Word] = []
        parent: Word | None = None
        items: tuple[Setting | Block, ...] = ()
        end = 0
        for child in node.children:
            kind = getattr(child, "data", None)
            if kind == "parent":
                parent = self.word(child.children[1])  # type: ignore[union-attr]
            elif kind == "body":
                items = self.items(child.children)  # type: ignore[union-attr]
                end = child.children[-1].end_pos  # type: ignore[union-attr, assignment]
            else:
                words.append(self.word(child))
        start = words[0].span.start
        header = Span(self.name, start, parent.span.end if parent else words[-1].span.end)
        return Block(words[0], tuple(words[1:]), parent, items, header, Span(self.name, start, max(end, header.end)))

    def value(self, node: Any) -> Value:
        if node.data == "list":
            first, *elements, last = node.children
            items = tuple(self.element(element) for element in elements if hasattr(element, "data"))
            return ListValue(items, Span(self.name, first.start_pos, last.end_pos))
        return self.element(node)

    def element(self, node: Any) -> Word | Count:
        if node.data == "count":
            number, size = self.word(node.children[0]), self.word(node.children[2])
            return Count(number, size, Span(self.name, number.span.start, size.span.end))
        return self.word(node.children[0])

    def word(self, token: Any) -> Word:
        span = Span(self.name, token.start_pos, token.end_pos)
        if token.type != "STRING":
            return Word(str(token), span)
        inner = str(token)[1:-1]
        if "\\" not in inner:
            return Word(inner, span, quoted=True)
        for match in _ESCAPE.finditer(inner):
            if match[1] not in '"\\':
                at = span.start + 1 + match.start()
                self.bag.error(
                    codes.BAD_ESCAPE,
                    f"unknown escape `{match[0]}`",
                    Label(Span(self.name, at, at + 2), 'only `\\"` and `\\\\` are known'),
                    help=["write `\\\\` for a backslash"],
                    fixes=[Fix(Span(self.name, at, at + 1), "\\\\", "write `\\\\` for a backslash")],
                )
        return Word(_ESCAPE.sub(r"\1", inner), span, quoted=True)
