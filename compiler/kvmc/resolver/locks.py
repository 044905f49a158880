"""`locks/<host>.json`: the last placement of a host and the identities of its guests; committed, sorted, one file a host.

A lock is read field by field, since a merge or a hand may have been in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts as codes
from kvmc.diagnostics.model import Code
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.resolver.placement import CellPlacement, GuestPlacement, Placement
from kvmc.topology.fingerprint import fingerprint
from kvmc.topology.model import Topology
from kvmc.topology.summary import summary

VERSION = 1
_MOST_CHARACTERS = 16 * 1024**2
_MOST = 2**53

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,127}")
_LINE = re.compile(r"[a-z0-9][a-z0-9:. ]{0,31}")
_TEXT = re.compile(r"[A-Za-z0-9,;:. -]{0,65536}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NODE = re.compile(r"[0-9]{1,5}")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_TARGET = re.compile(r"[a-z][a-z0-9]{0,15}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a guest is known by, inside and outside; never changes by itself.

    macs: by NIC label. addresses: guest PCI addresses by device (`disk root`, `nic eth0`, `hostdev gpu`, `scsi`, `balloon`,
    `rng`). targets: guest disk names by disk label.
    """

    uuid: str
    macs: Mapping[str, str]
    addresses: Mapping[str, PciAddress]
    targets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GuestLock:
    """What stays of a guest from build to build.

    placed: which placement it is, counted over all locks of the site: a guest that is placed or moved gets a number above all that
    its branch has. Of two guests that a merge put on one CPU, the newer has the higher number; where both have one, it is the later
    in the source.
    """

    placement: GuestPlacement
    identity: Identity
    placed: int = 0


@dataclass(frozen=True, slots=True)
class HostLock:
    """One host. fingerprint: sha256 over what placement depends on in its topology. retired: guests that were here, name to
    uuid, until they come back. topology: the same in lines (topology/summary.py); empty in a lock that kept none."""

    host: str
    fingerprint: str
    guests: Mapping[str, GuestLock]
    retired: Mapping[str, str]
    topology: Mapping[str, str] = field(default_factory=dict)


class _FieldError(Exception):
    """A field that is not what it must be; never leaves this module."""


def next_locks(
    placement: Placement,
    identities: Mapping[str, Identity],
    topologies: Mapping[str, Topology],
    old: Mapping[str, HostLock],
) -> Mapping[str, HostLock]:
    """The locks that hold this placement, for every host of it. A guest that left a host is retired there, until it is back."""
    locks: dict[str, HostLock] = {}
    known = {(host, vm): one for host, lock in old.items() for vm, one in lock.guests.items()}
    number = 1 + max((one.placed for one in known.values()), default=0)
    for host in placement.pools:
        here = {
            vm: GuestLock(guest, identities[vm], _number(known.get((host, vm)), guest, number))
            for vm, guest in sorted(placement.guests.items())
            if guest.host == host
        }
        before = old.get(host)
        gone = (
            {} if before is None else {**before.retired, **{vm: one.identity.uuid for vm, one in before.guests.items()}}
        )
        retired = {vm: uuid for vm, uuid in sorted(gone.items()) if vm not in here}
        locks[host] = HostLock(host, fingerprint(topologies[host]), here, retired, summary(topologies[host]))
    return locks


def _number(old: GuestLock | None, guest: GuestPlacement, new: int) -> int:
    """The number of its placement: that of before where it stays on its CPUs and devices."""
    if old is None or (old.placement.cells, dict(old.placement.devices)) != (guest.cells, dict(guest.devices)):
        return new
    return old.placed


def dumps(lock: HostLock) -> str:
    """JSON, sorted, one value a line, so that changes of different guests merge."""
    value = {
        "lock": VERSION,
        "host": lock.host,
        "fingerprint": lock.fingerprint,
        "topology": dict(lock.topology),
        "guests": {name: _guest_value(guest) for name, guest in lock.guests.items()},
        "retired": dict(lock.retired),
    }
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def _guest_value(lock: GuestLock) -> dict[str, Any]:
    placement, identity = lock.placement, lock.identity
    value: dict[str, Any] = {
        "uuid": identity.uuid,
        "placed": lock.placed,
        "cells": [
            {"node": cell.node, "memory_kib": cell.memory_kib, "vcpus": len(cell.vcpus), "pins": _pins_text(cell.pins)}
            | ({"memory": {str(node): kib for node, kib in cell.memory}} if cell.memory else {})
            for cell in placement.cells
        ],
        "emulator": str(placement.emulator),
        "idle": str(placement.idle),
        "devices": {f"{kind} {label}": str(address) for (kind, label), address in placement.devices.items()},
        "macs": dict(identity.macs),
        "addresses": {name: str(address) for name, address in identity.addresses.items()},
        "targets": dict(identity.targets),
    }
    return {name: kept for name, kept in value.items() if kept not in ({}, "")}


