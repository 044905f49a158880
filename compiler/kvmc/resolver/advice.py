"""Changes of the source that were solved again and do fit: at most three, each the smallest of its kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kvmc.model.origins import Path
from kvmc.model.site import (
    L3,
    Cores,
    Emulator,
    Host,
    Isolation,
    Locality,
    Near,
    Pinning,
    Scheduler,
    Strength,
    Threads,
    Vm,
)
from kvmc.model.values import KIB_PER_UNIT, PageCount, size_text
from kvmc.resolver.conflict import Conflict, passed_update
from kvmc.resolver.variant import Trials, Variant

MOST = 3
"""Changes that are told."""
_HOSTS = 4
"""Hosts that are changed on trial, at most."""

_VM_FIELDS = {"memory": "memory_kib"}
_HOST_FIELDS = {
    ("pages",): "pages",
    ("vswitch", "cores"): "vswitch_cores",
    ("housekeeping", "cores"): "housekeeping_cores",
    ("reserve", "memory"): "reserve_memory_kib",
    ("reserve", "pages"): "reserve_pages",
    ("drained",): "drained",
}
_LOOSER: dict[str, tuple[object, str]] = {
    "threads": (Threads.PREFER, "`threads = prefer`"),
    "l3": (L3.PREFER, "`l3 = prefer`"),
    "cores": (Cores.ANY, "`cores = any`"),
    "memory_kind": (None, "no `memory_kind`"),
    "cachetune": (None, "no `cachetune`"),
    "memorytune": (None, "no `memorytune`"),
    "emulator": (Emulator.HOUSEKEEPING, "`emulator = housekeeping`"),
    "isolation": (Isolation.ANY, "no `isolation`"),
    "scheduler": (Scheduler.OTHER, "`scheduler = other`"),
    "host": (None, "no `host`"),
    "pool": (None, "no `pool`"),
}

Edit = tuple[Path, Any]
"""A setting by its path and the model's value for it. `("host", name)` is a host that is added, `("place", name)` is a place
with other guests."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what to write, and the same as edits of the site."""

    text: str
    edits: tuple[Edit, ...]


def edited(variant: Variant, change: Change) -> Variant:
    """The variant with the change made."""
    vms, hosts, places = dict(variant.site.vms), dict(variant.site.hosts), dict(variant.site.places)
    for (kind, name, *rest), value in change.edits:
        if kind == "vm" and len(rest) == 3:
            vms[name] = vms[name].model_copy(update=passed_update(vms[name], rest[0], rest[1], rest[2], value))
        elif kind == "vm":
            vms[name] = vms[name].model_copy(update={_VM_FIELDS.get(rest[0], rest[0]): value})
        elif kind == "place":
            places[name] = places[name].model_copy(update={rest[0] if rest else "vms": value})
        elif rest:
            hosts[name] = hosts[name].model_copy(update={_HOST_FIELDS[tuple(rest)]: value})
        else:
            hosts[name] = value
    return replace(variant, site=variant.site.model_copy(update={"vms": vms, "hosts": hosts, "places": places}))


def propose(conflict: Conflict, whole: Variant, head: str, trials: Trials) -> list[Change]:
    """Up to three changes with which `whole` fits, `head` in it; the least of each kind, intents of the guest first."""
    found: list[Change] = []

    def fits(change: Change) -> bool:
        return trials.fits(edited(whole, change))

    for change in _candidates(conflict, whole, head, fits, trials):
        if trials.spent or len(found) == MOST:
            break
        if fits(change):
            found.append(change)
    return found


