"""Parts of L3 caches and limits of memory bandwidth: each on caches that its vCPUs run on, all together no more than there is.

What libvirt takes: whole ways, no fewer than the CPU's least, never a whole cache; of what neither the default group nor a guest
has (libvirt's formatdomain page, "cachetune" and "memorytune"; kernel, Documentation/filesystems/resctrl.rst).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kvmc.audit import cpulists, xml
from kvmc.audit.context import Context
from kvmc.audit.difference import Difference
from kvmc.audit.domain import Domain
from kvmc.audit.elements import Reader
from kvmc.audit.source import At
from kvmc.diagnostics import Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import Host, Vm
from kvmc.topology.model import Resctrl, Topology

_PATHS = {"cachetune": "cache", "memorytune": "node"}
_LEVEL = "3"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a cache, or a limit behind it. id: the cache's. amount: bytes, or percent."""

    id: int
    type: str
    amount: int
    span: Span


@dataclass(slots=True)
class Tune:
    """A `<cachetune>` or `<memorytune>`: the guest's vCPUs that it is for."""

    tag: str
    vcpus: CpuSet
    span: Span
    parts: list[Part] = field(default_factory=list)


def tunes_of(domain: Domain, reader: Reader) -> list[Tune]:
    """All of a guest, as far as they can be read."""
    found: list[Tune] = []
    for tag, inner in _PATHS.items():
        for node in domain.root.all("cputune", tag):
            vcpus = reader.cpus(reader.needed(node, "vcpus"), cpulists.libvirt_list, "the list of vCPUs")
            if vcpus is None:
                continue
            tune = Tune(tag, vcpus.value, vcpus.span)
            tune.parts = [part for one in node.children(inner) if (part := _part(one, tag, reader)) is not None]
            found.append(tune)
    return found


def _part(node: xml.Node, tag: str, reader: Reader) -> Part | None:
    id = reader.number(reader.needed(node, "id"))
    if tag == "memorytune":
        percent = reader.number(reader.needed(node, "bandwidth"))
        return Part(id, "", percent, node.span) if id is not None and percent is not None else None
    size = reader.needed(node, "size")
    kib = reader.bytes(size, node.get("unit", "KiB")) if size is not None else None
    if id is None or kib is None or node.get("level") != _LEVEL:
        return None
    return Part(id, node.get("type"), kib.value, node.span)


@dataclass(frozen=True, slots=True)
class _Limits:
    """What the topology tells of the host. way: bytes of one."""

    topology: Topology

    @property
    def of(self) -> Mapping[str, Resctrl]:
        return {one.resource: one for one in self.topology.resctrl or ()}

    def cache(self, type: str) -> Resctrl | None:
        return self.of.get({"both": "L3", "code": "L3CODE", "data": "L3DATA"}.get(type, ""))

    @property
    def size(self) -> int | None:
        sizes = {one.size_kib for one in self.topology.caches or () if one.level == 3 and one.type != "instruction"}
        return min(sizes) * 1024 if len(sizes) == 1 else None

    def way(self, type: str) -> int | None:
        limit, size = self.cache(type), self.size
        return size // limit.ways if limit is not None and limit.ways and size else None

    @property
    def by_id(self) -> Mapping[int, CpuSet]:
        """CPUs of each cache; empty where its numbers are not told."""
        ids, l3 = self.topology.l3_ids or (), self.topology.l3 or ()
        return dict(zip(ids, l3, strict=True)) if len(ids) == len(l3) else {}


def check(context: Context) -> None:
    """What files and topology tell by themselves."""
    limits = _Limits(context.topology)
    reader = Reader(context.bag)
    all_tunes = [(domain, tunes_of(domain, reader)) for domain in context.files.domains]
    for domain, tunes in all_tunes:
        _sets(context, domain, tunes)
        for tune in tunes:
            for part in tune.parts:
                _part_alone(context, domain, tune, part, limits)
    _together(context, all_tunes, limits)


def _sets(context: Context, domain: Domain, tunes: list[Tune]) -> None:
    """vCPUs that are there; sets that are apart, or of two kinds and the same: each set is one group of resctrl."""
    for index, tune in enumerate(tunes):
        stray = CpuSet.of(vcpu for vcpu in tune.vcpus if vcpu >= domain.count)
        if stray:
            context.bag.error(
                codes.STRAY,
                f"`{domain.name}` has a `{tune.tag}` for vCPUs {stray}, and {counted(domain.count, 'vCPU')} from 0",
                tune.span,
            )
        for other in tunes[:index]:
            both = tune.vcpus & other.vcpus
            if both and (tune.tag == other.tag or tune.vcpus != other.vcpus):
                context.bag.error(
                    codes.TUNE_OVERLAPS,
                    f"vCPUs {both} of `{domain.name}` are in a `{other.tag}` for {other.vcpus} and a `{tune.tag}` for {tune.vcpus}",
                    tune.span,
                    secondary=[At(other.vcpus, other.span).label(f"vCPUs {other.vcpus}")],
                )


