"""What a build would change, for people: one unified diff a file, bounded."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from kvmc.artifacts import Seal
from kvmc.diagnostics.text import counted, visible
from kvmc.output.tree import Changes, Layout, Remove, Write

FILE_LINES = 200
"""Lines of one file's diff."""
ALL_LINES = 2000
"""Lines of the whole diff."""


def describe(layout: Layout, changes: Changes) -> list[tuple[str, str]]:
    """Each file with what is wrong with it: `missing`, `stale`, `mode`, `extra`."""
    return [(layout.name(write.place), _kind(write)) for write in changes.writes] + [
        (layout.name(remove.place), "extra") for remove in changes.removes
    ]


def _kind(write: Write) -> str:
    if write.old is None:
        return "missing"
    return "mode" if write.old.text == write.file.text else "stale"


def unified(layout: Layout, changes: Changes) -> str:
    """The diff from the disk to what the site says, in the order of files, its bounds said where they cut."""
    out: list[str] = []
    rest = 0
    both: tuple[Write | Remove, ...] = (*changes.writes, *changes.removes)
    for change in both:
        lines = list(_file(layout, change))
        if len(lines) > FILE_LINES:
            lines = [*lines[:FILE_LINES], f"... {counted(len(lines) - FILE_LINES, 'more line')} in this file"]
        if len(out) + len(lines) > ALL_LINES:
            rest += 1
            continue
        out += lines
    if rest:
        out.append(f"... {counted(rest, 'more file')}")
    return "".join(f"{line}\n" for line in out)


def _file(layout: Layout, change: Write | Remove) -> Iterator[str]:
    name = visible(layout.name(change.place))
    old, new = change.old, change.file if isinstance(change, Write) else None
    if old and new and old.text == new.text:
        yield f"--- a/{name}"
        yield f"+++ b/{name}"
        yield f"mode {'755' if old.executable else '644'} -> {new.mode:o}"
        return
    if old and old.seal is Seal.EDITED:
        yield f"# {name} was edited by hand"
    yield from (
        visible(line) if "\t" not in line else "\t".join(visible(part) for part in line.split("\t"))
        for line in difflib.unified_diff(
            old.text.split("\n")[: -1 if old.text.endswith("\n") else None] if old else [],
            new.text.split("\n")[:-1] if new else [],
            f"a/{name}" if old else "/dev/null",
            f"b/{name}" if new else "/dev/null",
            lineterm="",
        )
    )