def _candidates(
    conflict: Conflict, whole: Variant, head: str, fits: Callable[[Change], bool], trials: Trials
) -> Iterator[Change]:
    vm = whole.site.vms[head]
    mine: dict[str, tuple[str, ...]] = {}
    for line in conflict.lines:
        # of several lines that say the same setting the guest's own, if it has one
        if line.path[0] == "vm" and len(line.path) > 2 and head not in mine.get(line.path[2], ()):
            mine[line.path[2]] = line.names
    for setting, (value, text) in _LOOSER.items():
        if setting in mine:
            names = mine[setting] if head in mine[setting] else mine[setting][:1]
            yield Change(f"{text} for {_some(names)}", tuple((("vm", name, setting), value) for name in names))
    yield from _looser_devices(vm)
    for line in conflict.lines:
        if line.path[0] == "place":
            soft = ((("place", line.path[1], "strength"), Strength.PREFER),)
            yield Change(f"`strength = prefer` in `{whole.site.places[line.path[1]].title}`", soft)
        if line.path[0] == "place" and head in whole.site.places[line.path[1]].vms:
            rest = tuple(name for name in whole.site.places[line.path[1]].vms if name != head)
            yield Change(
                f"take `{head}` out of `{whole.site.places[line.path[1]].title}`", ((("place", line.path[1]), rest),)
            )
    short = _Short(whole, trials)
    if "memory" in mine and vm.pages_kib is not None and short.memory:
        for host in _reachable(whole, vm):
            yield from _more_pages(host, vm.pages_kib, fits, trials)
    for line in conflict.lines:
        if line.path[0] == "host" and line.path[2:] == ("drained",):
            edits = tuple((("host", name, "drained"), False) for name in line.names)
            yield Change(f"no `drained` on {_some(line.names)}", edits)
        elif line.path[0] == "host" and short.of(line.path[2:]):
            yield from _less_kept(whole, line.path[2:], line.names, fits)
    if vm.cells:
        mine = {setting: names for setting, names in mine.items() if setting not in ("vcpus", "memory")}
    if "vcpus" in mine and short.cpus and vm.pinning is not Pinning.MIXED:
        unit = vm.nodes * (max(_threads(trials, whole), 1) if vm.threads is Threads.REQUIRE else 1)
        yield from _less(head, "vcpus", vm.vcpus, unit, str, fits)
    if "memory" in mine and short.memory:
        unit = vm.nodes * (vm.pages_kib or KIB_PER_UNIT["GiB"])
        yield from _less(head, "memory", vm.memory_kib, unit, size_text, fits)
    if not vm.cells and vm.vcpus % 2 == 0 and min(vm.vcpus, vm.memory_kib // (vm.pages_kib or 1)) >= vm.nodes * 2:
        yield Change(f"`nodes = {vm.nodes * 2}` for `{head}`", ((("vm", head, "nodes"), vm.nodes * 2),))
    if vm.host is None:
        for host in _reachable(whole, vm)[:1]:
            yield _one_more(whole, host, trials)


class _Short:
    """Of what the hosts have too little: all guests that are not locked fit if they take none of it. More of another kind is no
    help, however much, and is not tried."""

    def __init__(self, whole: Variant, trials: Trials) -> None:
        self.whole = whole
        self.trials = trials
        self.free = frozenset(whole.site.vms) - whole.locked
        self.told: Counter[Path] = Counter()

    @cached_property
    def cpus(self) -> bool:
        return self.trials.fits(replace(self.whole, no_cpus=self.free))

    @cached_property
    def memory(self) -> bool:
        return self.trials.fits(replace(self.whole, no_memory=self.free))

    def of(self, path: Path) -> bool:
        """Whether a host that keeps less of this may help; of many hosts that each have a line of their own, the first few."""
        self.told[path] += 1
        return self.told[path] <= _HOSTS and (self.cpus if path[-1] == "cores" else self.memory)


def _looser_devices(vm: Vm) -> Iterator[Change]:
    """A passed device that need not be beside another one, or near."""
    passed = [("nic", one.name, one.beside, one.near, one.within) for one in vm.nics.values() if one.device]
    passed += [("hostdev", one.name, one.beside, one.near, one.within) for one in vm.hostdevs.values()]
    for close in vm.nears.values():
        where = f"in `near {close.name}` of `{vm.name}`"
        if close.strength is Strength.REQUIRE and close.within is Locality.NODE:
            yield Change(
                f"`within = package` {where}", ((("vm", vm.name, "near", close.name, "within"), Locality.PACKAGE),)
            )
        if close.strength is Strength.REQUIRE:
            soft = (("vm", vm.name, "near", close.name, "strength"), Strength.PREFER)
            yield Change(f"`strength = prefer` {where}", (soft,))
    if vm.beside is Near.REQUIRE:
        softer = vm.passed.model_copy(update={"beside": Near.PREFER})
        yield Change(f"`beside = prefer` in `passed` of `{vm.name}`", ((("vm", vm.name, "passed"), softer),))
    for kind, label, beside, near, within in passed:
        where = f"for {kind} `{label}` of `{vm.name}`"
        if beside is not None:
            yield Change(f"no `beside` {where}", ((("vm", vm.name, kind, label, "beside"), None),))
        if near is Near.REQUIRE and within is Locality.NODE:
            edit = (("vm", vm.name, kind, label, "within"), Locality.PACKAGE)
            yield Change(f"`within = package` {where}", (edit,))
        if near is Near.REQUIRE:
            yield Change(f"`near = prefer` {where}", ((("vm", vm.name, kind, label, "near"), Near.PREFER),))


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _reachable(whole: Variant, vm: Vm) -> list[Host]:
    fitting = [
        host
        for host in whole.site.hosts.values()
        if vm.host in (None, host.name)
        and vm.pool in (None, host.pool)
        and vm.isolation in (Isolation.ANY, host.isolation)
    ]
    return fitting[:_HOSTS]


def _threads(trials: Trials, whole: Variant) -> int:
    machines = trials.derive(whole.site) or {}
    return max((machine.smt for machine in machines.values()), default=1)


def _more_pages(host: Host, size: int, fits: Callable[[Change], bool], trials: Trials) -> Iterator[Change]:
    """The fewest pages more that do, as far as each node's memory goes."""
    now = sum(count.number for count in host.pages if count.size_kib == size)
    others = [count for count in host.pages if count.size_kib != size]
    topology = trials.topologies[host.name]
    kept = sum(count.kib for count in (*others, *host.reserve_pages)) + host.reserve_memory_kib
    sizes = [node.memory_kib for node in topology.nodes if node.cpus & topology.usable and node.memory_kib]
    most = (min(sizes, default=0) - kept) // size

    def change(number: int) -> Change:
        counts = (PageCount(number, size), *others)
        return Change(f"`pages = {_pages_text(counts)}` on `{host.name}` (host reboot)", ((_pages(host), counts),))

    least = _least(now + 1, most, lambda number: fits(change(number)))
    if least is not None:
        yield change(least)


def _pages(host: Host) -> Path:
    return ("host", host.name, "pages")


def _pages_text(counts: tuple[PageCount, ...]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"[{', '.join(map(str, counts))}]"


def _less_kept(whole: Variant, path: Path, names: tuple[str, ...], fits: Callable[[Change], bool]) -> Iterator[Change]:
    now = getattr(whole.site.hosts[names[0]], _HOST_FIELDS[path])
    if not isinstance(now, int):
        return
    unit, show = (KIB_PER_UNIT["GiB"], size_text) if path[-1] == "memory" else (1, str)
    least = 1 if path[0] == "housekeeping" else 0

    def change(fewer: int) -> Change:
        value = now - fewer * unit
        edits = tuple((("host", name, *path), value) for name in names)
        return Change(f"`{path[0]} {{ {path[1]} = {show(value)} }}` on {_some(names)} (host reboot)", edits)

    fewer = _least(1, (now - least) // unit, lambda number: fits(change(number)))
    if fewer is not None:
        yield change(fewer)


def _less(
    vm: str, setting: str, now: int, unit: int, show: Callable[[int], str], fits: Callable[[Change], bool]
) -> Iterator[Change]:
    """The most that is left of a guest's size where it fits."""

    def change(fewer: int) -> Change:
        value = (now - 1) // unit * unit - (fewer - 1) * unit
        return Change(f"`{setting} = {show(value)}` for `{vm}`", ((("vm", vm, setting), value),))

    fewer = _least(1, (now - 1) // unit, lambda number: fits(change(number)))
    if fewer is not None:
        yield change(fewer)


def _least(low: int, high: int, fits: Callable[[int], bool]) -> int | None:
    """The smallest number that fits: by doubling up to the first that does, then by halving. None where none of those does."""
    step, found = 1, low
    while found <= high and not fits(found):
        low, found, step = found + 1, found + step, step * 2
        if found > high and low <= high:
            found = high
    if found > high:
        return None
    while low < found:
        middle = (low + found) // 2
        if fits(middle):
            found = middle
        else:
            low = middle + 1
    return found


def _one_more(whole: Variant, like: Host, trials: Trials) -> Change:
    name = next(
        f"{like.name}-{number}" for number in range(2, 10**6) if f"{like.name}-{number}" not in whole.site.hosts
    )
    trials.topologies = {**trials.topologies, name: trials.topologies[like.name]}
    return Change(
        f"one more host like `{like.name}`",
        ((("host", name), like.model_copy(update={"name": name, "drained": False})),),
    )
