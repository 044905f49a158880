"""How a file is indented, and what its braces lack: where a brace is lost, the indentation tells which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Token


@dataclass(slots=True)
class Layout:
    """step: columns by which the lines of a block stand deeper than its header, as most do; 0 where they do not;
    the canonical form's 2 where no block has lines.

    surplus: how many more `{` than `}` there are. negative: a `}` closes no block, whatever there is behind it.
    """

    step: int
    surplus: int
    negative: bool

    @classmethod
    def of(cls, tokens: Sequence[Token]) -> Layout:
        """Looks at every token once; the steps are counted only where the braces are odd."""
        depth, negative = 0, False
        for token in tokens:
            if token.type == "OPEN":
                depth += 1
            elif token.type == "CLOSE":
                depth -= 1
                negative = negative or depth < 0
        return cls(_step(tokens) if depth or negative else 0, depth, negative)

    @property
    def odd(self) -> bool:
        """Whether braces are lost or too many, and the indentation can tell where."""
        return self.step > 0 and (self.surplus != 0 or self.negative)

    @property
    def lacks_close(self) -> bool:
        return self.surplus > 0 or self.negative

    @property
    def lacks_open(self) -> bool:
        return self.surplus < 0 or self.negative


def _step(tokens: Sequence[Token]) -> int:
    steps: Counter[int] = Counter()
    first = tokens[0]
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if before.type == "_NL":
            first = token
        if before.type == "OPEN" and token.type == "_NL" and after.type != "CLOSE":
            steps[(after.column or 0) - (first.column or 0)] += 1
    return min(steps, key=lambda step: (-steps[step], step), default=2)
