"""Identities: the site wins, then the lock, then names; nothing else moves them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from kvmc.diagnostics import Bag
from kvmc.hostconfig.identity import identify, root_port, target_index, target_name
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Pinning, Vm
from kvmc.model.values import PciAddress
from kvmc.resolver.locks import GuestLock, HostLock, Identity
from kvmc.resolver.placement import GuestPlacement
from support.guests import GIB, cell, disk, nic, origins_of, place, platform, site, vm

UUID = "4dea22b3-1d52-48f3-9516-782e98ab3fa0"


def address(text: str) -> PciAddress:
    return PciAddress.parse(text)


def run(
    *vms: Vm, locks: Mapping[str, HostLock] | None = None, paths: tuple[tuple[str, ...], ...] = (), **changes: Any
) -> tuple[Mapping[str, Identity], Bag]:
    made = site(vms, platform(), **changes)
    return identify(made, place({one.name: [cell(0, 0, [1])] for one in vms}), locks or {}, origins_of(made, *paths))


def lock(retired: Mapping[str, str] | None = None, **guests: Identity) -> dict[str, HostLock]:
    placement = GuestPlacement("x", "h", (), CpuSet(), CpuSet(), {})
    by_name = {name.replace("_", "-"): GuestLock(placement, one) for name, one in guests.items()}
    return {"h": HostLock("h", "", by_name, retired or {})}


def codes(bag: Bag) -> list[str]:
    return [item.code.id for item in bag]


def test_uuid_is_made_of_the_site_and_the_name() -> None:
    found, bag = run(vm("db-1"), vm("db-2"))
    space = uuid.uuid5(uuid.NAMESPACE_DNS, "fra.example.net")
    assert {name: one.uuid for name, one in found.items()} == {name: str(uuid.uuid5(space, name)) for name in found}
    assert not bag


def test_uuid_of_the_site_wins_over_the_lock_with_a_note() -> None:
    found, bag = run(vm(uuid=UUID.upper()), locks=lock(db_1=Identity(str(uuid.UUID(int=1)), {}, {}, {})))
    assert found["db-1"].uuid == UUID
    assert codes(bag) == ["KVMC0552"]
    assert not bag.has_errors


def test_uuid_of_the_lock_wins_over_the_name() -> None:
    found, bag = run(vm(), locks=lock(db_1=Identity(UUID, {}, {}, {})))
    assert found["db-1"].uuid == UUID
    assert not bag


def test_a_guest_that_moves_keeps_its_identity() -> None:
    locks = lock(db_1=Identity(UUID, {"eth0": "52:54:00:00:00:07"}, {}, {}))
    found, _ = run(vm(nics=[nic("eth0")]), locks={"other": locks["h"]})
    assert (found["db-1"].uuid, found["db-1"].macs) == (UUID, {"eth0": "52:54:00:00:00:07"})


def test_a_guest_that_comes_back_keeps_its_uuid() -> None:
    found, bag = run(vm(), locks=lock({"db-1": UUID}))
    assert found["db-1"].uuid == UUID
    assert not bag


def test_a_uuid_twice_names_both() -> None:
    paths = (("vm", "db-1", "uuid"), ("vm", "db-2", "uuid"))
    _, bag = run(vm(uuid=UUID), vm("db-2", uuid=UUID), paths=paths)
    (item,) = bag
    assert item.code.id == "KVMC0550"
    assert item.primary is not None
    assert item.primary.span != item.secondary[0].span
    assert "`db-1` and `db-2`" in item.message


def test_macs_are_stable_and_local() -> None:
    found, _ = run(vm(nics=[nic("a"), nic("b", mac="52:54:00:AA:00:01")]))
    again, _ = run(vm("first", nics=[nic("z")]), vm(nics=[nic("new"), nic("a")]))
    macs = found["db-1"].macs
    assert macs["a"].startswith("52:54:00:") and len(macs["a"]) == 17
    assert macs["b"] == "52:54:00:aa:00:01"
    assert again["db-1"].macs["a"] == macs["a"]


def test_a_made_mac_gives_way_to_a_written_one() -> None:
    made = run(vm(nics=[nic("a")]))[0]["db-1"].macs["a"]
    found, bag = run(vm(nics=[nic("a")]), vm("later", nics=[nic("a", mac=made)]))
    assert not bag
    assert found["later"].macs["a"] == made != found["db-1"].macs["a"]


def test_a_mac_twice_names_both() -> None:
    path = (("vm", "db-1", "nic", "a", "mac"), ("vm", "db-2", "nic", "a", "mac"))
    mac = "52:54:00:00:00:01"
    _, bag = run(vm(nics=[nic("a", mac=mac)]), vm("db-2", nics=[nic("a", mac=mac.upper())]), paths=path)
    (item,) = bag
    assert (item.code.id, len(item.secondary)) == ("KVMC0551", 1)


def test_a_locked_mac_that_another_writes_is_an_error() -> None:
    mac = "52:54:00:00:00:01"
    locks = lock(db_1=Identity(UUID, {"a": mac}, {}, {}))
    path = ("vm", "db-2", "nic", "a", "mac")
    _, bag = run(vm(nics=[nic("a")]), vm("db-2", nics=[nic("a", mac=mac)]), locks=locks, paths=(path,))
    (item,) = bag
    assert item.code.id == "KVMC0551"
    assert item.primary is not None and item.primary.span.start == 20, (
        "the line that says it, after the headers of two guests"
    )


def test_devices_take_ports_in_order() -> None:
    found, _ = run(vm(disks=[disk("root"), disk("log"), disk("cd", bus="scsi")], nics=[nic("eth0")], hostdevs=["gpu"]))
    assert {key: str(one) for key, one in found["db-1"].addresses.items()} == {
        "disk root": "0000:01:00.0",
        "disk log": "0000:02:00.0",
        "nic eth0": "0000:03:00.0",
        "hostdev gpu": "0000:04:00.0",
        "scsi": "0000:05:00.0",
        "rng": "0000:06:00.0",
    }


def test_locked_addresses_stay_and_new_devices_fill_holes() -> None:
    kept = {"disk root": address("0000:05:00.0"), "rng": address("0000:01:00.0"), "disk gone": address("0000:02:00.0")}
    locks = lock(db_1=Identity(UUID, {}, kept, {}))
    found, bag = run(vm(disks=[disk("new"), disk("root"), disk("newer")]), locks=locks)
    assert {key: one.bus for key, one in found["db-1"].addresses.items()} == {
        "disk new": 2,
        "disk root": 5,
        "disk newer": 3,
        "rng": 1,
    }
    assert not bag


@pytest.mark.parametrize("where", ["0000:00:05.0", "0000:01:01.0", "0000:f1:00.0", "0001:01:00.0", "0000:01:00.1"])
def test_a_locked_address_that_is_no_port_is_an_error(where: str) -> None:
    _, bag = run(vm(), locks=lock(db_1=Identity(UUID, {}, {"rng": address(where)}, {})))
    assert codes(bag) == ["KVMC0553"]


def test_a_locked_address_twice_is_an_error() -> None:
    both = {"rng": address("0000:01:00.0"), "disk root": address("0000:01:00.0")}
    found, bag = run(vm(disks=[disk("root")]), locks=lock(db_1=Identity(UUID, {}, both, {})))
    assert codes(bag) == ["KVMC0553"]
    assert len(set(found["db-1"].addresses.values())) == 2


def test_more_devices_than_ports() -> None:
    fits, bag = run(vm(disks=[disk(f"d{n}") for n in range(239)]))
    assert not bag and len(fits["db-1"].addresses) == 240
    found, bag = run(vm(disks=[disk(f"d{n}") for n in range(240)]))
    assert codes(bag) == ["KVMC0554"]
    assert "241" in bag.items[0].message and len(found["db-1"].addresses) == 241


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({"pinning": Pinning.SHARED}, True),
        ({"pinning": Pinning.SHARED, "nics": [nic("a", network=None, device="n3")]}, False),
        ({"pinning": Pinning.SHARED, "hostdevs": ["gpu"]}, False),
        ({"pinning": Pinning.SHARED, "locked": True}, False),
        ({"pinning": Pinning.SHARED, "pages_kib": GIB}, False),
        ({"pinning": Pinning.DEDICATED}, False),
    ],
)
def test_a_balloon_only_where_it_can_give_memory(changes: dict[str, Any], there: bool) -> None:
    assert ("balloon" in run(vm(**changes))[0]["db-1"].addresses) == there


def test_targets_by_bus_kept_and_lowest_free() -> None:
    kept = {"b": "vda", "moved": "vdb", "bad": "vd1", "twin": "vda"}
    disks = [disk("a"), disk("b"), disk("moved", bus="scsi"), disk("bad"), disk("twin"), disk("s", bus="sata")]
    found, bag = run(vm(disks=disks), locks=lock(db_1=Identity(UUID, {}, {}, kept)))
    assert found["db-1"].targets == {"a": "vdb", "b": "vda", "moved": "sda", "bad": "vdc", "twin": "vdd", "s": "sdb"}
    assert not bag


def test_sata_has_six_ports() -> None:
    assert not run(vm(disks=[disk(f"d{n}", bus="sata") for n in range(6)]))[1]
    assert codes(run(vm(disks=[disk(f"d{n}", bus="sata") for n in range(7)]))[1]) == ["KVMC0554"]


@pytest.mark.parametrize(("index", "name"), [(0, "vda"), (25, "vdz"), (26, "vdaa"), (701, "vdzz"), (702, "vdaaa")])
def test_disk_names_count_like_libvirts(index: int, name: str) -> None:
    assert target_name("vd", index) == name
    assert target_index(name) == index


@pytest.mark.parametrize(
    ("port", "where"), [(1, "0000:00:01.0"), (8, "0000:00:01.7"), (9, "0000:00:02.0"), (240, "0000:00:1e.7")]
)
def test_root_ports_fill_slots(port: int, where: str) -> None:
    assert str(root_port(port)) == where
