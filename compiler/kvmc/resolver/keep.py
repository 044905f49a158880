"""What stays: locked placements that still hold, exactly as they are, and which guests are left to be placed. No search here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts as lock_codes
from kvmc.diagnostics.codes import placement as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, named
from kvmc.model.origins import Origins
from kvmc.model.site import Domain, Site, Strength
from kvmc.model.values import PciAddress, size_text
from kvmc.resolver.demand import Demand, derive_demands, only_hosts
from kvmc.resolver.locks import HostLock
from kvmc.resolver.machines import derive_machines
from kvmc.resolver.pins import owned
from kvmc.resolver.placement import GuestPlacement
from kvmc.resolver.refusals import drained
from kvmc.resolver.state import Choice, HostState, Machine, NodeState, State
from kvmc.resolver.still import Broken, still_holds
from kvmc.topology.fingerprint import fingerprint
from kvmc.topology.model import Topology
from kvmc.topology.summary import difference, summary


@dataclass(frozen=True, slots=True)
class Kept:
    """The hosts, the guests' needs, the placements that stay (with how they count against their hosts), and why each of the
    others has none. before: where those were, if anywhere."""

    machines: Mapping[str, Machine]
    demands: Mapping[str, Demand]
    guests: Mapping[str, GuestPlacement]
    choices: Mapping[str, Choice]
    missing: Mapping[str, str]
    before: Mapping[str, GuestPlacement]


def keep(
    site: Site, topologies: Mapping[str, Topology], locks: Mapping[str, HostLock], origins: Origins
) -> tuple[Kept | None, Bag]:
    """Check the hosts, the guests' needs and the locks; None where the bag holds an error."""
    machines, bag = derive_machines(site, topologies, origins)
    if machines is None:
        return None, bag
    demands = derive_demands(site, {name: machine.kinds for name, machine in machines.items()}, origins, bag)
    if site.places:
        _check_together(site, demands, origins, bag)
    _check_locks(topologies, locks, origins, bag)
    if bag.has_errors:
        return None, bag
    state = State(machines)
    guests: dict[str, GuestPlacement] = {}
    missing: dict[str, str] = {}
    before: dict[str, GuestPlacement] = {}
    owners = _Owners()
    locked: dict[str, list[GuestPlacement]] = {}
    for lock in locks.values():
        for vm, one in lock.guests.items():
            locked.setdefault(vm, []).append(one.placement)
    for demand in demands.values():
        entries = locked.get(demand.vm, [])
        found = [still_holds(demand, entry, machines.get(entry.host), state) for entry in entries]
        valid = [one for one in found if not isinstance(one, Broken)]
        if len(valid) > 1:
            hosts = " and ".join(f"`{guest.host}`" for guest, _ in valid)
            bag.error(
                lock_codes.LOCK_TWO_HOSTS,
                f"`{demand.vm}` is locked on {hosts}",
                origins.label(("vm", demand.vm)),
                help=(
                    f"take it out of the lock where it does not run: {', '.join(f'`locks/{g.host}.json`' for g, _ in valid)}",
                    "`kvmc replan --conflicts` keeps it where it was placed first",
                ),
            )
        elif valid:
            guest, choice = valid[0]
            guests[demand.vm] = guest
            owners.claim(demand, guest, origins, bag)
            state.place(demand, choice)
        else:
            missing[demand.vm] = next((one.why for one in found if isinstance(one, Broken)), "it was never placed")
            if entries:
                before[demand.vm] = entries[0]
    _check_full(state, demands, origins, bag)
    if bag.has_errors:
        return None, bag
    if away := drained(site):
        demands |= only_hosts(demands, missing, away)
    return Kept(machines, demands, guests, dict(state.chosen), missing, before), bag


def _check_together(site: Site, demands: Mapping[str, Demand], origins: Origins, bag: Bag) -> None:
    """Guests that must be together need a host, or a rack, that each of them may go to."""
    for place in site.places.values():
        if place.relation != "together" or place.strength is not Strength.REQUIRE:
            continue
        of = {name: host.rack or name if place.domain is Domain.RACK else name for name, host in site.hosts.items()}
        able = [{of[host] for host in demands[vm].hosts} for vm in place.vms]
        if not all(able) or set.intersection(*able):
            continue
        what = "rack" if place.domain is Domain.RACK else "host"
        parts = [f"`{vm}` may go to {_listed(hosts)}" for vm, hosts in zip(place.vms, able, strict=True)]
        bag.error(
            codes.TOGETHER_NOWHERE,
            f"no {what} can have all guests of `{place.title}`",
            origins.label(("place", place.name)),
            notes=list(dict.fromkeys(parts))[:6],
            help=("drop a setting that keeps one of them from the others' hosts, or the relation",),
        )