def _part_alone(context: Context, domain: Domain, tune: Tune, part: Part, limits: _Limits) -> None:
    bag, caches = context.bag, limits.by_id
    if caches and (part.id not in caches or part.id >= len(caches)):
        bag.error(
            codes.TUNE_ELSEWHERE,
            f"`{domain.name}` is given a part of L3 cache {part.id}; libvirt knows {', '.join(map(str, _known(caches)))} of "
            f"host `{context.files.host}`",
            part.span,
        )
        return
    runs = union(pin.value for vcpu, pin in domain.pins.items() if vcpu in tune.vcpus)
    if caches and runs and not runs & caches[part.id]:
        bag.error(
            codes.TUNE_ELSEWHERE,
            f"`{domain.name}` is given a part of L3 cache {part.id}, of CPUs {caches[part.id]}, and runs on {runs}",
            part.span,
        )
        return
    if tune.tag == "memorytune":
        _percent(context, domain, part, limits)
        return
    limit, way = limits.cache(part.type), limits.way(part.type)
    if limits.of and limit is None:
        bag.error(
            codes.TUNE_SIZE,
            f"`{domain.name}` is given a part of type `{part.type[:20]}`; resctrl of host `{context.files.host}` has "
            f"{', '.join(limits.of)}",
            part.span,
        )
    elif limit is not None and limit.ways and way:
        ways, rest = divmod(part.amount, way)
        least = max(limit.min_ways or 1, 1)
        if rest or not least <= ways < limit.ways:
            bag.error(
                codes.TUNE_SIZE,
                f"`{domain.name}` is given {part.amount} bytes of L3 cache {part.id}, {ways} ways of {way} bytes"
                f"{f' and {rest}' if rest else ''}; a part is {least} to {limit.ways - 1} whole ones",
                part.span,
            )


def _known(caches: Mapping[int, CpuSet]) -> list[int]:
    """libvirt counts the caches, and takes numbers below that."""
    return [id for id in sorted(caches) if id < len(caches)]


def _percent(context: Context, domain: Domain, part: Part, limits: _Limits) -> None:
    limit = limits.of.get("MB")
    if limit is None:
        if limits.of:
            text = f"`{domain.name}` has a limit of memory bandwidth; resctrl of host `{context.files.host}` has none"
            context.bag.error(codes.TUNE_SIZE, text, part.span)
        return
    step, least = limit.step_percent or 1, limit.min_percent or 1
    if part.amount % step or part.amount < least:
        context.bag.error(
            codes.TUNE_SIZE,
            f"`{domain.name}` has a limit of {part.amount} % behind L3 cache {part.id}; it is to be {least} or more, in steps of "
            f"{step}",
            part.span,
        )


def _together(context: Context, tunes: list[tuple[Domain, list[Tune]]], limits: _Limits) -> None:
    """Ways of each cache with what the default group keeps, and groups."""
    blamed = context.blamed()
    used: dict[tuple[str, int], int] = {}
    groups = 0
    for domain, some in tunes:
        groups += len({tune.vcpus for tune in some})
        closids = min((one.closids for one in limits.of.values()), default=0)
        if some and closids and groups > closids - 1:
            context.bag.error(
                codes.TUNE_TOO_MUCH,
                f"guests of host `{context.files.host}` need {counted(groups, 'group')} of resctrl with `{domain.name}`; there are "
                f"{closids - 1} beside the default one",
                some[0].span,
            )
            return
        for tune in some:
            for part in tune.parts:
                limit, way = limits.cache(part.type), limits.way(part.type)
                if tune.tag == "memorytune" or limit is None or not limit.ways or not way or part.span in blamed:
                    continue
                key = (part.type, part.id)
                used[key] = used.get(key, 0) + part.amount // way
                kept = _kept(context, limit, part.id)
                if used[key] + kept > limit.ways:
                    context.bag.error(
                        codes.TUNE_TOO_MUCH,
                        f"guests of host `{context.files.host}` take {used[key]} ways of L3 cache {part.id} with `{domain.name}`; "
                        f"it has {limit.ways}, and the default group keeps {kept}",
                        part.span,
                    )
                    return


def _kept(context: Context, limit: Resctrl, id: int) -> int:
    """Ways of the default group: as a script leaves them, else the fewest that it can have."""
    masks = [one.mask for one in context.files.shares if one.resource == limit.resource and one.id == id]
    return masks[-1].bit_count() if masks else max(limit.min_ways or 1, 1)


# -- against the site


