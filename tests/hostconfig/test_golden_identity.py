"""Identities with what is told of them, to the address and the place; `--update` writes the goldens anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from hostconfig.shown import EVERYWHERE, NOWHERE, golden, told, word
from kvmc.diagnostics import Bag
from kvmc.hostconfig.identity import _made_macs, identify
from kvmc.model.cpuset import CpuSet
from kvmc.model.origins import Origins
from kvmc.model.site import Mdev, Pinning, Vm
from kvmc.model.values import PciAddress
from kvmc.resolver.locks import GuestLock, HostLock, Identity
from kvmc.resolver.placement import GuestPlacement
from support.guests import GIB, cell, disk, nic, place, platform, site, vm

U1, U2 = "4dea22b3-1d52-48f3-9516-782e98ab3fa0", "4DEA22B3-1D52-48F3-9516-782E98AB3FA1"
MDEVS = {"m": Mdev(name="m", uuid=U1)}


def _lock(host: str, retired: Mapping[str, str] | None = None, **guests: Identity) -> HostLock:
    placement = GuestPlacement("x", host, (), CpuSet(), CpuSet(), {})
    found = {name.replace("_", "-"): GuestLock(placement, one) for name, one in guests.items()}
    return HostLock(host, "", found, retired or {})


def _run(
    *vms: Vm, locks: tuple[HostLock, ...] = (), hosts: Mapping[str, str] | None = None, origins: Origins = EVERYWHERE
) -> tuple[Mapping[str, Identity], Bag]:
    made = site(vms, platform())
    placed = {
        one.name: place({one.name: [cell(0, 0, [1])]}, host=(hosts or {}).get(one.name, "h")).guests[one.name]
        for one in vms
    }
    placement = type(place({}))({}, placed)
    return identify(made, placement, {one.host: one for one in locks}, origins)


def _at(*buses: int) -> dict[str, PciAddress]:
    return {f"disk d{n}": PciAddress(0, bus, 0, 0) for n, bus in enumerate(buses)}


def _wrong(origins: Origins) -> tuple[Mapping[str, Identity], Bag]:
    """All that can be wrong of two guests, at once."""
    lock = _lock(
        "h", {"gone": "u-0"},
        one=Identity(U1, {"a": "52:54:00:00:00:0A"}, {"rng": PciAddress(0, 0xF1, 0, 0), "nic a": PciAddress(0, 2, 1, 0),
                     "disk d": PciAddress(0, 3, 0, 0), "scsi": PciAddress(0, 3, 0, 0)}, {}),
        two=Identity(str(U1), {}, {}, {}),
    )  # fmt: skip
    nics = [nic("a"), nic("b", mac="52:54:00:00:00:0a")]
    disks = [disk("d"), disk("e", bus="scsi")]
    return _run(
        vm("one", nics=nics, disks=disks, uuid=U2), vm("two"), vm("three", uuid=U2), locks=(lock,), origins=origins
    )


CASES: Mapping[str, Callable[[], tuple[Mapping[str, Identity], Bag]]] = {
    "plain": lambda: _run(vm("one"), vm("two", nics=[nic("a"), nic("b")])),
    "all kinds of devices": lambda: _run(
        vm("one", disks=[disk("a"), disk("b", bus="scsi"), disk("c", bus="sata"), disk("d"), disk("e", bus="scsi")],
           nics=[nic("n"), nic("m", network=None, device="n3")], hostdevs=["g"], mdevs=MDEVS)
    ),
    "a balloon": lambda: _run(vm("one", pinning=Pinning.SHARED, disks=[disk("a", bus="scsi")], nics=[nic("n")])),
    "no balloon": lambda: _run(
        vm("mixed", pinning=Pinning.MIXED), vm("paged", pinning=Pinning.SHARED, pages_kib=2048),
        vm("locked", pinning=Pinning.SHARED, locked=True), vm("passed", pinning=Pinning.SHARED, hostdevs=["g"]),
        vm("vf", pinning=Pinning.SHARED, nics=[nic("n", network=None, device="n3")]),
        vm("mediated", pinning=Pinning.SHARED, mdevs=MDEVS), vm("sealed", pinning=Pinning.SHARED, launch_security="tdx"),
    ),
    "kept by the lock": lambda: _run(
        vm("one", disks=[disk("d0"), disk("d1"), disk("d2")], nics=[nic("a"), nic("b")]),
        locks=(_lock("h", one=Identity(U2, {"a": "52:54:00:AA:00:01", "gone": "52:54:00:00:00:01"}, _at(7, 2),
                                       {"d0": "vdc", "d1": "vdq", "gone": "vda"})),),
    ),
    "of the lock of another host": lambda: _run(
        vm("one"), vm("two"),
        locks=(_lock("g", one=Identity(U1, {}, {"rng": PciAddress(0, 9, 0, 0)}, {}), two=Identity(U2, {}, {}, {})),
               _lock("h", one=Identity(U2, {}, {"rng": PciAddress(0, 8, 0, 0)}, {}))),
        hosts={"one": "h", "two": "h"},
    ),
    "of the lock of its own host": lambda: _run(
        vm("one"), locks=(_lock("a", one=Identity(U1, {}, {}, {})), _lock("h", one=Identity(U2, {}, {}, {}))),
    ),
    "come back": lambda: _run(vm("one"), locks=(_lock("a", {"other": U1}), _lock("b", {"one": U2}))),
    "come back with another uuid": lambda: _run(vm("one", uuid=U1), locks=(_lock("a", {"one": U2}),)),
    "a lock without a uuid": lambda: _run(vm("one", uuid=U1), locks=(_lock("h", one=Identity("", {}, {}, {})),)),
    "another uuid": lambda: _run(vm("one", uuid=U1), locks=(_lock("h", one=Identity(U2, {}, {}, {})),)),
    "another uuid, and it comes from elsewhere": lambda: _run(
        vm("one", uuid=U1), locks=(_lock("g", one=Identity(U2, {}, {}, {})),)
    ),
    "the same uuid in other letters": lambda: _run(
        vm("one", uuid=U2.lower()), locks=(_lock("h", one=Identity(U2, {}, {}, {})),)
    ),
    "disk names": lambda: _run(
        vm("one", disks=[*(disk(f"d{n}") for n in range(28)), disk("s", bus="scsi"), disk("t", bus="sata")]),
        locks=(_lock("h", one=Identity(U1, {}, {}, {"d3": "vda", "d4": "vda", "d5": "sda", "d6": "vd", "d7": "vdA", "d8": "vd1",
                                                    "d9": "vdé", "d10": "hda", "s": "sdb", "t": "vdb"})),),
    ),
    "seven disks of SATA": lambda: _run(vm("one", disks=[disk(f"d{n}", bus="sata") for n in range(7)])),
    "a SATA port that the lock has": lambda: _run(
        vm("one", disks=[disk("a", bus="sata")]), locks=(_lock("h", one=Identity(U1, {}, {}, {"a": "sdg"})),)
    ),
    "the last SATA port": lambda: _run(
        vm("one", disks=[disk("a", bus="sata")]), locks=(_lock("h", one=Identity(U1, {}, {}, {"a": "sdf"})),)
    ),
    "addresses at the ends": lambda: _run(
        vm("one", disks=[disk("d0"), disk("d1"), disk("d2"), disk("d3")]),
        locks=(_lock("h", one=Identity(U1, {}, _at(0, 1, 240, 241), {})),),
    ),
    "241 devices": lambda: _run(vm("one", pages_kib=GIB, disks=[disk(f"d{n}", bus="virtio") for n in range(240)])),
    "all that is wrong": lambda: _wrong(EVERYWHERE),
    "all that is wrong, nowhere": lambda: _wrong(NOWHERE),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_identities(title: str, pytestconfig: pytest.Config) -> None:
    found, bag = CASES[title]()
    rows = [
        row
        for name, one in found.items()
        for row in (
            f"{name}: {one.uuid}",
            *(f"  {what} {word(part)}" for what, part in (("macs", one.macs), ("targets", one.targets)) if part),
            f"  addresses {word(dict(list(one.addresses.items())[-9:]))}",
        )
    ]
    text = "\n".join(rows)
    golden("identities", title, f"{text}\n\n{told(bag)}", update=pytestconfig.getoption("--update"))


def test_made_macs_go_on_where_one_is_taken() -> None:
    macs = _made_macs("fra.example.net/db-1/a")
    first, second, third = next(macs), next(macs), next(macs)
    assert (first, second, third) == ("52:54:00:b8:6b:94", "52:54:00:9f:f5:e1", "52:54:00:ff:7e:02")


def test_a_made_mac_gives_way_to_the_next_of_its_own() -> None:
    first, second = (mac for mac, _ in zip(_made_macs("fra.example.net/db-1/a"), range(2), strict=False))
    made: dict[str, Any] = {"nics": [nic("a", mac=first)]}
    found, bag = _run(vm("later", **made), vm("db-1", nics=[nic("a")]))
    assert not list(bag) and found["db-1"].macs == {"a": second}
