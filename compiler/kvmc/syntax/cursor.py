"""Where a place stands in a text that is just being written, and so is seldom whole: by its words and braces alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r'#[^\n]*|"(?:[^"\\\r\n]|\\[^\r\n])*"?|\r?\n|[{}\[\]=,*]|[^\s"{}\[\]=,#*]+')


@dataclass(frozen=True, slots=True)
class Cursor:
    """blocks: the headers of the blocks around the place, outermost first, as words; a parent is behind a `:`.

    before: the words and signs of the item that stand before the word at the place. start, end: that word, with its quotes; the
    same where there is none. names: settings that the innermost block has. in_comment: nothing can be said here.
    """

    blocks: tuple[tuple[str, ...], ...]
    before: tuple[str, ...]
    start: int
    end: int
    names: frozenset[str]
    in_comment: bool = False


@dataclass(slots=True)
class _Frame:
    header: tuple[str, ...]
    names: set[str] = field(default_factory=set)


def locate(text: str, offset: int) -> Cursor:
    """What stands around a place of the text."""
    frames = [_Frame(())]
    item: list[str] = []
    in_list = False
    found: tuple[tuple[tuple[str, ...], ...], tuple[str, ...], int, int, _Frame, bool] | None = None

    def note(start: int, end: int, in_comment: bool = False) -> None:
        nonlocal found
        if found is None:
            found = (tuple(one.header for one in frames[1:]), tuple(item), start, end, frames[-1], in_comment)

    for match in _TOKEN.finditer(text):
        piece, start, end = match[0], match.start(), match.end()
        if start > offset or (start == offset and not _is_word(piece)):
            note(offset, offset)
        elif piece[0] == "#" and start < offset <= end:
            note(offset, offset, in_comment=True)
        elif _is_word(piece) and start <= offset <= end:
            note(start, end)
        if found is not None and not any(frame is found[4] for frame in frames):
            break
        if piece == "{":
            frames.append(_Frame(_split(item)))
            item = []
        elif piece == "}":
            if len(frames) > 1:
                frames.pop()
            item = []
        elif piece[-1] == "\n":
            in_list = in_list and "=" in item
            item = item if in_list else []
        elif piece[0] != "#":
            in_list = piece == "[" or (in_list and piece != "]")
            if piece == "=" and len(item) == 1:
                frames[-1].names.add(item[0])
            item.append(piece)
    note(offset, offset)
    assert found is not None
    headers, before, start, end, frame, in_comment = found
    return Cursor(headers, _split(before), start, end, frozenset(frame.names), in_comment)


def _is_word(piece: str) -> bool:
    return piece[0] not in "#\r\n{}[]=,*"


def _split(words: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Words with a `:` of a header as one of its own; addresses keep theirs behind a `=`."""
    if "=" in words:
        return tuple(words)
    parts: list[str] = []
    for word in words:
        if word[0] == '"':
            parts.append(word)
        else:
            parts += [part for part in re.split(r"(:)", word) if part]
    return tuple(parts)
