"""The shapes of the language's table: a block, a setting."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.model.kinds import Kind


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A kind of block. within: the blocks that it may stand in; empty for the top level. labels: what its labels are; `a|b` is one
    of two words.

    parents: the kind of block that may follow `:`. like: the block whose settings and blocks it has too. single: at most one in
    the block around it (in the source, for the top level).
    """

    name: str
    doc: str
    within: tuple[str, ...] = ()
    labels: tuple[str, ...] = ("NAME",)
    parents: str | None = None
    like: str | None = None
    single: bool = False
    since: str = "0.1"


@dataclass(frozen=True, slots=True)
class Row:
    """A setting. default: as the user would write it; None where there is none. field: the model's field that takes it.

    required: it must be set, there or in an ancestor. example: a value as the user would write it.
    """

    block: str
    name: str
    kind: Kind
    doc: str
    example: str
    default: str | None = None
    field: str = ""
    required: bool = False
    since: str = "0.1"

    @property
    def model_field(self) -> str:
        return self.field or self.name