def _listed(names: set[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""
    return ", ".join(f"`{name}`" for name in shown[:6]) + more


def _check_locks(topologies: Mapping[str, Topology], locks: Mapping[str, HostLock], origins: Origins, bag: Bag) -> None:
    for name, lock in locks.items():
        if lock.host != name:
            bag.error(
                lock_codes.LOCK_OTHER_HOST,
                f"`locks/{name}.json` is the lock of `{lock.host}`",
                origins.label(("host", name)),
                help=(
                    "restore it from version control; a host that was renamed keeps its guests if `host` in its lock is too",
                ),
            )
            continue
        topology = topologies.get(name)
        if topology is not None and lock.guests and lock.fingerprint != fingerprint(topology):
            bag.error(
                lock_codes.LOCK_TOPOLOGY,
                f"the topology of `{name}` changed since it was locked",
                origins.label(("host", name, "topology")),
                notes=(
                    *(difference(lock.topology, summary(topology)) if lock.topology else ()),
                    f"`locks/{name}.json` holds {counted(len(lock.guests), 'guest')} placed on the old one",
                ),
                help=(
                    f"`kvmc replan --host {name}` places anew those of its guests that the new one does not hold as they are",
                ),
            )


@dataclass(slots=True)
class _Owners:
    """Who holds each CPU and each device of each host."""

    cpus: dict[tuple[str, int], str] = field(default_factory=dict)
    devices: dict[tuple[str, PciAddress], str] = field(default_factory=dict)

    def claim(self, demand: Demand, guest: GuestPlacement, origins: Origins, bag: Bag) -> None:
        """Take what is the guest's, and say of each guest that holds some of it already."""
        both: dict[str, tuple[list[int], list[PciAddress]]] = {}
        for cpu in owned(guest, demand):
            holder = self.cpus.setdefault((guest.host, cpu), guest.vm)
            if holder != guest.vm:
                both.setdefault(holder, ([], []))[0].append(cpu)
        for address in sorted(guest.devices.values()):
            holder = self.devices.setdefault((guest.host, address), guest.vm)
            if holder != guest.vm:
                both.setdefault(holder, ([], []))[1].append(address)
        claims = [
            f"`{vm}` and `{guest.vm}` are both locked on {_what(*held)} of `{guest.host}`" for vm, held in both.items()
        ]
        if claims:
            others = [origins.label(("vm", vm), "the other") for vm in both]
            bag.error(
                lock_codes.LOCK_CONFLICT,
                claims[0],
                origins.label(("vm", guest.vm)),
                secondary=[label for label in others if label is not None],
                notes=claims[1:],
                help=("`kvmc replan --conflicts` moves the newer of the two",),
            )


def _what(cpus: list[int], addresses: list[PciAddress]) -> str:
    parts = [f"{named(CpuSet.of(cpus))}"] if cpus else []
    return " and ".join([*parts, *(f"device `{address}`" for address in addresses)])


def _takes(demand: Demand, node: NodeState) -> bool:
    """Whether a guest has some of what is short on a node: pages of a size, or shared CPUs."""
    short = demand.pages_kib is not None and node.pages.get(demand.pages_kib, 0) < 0
    return short or (node.shared < 0 and any(demand.shared(cell) for cell in demand.cells))


def _check_room(
    name: str, host: HostState, state: State, demands: Mapping[str, Demand], origins: Origins, bag: Bag
) -> None:
    """What locked guests have together of the host's L3 caches and bandwidth."""
    over = list(host.room.overfull()) if host.room is not None else []
    if over:
        here = [vm for vm, choice in state.chosen.items() if choice.host == name and demands[vm].tunes]
        shown = ", ".join(f"`{vm}`" for vm in here[:6]) + (f" and {len(here) - 6} more" if len(here) > 6 else "")
        bag.error(
            lock_codes.LOCK_OVERFULL,
            f"guests locked on `{name}` need {'; '.join(over)}: {shown}",
            origins.label(("vm", here[-1])),
            secondary=[label] if (label := origins.label(("host", name, "resctrl"), "the offer")) else (),
            help=("offer more, or `kvmc replan --conflicts`, which moves the newest of them",),
        )


def _positions(choice: Choice) -> set[int]:
    """The nodes where a guest has vCPUs or memory."""
    memory = {position for cell in choice.cells for position, _ in cell.memory}
    return {cell.node for cell in choice.cells} | memory | set(choice.stores)


def _check_full(state: State, demands: Mapping[str, Demand], origins: Origins, bag: Bag) -> None:
    """Each locked guest fits alone; here all of them together, node by node."""
    for name, host in state.hosts.items():
        _check_room(name, host, state, demands, origins, bag)
        machine = host.machine
        for position, node in enumerate(host.stores):
            cpus = machine.nodes[position] if position < len(host.nodes) else None
            memory = machine.stores[position].memory if cpus is None else machine.memory[position]
            over = [
                f"{counted(memory.pages.get(size, 0) - free, 'page')} of {size_text(size)}, {memory.pages.get(size, 0)} offered"
                for size, free in node.pages.items()
                if free < 0
            ]
            if node.normal < 0:
                over.append(
                    f"{size_text(memory.normal_kib - node.normal)} of normal memory, {size_text(memory.normal_kib)} left"
                )
            if cpus is not None and node.shared < 0:
                over.append(f"{cpus.floats - node.shared} shared vCPUs, {cpus.floats} allowed")
            if not over:
                continue
            here = [
                vm
                for vm, choice in state.chosen.items()
                if choice.host == name
                and position in _positions(choice)
                and (node.normal < 0 or _takes(demands[vm], node))
            ]
            shown = ", ".join(f"`{vm}`" for vm in here[:6]) + (f" and {len(here) - 6} more" if len(here) > 6 else "")
            bag.error(
                lock_codes.LOCK_OVERFULL,
                f"guests locked on `{name}` node {(cpus or machine.stores[position]).node} need {'; '.join(over)}: {shown}",
                origins.label(("vm", here[-1])),
                secondary=[label] if (label := origins.label(("host", name), "the host")) else (),
                help=("offer more, or `kvmc replan --conflicts`, which moves the newest of them",),
            )
