"""The journal of a transaction: what is being written, so that the next build can finish or undo it after a kill.

It lies in the site's folder and is replaced as a whole. Paths in it are relative to the two roots that kvmc writes in; the tree's
own place is relative to the site's folder. What it says is checked against the disk before anything is done: a journal from
elsewhere can't make kvmc touch a file whose text it does not know.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kvmc.output import GENERATED, JOURNAL, TEMP_SUFFIX
from kvmc.output.disk import digest_of
from kvmc.output.tree import Changes, Layout, Place, Root

JOURNAL_TEMP = f"{JOURNAL}{TEMP_SUFFIX}"
FORMAT = 1


class Phase(StrEnum):
    """`prepare`: new texts are being laid beside the old. `commit`: all of them lie there and are being moved in."""

    PREPARE = "prepare"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the transaction. Digests are sha256 of the bytes; old None: nothing was there; new None: it is removed."""

    place: Place
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Journal:
    """`tree`: the generated tree's place relative to the site's folder. `folders`: those made for the transaction, outermost first;
    the path of a root itself is empty."""

    phase: Phase
    tree: str
    folders: tuple[tuple[Root, str], ...]
    entries: tuple[Entry, ...]

    def layout(self, site: Path) -> Layout:
        """Where the interrupted build wrote."""
        return Layout.of(site, None if self.tree == GENERATED else site / self.tree)


def of_changes(layout: Layout, changes: Changes, phase: Phase, folders: tuple[tuple[Root, str], ...]) -> Journal:
    writes = [
        Entry(write.place, write.old.digest if write.old else None, digest_of(write.file.text))
        for write in changes.writes
    ]
    removes = [Entry(remove.place, remove.old.digest, None) for remove in changes.removes]
    tree = os.path.relpath(layout.tree, layout.site)
    return Journal(phase, tree.replace(os.sep, "/"), folders, (*writes, *removes))


def dumps(journal: Journal) -> str:
    """The journal's text."""
    whole = {
        "journal": FORMAT,
        "phase": journal.phase,
        "tree": journal.tree,
        "folders": [[root, path] for root, path in journal.folders],
        "entries": [[entry.place.root, entry.place.path, entry.old, entry.new] for entry in journal.entries],
    }
    return json.dumps(whole, indent=1) + "\n"


def loads(text: str) -> Journal:
    """Read a journal. Raises ValueError for anything that this version did not write."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON (line {error.lineno}, column {error.colno})") from error
    except RecursionError as error:
        raise ValueError("it is not a journal") from error
    try:
        if not isinstance(whole, dict) or whole.get("journal") != FORMAT:
            raise ValueError(f"it is not a journal of format {FORMAT}")
        folders = tuple((Root(root), Place(Root(root), path).path if path else "") for root, path in whole["folders"])
        entries = tuple(
            Entry(Place(Root(root), _text(path)), _digest(old), _digest(new))
            for root, path, old, new in whole["entries"]
        )
        return Journal(Phase(whole["phase"]), _text(whole["tree"]), folders, entries)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("it is not a journal") from error


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("it is not a journal")
    return value


def _digest(value: object) -> str | None:
    return None if value is None else _text(value)
