"""Locks: what holds stays, what no longer does is placed anew, and what contradicts itself is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kvmc.diagnostics import Bag
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Pinning, Site
from kvmc.model.values import PageCount
from kvmc.resolver.keep import keep
from kvmc.resolver.locks import HostLock
from kvmc.resolver.placement import GuestPlacement, Placement
from kvmc.resolver.solve import resolve
from support.locking import locks_of
from support.machines import machine, nic
from support.rules import broken_rules
from support.sites import GIB, a_host, a_nic, a_site, a_vm, apart, origins_of, vfs

MACHINE = machine(pci=[nic("3b:00.0")])
VMS = (
    a_vm("db", vcpus=8, gib=32),
    a_vm("upf", vcpus=8, gib=16, nics=[a_nic("n3", device="n3")]),
    a_vm("web", pinning=Pinning.SHARED, pages_kib=None),
)


def a_case(**host: Any) -> Site:
    values: dict[str, Any] = {"shared_cores": 2, "devices": [vfs("n3", "3b:00.0", 8)], "rack": "r1"}
    return a_site([a_host("kvm-a", **(values | host)), a_host("kvm-b", **(values | host))], VMS)


def build(site: Site, locks: Mapping[str, HostLock], *, search: bool = True) -> tuple[Placement | None, Bag]:
    return resolve(site, dict.fromkeys(site.hosts, MACHINE), locks, origins_of(site), search=search)


@pytest.fixture
def placed() -> Placement:
    placement, _ = build(a_case(), {})
    assert placement is not None
    return placement


@pytest.fixture
def locks(placed: Placement) -> Mapping[str, HostLock]:
    return locks_of(placed, dict.fromkeys(placed.pools, MACHINE))


def changed(site: Site, vm: str, **values: Any) -> Site:
    return site.model_copy(update={"vms": {**site.vms, vm: site.vms[vm].model_copy(update=values)}})


def edited(
    locks: Mapping[str, HostLock], host: str, vm: str, edit: Callable[[GuestPlacement], GuestPlacement]
) -> dict[str, HostLock]:
    guest = locks[host].guests[vm]
    guests = {**locks[host].guests, vm: dataclasses.replace(guest, placement=edit(guest.placement))}
    return {**locks, host: dataclasses.replace(locks[host], guests=guests)}


def test_check_never_searches(locks: Mapping[str, HostLock]) -> None:
    site = a_case()
    kept, bag = keep(site, dict.fromkeys(site.hosts, MACHINE), {}, origins_of(site))
    assert kept is not None and not len(bag)
    assert list(kept.missing) == ["db", "upf", "web"]
    kept, _ = keep(site, dict.fromkeys(site.hosts, MACHINE), locks, origins_of(site))
    assert kept is not None and not kept.missing


def test_locked_builds_say_who_is_missing_and_why(locks: Mapping[str, HostLock]) -> None:
    site = changed(a_case(), "db", vcpus=12)
    placement, bag = build(site, locks, search=False)
    assert placement is None
    (error,) = bag
    assert error.code.id == "KVMC0618"
    assert (
        "`db` has no valid placement in the locks: locked with 8 vCPUs on `kvm-a` node 1, 12 asked for" in error.message
    )
    assert [one.message for one in build(a_case(), {}, search=False)[1]][2].endswith(
        "`web` has no valid placement in the locks: it was never placed"
    )


@pytest.mark.parametrize("values", [{"vcpus": 12}, {"memory_kib": 40 * GIB}, {"nodes": 2}, {"host": "kvm-b"}])
def test_a_changed_guest_is_placed_anew_and_no_other_moves(
    placed: Placement, locks: Mapping[str, HostLock], values: dict[str, Any]
) -> None:
    site = changed(a_case(), "db", **values)
    after, bag = build(site, locks)
    assert after is not None, [one.message for one in bag]
    assert after.guests["db"] != placed.guests["db"]
    assert {vm: after.guests[vm] for vm in ("upf", "web")} == {vm: placed.guests[vm] for vm in ("upf", "web")}
    assert after.guests["db"].host == values.get("host", "kvm-a")


def test_a_grown_guest_keeps_its_node_and_the_cores_it_had(placed: Placement, locks: Mapping[str, HostLock]) -> None:
    after, _ = build(changed(a_case(), "db", memory_kib=40 * GIB), locks)
    assert after is not None
    assert after.guests["db"].cells[0].pins == placed.guests["db"].cells[0].pins


def test_a_lost_host(locks: Mapping[str, HostLock]) -> None:
    site = a_case()
    site = site.model_copy(update={"hosts": {"kvm-b": site.hosts["kvm-b"]}})
    after, bag = resolve(site, {"kvm-b": MACHINE}, locks, origins_of(site), search=True)
    assert after is not None, [one.message for one in bag]
    assert {guest.host for guest in after.guests.values()} == {"kvm-b"}


def test_pools_change_under_guests_that_need_not_move(placed: Placement, locks: Mapping[str, HostLock]) -> None:
    """More shared cores: pinned guests beyond them keep their cores, floating ones get the new mask."""
    after, bag = build(a_case(shared_cores=1), locks)
    assert after is not None, [one.message for one in bag]
    assert after.guests["db"] == placed.guests["db"]
    assert str(after.guests["web"].cells[0].pins[0]) in ("1,33", "17,49")
    site = a_case(shared_cores=6)
    after, _ = build(site, locks)
    assert after is not None
    assert broken_rules(site, dict.fromkeys(site.hosts, MACHINE), after) == []
    assert after.guests["db"].cells != placed.guests["db"].cells


def test_a_device_pool_that_shrank(locks: Mapping[str, HostLock]) -> None:
    after, bag = build(a_case(devices=[vfs("n3", "3b:00.0", 0)]), locks)
    assert after is None
    assert "`upf`" in next(iter(bag)).message


def test_apart_moves_the_later_guest(placed: Placement, locks: Mapping[str, HostLock]) -> None:
    site = a_case()
    site = site.model_copy(update={"places": {"quorum": apart("quorum", "db", "upf")}})
    after, _ = build(site, locks)
    assert after is not None
    assert after.guests["db"] == placed.guests["db"]
    assert after.guests["upf"].host == "kvm-b"


@pytest.mark.parametrize(
    "edit",
    [
        lambda g: dataclasses.replace(g, cells=(dataclasses.replace(g.cells[0], node=7),)),
        lambda g: dataclasses.replace(g, cells=(dataclasses.replace(g.cells[0], memory_kib=1),)),
        lambda g: dataclasses.replace(g, cells=(dataclasses.replace(g.cells[0], pins=(CpuSet.of([8]),) * 8),)),
        lambda g: dataclasses.replace(g, cells=(dataclasses.replace(g.cells[0], pins=(CpuSet.parse("8-15"),) * 8),)),
        lambda g: dataclasses.replace(
            g, cells=(dataclasses.replace(g.cells[0], pins=tuple(CpuSet.of([cpu]) for cpu in (0, 32, *range(20, 26)))),)
        ),
        lambda g: dataclasses.replace(
            g, cells=(dataclasses.replace(g.cells[0], pins=tuple(reversed(g.cells[0].pins[:7] * 2))[:8]),)
        ),
        lambda g: dataclasses.replace(g, cells=(*g.cells, *g.cells)),
        lambda g: dataclasses.replace(g, devices={("nic", "x"): nic("3b:00.0").address}),
    ],
)
def test_an_entry_that_is_no_sound_placement_is_placed_anew(
    locks: Mapping[str, HostLock], edit: Callable[[GuestPlacement], GuestPlacement]
) -> None:
    site = a_case()
    after, bag = build(site, edited(locks, "kvm-a", "db", edit))
    assert after is not None, [one.message for one in bag]
    assert broken_rules(site, dict.fromkeys(site.hosts, MACHINE), after) == []


def test_wrong_idle_and_emulator_in_a_lock_are_derived_anew(placed: Placement, locks: Mapping[str, HostLock]) -> None:
    bad = edited(locks, "kvm-a", "db", lambda g: dataclasses.replace(g, idle=CpuSet.of([3]), emulator=CpuSet.of([999])))
    after, _ = build(a_case(), bad, search=False)
    assert after == placed


def test_merged_branches_that_claim_one_cpu_name_both_guests(placed: Placement, locks: Mapping[str, HostLock]) -> None:
    site = a_case()
    site = site.model_copy(update={"vms": {**site.vms, "new": a_vm("new", vcpus=8, gib=32)}})
    guest = locks["kvm-a"].guests["db"]
    twin = dataclasses.replace(guest, placement=dataclasses.replace(guest.placement, vm="new"))
    merged = {**locks, "kvm-a": dataclasses.replace(locks["kvm-a"], guests={**locks["kvm-a"].guests, "new": twin})}
    after, bag = build(site, merged)
    assert after is None
    (error,) = bag
    cpus = CpuSet.of(cpu for pin in placed.guests["db"].cells[0].pins for cpu in pin)
    assert error.code.id == "KVMC0615"
    assert error.message == f"`db` and `new` are both locked on CPUs {cpus} of `kvm-a`"


def test_merged_branches_that_claim_one_device(locks: Mapping[str, HostLock]) -> None:
    site = a_case()
    site = site.model_copy(update={"vms": {**site.vms, "new": site.vms["upf"].model_copy(update={"name": "new"})}})
    placement, _ = build(site, locks)
    assert placement is not None
    both = locks_of(placement, dict.fromkeys(placement.pools, MACHINE))
    same = edited(both, "kvm-a", "new", lambda g: dataclasses.replace(g, devices=placement.guests["upf"].devices))
    _, bag = build(site, same)
    assert [one.message for one in bag] == ["`upf` and `new` are both locked on device `0000:3b:01.0` of `kvm-a`"]


def test_merged_branches_that_claim_more_pages_than_offered(locks: Mapping[str, HostLock]) -> None:
    site = a_case()
    big = changed(
        site.model_copy(update={"vms": {**site.vms, "new": a_vm("new", vcpus=4, gib=16)}}), "db", memory_kib=60 * GIB
    )
    placement, _ = build(big, {})
    assert placement is not None
    where = placement.guests["db"].cells[0].node
    both = locks_of(placement, dict.fromkeys(placement.pools, MACHINE))
    small = big.model_copy(
        update={
            "hosts": {
                name: host.model_copy(update={"pages": (PageCount(61, GIB),)}) for name, host in big.hosts.items()
            }
        }
    )
    here = [vm for vm, guest in placement.guests.items() if guest.host == "kvm-a" and guest.cells[0].node == where]
    assert len(here) > 1
    after, bag = build(small, both)
    assert after is None
    assert next(iter(bag)).code.id == "KVMC0616"
    assert f"guests locked on `kvm-a` node {where} need 76 pages of 1GiB, 61 offered" in next(iter(bag)).message


def test_a_guest_locked_on_two_hosts(locks: Mapping[str, HostLock]) -> None:
    guest = locks["kvm-a"].guests["db"]
    there = dataclasses.replace(guest, placement=dataclasses.replace(guest.placement, host="kvm-b"))
    _, bag = build(a_case(), {**locks, "kvm-b": dataclasses.replace(locks["kvm-b"], guests={"db": there})})
    assert [one.code.id for one in bag] == ["KVMC0617"]
    assert next(iter(bag)).message == "`db` is locked on `kvm-a` and `kvm-b`"


def test_a_changed_topology_is_told_at_once(locks: Mapping[str, HostLock]) -> None:
    site = a_case()
    machines = {"kvm-a": machine(threads=1, pci=[nic("3b:00.0")]), "kvm-b": MACHINE}
    placement, bag = resolve(site, machines, locks, origins_of(site), search=True)
    assert placement is None
    (error,) = bag
    assert error.message == "the topology of `kvm-a` changed since it was locked"
    assert "kvmc replan" in error.help[0]


def test_a_lock_under_another_hosts_name(locks: Mapping[str, HostLock]) -> None:
    _, bag = build(a_case(), {"kvm-b": locks["kvm-a"]})
    assert [one.message for one in bag] == ["`locks/kvm-b.json` is the lock of `kvm-a`"]
