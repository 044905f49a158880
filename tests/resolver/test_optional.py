"""Optional guests: they take what the others leave, by weight, and what has no place is a warning."""

from __future__ import annotations

from kvmc.model.site import Site, Vm
from kvmc.resolver.placement import Placement
from kvmc.resolver.solve import resolve
from kvmc.topology.model import Topology
from support.locking import locks_of
from support.machines import machine
from support.rules import broken_rules
from support.sites import a_host, a_site, a_vm, origins_of

MACHINES: dict[str, Topology] = {"kvm-a": machine(packages=1, cores_per_l3=9, threads=2)}
"""One host of 8 dedicated cores."""


def optional(name: str, vcpus: int, weight: int = 1) -> Vm:
    return a_vm(name, vcpus=vcpus, optional=True, weight=weight)


def site(*vms: Vm) -> Site:
    return a_site([a_host("kvm-a")], vms)


def place(one: Site) -> tuple[Placement, list[str]]:
    placement, bag = resolve(one, MACHINES, {}, origins_of(one), search=True)
    assert placement is not None
    assert {item.code.id for item in bag} <= {"KVMC0417"}
    whole = a_site(one.hosts.values(), [vm for vm in one.vms.values() if vm.name in placement.guests])
    assert broken_rules(whole, MACHINES, placement) == []
    return placement, [item.message for item in bag]


def test_the_others_come_first() -> None:
    placement, told = place(site(optional("spare", 12, weight=1000), a_vm("db", vcpus=8)))
    assert list(placement.guests) == ["db"]
    assert told == ["`spare` is optional and has no place: nothing is written for it"]


def test_more_weight_goes_first_however_small() -> None:
    placement, _ = place(site(optional("large", 16), optional("small", 2, weight=2)))
    assert list(placement.guests) == ["small"]


def test_as_many_vcpus_as_fit_within_a_weight() -> None:
    placement, _ = place(site(optional("a", 10), optional("b", 8), optional("c", 8)))
    assert list(placement.guests) == ["b", "c"]


def test_a_guest_that_must_have_a_place_has_none() -> None:
    one = site(a_vm("db", vcpus=18), optional("spare", 2))
    placement, bag = resolve(one, MACHINES, {}, origins_of(one), search=True)
    assert placement is None
    assert [item.code.id for item in bag] == ["KVMC0402"]


def test_without_a_search_it_stays_where_it_is_or_has_none() -> None:
    one = site(optional("a", 10), optional("b", 8), optional("c", 8))
    placement, _ = place(one)
    locks = locks_of(placement, MACHINES)
    for search in (False, True):
        again, bag = resolve(one, MACHINES, locks, origins_of(one), search=search)
        assert again == placement
        assert [item.code.id for item in bag] == ["KVMC0417"]


def test_a_locked_optional_guest_is_not_moved_out() -> None:
    before, _ = place(site(optional("spare", 12)))
    one = site(a_vm("db", vcpus=8), optional("spare", 12))
    placement, bag = resolve(one, MACHINES, locks_of(before, MACHINES), origins_of(one), search=True)
    assert placement is None
    assert [item.code.id for item in bag] == ["KVMC0401"]
    assert any(note.startswith("the locked places of 1 guest") for item in bag for note in item.notes)


def test_the_verdict_is_told() -> None:
    """Guests of 8, 4, 4 and 4 pages on two nodes of ten: no count says that it can't be."""
    hosts = [a_host("kvm-a", pages=10)]
    one = a_site(hosts, [a_vm(name, gib=gib) for name, gib in zip("abcd", (8, 4, 4, 4), strict=True)])
    _, bag = resolve(one, {"kvm-a": machine()}, {}, origins_of(one), search=True)
    (error,) = bag
    assert any(note.startswith(("not proven: ", "proven by exact search: ")) for note in error.notes)
    one = site(a_vm("a", vcpus=10), a_vm("b", vcpus=8))
    _, bag = resolve(one, MACHINES, {}, origins_of(one), search=True)
    (error,) = bag
    assert "all guests of the site need at least 9 dedicated cores, all hosts have 8" in error.notes
    assert not any("kvmc[exact]" in line for line in error.help)
