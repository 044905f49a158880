"""Offsets of ours, in code points, and positions of the protocol: lines from 0 and in a line UTF-16 units, or what was agreed."""

from __future__ import annotations

import re
from bisect import bisect_right

_LINE_END = re.compile(r"\r\n|\n|\r")
_WIDTHS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


class Lines:
    """One text, its lines found once. marked: the client's text has a byte order mark before it, which ours has not."""

    def __init__(self, text: str, encoding: str = "utf-16", *, marked: bool = False) -> None:
        self.text = text
        self.codec, self.width = _WIDTHS[encoding]
        self.starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self.mark = self._units("\ufeff") if marked else 0

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self.starts, offset) - 1
        return line, self._units(self.text[self.starts[line] : offset]) + (0 if line else self.mark)

    def offset(self, line: int, column: int) -> int:
        """The offset of a position; a column behind the line's end means its end, as the protocol has it."""
        if line >= len(self.starts):
            return len(self.text)
        column -= 0 if line else self.mark
        start = self.starts[line]
        end = self.starts[line + 1] if line + 1 < len(self.starts) else len(self.text)
        text = self.text[start:end].rstrip("\r\n")
        if text.isascii():
            return start + min(max(column, 0), len(text))
        for index, char in enumerate(text):
            if column <= 0:
                return start + index
            column -= self._units(char)
        return start + len(text)

    def _units(self, text: str) -> int:
        return len(text) if text.isascii() else len(text.encode(self.codec, "surrogatepass")) // self.width
