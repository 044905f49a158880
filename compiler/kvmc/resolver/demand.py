"""What each guest needs, apart from any host's state: its cells, its devices, and the hosts it may go to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import placement as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import EMPTY, CpuSet
from kvmc.model.origins import Origins
from kvmc.model.site import (
    L3,
    Cores,
    Domain,
    Emulator,
    Hostdev,
    Locality,
    MemoryKind,
    MemoryMode,
    Near,
    Nic,
    Pinning,
    Place,
    Site,
    Strength,
    Threads,
    Vm,
)
from kvmc.model.values import PciAddress
from kvmc.resolver.memory import overhead, split_memory, split_vcpus
from kvmc.resolver.refusals import Refusal, refuse

DeviceKey = tuple[str, str]
"""A guest's device: `nic` or `hostdev`, and its label."""
Claim = tuple[str, str]
"""A place and one of its domains (a host or a rack): held by one guest at a time."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One guest node. vcpus: those with a CPU each; of a shared guest all. normal_kib: overhead, and the memory itself where the
    guest has normal pages. floating: vCPUs of a mixed guest that float beside those."""

    vcpus: int
    memory_kib: int
    normal_kib: int
    floating: int = 0


@dataclass(frozen=True, slots=True)
class MemoryCell:
    """A guest node without vCPUs: memory of a kind, in normal pages, on a node of the host that has no other of the guest's."""

    memory_kib: int
    kind: MemoryKind


def alike(one: Cell, other: Cell) -> bool:
    """Whether two cells of a guest may change places; the overhead that is no node's counts for the first, and not here."""
    return one.vcpus == other.vcpus and one.memory_kib == other.memory_kib and one.floating == other.floating


def uneven(cells: Sequence[Cell]) -> bool:
    """Whether the cells of a guest differ, so that it matters which of them lies on which node."""
    return len(cells) > 1 and any(not alike(cells[0], cell) for cell in cells[1:])


