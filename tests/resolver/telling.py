"""What the resolver answers, as text: each guest's CPUs, nodes and devices, what is told with its numbers and places, why each
guest is where it is, and what is stranded. What the goldens of small sites hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kvmc.diagnostics import Bag, Label, Span
from kvmc.model.origins import Origin, Origins
from kvmc.model.site import Site
from kvmc.model.values import size_text
from kvmc.resolver.leftover import state_of, stranded
from kvmc.resolver.locks import HostLock, dumps, loads
from kvmc.resolver.merged import without_newer
from kvmc.resolver.moves import placement_moves
from kvmc.resolver.placement import CellPlacement, GuestPlacement, Placement
from kvmc.resolver.replan import replan
from kvmc.resolver.solve import resolve
from kvmc.resolver.why import why
from kvmc.topology.model import Topology
from support.locking import locks_of

Locks = Mapping[str, HostLock]
Path = tuple[str, ...]

_HOST: tuple[Path, ...] = (
    ("topology",), ("pages",), ("reserve", "memory"), ("reserve", "pages"), ("housekeeping", "cores"),
    ("housekeeping", "threads"), ("shared", "cores"), ("vswitch", "cores"), ("drained",), ("host_failures",),
)  # fmt: skip
_VM = (
    "vcpus", "memory", "nodes", "threads", "l3", "cores", "isolation", "emulator", "scheduler", "host", "pool", "numatune",
    "memory_kind",
)  # fmt: skip


def kept(locks: Locks) -> Locks:
    return locks


def fresh(_: Locks) -> Locks:
    """No locks: another site, or the same for the first time."""
    return {}


@dataclass(frozen=True)
class Step:
    """One build. From the second on it has the locks of those before. edit: what befell the locks in between; vms, hosts: that are
    decided anew (`kvmc replan`); settle: `replan --conflicts` before it; search: false for `--locked`; back: with the locks of the
    first build, whatever came in between; one: guests and hosts whose setting is one line of a class or pool."""

    site: Site
    machines: Mapping[str, Topology]
    edit: Callable[[Locks], Locks] = kept
    vms: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    settle: bool = False
    search: bool = True
    back: bool = False
    explain: bool = False
    one: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    title: str = ""


def labelled(site: Site, one: Mapping[Path, tuple[str, ...]]) -> Origins:
    """A line for each block and each setting that a message may point at. one: (kind, setting, ...) -> who has it from one line."""
    paths: list[Path] = []
    for name, host in site.hosts.items():
        paths += [("host", name), *(("host", name, *rest) for rest in _HOST)]
        for pool in host.devices:
            below = ("host", name, "devices", pool)
            paths += [below, *((*below, rest) for rest in ("parent", "vfs", "addresses"))]
    for name, vm in site.vms.items():
        paths += [("vm", name), *(("vm", name, rest) for rest in _VM)]
        for kind, labels in (("nic", vm.nics), ("hostdev", vm.hostdevs)):
            paths += [("vm", name, kind, label, rest) for label in labels for rest in ("device", "near", "beside")]
    for name in site.places:
        paths += [("place", name), *(("place", name, rest) for rest in ("across", "within"))]
    table: dict[Path, Origin] = {}
    for number, path in enumerate(paths):
        kind, name, *rest = path
        names = one.get((kind, *rest), ())
        first = (kind, names[0], *rest) if name in names else path
        span = table[first].span if first in table else Span("site.kvmt", 10 * number, 10 * number + 5)
        table[path] = Origin(span, span, f"{kind} {name}")
    return Origins(table)


def _place(label: Label | None, origins: Origins) -> str:
    if label is None:
        return "nowhere"
    path = next(path for path, origin in origins.table.items() if origin.span == label.span)
    return f"{' '.join(path)}{f': {label.text}' if label.text else ''}"


def told(bag: Bag, origins: Origins) -> list[str]:
    lines: list[str] = []
    for item in bag:
        lines += [f"{item.code.id} {item.message}", f"    at {_place(item.primary, origins)}"]
        lines += [f"    and {_place(label, origins)}" for label in item.secondary]
        lines += [f"    note: {note}" for note in item.notes]
        lines += [f"    help: {help}" for help in item.help]
    return lines


def _cell(cell: CellPlacement) -> str:
    numbers = f"{cell.vcpus[0]}-{cell.vcpus[-1]}" if cell.vcpus else "none"
    pins = " ".join(map(str, cell.pins))
    memory = f" ({', '.join(f'{size_text(kib)} on {node}' for node, kib in cell.memory)})" if cell.memory else ""
    return f"node {cell.node} {size_text(cell.memory_kib)}{memory} vCPUs {numbers} on {pins}"


def guest_text(guest: GuestPlacement) -> str:
    parts = [f"{guest.vm}: {guest.host} {' + '.join(map(_cell, guest.cells))}", f"emulator {guest.emulator or '-'}"]
    parts += [f"idle {guest.idle}"] if guest.idle else []
    parts += [f"{kind} {label} {address}" for (kind, label), address in guest.devices.items()]
    return "; ".join(parts)


def placed(placement: Placement) -> list[str]:
    lines = [
        f"pools of {host}: housekeeping {one.housekeeping or '-'}, shared {one.shared or '-'}, "
        f"vswitch {one.vswitch or '-'}, dedicated {one.dedicated or '-'}"
        for host, one in placement.pools.items()
    ]
    return lines + [guest_text(guest) for guest in placement.guests.values()]


def _explained(step: Step, placement: Placement, origins: Origins, locks: Locks) -> Iterable[str]:
    for guest in placement.guests.values():
        found = state_of(step.site, step.machines, placement, origins)
        assert found is not None
        locked = guest.host in locks and guest.vm in locks[guest.host].guests
        answer = why(step.site, step.machines[guest.host], guest, *found, locked=locked)
        yield f"why {guest.vm}"
        yield from (f"    {name}: {text}" for name, text in answer.facts)
        yield from (f"    not {one.place}: {one.text}" for one in answer.elsewhere)


def reread(lock: HostLock) -> HostLock:
    """A lock as it comes back from its file."""
    found, bag = loads(dumps(lock), f"locks/{lock.host}.json")
    assert found == lock, [one.message for one in bag]
    return found


def answers(steps: Sequence[Step]) -> str:
    """All that is told of some builds after each other."""
    locks: Locks = {}
    first: Locks | None = None
    lines: list[str] = []
    for step in steps:
        origins = labelled(step.site, step.one)
        locks = step.edit(first if step.back and first is not None else locks)
        before = {vm: one.placement for lock in locks.values() for vm, one in lock.guests.items()}
        if len(steps) > 1:
            lines.append(f"-- {step.title or ('first' if step.edit is fresh else 'next')}")
        if step.settle:
            locks = without_newer(step.site, step.machines, locks, origins)
        if step.vms or step.hosts:
            placement, bag = replan(step.site, step.machines, locks, step.vms, step.hosts, origins)
        else:
            placement, bag = resolve(step.site, step.machines, locks, origins, search=step.search)
        if placement is None:
            lines += [*told(bag, origins), "no placement"]
            continue
        lines += [line for line in placed(placement) if not step.back or not line.startswith("pools")]
        lines += told(bag, origins)
        moves = placement_moves(before, placement, step.machines)
        lines += [f"moves {one.vm} {one.source} -> {one.target}: {one.cost}" for one in moves]
        found = state_of(step.site, step.machines, placement, origins)
        assert found is not None
        lines += [f"stranded {one.host} node {one.node}: {one.what}, {one.why}" for one in stranded(*found, placement)]
        if step.explain:
            lines += _explained(step, placement, origins, locks)
        locks = {name: reread(lock) for name, lock in locks_of(placement, step.machines, locks).items()}
        first = first or locks
    return "\n".join(lines)
