"""`kvmc import`: a site made of what runs, built in memory and compared with it before it is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kvmc.artifacts import Artifact, Comment
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts
from kvmc.driver.inputs import read_inputs
from kvmc.driver.outcome import Outcome
from kvmc.driver.stages import audit_files, plan_site, render
from kvmc.output import LOCKS
from kvmc.output.folder import write_folder
from kvmc.resolver.locks import dumps as lock_dumps
from kvmc.topology.snapshot import dumps

if TYPE_CHECKING:
    from kvmc.adopt.compare import Difference
    from kvmc.adopt.site import Draft
    from kvmc.artifacts import Target


def import_site(
    paths: Sequence[Path], topology: Path, host: str, folder: Path, targets: Sequence[Target]
) -> tuple[Outcome, dict[str, list[Difference]] | None, list[str]]:
    """Write the folder, whatever is wrong with the originals; gives the differences by guest (None where the site does not build)
    and the files written (none where nothing could be read)."""
    from kvmc.adopt.report import report
    from kvmc.adopt.site import draft, take_raws
    from kvmc.audit.check import audit_handwritten
    from kvmc.audit.handwritten import host_files, read
    from kvmc.audit.reading import read_files
    from kvmc.topology.read import read_topology

    outcome = Outcome(Bag())
    for path in paths:
        if not os.path.lexists(path):
            outcome.bag.error(
                artifacts.TREE_UNREADABLE, f"cannot read `{path.as_posix()}`: there is no such file or folder"
            )
    of, bag = read_topology(topology, topology.as_posix())
    if not outcome.tell(bag) or of is None:
        return outcome, None, []
    found = read(paths)
    outcome.texts.update({one.name: one.text for one in found})
    outcome.tell(audit_handwritten(host, found, of))
    files = host_files(found, Bag())
    made, bag = draft(host, [one for one in files if one.path.startswith("domains/")],
                      read_files(host, files, of, Bag(), handwritten=True), of)  # fmt: skip
    outcome.tell(bag)
    if made is None:
        return outcome, None, []
    snapshot = Artifact(f"hosts/{host}.json", dumps(of), Comment.JSON)
    with TemporaryDirectory(prefix="kvmc-import-") as temporary:
        first = _build(Path(temporary), [snapshot, Artifact("site.kvmt", made.text(), Comment.HASH)])
        plain = read_inputs(first)
        if plain.site is not None and plain.ok:
            take_raws(made, plain.site, outcome.bag)
    written = [
        snapshot,
        Artifact(f"{LOCKS}/{host}.json", lock_dumps(made.lock()), Comment.JSON),
        Artifact("site.kvmt", made.text(), Comment.HASH),
    ]
    differences, moves = _compare(made, written, targets, outcome)
    text = report(made, differences, moves, outcome.bag.items, outcome.sources)
    written.append(Artifact("import.md", text, Comment.HASH))
    _, bag = write_folder(folder, written, sealed=False)
    outcome.tell(bag)
    return outcome, differences, [] if bag.has_errors else [one.path for one in written]


def _build(folder: Path, files: Sequence[Artifact]) -> Path:
    write_folder(folder, files, sealed=False)
    return folder / "site.kvmt"


def _compare(
    made: Draft, files: Sequence[Artifact], targets: Sequence[Target], outcome: Outcome
) -> tuple[dict[str, list[Difference]] | None, list[tuple[str, str]]]:
    from kvmc.adopt.compare import differences
    from kvmc.adopt.site import moved, parsed

    with TemporaryDirectory(prefix="kvmc-import-") as temporary:
        built = plan_site(_build(Path(temporary), files))
    if built.ok:
        render(built, targets)
    if built.ok:
        audit_files(built)
    outcome.texts.update(built.texts)
    outcome.tell(built.bag)
    if not built.ok or built.placement is None:
        return None, []
    now = [
        (name, " ".join(str(pin) for cell in one.cells for pin in cell.pins))
        for name, one in built.placement.guests.items()
    ]
    moves: list[tuple[str, str]] = []
    for guest, told in moved(made, now):
        why = told or "its CPUs are not those that the pool of such a host gives to pinned guests"
        moves.append((guest.name, f"{why} (`{guest.file}`)"))
    found: dict[str, list[Difference]] = {}
    for guest in made.guests:
        file = built.files[made.host].get(f"domains/{guest.name}.xml")
        if file is None:
            continue
        found[guest.name] = differences(guest.root, parsed(file.text))
    return found, moves