def _pins_text(pins: tuple[CpuSet, ...]) -> str:
    """A CPU list a vCPU, with spaces between; one alone where all have the same."""
    if not pins:
        return ""
    return str(pins[0]) if len(set(pins)) == 1 else " ".join(map(str, pins))


def loads(text: str, shown: str) -> tuple[HostLock | None, Bag]:
    """Read a lock. `shown` is how messages name the file. None where the bag holds an error."""
    bag = Bag()
    fresh = (f"restore `{shown}` from version control; without it every guest of the host is placed anew",)

    def fail(code: Code, what: str, help: tuple[str, ...] = fresh) -> tuple[None, Bag]:
        bag.error(code, f"`{shown}` {what}", help=help)
        return None, bag

    if len(text) > _MOST_CHARACTERS:
        return fail(codes.LOCK_UNREADABLE, f"has {len(text)} characters, {_MOST_CHARACTERS} are read at most")
    marker = re.search(r"^(<{7}|={7}|>{7}|\|{7})( |$)", text, re.MULTILINE)
    if marker:
        line = text.count("\n", 0, marker.start()) + 1
        return fail(
            codes.LOCK_UNMERGED,
            f"holds merge conflict markers, the first on line {line}",
            ("keep the entries of both sides; where they claim the same, the next build names both guests",),
        )
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except _FieldError as error:
        return fail(codes.LOCK_UNREADABLE, str(error))
    except RecursionError:
        return fail(codes.LOCK_UNREADABLE, "is nested too deeply")
    except json.JSONDecodeError as error:
        return fail(
            codes.LOCK_UNREADABLE, f"is not JSON: line {error.lineno} column {error.colno}: {error.msg.lower()}"
        )
    except ValueError:
        return fail(codes.LOCK_UNREADABLE, "holds a number with too many digits")
    if not isinstance(value, dict) or "lock" not in value:
        return fail(codes.LOCK_UNREADABLE, "is not a lock: it has no `lock` with its version")
    if value["lock"] != VERSION or isinstance(value["lock"], bool):
        return fail(
            codes.LOCK_VERSION,
            f"is of version {_shown(value['lock'])}, this release reads {VERSION}",
            ("use the release of kvmc that wrote it, or restore it from version control",),
        )
    try:
        return _lock(value), bag
    except _FieldError as error:
        return fail(codes.LOCK_UNREADABLE, str(error))


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _FieldError(f"has {_shown(name)} twice in one place")
        found[name] = value
    return found


def _constant(text: str) -> Any:
    raise _FieldError(f"holds `{text}`, which is no JSON")


