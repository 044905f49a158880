"""`locks/<host>.json` as the audit reads it: who was placed where, and what each is known by. Not the resolver's reader."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from kvmc.audit.source import File
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress


@dataclass(frozen=True, slots=True)
class Locked:
    """One guest. pins: a mask for each vCPU of each cell; nodes: of its memory. addresses, devices: by `disk root`, `nic n3`."""

    uuid: str
    macs: Mapping[str, str]
    addresses: Mapping[str, PciAddress]
    targets: Mapping[str, str]
    devices: Mapping[str, PciAddress]
    pins: tuple[CpuSet, ...]
    nodes: tuple[int, ...]
    emulator: CpuSet


@dataclass(frozen=True, slots=True)
class Lock:
    """One host's. retired: guests that were there, name to uuid."""

    guests: Mapping[str, Locked] = field(default_factory=dict)
    retired: Mapping[str, str] = field(default_factory=dict)


def read(host: str, text: str, bag: Bag) -> Lock | None:
    """The lock, or None with a finding: it is then as if it were not there."""
    name = f"locks/{host}.json"
    try:
        table = json.loads(text)
        guests = {str(vm): _guest(value) for vm, value in table.get("guests", {}).items()}
        retired = {str(vm): str(uuid).lower() for vm, uuid in table.get("retired", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        bag.error(
            codes.FILE_UNREADABLE,
            f"`{name}` cannot be read; identities are judged by names alone",
            File(name, name, text).head,
        )
        return None
    return Lock(guests, retired)


def _memory_node(cell: Mapping[str, object]) -> int:
    """The node of a cell's memory: the one that it is on elsewhere, else that of its vCPUs."""
    memory = cell.get("memory")
    if isinstance(memory, dict) and len(memory) == 1:
        return int(next(iter(memory)))
    return int(str(cell["node"]))


def _guest(value: Mapping[str, object]) -> Locked:
    cells = value["cells"]
    assert isinstance(cells, list)
    pins: list[CpuSet] = []
    for cell in cells:
        masks = [CpuSet.parse(one) for one in str(cell["pins"]).split(" ")]
        pins += masks * (int(cell["vcpus"]) if len(masks) == 1 else 1)
    return Locked(
        str(value["uuid"]).lower(),
        {nic: mac.lower() for nic, mac in _texts(value, "macs").items()},
        {device: PciAddress.parse(one) for device, one in _texts(value, "addresses").items()},
        _texts(value, "targets"),
        {device: PciAddress.parse(one) for device, one in _texts(value, "devices").items()},
        tuple(pins),
        tuple(_memory_node(cell) for cell in cells),
        CpuSet.parse(str(value["emulator"])),
    )


def _texts(value: Mapping[str, object], name: str) -> dict[str, str]:
    table = value.get(name, {})
    if not isinstance(table, dict):
        raise TypeError(name)
    return {str(key): str(text) for key, text in table.items()}