def arrangements(cells: Sequence[Cell], nodes: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """Ways to lay the cells each on a node of its own: a node for each cell. Cells that are alike lie in the order of the nodes,
    else each set of nodes would come several times."""
    if not uneven(cells):
        yield from combinations(nodes, len(cells))
        return
    twins = [(a, b) for a, b in combinations(range(len(cells)), 2) if alike(cells[a], cells[b])]
    for found in permutations(nodes, len(cells)):
        if all(found[a] < found[b] for a, b in twins):
            yield found


@dataclass(frozen=True, slots=True)
class Relation:
    """One of a guest's relations to others, besides being apart across hosts or racks where that must be."""

    place: str
    title: str
    together: bool
    domain: Domain
    required: bool


class Hosts(Mapping[str, tuple[Claim, ...]]):
    """Hosts that a guest may go to, each with the claims that it holds there.

    able: these hosts, each with its rack; one value for all guests that are alike. apart: (place, `host` or `rack`).
    """

    __slots__ = ("able", "apart")

    def __init__(self, able: Mapping[str, str | None], apart: tuple[tuple[str, str], ...]) -> None:
        self.able = able
        self.apart = apart

    def __getitem__(self, host: str) -> tuple[Claim, ...]:
        rack = self.able[host]
        if not self.apart:
            return ()
        return tuple(
            (place, host if across == "host" else f"rack {rack}" if rack else f"host {host}")
            for place, across in self.apart
        )

    def __contains__(self, host: object) -> bool:
        return host in self.able

    def __iter__(self) -> Iterator[str]:
        return iter(self.able)

    def __len__(self) -> int:
        return len(self.able)


class _Refusals(Mapping[str, Refusal]):
    """Refusals of one guest, told of another that is alike in all that they depend on."""

    __slots__ = ("told", "vm")

    def __init__(self, told: Mapping[str, Refusal], vm: str) -> None:
        self.told = told
        self.vm = vm

    def __getitem__(self, host: str) -> Refusal:
        one = self.told[host]
        return replace(one, path=("vm", self.vm, *one.path[2:]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.told)

    def __len__(self) -> int:
        return len(self.told)


@dataclass(frozen=True, slots=True)
class Close:
    """A device that a guest is near without owning it: one of a device pool, or at one of these addresses."""

    label: str
    pool: str | None
    addresses: tuple[PciAddress, ...]
    package: bool
    """A node in one package with it is near enough."""
    required: bool


@dataclass(frozen=True, slots=True)
class Demand:
    """One guest. devices: what each `nic` and `hostdev` takes, by (kind, label): the name of a device pool.

    hosts: those it may go to, with the claims that it holds there. refused: why not the others.
    """

    vm: str
    dedicated: bool
    threads: Threads
    l3: L3
    own: bool
    pages_kib: int | None
    cells: tuple[Cell, ...]
    devices: tuple[tuple[tuple[str, str], str], ...]
    hosts: Hosts
    refused: Mapping[str, Refusal]
    weight: int | None = None
    """Of an optional guest; None: it must have a place."""
    floating: CpuSet = EMPTY
    """vCPUs of a mixed guest that float, by their numbers."""
    cores: Cores = Cores.ANY
    numatune: MemoryMode = MemoryMode.STRICT
    kind: MemoryKind | None = None
    spread: bool = False
    """Its memory is not bound to the nodes of its cells (spread.py); `normal_kib` of a cell is then its overhead alone."""
    relations: tuple[Relation, ...] = ()
    near: tuple[tuple[DeviceKey, Near], ...] = ()
    """Devices that need not be on the guest's nodes."""
    beside: tuple[tuple[DeviceKey, DeviceKey], ...] = ()
    """Devices that share a root complex."""
    cachetune: int = 0
    """KiB of each L3 cache that its vCPUs run on."""
    memorytune: int = 0
    """Percent of the bandwidth behind each of them."""
    tunes: bool = False
    """It asks for some of either, and is a group of resctrl then."""
    polled: bool = False
    """It is to be where the switch behind its socket has cores, if that can be, and some hosts have none."""
    package: frozenset[DeviceKey] = frozenset()
    """Devices that are near on any node in one package with the guest."""
    close: tuple[Close, ...] = ()
    one_root: bool = False
    """All its devices are on one root complex where that can be."""
    memory_cells: tuple[MemoryCell, ...] = ()
    """Behind its cells."""

    tied: bool = field(init=False, repr=False, compare=False)
    """Whether its place depends on more than what each node has free and which hosts are claimed."""
    even: bool = field(init=False, repr=False, compare=False)
    """Whether its cells are alike, each with its memory on its own node."""
    plain: bool = field(init=False, repr=False, compare=False)
    """Whether each cell takes dedicated cores of whatever kind and nothing else of a slot, of one L3 if it can."""

    def __post_init__(self) -> None:
        put = object.__setattr__
        devices = self.near or self.beside or self.package or self.close or self.one_root
        put(self, "tied", bool(self.relations or devices or self.tunes or self.memory_cells or self.polled))
        put(self, "even", not self.spread and not uneven(self.cells))
        put(
            self,
            "plain",
            self.dedicated and not (self.own or self.floating) and self.l3 is not L3.ANY and self.cores is Cores.ANY,
        )

    def near_of(self, key: DeviceKey) -> Near:
        return next((near for one, near in self.near if one == key), Near.REQUIRE)

    def shared(self, cell: Cell) -> int:
        """vCPUs of a cell that float over the shared CPUs of its node."""
        return cell.floating if self.dedicated else cell.vcpus


def fewest_cores(demand: Demand, cell: Cell, smt: int) -> int:
    """The fewest dedicated cores that the cell takes, with its emulator's own, where no core has more than `smt` threads."""
    if not demand.dedicated or not cell.vcpus:
        return int(demand.own)
    return -(-cell.vcpus // (1 if demand.threads is Threads.ISOLATE else max(smt, 1))) + demand.own


def derive_demands(site: Site, smt: Mapping[str, Mapping[Cores, int]], origins: Origins, bag: Bag) -> dict[str, Demand]:
    """All guests, in source order. smt: by host, the most threads that a dedicated core of each kind has."""
    apart = _apart(site, origins, bag)
    related = _related(site)
    switched = len({host.vswitch_cores > 0 for host in site.hosts.values()}) > 1
    demands: dict[str, Demand] = {}
    known: dict[tuple[object, ...], tuple[dict[str, str | None], dict[str, Refusal]]] = {}
    for vm in site.vms.values():
        # the schema pass refuses what cannot be divided
        unit = vm.pages_kib or 1
        vcpus, memory, normal = _divided(vm)
        assert all(vcpus) and all(kib and kib % unit == 0 for kib in memory)
        spread = vm.numatune is not MemoryMode.STRICT or vm.memory_kind is not None
        floating = vm.floating if vm.pinning is Pinning.MIXED else CpuSet()
        floats = tuple(len(ids & floating) for ids in _numbers(vcpus))
        own = tuple(number - some for number, some in zip(vcpus, floats, strict=True))
        cells = tuple(
            Cell(number, kib, extra + (kib if vm.pages_kib is None and not spread else 0), some)
            for number, kib, extra, some in zip(own, memory, normal, floats, strict=True)
        )
        alike = (
            *(vm.host, vm.pool, vm.isolation, vm.scheduler, vm.emulator, vm.pinning, vm.threads, vm.cores, own),
            *(vm.cachetune is None, vm.memorytune is None),
            *((nic.name, nic.device, bool(nic.socket) and nic.vswitch) for nic in vm.nics.values()),
            *(("hostdev", one.name, one.device) for one in vm.hostdevs.values()),
            *(("near", one.name, one.device) for one in vm.nears.values() if one.strength is Strength.REQUIRE),
        )
        if alike not in known:
            told = {host.name: refuse(site, vm, host, own, smt[host.name]) for host in site.hosts.values()}
            known[alike] = (
                {name: site.hosts[name].rack for name, refusal in told.items() if refusal is None},
                {name: refusal for name, refusal in told.items() if refusal is not None},
            )
        able, refused = known[alike]
        devices = tuple(
            ((kind, label), pool)
            for kind, label, pool in (
                *(("nic", nic.name, nic.device) for nic in vm.nics.values()),
                *(("hostdev", device.name, device.device) for device in vm.hostdevs.values()),
            )
            if pool is not None
        )
        demands[vm.name] = Demand(
            vm=vm.name,
            dedicated=vm.pinning is not Pinning.SHARED,
            threads=vm.threads,
            l3=L3.REQUIRE if any(_in_one_l3(one) for one in related.get(vm.name, ())) else vm.l3,
            own=vm.emulator is Emulator.OWN,
            pages_kib=vm.pages_kib,
            cells=cells,
            devices=devices,
            hosts=Hosts(able, apart.get(vm.name, ())),
            refused=_Refusals(refused, vm.name),
            weight=vm.weight if vm.optional else None,
            floating=floating,
            cores=vm.cores,
            numatune=vm.numatune,
            kind=vm.memory_kind,
            spread=spread,
            relations=related.get(vm.name, ()),
            near=tuple(_near(vm)),
            beside=tuple(_beside(vm)),
            cachetune=vm.cachetune or 0,
            memorytune=vm.memorytune or 0,
            tunes=bool(vm.cachetune or vm.memorytune),
            polled=switched and any(nic.socket and nic.vswitch is Near.PREFER for nic in vm.nics.values()),
            package=frozenset(key for key, one in _passed(vm) if one.within is Locality.PACKAGE),
            close=tuple(
                Close(
                    one.name,
                    one.device,
                    one.address or (),
                    one.within is Locality.PACKAGE,
                    one.strength is Strength.REQUIRE,
                )
                for one in vm.nears.values()
            ),
            memory_cells=tuple(
                MemoryCell(cell.memory_kib, cell.memory_kind)
                for cell in vm.cells.values()
                if cell.memory_kind is not None
            ),
            one_root=vm.beside is Near.PREFER and len(devices) > 1,
        )
    return demands


def _divided(vm: Vm) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """vCPUs, memory and overhead of each node with vCPUs; the overhead of memory alone lies on the first of them."""
    vcpus, memory = split_vcpus(vm), split_memory(vm)
    normal = overhead(vm, memory, vcpus)
    number = sum(1 for some in vcpus if some)
    first, *others = normal[:number]
    return vcpus[:number], memory[:number], (first + sum(normal[number:]), *others)


def _numbers(vcpus: Sequence[int]) -> Iterator[CpuSet]:
    """The vCPUs of each cell: they are numbered through the cells in order."""
    first = 0
    for number in vcpus:
        yield CpuSet.of(range(first, first + number))
        first += number


def only_hosts(demands: Mapping[str, Demand], vms: Iterable[str], away: Mapping[str, Refusal]) -> dict[str, Demand]:
    """The guests' needs without some hosts, each with its reason. Guests that may go to the same hosts still share one value."""
    shared: dict[int, dict[str, str | None]] = {}
    found: dict[str, Demand] = {}
    for vm in vms:
        demand = demands[vm]
        able = demand.hosts.able
        if id(able) not in shared:
            shared[id(able)] = {name: rack for name, rack in able.items() if name not in away}
        more = {host: one for host, one in away.items() if host in able}
        refused = {**demand.refused, **more} if more else demand.refused
        found[vm] = replace(demand, hosts=Hosts(shared[id(able)], demand.hosts.apart), refused=refused)
    return found


def _passed(vm: Vm) -> list[tuple[DeviceKey, Nic | Hostdev]]:
    nics: list[tuple[DeviceKey, Nic | Hostdev]] = [(("nic", nic.name), nic) for nic in vm.nics.values() if nic.device]
    return [*nics, *((("hostdev", one.name), one) for one in vm.hostdevs.values())]


def _near(vm: Vm) -> Iterator[tuple[DeviceKey, Near]]:
    for key, one in _passed(vm):
        if one.near is not Near.REQUIRE:
            yield key, one.near


def _beside(vm: Vm) -> Iterator[tuple[DeviceKey, DeviceKey]]:
    passed = [key for key, _ in _passed(vm)]
    for key, one in _passed(vm):
        # it may have been taken away on trial
        other = next((other for other in passed if other[1] == one.beside and other != key), None)
        if other is not None:
            yield key, other
    if vm.beside is Near.REQUIRE:
        for key in passed[1:]:
            yield key, passed[0]


def _in_one_l3(relation: Relation) -> bool:
    """Who is to be together with others in one L3 is in one himself."""
    return relation.together and relation.required and relation.domain is Domain.L3


def _by_claims(place: Place) -> bool:
    """Whether the hosts' claims say all of it."""
    required = place.strength is Strength.REQUIRE
    return required and place.relation == "apart" and place.domain in (Domain.HOST, Domain.RACK)


def _related(site: Site) -> Mapping[str, tuple[Relation, ...]]:
    found: dict[str, tuple[Relation, ...]] = {}
    for place in site.places.values():
        if _by_claims(place) or len(place.vms) < 2:
            continue
        required = place.strength is Strength.REQUIRE
        one = Relation(place.name, place.title, place.relation == "together", place.domain, required)
        for vm in place.vms:
            found[vm] = (*found.get(vm, ()), one)
    return found


def _apart(site: Site, origins: Origins, bag: Bag) -> Mapping[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for place in site.places.values():
        hosts = tuple(site.hosts.values())
        lacking = [f"`{host.name}`" for host in hosts if host.rack is None]
        word = "across" if place.relation == "apart" else "within"
        if place.domain is Domain.RACK and lacking:
            bag.error(
                codes.RACK_UNKNOWN,
                f"`{place.title}` is {word} racks, {len(lacking)} of {len(hosts)} hosts have none: "
                f"{', '.join(lacking[:6])}{'' if len(lacking) <= 6 else f' and {len(lacking) - 6} more'}",
                origins.label(("place", place.name, word)),
                help=(f"set `rack` on every host, or `{word} = host`",),
            )
        if not _by_claims(place):
            continue
        for vm in place.vms:
            found[vm] = (*found.get(vm, ()), (place.name, place.across))
        if place.domain is Domain.RACK and lacking:
            continue
        domains = {host.rack if place.across == "rack" else host.name for host in hosts}
        if len(place.vms) > len(domains):
            bag.error(
                codes.APART_TOO_MANY,
                f"`place apart {place.name}` keeps {counted(len(place.vms), 'guest')} apart, there "
                f"{'is' if len(domains) == 1 else 'are'} "
                f"{counted(len(domains), place.across)}",
                origins.label(("place", place.name)),
                help=(f"add a {place.across}, or keep fewer guests apart",),
            )
    return found
