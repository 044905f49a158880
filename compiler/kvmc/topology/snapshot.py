"""kvmc's own form of a topology: JSON that is committed, compared line by line and, where need be, written by hand.

`FORMAT` is its version. snapshot_write has the writer, snapshot_read the reader.
"""

from __future__ import annotations

from kvmc.diagnostics import Bag
from kvmc.topology.check import check
from kvmc.topology.failure import ReadFailure
from kvmc.topology.model import Topology
from kvmc.topology.snapshot_read import parse
from kvmc.topology.snapshot_write import FORMAT, dumps


def loads(text: str, shown: str) -> tuple[Topology | None, Bag]:
    """Read a snapshot: every key known, every value in its range, nothing contradicting. None where the bag holds an error."""
    bag = Bag()
    try:
        topology = parse(text, shown, bag)
    except ReadFailure as failure:
        failure.report(bag, shown)
        return None, bag
    if not bag.has_errors:
        bag.extend(check(topology, shown))
    return (None if bag.has_errors else topology), bag


__all__ = ["FORMAT", "dumps", "loads"]