def asked(context: Context, vm: Vm, domain: Domain) -> Iterator[Difference]:
    """The parts of a guest against what it asks for, on the host where it is."""
    limits = _Limits(context.topology)
    kinds = ("code", "data") if "L3CODE" in limits.of else ("both",)
    runs = union(pin.value for pin in domain.pins.values())
    ids = [id for id, cpus in limits.by_id.items() if cpus & runs]
    way = limits.way(kinds[0]) or 1
    least = max((limit.min_ways or 1) if (limit := limits.cache(kinds[0])) is not None else 1, 1)
    memory = limits.of.get("MB")
    step, lowest = ((memory.step_percent or 1), (memory.min_percent or 1)) if memory is not None else (1, 1)
    want: dict[tuple[str, int, str], int] = {}
    if vm.cachetune is not None:
        size = max(-(-vm.cachetune * 1024 // way), least) * way
        want |= {("cachetune", id, kind): size for id in ids for kind in kinds}
    if vm.memorytune is not None:
        percent = max(-(-vm.memorytune // step) * step, lowest)
        want |= {("memorytune", id, ""): percent for id in ids}
    if any(raw.carrier == "xml" and "tune" in (raw.value or "") for raw in vm.raws.values()):
        return  # it says in so many words what it has
    tunes = tunes_of(domain, Reader(context.bag))
    every = CpuSet.of(range(vm.vcpus))
    for tune in tunes:
        if tune.vcpus != every:
            yield Difference(tune.span, f"has a `{tune.tag}` for vCPUs {tune.vcpus}, and is to have it for {every}")
        for part in tune.parts:
            amount = want.pop((tune.tag, part.id, part.type), None)
            if amount != part.amount:
                yield Difference(
                    part.span,
                    f"has {part.amount} {'bytes' if part.type else '%'} of L3 cache {part.id}, and is to have {amount or 'none'}",
                )
    for (tag, id, _), amount in want.items():
        yield Difference(domain.head, f"asks for {amount} of L3 cache {id} by `{tag}`, and has no such part")


def offered(context: Context, host: Host) -> None:
    """The default group of a host keeps what is not offered, of each cache that libvirt can tune."""
    if not context.files.has_host_half:
        return
    limits = _Limits(context.topology)
    names = ("L3CODE", "L3DATA") if "L3CODE" in limits.of else ("L3",)
    want: dict[tuple[str, int], int] = {}
    for name in names if host.resctrl_l3_kib is not None else ():
        limit, size = limits.of.get(name), limits.size
        if limit is None or not limit.ways or size is None:
            continue
        whole = (1 << limit.ways) - 1
        offer = host.resctrl_l3_kib * 1024 // (size // limit.ways) if host.resctrl_l3_kib else 0
        want |= {(name, id): whole >> offer << offer for id in _known(limits.by_id)}
    for share in context.files.shares:
        mask = want.pop((share.resource, share.id), None)
        limit = limits.of.get(share.resource)
        whole = (1 << (limit.ways or 0)) - 1 if limit is not None else 0
        if mask != share.mask or whole != share.whole:
            context.bag.error(
                codes.OFFER_BROKEN,
                f"host `{host.name}` leaves {share.mask:x} of {share.resource} {share.id} to the default group, of "
                f"{share.whole:x}; it is to leave {f'{mask:x} of {whole:x}' if mask is not None else 'all'}",
                share.span,
            )
    for (name, id), mask in want.items():
        context.bag.error(
            codes.OFFER_BROKEN,
            f"host `{host.name}` is to leave {mask:x} of {name} {id} to the default group of resctrl; no file does",
            context.files.heads.get(_SCRIPT),
        )
    asks = host.resctrl_l3_kib is not None or bool(host.resctrl_bandwidth)
    for path in (_SCRIPT, _UNIT):
        if asks and path not in context.files.heads:
            context.bag.error(
                codes.OFFER_BROKEN, f"host `{host.name}` offers parts of its L3 caches, and has no `{path}`"
            )
        elif not asks and path in context.files.heads:
            text = f"host `{host.name}` offers no part of its L3 caches, and has `{path}`"
            context.bag.error(codes.OFFER_BROKEN, text, context.files.heads[path])
    _limits_together(context, host)


_SCRIPT = "etc/kvmc/share-resctrl"
_UNIT = "etc/systemd/system/kvmc-resctrl.service"


def _limits_together(context: Context, host: Host) -> None:
    """Limits of bandwidth add up to no more than the host offers."""
    used: dict[int, int] = {}
    for domain in context.files.domains:
        for tune in tunes_of(domain, Reader(context.bag)):
            for part in tune.parts if tune.tag == "memorytune" else ():
                used[part.id] = used.get(part.id, 0) + part.amount
                if used[part.id] > host.resctrl_bandwidth:
                    context.bag.error(
                        codes.TUNE_TOO_MUCH,
                        f"limits behind L3 cache {part.id} of host `{host.name}` add up to {used[part.id]} % with `{domain.name}`; "
                        f"{host.resctrl_bandwidth} are offered",
                        part.span,
                    )
                    return
