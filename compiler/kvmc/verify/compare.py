"""Two trees by meaning: what changes, when each change takes hold, and whom it touches."""

from __future__ import annotations

from collections.abc import Mapping

from kvmc.audit.hostfiles import HostFiles
from kvmc.audit.reading import read_host
from kvmc.diagnostics import Bag, Severity
from kvmc.diagnostics.codes import verify as codes
from kvmc.verify import guest_changes, host_changes
from kvmc.verify.change import Change
from kvmc.verify.check import UNREAD
from kvmc.verify.difference import Effect
from kvmc.verify.meaning import ANY_HOST
from kvmc.verify.trees import Tree


def compare(old: Tree, new: Tree) -> tuple[tuple[Change, ...], Bag]:
    """The changes by host, the host's own before those of its guests. The bag has artifacts that can't be read: what they say is
    not compared."""
    bag = Bag()
    left = {host: _read(host, texts, bag, "old") for host, texts in sorted(old.items())}
    right = {
        host: left[host] if old.get(host) == texts else _read(host, texts, bag, "new")
        for host, texts in sorted(new.items())
    }
    found: list[Change] = []
    for host in sorted(left.keys() | right.keys()):
        if host not in right:
            guests = tuple(domain.name for domain in left[host].domains)
            found.append(Change(host, None, "the host is gone", "", "", Effect.REBOOT, guests))
        elif host not in left:
            found.append(Change(host, None, "the host is new", "", "", Effect.REBOOT))
        elif left[host] is not right[host]:
            found += host_changes.changes(host, left[host], right[host], old[host], new[host])
    before = guest_changes.places(left, bag)
    found += guest_changes.changes(before, guest_changes.places(right, bag, before))
    return tuple(sorted(found, key=lambda one: one.host)), bag


def _read(host: str, texts: Mapping[str, str], bag: Bag, which: str) -> HostFiles:
    reading = Bag()
    files = read_host(host, texts, ANY_HOST, reading)
    for one in reading:
        if one.severity is Severity.ERROR and one.code in UNREAD:
            file = one.primary.span.file if one.primary else host
            bag.error(codes.TREE_UNREADABLE, f"in the {which} tree, `{file}`: {one.message}")
    return files
