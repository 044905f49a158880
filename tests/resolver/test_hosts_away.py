"""Hosts that get no guests any more, and hosts that may be lost."""

from __future__ import annotations

import pytest

from kvmc.diagnostics import Bag
from kvmc.model.site import Domain, Emulator, Host, Vm
from kvmc.resolver.placement import Placement
from kvmc.resolver.replan import replan
from kvmc.resolver.solve import resolve
from support.locking import locks_of
from support.machines import machine, nic
from support.sites import a_host, a_nic, a_site, a_vm, apart, origins_of, together, vfs

ONE = machine(2, 1, 1, 9, 2, 64)
"""Two nodes of eight cores beside the housekeeping one."""


def solved(hosts: list[Host], vms: list[Vm], before: Placement | None = None) -> tuple[Placement | None, Bag]:
    site = a_site(hosts, vms)
    machines = dict.fromkeys(site.hosts, ONE)
    locks = locks_of(before, machines) if before is not None else {}
    return resolve(site, machines, locks, origins_of(site), search=True)


def pair(host_failures: int = 0) -> list[Host]:
    return [a_host("kvm-a", pages=32), a_host("kvm-b", pages=32, host_failures=host_failures)]


def test_a_drained_host_gets_no_new_guest() -> None:
    placement, bag = solved(
        [a_host("kvm-a", pages=32, drained=True), a_host("kvm-b", pages=32)], [a_vm("a"), a_vm("b")]
    )
    assert placement is not None and not list(bag)
    assert {guest.host for guest in placement.guests.values()} == {"kvm-b"}


def test_its_guests_stay_and_are_told_of() -> None:
    first, _ = solved(pair(), [a_vm("a", host="kvm-a")])
    drained = [a_host("kvm-a", pages=32, drained=True), a_host("kvm-b", pages=32)]
    placement, (note,) = solved(drained, [a_vm("a"), a_vm("b")], first)
    assert placement is not None
    assert [guest.host for guest in placement.guests.values()] == ["kvm-a", "kvm-b"]
    assert (note.code.id, note.message) == ("KVMC0432", "`kvm-a` is drained and still has 1 guest: `a`")


def test_replan_moves_them() -> None:
    first, _ = solved(pair(), [a_vm("a", host="kvm-a"), a_vm("b", host="kvm-a")])
    assert first is not None
    site = a_site([a_host("kvm-a", pages=32, drained=True), a_host("kvm-b", pages=32)], [a_vm("a"), a_vm("b")])
    machines = dict.fromkeys(site.hosts, ONE)
    moved, bag = replan(site, machines, locks_of(first, machines), (), ["kvm-a"], origins_of(site))
    assert moved is not None and not list(bag)
    assert {guest.host for guest in moved.guests.values()} == {"kvm-b"}


def test_who_is_tied_to_a_drained_host_is_told_why() -> None:
    placement, (error,) = solved([a_host("kvm-a", pages=32, drained=True)], [a_vm("a", host="kvm-a")])
    assert placement is None
    assert error.message == "no host can have `a`: `kvm-a`: it is drained"


def test_a_conflict_names_the_drained_host() -> None:
    hosts = [a_host("kvm-a", pages=32, drained=True), a_host("kvm-b", pages=32)]
    placement, (error,) = solved(hosts, [a_vm(name, 16, 16) for name in "abc"])
    assert placement is None
    assert "no `drained` on `kvm-a`" in error.help


def test_a_host_may_be_lost() -> None:
    placement, bag = solved(pair(host_failures=1), [a_vm(name, 16, 16) for name in "ab"])
    assert placement is not None and not list(bag)


def test_what_does_not_fit_without_a_host_is_told() -> None:
    hosts = [a_host(name, pages=32, host_failures=1) for name in ("kvm-a", "kvm-b")]
    placement, bag = solved(hosts, [a_vm(name, 16, 16) for name in "abc"])
    first = bag.items[0]
    assert placement is None and first.code.id == "KVMC0433"
    assert "have no place on the other hosts" in first.message
    assert "dedicated cores" in first.notes[0]


def test_tied_and_optional_guests_go_with_their_host() -> None:
    hosts = [a_host(name, pages=32, host_failures=1) for name in ("kvm-a", "kvm-b")]
    vms = [
        a_vm("a", 16, 16, host="kvm-a"),
        a_vm("b", 16, 16, host="kvm-a"),
        a_vm("c", 16, 16),
        a_vm("d", 16, 16, optional=True),
    ]
    placement, bag = solved(hosts, vms)
    codes = [one.code.id for one in bag]
    assert placement is None and codes == ["KVMC0433"], codes
    vms = [a_vm("a", 16, 16, host="kvm-a"), a_vm("c", 16, 16), a_vm("d", 16, 16, optional=True)]
    placement, bag = solved(hosts, vms)
    assert placement is not None, [one.message for one in bag]


def test_pages_and_devices_count() -> None:
    pages = [a_host(name, pages=20, host_failures=1) for name in ("kvm-a", "kvm-b")]
    placement, bag = solved(pages, [a_vm(name, 4, 12) for name in "abc"])
    assert placement is None and any("pages" in note for one in bag for note in one.notes)
    site = a_site(
        [a_host(name, devices=[vfs("n3", "0000:3b:00.0", 2)], host_failures=1) for name in ("kvm-a", "kvm-b")],
        [a_vm(name, nics=[a_nic("n3", device="n3")]) for name in "abc"],
    )
    machines = dict.fromkeys(site.hosts, machine(2, 1, 1, 9, 2, 256, pci=[nic("0000:3b:00.0")]))
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is None and any("functions of `n3`" in note for one in bag for note in one.notes)


def test_relations_hold_on_the_rest_too() -> None:
    hosts = [a_host(name, pages=32, host_failures=1) for name in ("kvm-a", "kvm-b", "kvm-c")]
    machines = dict.fromkeys(("kvm-a", "kvm-b", "kvm-c"), ONE)
    for number, fits in ((2, True), (3, False)):
        names = [f"v{index}" for index in range(number)]
        site = a_site(hosts, [a_vm(name) for name in names], [apart("p", *names)])
        placement, _ = resolve(site, machines, {}, origins_of(site), search=True)
        assert (placement is not None) == fits
    site = a_site(hosts, [a_vm(name) for name in "abc"], [together("t", "a", "b", "c", within=Domain.L3)])
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]


def test_the_locks_alone_do_not_search() -> None:
    hosts = [a_host(name, pages=32) for name in ("kvm-a", "kvm-b")]
    first, _ = solved(hosts, [a_vm(name, 16, 16, emulator=Emulator.HOUSEKEEPING) for name in "abc"])
    assert first is not None
    asked = [host.model_copy(update={"host_failures": 1}) for host in hosts]
    site = a_site(asked, [a_vm(name, 16, 16) for name in "abc"])
    machines = dict.fromkeys(site.hosts, ONE)
    placement, bag = resolve(site, machines, locks_of(first, machines), origins_of(site), search=False)
    assert placement is not None and not list(bag)


def test_where_the_fast_search_finds_no_place_the_exact_one_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two guests fills a host, and the third host is free for either."""
    pytest.importorskip("ortools", reason="needs OR-Tools")
    monkeypatch.setattr("kvmc.resolver.failures.search", lambda _, lost, *__, **___: list(lost))
    hosts = [a_host(f"kvm-{letter}", pages=32, host_failures=1) for letter in "abc"]
    placement, bag = solved(hosts, [a_vm(name, 30, nodes=2) for name in "ab"])
    assert placement is not None and not list(bag)
