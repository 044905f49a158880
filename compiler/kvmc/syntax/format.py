"""The canonical form of a file. Only white space, the commas of lists and empty bodies change: the tree stays the same.

Works on the tree and the text between its items, where nothing but white space and comments is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from kvmc.diagnostics import Bag, Span
from kvmc.syntax.parser import parse
from kvmc.syntax.tree import Block, Count, ListValue, Setting, Word

WIDTH = 100
"""Columns of a line with a list, at most: a longer list has an item a line."""

_INDENT = "  "
_TRIVIA = re.compile(r"#[^\n]*|\n")


def format_text(name: str, text: str) -> tuple[str | None, Bag]:
    """The text in canonical form; None beside the errors of a text that cannot be read."""
    text = text.removeprefix("\ufeff")
    file, bag = parse(name, text)
    if file is None or bag.has_errors:
        return None, bag
    printer = _Printer(text)
    printer.items(file.items, 0, 0, len(text))
    return "".join(f"{line}\n" for line in _aligned(printer.lines)), bag


@dataclass(frozen=True, slots=True)
class _Line:
    """A line to be. name: of a setting, whose `=` is aligned with its neighbours'. rest: what follows, or the whole line.

    alone: nothing on it is aligned with other lines. No name and no rest: a blank line.
    """

    depth: int
    rest: str
    name: str = ""
    comment: str = ""
    alone: bool = False

    @property
    def blank(self) -> bool:
        return not self.rest and not self.comment


@dataclass(frozen=True, slots=True)
class _Trivia:
    """What stands between two items. trailing: the comment that ends the line of the one before.

    own: comments on lines of their own, None for one or more blank lines. blank lines at the end count too.
    """

    trailing: str
    own: tuple[str | None, ...]


def _trivia(text: str, start: int, end: int, *, fresh: bool = False) -> _Trivia:
    """fresh: the stretch begins with a line, as at the start of a file."""
    trailing = ""
    own: list[str | None] = []
    newlines = 1 if fresh else 0
    for match in _TRIVIA.finditer(text, start, end):
        if match[0] == "\n":
            newlines += 1
            continue
        comment = match[0].rstrip()
        if not newlines:
            trailing = comment
            continue
        if newlines > 1:
            own.append(None)
        own.append(comment)
        newlines = 0
    if newlines > 1:
        own.append(None)
    return _Trivia(trailing, tuple(own))


class _Printer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: list[_Line] = []

    def items(self, items: tuple[Setting | Block, ...], depth: int, start: int, end: int) -> None:
        """Print the items that stand between two places of the text, with all comments around them."""
        at, last = start, None
        for item in items:
            found = _trivia(self.text, at, item.span.start, fresh=start == at == 0)
            self.trail(found.trailing)
            apart = depth == 0 and last is not None and (_tall(self.text, last) or _tall(self.text, item))
            self.between(found, depth, first=last is None, apart=apart)
            self.item(item, depth)
            at, last = item.span.end, item
        found = _trivia(self.text, at, end, fresh=start == at == 0)
        self.trail(found.trailing)
        if found.own[-1:] == (None,):
            found = replace(found, own=found.own[:-1])
        apart = depth == 0 and last is not None and _tall(self.text, last) and bool(found.own)
        self.between(found, depth, first=last is None, apart=apart)

    def between(self, found: _Trivia, depth: int, *, first: bool, apart: bool) -> None:
        """Comments of their own and blank lines: none at the start of a block, one at most elsewhere. apart: one at least."""
        own = list(found.own)
        while first and own and own[0] is None:
            own.pop(0)
        if apart and None not in own:
            own.insert(0, None)
        self.lines += [_Line(depth, "", comment=one) if one else _Line(depth, "") for one in own]

    def trail(self, comment: str) -> None:
        if comment:
            self.lines[-1] = replace(self.lines[-1], comment=comment)

    def item(self, item: Setting | Block, depth: int) -> None:
        if isinstance(item, Setting):
            self.setting(item, depth)
            return
        words = [self.source(item.kind.span), *(self.source(label.span) for label in item.labels)]
        header = " ".join(words) + (f" : {self.source(item.parent.span)}" if item.parent else "")
        opened = _body(self.text, item)
        if opened is None or not _tall(self.text, item):
            self.lines.append(_Line(depth, header))
            return
        self.lines.append(_Line(depth, f"{header} {{", alone=True))
        self.items(item.items, depth + 1, opened + 1, item.span.end - 1)
        self.lines.append(_Line(depth, "}", alone=True))

    def setting(self, item: Setting, depth: int) -> None:
        name = item.name.text
        if not isinstance(item.value, ListValue):
            self.lines.append(_Line(depth, self.element(item.value), name))
            return
        value = item.value
        inner = "".join(match[0] for match in _TRIVIA.finditer(self._bare(value)) if match[0] != "\n")
        flat = f"[{', '.join(self.element(one) for one in value.items)}]"
        if not inner and len(_INDENT) * depth + len(name) + len(" = ") + len(flat) <= WIDTH:
            self.lines.append(_Line(depth, flat, name))
            return
        self.lines.append(_Line(depth, f"{name} = [", alone=True))
        at = value.span.start + 1
        for one in value.items:
            self.comments(at, one.span.start, depth + 1)
            self.comments(one.span.start, one.span.end, depth + 1, within=one)
            self.lines.append(_Line(depth + 1, f"{self.element(one)},"))
            at = one.span.end
        self.comments(at, value.span.end - 1, depth + 1)
        self.lines.append(_Line(depth, "]", alone=True))

    def comments(self, start: int, end: int, depth: int, within: Word | Count | None = None) -> None:
        """The comments of a list between two elements; those within an element go before it."""
        stretch = (start, end)
        if isinstance(within, Word):
            return
        if isinstance(within, Count):
            stretch = (within.number.span.end, within.size.span.start)
        found = _trivia(self.text, *stretch)
        own = [one for one in found.own if one]
        if found.trailing and (within is not None or self.lines[-1].comment):
            own.insert(0, found.trailing)
        else:
            self.trail(found.trailing)
        self.lines += [_Line(depth, "", comment=one) for one in own]

    def _bare(self, value: ListValue) -> str:
        """The list without its words: a `#` in a quoted text is no comment."""
        at, pieces = value.span.start, []
        for one in value.items:
            for word in (one.number, one.size) if isinstance(one, Count) else (one,):
                pieces.append(self.text[at : word.span.start])
                at = word.span.end
        return "".join((*pieces, self.text[at : value.span.end]))

    def element(self, one: Word | Count) -> str:
        if isinstance(one, Count):
            return f"{self.source(one.number.span)} * {self.source(one.size.span)}"
        return self.source(one.span)

    def source(self, span: Span) -> str:
        return self.text[span.start : span.end]


def _body(text: str, block: Block) -> int | None:
    """Where the body opens; None where there is none."""
    return text.index("{", block.header.end) if block.span.end > block.header.end else None


def _tall(text: str, item: Setting | Block) -> bool:
    """Whether the item is a block of several lines: one with items or comments in it."""
    if isinstance(item, Setting) or item.span.end == item.header.end:
        return False
    return bool(item.items) or "#" in text[item.header.end : item.span.end]


def _aligned(lines: list[_Line]) -> list[str]:
    """The lines as texts: `=` aligned in each run of settings, and so are the comments at the ends of neighbouring lines."""
    texts = [_INDENT * line.depth + line.rest for line in lines]
    run: list[int] = []
    for index, line in enumerate([*lines, _Line(0, "")]):
        if line.name and (not run or lines[run[-1]].depth == line.depth):
            run.append(index)
        elif line.rest or line.blank:  # a comment of its own parts no run
            width = max((len(lines[one].name) for one in run), default=0)
            for one in run:
                texts[one] = f"{_INDENT * lines[one].depth}{lines[one].name:<{width}} = {lines[one].rest}"
            run = [index] if line.name else []
    for group in _comment_runs(lines):
        width = max(len(texts[one]) for one in group)
        for one in group:
            texts[one] = f"{texts[one]:<{width}}  {lines[one].comment}"
    for index, line in enumerate(lines):
        if not line.rest:
            texts[index] = f"{_INDENT * line.depth}{line.comment}".rstrip()
    return texts


def _comment_runs(lines: list[_Line]) -> list[list[int]]:
    runs: list[list[int]] = []
    for index, line in enumerate(lines):
        if not line.rest or not line.comment:
            continue
        before = runs[-1][-1] if runs else -2
        if before == index - 1 and not line.alone and not lines[before].alone and lines[before].depth == line.depth:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs
