"""Where each value of the site was set: a table beside the model, by the value's path.

Paths are tuples of names: `("vm", "db-1")` is the block, `("vm", "db-1", "memory")` a setting, `("vm", "db-1", "disk", "log",
"iothread")` one of a labelled block, `("host", "kvm-a", "housekeeping", "cores")` one of an unlabelled block. Names are those of
the language, not those of the model's fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kvmc.diagnostics import Label, Span

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value was set.

    span: the setting (name to value), or the header of a block. value: the value alone (the same as span for a block).
    block: the top-level block that set it, as artifacts name it: `class pg`, `vm db-1`, `pool compute`. use: the header of the
    guest or host that has it by inheritance; None where it was set there itself.
    """

    span: Span
    value: Span
    block: str
    use: Span | None = None


@dataclass(frozen=True, slots=True)
class Origins:
    """The table, looked up with a fallback to the nearest known ancestor."""

    table: Mapping[Path, Origin]

    def find(self, *path: str) -> Origin | None:
        """The origin of the value, else of the nearest block around it; None for a path that is not the site's."""
        while path:
            found = self.table.get(path)
            if found is not None:
                return found
            path = path[:-1]
        return None

    def label(self, path: Path, text: str = "") -> Label | None:
        """A label at the value's setting."""
        origin = self.find(*path)
        return Label(origin.span, text) if origin else None

    def block(self, *path: str) -> str:
        """The block that set the value (`class pg`); for a default, the block that has it (`vm db-1`)."""
        origin = self.find(*path)
        return origin.block if origin else " ".join(path[:2])