def _shown(value: object) -> str:
    text = json.dumps(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return f"`{text if len(text) <= 40 else text[:37] + '...'}`"


def _lock(value: dict[str, Any]) -> HostLock:
    _known(value, "the lock", {"lock", "host", "fingerprint", "topology", "guests", "retired"})
    host = _match(_NAME, value.get("host"), "host")
    guests = _object(value.get("guests", {}), "guests")
    return HostLock(
        host=host,
        fingerprint=_match(_SHA256, value.get("fingerprint"), "fingerprint"),
        guests={
            _match(_NAME, name, "a name in guests"): _guest(name, host, _object(guest, f"guests.{name}"))
            for name, guest in guests.items()
        },
        retired=_table(value.get("retired", {}), "retired", _NAME, lambda one, at: _match(_UUID, one, at)),
        topology=_table(value.get("topology", {}), "topology", _LINE, lambda one, at: _match(_TEXT, one, at)),
    )


def _guest(name: str, host: str, value: dict[str, Any]) -> GuestLock:
    at = f"guests.{name}"
    _known(value, at, {"uuid", "placed", "cells", "emulator", "idle", "devices", "macs", "addresses", "targets"})
    listed = value.get("cells")
    if not isinstance(listed, list) or not listed:
        raise _FieldError(f"{at}.cells is {_shown(listed)}, not a list of nodes")
    cells: list[CellPlacement] = []
    first = 0
    for index, cell in enumerate(listed):
        cells.append(_cell(_object(cell, f"{at}.cells[{index}]"), f"{at}.cells[{index}]", first))
        first += len(cells[-1].vcpus)
    devices: dict[tuple[str, str], PciAddress] = {}
    for key, address in _object(value.get("devices", {}), f"{at}.devices").items():
        kind, _, label = key.partition(" ")
        if kind not in ("nic", "hostdev"):
            raise _FieldError(f"{at}.devices has {_shown(key)}, which is no nic and no hostdev")
        devices[kind, _match(_NAME, label, f"{at}.devices")] = _address(address, f"{at}.devices.{key}")
    placement = GuestPlacement(
        vm=name,
        host=host,
        cells=tuple(cells),
        emulator=_cpus(value.get("emulator", ""), f"{at}.emulator"),
        idle=_cpus(value.get("idle", ""), f"{at}.idle"),
        devices=devices,
    )
    identity = Identity(
        uuid=_match(_UUID, value.get("uuid"), f"{at}.uuid"),
        macs=_table(value.get("macs", {}), f"{at}.macs", _NAME, lambda one, where: _match(_MAC, one, where)),
        addresses=_table(value.get("addresses", {}), f"{at}.addresses", _LABEL, _address),
        targets=_table(
            value.get("targets", {}), f"{at}.targets", _NAME, lambda one, where: _match(_TARGET, one, where)
        ),
    )
    return GuestLock(placement, identity, _number_in(value.get("placed", 0), f"{at}.placed", 0, _MOST))


def _cell(value: dict[str, Any], at: str, first: int) -> CellPlacement:
    _known(value, at, {"node", "memory_kib", "vcpus", "pins", "memory"})
    vcpus = _number_in(value.get("vcpus"), f"{at}.vcpus", 0, 8192)
    text = value.get("pins")
    if not isinstance(text, str):
        raise _FieldError(f"{at}.pins is {_shown(text)}, not CPU lists with spaces between")
    pins = [_cpus(part, f"{at}.pins") for part in text.split()]
    if len(pins) == 1:
        pins *= vcpus
    if len(pins) != vcpus or not all(pins):
        raise _FieldError(f"{at}.pins has {len(pins)} CPU lists for {counted(vcpus, 'vCPU')}")
    memory = _table(value.get("memory", {}), f"{at}.memory", _NODE, lambda one, where: _number_in(one, where, 1, _MOST))
    return CellPlacement(
        node=_number_in(value.get("node"), f"{at}.node", 0, 65535),
        vcpus=tuple(range(first, first + vcpus)),
        pins=tuple(pins),
        memory_kib=_number_in(value.get("memory_kib"), f"{at}.memory_kib", 1, _MOST),
        memory=tuple(sorted((int(node), kib) for node, kib in memory.items())),
    )


def _known(value: Mapping[str, Any], at: str, names: set[str]) -> None:
    unknown = next((name for name in value if name not in names), None)
    if unknown is not None:
        raise _FieldError(f"has a field {_shown(unknown)} in {at} that this release does not know")


def _object(value: object, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _FieldError(f"{at} is {_shown(value)}, not an object")
    return value


def _number_in(value: object, at: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _FieldError(f"{at} is {_shown(value)}, not a whole number from {low} to {high}")
    return value


def _match(pattern: re.Pattern[str], value: object, at: str) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise _FieldError(f"{at} is {_shown(value)}, not what kvmc writes there")
    return value


def _cpus(value: object, at: str) -> CpuSet:
    if not isinstance(value, str) or len(value) > 65536:
        raise _FieldError(f"{at} is {_shown(value)}, not a CPU list")
    try:
        return CpuSet.parse(value)
    except ValueError as error:
        raise _FieldError(f"{at}: {error}") from None


def _address(value: object, at: str) -> PciAddress:
    try:
        return PciAddress.parse(value if isinstance(value, str) else "")
    except ValueError:
        raise _FieldError(f"{at} is {_shown(value)}, not a PCI address") from None


def _table(value: object, at: str, names: re.Pattern[str], read: Callable[[object, str], T]) -> dict[str, T]:
    return {
        _match(names, name, f"a name in {at}"): read(one, f"{at}.{name}") for name, one in _object(value, at).items()
    }
