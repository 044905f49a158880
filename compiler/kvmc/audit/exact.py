"""A host to the last line: what the other checks leave, once they have found nothing where it stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from kvmc.audit import applylist, asked_domain, asked_knobs, asked_raw, asked_units, irqs, measure, scripts
from kvmc.audit.context import Context
from kvmc.audit.difference import Difference
from kvmc.audit.domain import Domain
from kvmc.audit.identities import Known
from kvmc.audit.locktexts import Lock
from kvmc.audit.reading import kind_of
from kvmc.audit.source import File
from kvmc.diagnostics import Label, Severity, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.site import Site

_MOST_PLACES = 4
"""Places that are put to an error that was told for another reason."""


def check(
    context: Context, files: Mapping[str, str], known: Mapping[str, Known], lock: Lock | None, nowhere: Collection[str]
) -> None:
    """known, lock: of the site and the host. nowhere: paths of domains that no host has, which is told of all hosts together."""
    host = context.files.host
    all = {path: File(f"{host}/{path}", path, text) for path, text in sorted(files.items())}
    usable = [file for file in all.values() if file.name not in _unreadable(context)]
    for file in usable:
        if kind_of(file.path) == "unit":
            asked_units.check(file, context.bag)
    scripts.check(usable, context.bag)
    measure.check(context, {file.path: file for file in usable})
    asked_knobs.check(context)
    irqs.check(context, {file.path: file for file in usable})
    if context.site is not None:
        for domain in context.files.domains:
            _domain(context, context.site, domain, known)
    _steps(context, all, lock, nowhere)


def _unreadable(context: Context) -> set[str]:
    return {
        item.primary.span.file
        for item in context.bag
        if item.code is codes.FILE_UNREADABLE and item.primary is not None
    }


def _domain(context: Context, site: Site, domain: Domain, known: Mapping[str, Known]) -> None:
    vm, host = site.vms.get(domain.name), site.hosts.get(context.files.host)
    if vm is None or host is None or domain.name not in known:
        return
    mine = known[vm.name]
    found: dict[Span, list[Difference]] = {}
    differences = [
        *asked_domain.identity(asked_raw.without(vm, domain), mine),
        *asked_domain.placement(context, vm, domain, mine),
    ]
    differences += asked_domain.check(context, site, host, vm, domain, mine)
    if domain.file.path != f"domains/{domain.name}.xml":
        differences.append(Difference(domain.head, f"is in the file `{domain.file.path}`"))
    if mine.host not in (None, context.files.host):
        differences.append(Difference(domain.head, f"is on host `{context.files.host}`, and its lock on `{mine.host}`"))
    blamed = [span for span in context.blamed() if span.file == domain.file.name]
    for difference in differences:
        place = difference.place
        if not any(span.start < place.end and place.start < span.end for span in blamed):
            found.setdefault(place, []).append(difference)
    if _told(context, domain, found):
        return
    for place, some in found.items():
        context.bag.error(codes.GUEST_DIFFERS, f"`{vm.name}` " + "; ".join(one.text for one in some[:4]), Label(place))


def _told(context: Context, domain: Domain, found: Mapping[Span, list[Difference]]) -> bool:
    """Whether the domain has an error already: the differences are then its places, not causes of their own."""
    for index, item in enumerate(context.bag.items):
        labels = [label for label in (item.primary, *item.secondary) if label is not None]
        if item.severity is Severity.ERROR and any(label.span.file == domain.file.name for label in labels):
            more = [Label(place, some[0].text) for place, some in list(found.items())[:_MOST_PLACES]]
            context.bag.items[index] = replace(item, secondary=(*item.secondary, *more))
            return True
    return False


def _steps(context: Context, files: Mapping[str, File], lock: Lock | None, nowhere: Collection[str]) -> None:
    file = files.get(applylist.PATH)
    if file is None:
        written = any(path in applylist.KNOWN or path.startswith("domains/") for path in files)
        if context.site is not None and context.files.host in context.site.hosts and written:
            name = f"{context.files.host}/{applylist.PATH}"
            context.bag.error(codes.APPLY_WRONG, f"`{name}` is missing: nothing tells how the tree is applied")
        return
    if file.name in _unreadable(context):
        return
    retired: Mapping[str, str] | None = None
    if lock is not None:
        names = {domain.name for domain in context.files.domains}
        uuids = {domain.uuid.value for domain in context.files.domains if domain.uuid is not None}
        retired = {
            name: uuid
            for name, uuid in lock.retired.items()
            if name not in names and uuid.replace("-", "") not in uuids
        }
    site = context.site
    twisted = {path for path, other in files.items() if other.name in _faulty(context)}
    applylist.check(
        context.files.host,
        file,
        files,
        retired,
        context.bag,
        twisted=twisted,
        site=site is not None,
        missing=nowhere,
    )
    # A file that is one too many is told as that.
    extra = {item.primary for item in context.bag if item.code is codes.FILE_UNLISTED}
    context.bag.items = [
        item for item in context.bag if item.code is not codes.FILE_UNKNOWN or item.primary not in extra
    ]


def _faulty(context: Context) -> set[str]:
    """Files that an error is told of."""
    errors = [item for item in context.bag if item.severity is Severity.ERROR]
    return {item.primary.span.file for item in errors if item.primary is not None}
