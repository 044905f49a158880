"""Buses of expanders, and parts of caches: to the address and the mask; `--update` writes the goldens anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hostconfig.host_samples import host
from hostconfig.shown import EVERYWHERE, golden, lines, told, word
from kvmc.hostconfig.expanders import device_cells, expanders, lay, port_address
from kvmc.hostconfig.guest_gates import Gate
from kvmc.hostconfig.resctrl import host_plan, tuned
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import DevicePool, Passed
from kvmc.model.values import PciAddress
from kvmc.resolver.resctrl import Offer
from kvmc.topology import PciDevice, Sriov
from support.guests import cell, derive, place, platform, siblings, site, topology, vm


def _at(bus: int, slot: int = 0) -> PciAddress:
    return PciAddress(0, bus, slot, 0)


MANY = {f"nic n{n}": n % 2 for n in range(16)}
ON_ONE = {f"nic n{n}": 0 for n in range(15)}
LAID: dict[str, tuple[list[str], Mapping[str, int], Mapping[str, PciAddress], Mapping[str, PciAddress]]] = {
    "nothing passed": (["disk a", "rng"], {}, {}, {}),
    "two nodes": (["disk a", "nic n", "hostdev g", "rng"], {"nic n": 1, "hostdev g": 0}, {}, {}),
    "eight ports of the first": ([*(f"disk d{n}" for n in range(9)), "nic n"], {"nic n": 0}, {}, {}),
    "sixteen devices on two nodes": ([*MANY, "rng"], MANY, {}, {}),
    "fifteen on one node": ([*ON_ONE, "rng"], ON_ONE, {}, {}),
    "kept": (
        ["disk a", "nic n", "nic m", "rng"], {"nic n": 1, "nic m": 1},
        {"disk a": _at(3), "nic n": _at(19), "rng": _at(4)}, {"expander 1": _at(17), "nic n": _at(19)},
    ),
    "kept where an expander is now": (["disk a", "nic n"], {"nic n": 0}, {"disk a": _at(10)}, {"expander 0": _at(9)}),
    "kept at an expander's own place": (["nic n"], {"nic n": 0}, {"nic n": _at(9)}, {"expander 0": _at(9)}),
    "kept of another node": (["nic n"], {"nic n": 1}, {"nic n": _at(10)}, {"expander 0": _at(9)}),
    "kept of a node without devices": (["nic n", "rng"], {"nic n": 1}, {"rng": _at(10)}, {"expander 0": _at(9)}),
    "locked otherwise": (
        ["nic n"], {"nic n": 0}, {},
        {"expander 0": _at(10), "expander 0 2": _at(17, 1), "expander x": _at(25), "expander 0 y": _at(33), "rng": _at(41)},
    ),
    "locked beyond the last run": (["nic n"], {"nic n": 0}, {}, {"expander 0": _at(129)}),
    "locked in the last run": (["nic n"], {"nic n": 0}, {}, {"expander 0": _at(121)}),
    "the second of a node": (
        ["nic n", "nic m"], {"nic n": 0, "nic m": 0}, {"nic n": _at(10), "nic m": _at(18)},
        {"expander 0": _at(9), "expander 0 2": _at(17)},
    ),
    "as many as fit": ([*(f"disk d{n}" for n in range(120)), "nic n"], {"nic n": 0}, {}, {}),
    "more than fit": ([*(f"disk d{n}" for n in range(121)), "nic n"], {"nic n": 0}, {}, {}),
    "more than fit beside none": ([f"disk d{n}" for n in range(129)], {}, {}, {}),
}  # fmt: skip


@pytest.mark.parametrize("title", LAID)
def test_buses(title: str, pytestconfig: pytest.Config) -> None:
    found = lay(*LAID[title])
    if found is None:
        text = "more than fit"
    else:
        on = expanders(found)
        rows = [f"{key}: {address}" for key, address in [*list(found.items())[:6], *list(found.items())[-12:]]]
        rows += [f"{word(one)}" for one in on]
        ports = [f"{number}: {port}" for number in range(1, 130) if (port := port_address(number, on)) is not None]
        text = "\n".join([*rows, f"behind expanders: {', '.join(ports)}"])
    golden("buses", title, text, update=pytestconfig.getoption("--update"))


PF, OTHER, GPU, AWAY = (PciAddress(0, bus, 0, 0) for bus in (0x3B, 0x5E, 0x81, 0xC1))
PCI = {
    PF: PciDevice(PF, node=1, sriov=Sriov(4, 16, 1)),
    OTHER: PciDevice(OTHER, node=0, sriov=Sriov(4, 16, 1)),
    GPU: PciDevice(GPU, node=1),
    AWAY: PciDevice(AWAY, node=3),
}


def test_passed_devices_are_on_the_guests_nodes() -> None:
    pools = {"vf": DevicePool(name="vf", parent=PF, vfs=4, addresses=(), others=(OTHER,))}
    where = replace(topology(nodes=4), pci=PCI)
    devices = {
        ("nic", "a"): PciAddress(0, 0x3B, 2, 1),
        ("nic", "b"): PciAddress(0, 0x5E, 2, 3),
        ("hostdev", "g"): GPU,
        ("hostdev", "away"): AWAY,
        ("hostdev", "unknown"): PciAddress(0, 0xFF, 0, 0),
    }
    cells = [cell(1, 0, [9]), cell(0, 1, [1])]
    placed = place({"db-1": cells}, devices=devices).guests["db-1"]
    of = host(devices=pools)
    asked = vm(passed=Passed(expander=True), nodes=2)
    assert device_cells(asked, placed, of, where) == {"nic a": 0, "nic b": 1, "hostdev g": 0}
    assert device_cells(vm(passed=Passed(expander=True), nodes=1), placed, of, where) == {}
    assert device_cells(vm(nodes=2), placed, of, where) == {}
    assert device_cells(asked, placed, host(devices={}), replace(where, pci=None)) == {}


OFFER = Offer(
    ids={0: 7, 8: 3}, ways=8, whole=11, least=2, way_bytes=1 << 20, groups=4, bandwidth=60, step=10, lowest=10, split=False,
    floating=(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("title", "changes"),
    [
        ("ways and bandwidth", {}),
        ("code and data apart", {"split": True, "whole": 20, "ways": 19}),
        ("bandwidth alone", {"ways": 0, "ids": {}}),
    ],
)
def test_what_the_default_group_keeps(title: str, changes: dict[str, Any], pytestconfig: pytest.Config) -> None:
    text = lines(host_plan(host(), replace(OFFER, **changes), EVERYWHERE))
    golden("resctrl", title, text, update=pytestconfig.getoption("--update"))


@pytest.mark.parametrize(
    ("title", "asked", "offer", "on"),
    [
        ("a part of both caches", {"cachetune": 3 * 1024, "memorytune": 25}, {}, {}),
        ("a little", {"cachetune": 1, "memorytune": 1}, {}, {}),
        ("code and data", {"cachetune": 4096}, {"split": True}, {}),
        ("bandwidth alone", {"memorytune": 20}, {}, {}),
        ("none", {}, {}, {}),
        ("too old", {"cachetune": 4096, "memorytune": 20}, {}, {"libvirt": "4.0", "kernel": "4.9"}),
        ("too old a libvirt for bandwidth", {"memorytune": 20}, {}, {"libvirt": "4.6", "kernel": "4.12"}),
        ("too old a kernel for bandwidth", {"memorytune": 20}, {}, {"libvirt": "4.7", "kernel": "4.11"}),
        ("too old a kernel for caches", {"cachetune": 4096}, {}, {"libvirt": "4.1", "kernel": "4.9"}),
        ("just new enough", {"cachetune": 4096}, {}, {"libvirt": "4.1", "kernel": "4.10"}),
    ],
)  # fmt: skip
def test_a_guests_part(
    title: str, asked: dict[str, Any], offer: dict[str, Any], on: dict[str, str], pytestconfig: pytest.Config
) -> None:
    where = topology()
    guest = vm(nodes=2, **asked)
    cells = [cell(1, 0, siblings(where, [9])), cell(0, 2, siblings(where, [1]))]
    plan, _ = derive(guest, cells, where)
    of = site([guest], platform(**on))
    gate = Gate(guest, of.hosts["h"], of.platforms["deb12"], EVERYWHERE)
    found = tuned(plan, gate, replace(OFFER, **offer), where)
    text = f"{lines(found, replace(plan, cachetune=(), memorytune=()))}\n\n{told(gate.bag)}"
    golden("resctrl", f"guest: {title}", text, update=pytestconfig.getoption("--update"))
    one = replace(plan, pins=tuple(CpuSet.of([cpu]) for cpu in (1, 17, 2, 18)), cachetune=(), memorytune=())
    assert {part.id for part in tuned(one, gate, OFFER, where).cachetune} <= {7}
