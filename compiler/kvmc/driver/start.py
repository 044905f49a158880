"""`kvmc init`: a folder with a config repository in it."""

from __future__ import annotations

from pathlib import Path

from kvmc.artifacts import Artifact
from kvmc.diagnostics import Bag
from kvmc.driver.outcome import Outcome
from kvmc.output.folder import write_folder
from kvmc.start.project import example_topology, start_project
from kvmc.topology.model import Topology
from kvmc.topology.read import read_topology
from kvmc.topology.snapshot import loads

EXAMPLE_HOST = "example"


def start_site(folder: Path, name: str, host: str, topology: Path | None) -> tuple[Outcome, tuple[Artifact, ...]]:
    """Write the repository's files; nothing that is there is written over. topology: of the user's host, in any known format."""
    outcome = Outcome(Bag())
    found: Topology | None
    if topology is None:
        found, bag = loads(example_topology(), "the example")
    else:
        found, bag = read_topology(topology, str(topology))
    if not outcome.tell(bag) or found is None:
        return outcome, ()
    files = start_project(name, host, found, example=topology is None)
    _, bag = write_folder(folder, files, sealed=False)
    outcome.tell(bag)
    return outcome, files
