"""What only one guest may have: a name, a uuid, a MAC address, a PCI function, a disk."""

from __future__ import annotations

from collections.abc import Iterable

from kvmc.audit.domain import Domain
from kvmc.diagnostics import Bag, Code, Label, Span
from kvmc.diagnostics.codes import audit as codes


def single(domains: Iterable[Domain], bag: Bag) -> list[Domain]:
    """Each guest once: what else could be said of a second one has the same cause."""
    first: dict[str, Domain] = {}
    for domain in domains:
        other = first.setdefault(domain.name, domain)
        if other is not domain:
            bag.error(
                codes.GUEST_TWICE,
                f"`{domain.name}` is there twice: {other.file.name} and {domain.file.name}",
                Label(domain.head),
                secondary=[Label(other.head)],
            )
    return list(first.values())


def check_host(domains: Iterable[Domain], bag: Bag) -> None:
    """Within one host, everything."""
    seen: dict[tuple[str, str], tuple[str, Span]] = {}
    for domain in domains:
        for function in domain.functions:
            _once(codes.DEVICE_OWNED_TWICE, "PCI function", str(function.value), domain.name, function.span, seen, bag)
        for disk in domain.disks:
            if disk.value.source and not disk.value.shared:
                _once(codes.DISK_OWNED_TWICE, "disk", disk.value.source, domain.name, disk.span, seen, bag)


def check_identities(domains: Iterable[Domain], bag: Bag) -> None:
    """Within one host or over several: they share networks, and guests move between them."""
    seen: dict[tuple[str, str], tuple[str, Span]] = {}
    for domain in domains:
        if domain.uuid is not None:
            _once(codes.IDENTITY_TWICE, "uuid", domain.uuid.value, domain.name, domain.uuid.span, seen, bag)
        for nic in domain.nics:
            if nic.value.mac is not None:
                mac = nic.value.mac
                _once(codes.IDENTITY_TWICE, "MAC address", mac.value, domain.name, mac.span, seen, bag)


def _once(
    code: Code, what: str, value: str, guest: str, place: Span, seen: dict[tuple[str, str], tuple[str, Span]], bag: Bag
) -> None:
    other = seen.setdefault((what, value), (guest, place))
    if other[1] != place:
        whom = f"`{other[0]}` and `{guest}`" if other[0] != guest else f"`{guest}` twice"
        bag.error(
            code,
            f"{what} {value[:100]} is given to {whom}",
            Label(place, f"`{guest}`"),
            secondary=[Label(other[1], f"`{other[0]}`")],
        )
