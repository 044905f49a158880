"""One host: what runs against its folder of artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kvmc.audit.reading import read_host
from kvmc.diagnostics import Bag, Severity, Sources, Span
from kvmc.diagnostics.codes import audit as audit_codes
from kvmc.diagnostics.codes import verify as codes
from kvmc.diagnostics.text import counted
from kvmc.verify import boot, guests, host, installed, interrupts, pages
from kvmc.verify.case import APPLY, ApplyList, Case
from kvmc.verify.difference import Difference, Effect, Kind
from kvmc.verify.meaning import ANY_HOST
from kvmc.verify.root import Root

UNREAD = frozenset(
    {audit_codes.FILE_UNREADABLE, audit_codes.VALUE_UNREADABLE, audit_codes.REPEATED, audit_codes.BOOT_NODE_ABSENT}
)
"""What the readers of artifacts find and what then could not be compared."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """differences: in the order in which a host comes up. bag: the same as diagnostics, with notes, and with the artifacts that
    can't be read; `sources` has their texts."""

    host: str
    differences: tuple[Difference, ...]
    bag: Bag
    sources: Sources

    @property
    def equal(self) -> bool:
        return not self.differences and not self.bag.has_errors

    @property
    def readable(self) -> bool:
        """Whether all could be compared: what was captured tells it, and the artifacts can be read."""
        told = {one.kind for one in self.differences}
        errors = sum(item.severity is Severity.ERROR for item in self.bag)
        return Kind.NOT_TOLD not in told and errors == len(self.differences)

    @property
    def summary(self) -> str:
        """A line for people."""
        if self.equal:
            return f"{self.host}: runs as it was compiled\n"
        if not self.differences:
            return f"{self.host or 'this host'}: could not be compared\n"
        waits = [one for one in self.differences if one.pending]
        text = f"{self.host}: {counted(len(self.differences), 'difference')}"
        for effect in (Effect.RESTART, Effect.REBOOT):
            number = sum(one.effect is effect for one in waits)
            text += f", {number} pending a {effect}" if number else ""
        return text + ("" if self.readable else ", and not all could be compared") + "\n"


def verify_host(name: str, texts: Mapping[str, str], root: Root, elsewhere: Mapping[str, str] | None = None) -> Verdict:
    """texts: the host's artifacts by their path below its folder. elsewhere: guests that were compiled for other hosts, with these.

    Raises nothing, whatever the root holds.
    """
    reading = Bag()
    files = read_host(name, texts, ANY_HOST, reading)
    bag = Bag()
    bag.extend(one for one in reading if one.severity is Severity.ERROR and one.code in UNREAD)
    case = Case(name, files, texts, root, ApplyList(texts.get(APPLY, "")))
    if not texts:
        bag.error(codes.NOTHING_COMPILED, f"there are no artifacts of host `{name}`")
        return Verdict(name, (), bag, Sources({}))
    installed.look(case)
    boot.check(case)
    boot.check_online(case)
    interrupts.check(case)
    there = guests.read_guests(case)
    pages.check(case, {guest.name for guest in there or () if guest.live is not None})
    host.check_sysctls(case)
    host.check_modules(case)
    host.check_tuned(case)
    host.check_services(case)
    host.check_vfs(case)
    host.check_shares(case)
    if there is not None:
        guests.check(case, there, elsewhere or {})
    elif files.domains:
        case.missing("which guests there are", f"{len(files.domains)}", None)
    installed.check(case)
    differences = _merged(case.found)
    bag.extend(one.diagnostic() for one in differences)
    bag.extend(case.notes)
    sources = Sources({f"{name}/{path}": text for path, text in texts.items()})
    return Verdict(name, differences, bag, sources)


def _merged(found: list[Difference]) -> tuple[Difference, ...]:
    """Differences of one kind at one place are one: a bag of diagnostics would hold the first alone."""
    merged: dict[tuple[Kind, Span | str, str | None], Difference] = {}
    for one in found:
        key = (one.kind, one.place or one.message, one.guest)
        first = merged.get(key)
        merged[key] = one if first is None else replace(first, setters=(*first.setters, f"also: {one.message}"))
    return tuple(merged.values())
