"""What `kvmc diff` says of a guest that goes to another host: some cannot leave theirs while they run."""

from __future__ import annotations

import pytest

from classes.fleet import Case, golden_domains
from kvmc.audit.hostfiles import HostFiles
from kvmc.audit.reading import read_host
from kvmc.diagnostics import Bag
from kvmc.topology import Topology
from kvmc.verify.guest_changes import changes, places
from support.machines import machine


def files(host: str, text: str, topology: Topology) -> HostFiles:
    return read_host(host, {"domains/x.xml": text}, topology, Bag())


@pytest.mark.parametrize(
    ("guest", "change", "note"),
    [
        ("confidential-tdx-1", ("", ""), "sealed to its host"),
        ("gpu-mdev-1", ("", ""), "a mediated device of its host"),
        ("latency-1", ('migratable="on"', 'migratable="off"'), "what cannot migrate"),
        ("latency-1", ("", ""), "live migration is possible"),
    ],
)
def test_what_stays_where_it_is(guest: str, change: tuple[str, str], note: str) -> None:
    text = golden_domains(Case("intel", "libvirt12"))[guest].replace(*change)
    bag = Bag()
    old, new = ({host: files(host, text, machine())} for host in ("a", "b"))
    (moved,) = [one for one in changes(places(old, bag), places(new, bag)) if one.what == "moved"]
    assert note in moved.note
