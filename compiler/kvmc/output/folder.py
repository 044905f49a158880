"""A folder of files that one command writes at once, beside the site: all of them, or none where one is somebody else's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kvmc.artifacts import Artifact, Seal, seal
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts as codes
from kvmc.diagnostics.text import counted, visible
from kvmc.output.disk import Disk, obstacle, read_found, reason

_NAMED = 10
"""Files named in one diagnostic before the rest is only counted."""


def write_folder(folder: Path, files: Sequence[Artifact], *, sealed: bool, force: bool = False) -> tuple[int, Bag]:
    """Write what differs; gives how many files that were. sealed: the files stay kvmc's, and a later run writes over those that it
    wrote and over edited ones with `force`; otherwise they are the user's from then on, and none is ever written over."""
    bag = Bag()
    shown = visible(folder.as_posix())
    wanted: list[tuple[Path, str, int]] = []
    kept: list[str] = []
    for one in files:
        text = seal(one) if sealed else one.text
        path = folder / one.path
        barred = obstacle(folder, one.path)
        found = None
        try:
            found = read_found(path) if barred is None else None
        except OSError as error:
            bag.error(codes.FOLDER_UNWRITABLE, f"cannot read `{shown}/{one.path}`: {reason(error)}")
            continue
        if barred is not None:
            kept.append(barred[0])
        elif found is None:
            wanted.append((path, text, one.mode))
        elif found.text != text or found.executable != bool(one.mode & 0o100):
            ours = sealed and (found.seal is Seal.OURS or (force and found.seal is Seal.EDITED))
            if ours:
                wanted.append((path, text, one.mode))
            else:
                kept.append(one.path)
    if kept:
        more = [f"and {len(kept) - _NAMED} more"] if len(kept) > _NAMED else []
        bag.error(
            codes.FOLDER_TAKEN,
            f"`{shown}` holds {counted(len(kept), 'file')} that kvmc did not write, or did not leave so",
            notes=[f"`{visible(name)}`" for name in kept[:_NAMED]] + more,
            help=["name another folder" + ("; `--force` gives up edits of kvmc's own files" if sealed else "")],
        )
    if bag.has_errors:
        return 0, bag
    disk = Disk()
    try:
        for path, text, mode in wanted:
            for missing in reversed([one for one in (path.parent, *path.parent.parents) if not one.exists()]):
                disk.make_folder(missing)
            disk.replace(path, text, mode)
    except OSError as error:
        bag.error(codes.FOLDER_UNWRITABLE, f"cannot write below `{shown}`: {reason(error)}")
    return len(wanted), bag
