"""The smallest set of source lines that conflict: a deletion filter over guests, their settings, their locks, the places they are
kept apart by, and what hosts keep from guests. With all of its lines the guests find no place, without any one of them they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kvmc.model.origins import Origins, Path
from kvmc.model.site import L3, Cores, Emulator, Host, Isolation, Near, Pinning, Scheduler, Strength, Threads, Vm
from kvmc.resolver.variant import LIMIT, Trials, Variant

_FREE: Mapping[str, Any] = {
    "host": None,
    "pool": None,
    "isolation": Isolation.ANY,
    "scheduler": Scheduler.OTHER,
    "threads": Threads.PREFER,
    "l3": L3.PREFER,
    "cores": Cores.ANY,
    "memory_kind": None,
    "cachetune": None,
    "memorytune": None,
    "emulator": Emulator.HOUSEKEEPING,
}
"""A guest's settings that restrict where it may go, each with its value that restricts nothing."""
PASSED: Mapping[str, Any] = {"beside": None, "near": Near.ANY}
"""The same of a passed device's."""
_KEPT: tuple[tuple[Path, str, Any], ...] = (
    (("vswitch", "cores"), "vswitch_cores", 0),
    (("housekeeping", "cores"), "housekeeping_cores", 1),
    (("reserve", "memory"), "reserve_memory_kib", 0),
    (("reserve", "pages"), "reserve_pages", ()),
    (("drained",), "drained", False),
)
"""What a host keeps from guests: its path below the host, its field, and the least of it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A source line that can be taken away. path: of the first guest or host that has it; names: all of them.

    A path of a block alone is the block: a guest, a place. `("lock", vm)` is a guest's entry in its host's lock.
    """

    path: Path
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Lines that conflict, those of a guest beside it. guests: who takes part. minimal: false where the steps were spent
    before each line was tried."""

    guests: tuple[str, ...]
    lines: tuple[Line, ...]
    variant: Variant
    minimal: bool


def find_conflict(variant: Variant, head: str, trials: Trials, origins: Origins) -> Conflict | None:
    """The conflict that keeps `head` from a place in a variant that does not fit; None where its rest does fit after all."""
    variant = _fewest_guests(variant, head, trials)
    lines = _settings(variant, origins)
    for line in lines:
        less = without(variant, line)
        if not trials.fits(less):
            variant = less
            if trials.spent:
                break
    kept = [line for line in _settings(variant, origins) if without(variant, line) != variant]
    if trials.fits(variant, limit=10 * LIMIT):
        return None
    guests = tuple(variant.site.vms)
    told = {name for line in kept if line.path[0] == "vm" for name in line.names}
    blocks = [Line(("vm", vm), (vm,)) for vm in guests if vm not in told]
    return Conflict(guests, (*blocks, *kept), variant, not trials.spent)


def _fewest_guests(variant: Variant, head: str, trials: Trials) -> Variant:
    """Drop guests, many at once first, as long as the rest still finds no place. `head` goes last, if at all."""
    others = [vm for vm in variant.site.vms if vm != head]
    size = len(others)
    while size and not trials.spent:
        start = 0
        while start < len(others):
            fewer = others[:start] + others[start + size :]
            less = variant.only((*fewer, head))
            if not trials.fits(less) and not trials.spent:
                others, variant = fewer, less
            else:
                start += size
        size = size // 2 if size > 1 else 0
    return variant


def without(variant: Variant, line: Line) -> Variant:
    """The variant with the line taken away."""
    site = variant.site
    kind, *rest = line.path
    if kind == "lock":
        return replace(variant, locked=variant.locked - set(line.names))
    if kind == "place":
        places = {name: place for name, place in site.places.items() if name not in line.names}
        return replace(variant, site=site.model_copy(update={"places": places}))
    if kind == "host":
        kept = next((field, least) for path, field, least in _KEPT if path == tuple(rest[1:]))
        hosts = {
            name: host.model_copy(update=dict([kept])) if name in line.names else host
            for name, host in site.hosts.items()
        }
        return replace(variant, site=site.model_copy(update={"hosts": hosts}))
    if len(rest) == 1:
        return variant.with_vms(vm for vm in site.vms.values() if vm.name not in line.names)
    if rest[1] == "vcpus":
        return replace(variant, no_cpus=variant.no_cpus | set(line.names))
    if rest[1] == "memory":
        return replace(variant, no_memory=variant.no_memory | set(line.names))
    return variant.with_vms(
        vm.model_copy(update=_relaxed(vm, rest[1:])) if vm.name in line.names else vm for vm in site.vms.values()
    )


def _relaxed(vm: Vm, setting: Sequence[str]) -> dict[str, Any]:
    if setting[0] == "near":
        return {"nears": {name: one for name, one in vm.nears.items() if name != setting[1]}}
    if setting[0] == "passed":
        return {"passed": vm.passed.model_copy(update={"beside": Near.ANY})}
    if setting[-1] in PASSED:
        return passed_update(vm, setting[0], setting[1], setting[-1], PASSED[setting[-1]])
    if setting[0] == "nic":
        return {"nics": {name: nic for name, nic in vm.nics.items() if name != setting[1]}}
    if setting[0] == "hostdev":
        return {"hostdevs": {name: device for name, device in vm.hostdevs.items() if name != setting[1]}}
    return {setting[0]: _FREE[setting[0]]}


def passed_update(vm: Vm, kind: str, label: str, name: str, value: object) -> dict[str, Any]:
    """The update of a guest that changes one setting of a passed device, if it still has it."""
    held: dict[str, Any] = dict(getattr(vm, f"{kind}s"))
    if label in held:
        held[label] = held[label].model_copy(update={name: value})
    return {f"{kind}s": held}


def _settings(variant: Variant, origins: Origins) -> list[Line]:
    """The lines below the guests' blocks that restrict something, in the order they are tried; one that several guests or
    hosts have from one class or pool is one line."""
    site = variant.site
    paths: list[tuple[Path, str]] = [(("lock", vm), vm) for vm in site.vms if vm in variant.locked]
    places = [place for place in site.places.values() if place.strength is Strength.REQUIRE and len(place.vms) > 1]
    paths += [(("place", place.name), place.name) for place in places]
    for host in site.hosts.values():
        paths += [(("host", host.name, *path), host.name) for path in _kept(host)]
    vms = tuple(site.vms.values())
    for name, free in _FREE.items():
        paths += [(("vm", vm.name, name), vm.name) for vm in vms if _restricts(vm, name, free)]
    for vm in vms:
        paths += [(("vm", vm.name, "nic", nic.name, "beside"), vm.name) for nic in vm.nics.values() if nic.beside]
        paths += [
            (("vm", vm.name, "hostdev", one.name, "beside"), vm.name) for one in vm.hostdevs.values() if one.beside
        ]
        paths += [(("vm", vm.name, "passed", "beside"), vm.name)] if vm.beside is Near.REQUIRE else []
        paths += [
            (("vm", vm.name, "near", one.name), vm.name)
            for one in vm.nears.values()
            if one.strength is Strength.REQUIRE
        ]
        paths += [(("vm", vm.name, "nic", nic.name, "device"), vm.name) for nic in vm.nics.values() if nic.device]
        paths += [(("vm", vm.name, "hostdev", device, "device"), vm.name) for device in vm.hostdevs]
    paths += [(("vm", vm.name, "memory"), vm.name) for vm in vms if vm.name not in variant.no_memory]
    paths += [(("vm", vm.name, "vcpus"), vm.name) for vm in vms if vm.name not in variant.no_cpus]
    return list(_by_line(paths, origins))


def _restricts(vm: Vm, name: str, free: object) -> bool:
    value = getattr(vm, name)
    if name in ("threads", "l3"):
        return vm.pinning is not Pinning.SHARED and value not in (free, L3.ANY)
    return bool(value != free)


def _kept(host: Host) -> list[Path]:
    return [path for path, field, least in _KEPT if getattr(host, field) not in (least, 0)]


def _by_line(paths: Iterable[tuple[Path, str]], origins: Origins) -> Iterable[Line]:
    groups: dict[object, tuple[Path, list[str]]] = {}
    for path, name in paths:
        origin = origins.table.get(path) if path[0] in ("vm", "host") else None
        # without an origin of its own a value is a default: each has it for itself
        key = (origin.span, path[2:]) if origin is not None else path
        groups.setdefault(key, (path, []))[1].append(name)
    return [Line(path, tuple(names)) for path, names in groups.values()]
