"""The snapshot of a system: its `/sys` and `/proc`, and what its software is. Also the program of the script (script.py)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kvmc.diagnostics import Bag
from kvmc.topology.check import check
from kvmc.topology.facts import read_facts
from kvmc.topology.failure import ReadFailure
from kvmc.topology.folder import read_folder
from kvmc.topology.model import Topology
from kvmc.topology.snapshot_write import dumps
from kvmc.topology.sysfs import read_sysfs

_USAGE = """usage: kvmc-scan [--root DIR] [-o FILE]

Read the topology of this host, or of the system below DIR, and write kvmc's snapshot of it to FILE or standard output.
"""


def scan(root: Path, shown: str) -> tuple[Topology | None, Bag]:
    """Read the system below `root`; None where the bag holds an error.

    Of the running system, what this process may use is left out: a session is often kept off the CPUs that guests shall have.
    """
    bag = Bag()
    try:
        topology = read_sysfs(read_folder(root), shown, bag)
    except ReadFailure as failure:
        failure.report(bag, shown)
        return None, bag
    except OSError as error:
        reason = (error.strerror or "input/output error").lower()
        unreadable(reason).report(bag, shown)
        return None, bag
    bag.extend(check(topology, shown))
    if bag.has_errors:
        return None, bag
    live = root.resolve() == Path("/")
    return replace(topology, facts=read_facts(root), allowed=None if live else topology.allowed), bag


def unreadable(reason: str) -> ReadFailure:
    from kvmc.diagnostics.codes import topology as codes

    return ReadFailure(codes.TOPOLOGY_UNREADABLE, f"cannot be read: {reason}")


def main(arguments: Sequence[str]) -> int:
    """The script's own command line; gives the exit status."""
    options = {"--root": "/", "-o": "-"}
    rest = list(arguments)
    while rest:
        name = rest.pop(0)
        if name not in options or not rest:
            sys.stderr.write(_USAGE)
            return 0 if name in ("-h", "--help") else 2
        options[name] = rest.pop(0)
    topology, bag = scan(Path(options["--root"]), options["--root"])
    for item in bag:
        sys.stderr.write(f"{item.severity}[{item.code.id}]: {item.message}\n")
    if topology is None:
        return 1
    text = dumps(topology)
    if options["-o"] == "-":
        sys.stdout.write(text)
    else:
        Path(options["-o"]).write_text(text, encoding="ascii")
    return 0
