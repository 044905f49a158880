"""Relations of the site's guests to each other, judged by where the files put their vCPUs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kvmc.audit.domain import Domain
from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import Domain as Kind
from kvmc.model.site import Place, Site, Strength
from kvmc.topology import Topology


def check(site: Site, there: Sequence[tuple[str, Domain]], topologies: Mapping[str, Topology], bag: Bag) -> None:
    """Each relation that must hold; the first two guests that break it. Preferred ones are no promise."""
    for place in site.places.values():
        if place.strength is Strength.PREFER:
            continue
        mine = [
            (domain, _domains(place, host, domain, site, topologies))
            for host, domain in there
            if domain.name in place.vms
        ]
        (_together if place.relation == "together" else _apart)(place, mine, bag)


def _domains(place: Place, host: str, domain: Domain, site: Site, topologies: Mapping[str, Topology]) -> frozenset[str]:
    """What the guest's vCPUs are in, as messages name it; empty where the topology does not tell."""
    known = site.hosts.get(host)
    if place.domain is Kind.RACK and known is not None and known.rack is not None:
        return frozenset((f"rack `{known.rack}`",))
    if place.domain in (Kind.RACK, Kind.HOST):
        return frozenset((f"host `{host}`",))
    topology = topologies[host]
    pins = [pin.value for vcpu, pin in domain.pins.items() if vcpu < domain.count]
    cpus = union(pins) if pins else domain.mask.value if domain.mask is not None else CpuSet()
    groups: Iterable[tuple[str, CpuSet]]
    if place.domain is Kind.NODE:
        groups = [(f"node {node.id}", node.cpus) for node in topology.nodes]
    elif place.domain is Kind.PACKAGE:
        groups = [(f"package {index}", package) for index, package in enumerate(topology.packages or ())]
    else:
        groups = [(f"the L3 cache of CPUs {l3}", l3) for l3 in topology.l3 or ()]
    return frozenset(f"{name} of host `{host}`" for name, members in groups if members & cpus)


def _apart(place: Place, guests: Iterable[tuple[Domain, frozenset[str]]], bag: Bag) -> None:
    first: dict[str, Domain] = {}
    for domain, held in guests:
        for where in sorted(held):
            other = first.setdefault(where, domain)
            if other is not domain:
                bag.error(
                    codes.NOT_APART,
                    f"`{other.name}` and `{domain.name}` are together on {where}; `place {place.name}` keeps them apart",
                    Label(domain.head),
                    secondary=[Label(other.head)],
                )
                break


def _together(place: Place, guests: Iterable[tuple[Domain, frozenset[str]]], bag: Bag) -> None:
    first: tuple[Domain, frozenset[str]] | None = None
    for domain, held in guests:
        if not held:
            continue
        if len(held) > 1:
            text = f"`{domain.name}` is in {' and '.join(sorted(held)[:4])}; `place {place.name}` keeps it in one"
            bag.error(codes.NOT_TOGETHER, text, domain.head)
            return
        first = first or (domain, held)
        if first[1] != held:
            bag.error(
                codes.NOT_TOGETHER,
                f"`{first[0].name}` is in {next(iter(first[1]))} and `{domain.name}` in {next(iter(held))}; "
                f"`place {place.name}` keeps them together",
                Label(domain.head),
                secondary=[Label(first[0].head)],
            )
            return
