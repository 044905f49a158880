"""The audit of one host, and of a whole site."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from kvmc.audit import (
    agreement,
    cpus,
    exact,
    expanders,
    faithful,
    groups,
    handwritten,
    identities,
    identity,
    irqs,
    locktexts,
    nodes,
    offers,
    pages,
    relations,
    tuning,
    vswitch,
)
from kvmc.audit.context import Context
from kvmc.audit.domain import Domain
from kvmc.audit.handwritten import Found
from kvmc.audit.hostfiles import HostFiles
from kvmc.audit.identities import Known
from kvmc.audit.locktexts import Lock
from kvmc.audit.reading import read_files, read_host
from kvmc.diagnostics import Bag, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.diagnostics.text import counted
from kvmc.model.site import Site
from kvmc.model.values import Version
from kvmc.topology import Topology


def audit_host(host: str, files: Mapping[str, str], topology: Topology, site: Site | None) -> Bag:
    """Whether one host's files agree with each other and with its topology, and with the site where there is one.

    files: path below the host's folder -> text. Spans have the file `<host>/<path>`. What only all hosts together can tell (a
    guest that is missing or there twice) is `audit_site`'s.
    """
    bag = Bag()
    _host(host, files, topology, site, identities.of_site(site, {}) if site else {}, None, (), bag)
    return bag


def _host(
    host: str,
    files: Mapping[str, str],
    topology: Topology,
    site: Site | None,
    known: Mapping[str, Known],
    lock: Lock | None,
    nowhere: Collection[str],
    bag: Bag,
) -> HostFiles:
    mine = Bag()
    value = read_host(host, files, topology, mine)
    context = Context(value, site, mine)
    _consistent(context)
    offers.check(context)
    faithful.check(context)
    exact.check(context, files, known, lock, nowhere)
    bag.extend(mine)
    return value


def _consistent(context: Context) -> None:
    """What files and topology tell by themselves."""
    value = context.files
    value.domains = identity.single(value.domains, context.bag)
    identity.check_identities(value.domains, context.bag)
    identity.check_host(value.domains, context.bag)
    agreement.check(context)
    irqs.check_kept(context)
    cpus.check(context)
    nodes.check(context)
    expanders.check(context)
    groups.check(context)
    pages.check(context)
    tuning.check(context)
    vswitch.check(context)


def audit_handwritten(host: str, found: Iterable[Found], topology: Topology, kernel: Version | None = None) -> Bag:
    """Whether the files of one host that people wrote agree with each other, with its topology and with what is known of the knobs
    that they name. What they do not tell is not judged. Spans have the files' own names.

    kernel: the host's release, where its topology does not tell it.
    """
    from kvmc.audit import known

    bag = Bag()
    files = handwritten.host_files(found, bag)
    context = Context(read_files(host, files, topology, bag, handwritten=True), None, bag)
    _consistent(context)
    known.check(context, {file.name: file for file in files}, kernel)
    return bag


def audit_site(
    trees: Mapping[str, Mapping[str, str]],
    topologies: Mapping[str, Topology],
    site: Site | None,
    locks: Mapping[str, str] | None = None,
) -> Bag:
    """Every host as `audit_host` does, then all together: identities, and with the site that each guest is there once, none is
    missing, and their relations hold. Hosts in the order of their names.

    locks: host -> text of its lock. With them guests are judged by the placement and the identity that the last build gave them;
    without, by the rule that makes identities from names.
    """
    bag = Bag()
    rows = {host: lock for host, text in (locks or {}).items() if (lock := locktexts.read(host, text, bag)) is not None}
    known = identities.of_site(site, rows) if site else {}
    there = {path for files in trees.values() for path in files}
    nowhere = {path for path in (f"domains/{vm}.xml" for vm in (site.vms if site else ())) if path not in there}
    domains: list[tuple[str, Domain]] = []
    for host in sorted(trees):
        topology = topologies.get(host)
        if topology is None:
            bag.error(
                codes.HOST_EXTRA,
                f"artifacts for `{host}` are there, which is no host of the site with a topology",
                next((Span(f"{host}/{path}", 0, 0) for path in trees[host]), None),
            )
            continue
        value = _host(host, trees[host], topology, site, known, rows.get(host), nowhere, bag)
        domains += [(host, domain) for domain in value.domains]
    kept = {id(domain) for domain in identity.single([domain for _, domain in domains], bag)}
    domains = [(host, domain) for host, domain in domains if id(domain) in kept]
    identity.check_identities([domain for _, domain in domains], bag)
    if site is not None:
        _all_there(trees, domains, site, bag)
        relations.check(site, domains, topologies, bag)
    return bag


def _all_there(trees: Mapping[str, Mapping[str, str]], domains: list[tuple[str, Domain]], site: Site, bag: Bag) -> None:
    for host in site.hosts:
        if host not in trees:
            bag.error(codes.HOST_MISSING, f"host `{host}` of the site has no artifacts")
    there = {domain.name for _, domain in domains}
    for name, vm in site.vms.items():
        if name not in there and not vm.optional:
            bag.error(
                codes.GUEST_MISSING,
                f"`{name}` is in no host's files: {counted(len(trees), 'host')}, and no `domains/{name}.xml`",
            )
