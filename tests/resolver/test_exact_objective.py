"""What the exact search adds: optional guests by weight, what is preferred, and where it stops."""

from __future__ import annotations

import pytest

import kvmc.resolver.missing as missing
from kvmc.diagnostics import Bag
from kvmc.model.site import Domain, Place, Site, Strength, Vm
from kvmc.resolver.keep import keep
from kvmc.resolver.placement import Placement
from kvmc.resolver.search import search
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import State
from support.machines import machine
from support.rules import broken_rules
from support.sites import a_host, a_site, a_vm, origins_of

ONE = {"kvm-a": machine(packages=1, cores_per_l3=9, threads=2)}
"""A host of 8 dedicated cores."""
TWO = {name: machine(packages=1, cores_per_l3=9, threads=2) for name in ("kvm-a", "kvm-b")}


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast search finds no place for any guest."""
    pytest.importorskip("ortools")
    monkeypatch.setattr(missing, "search", lambda _, wanted, *__: list(wanted))


def optional(name: str, vcpus: int, weight: int = 1) -> Vm:
    return a_vm(name, vcpus=vcpus, optional=True, weight=weight)


def place(site: Site) -> tuple[Placement, Bag]:
    machines = TWO if len(site.hosts) > 1 else ONE
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    whole = site.model_copy(update={"vms": {vm: one for vm, one in site.vms.items() if vm in placement.guests}})
    assert broken_rules(whole, machines, placement) == []
    return placement, bag


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize(
    ("vms", "placed"),
    [
        ([("a", 10, 1), ("b", 8, 1), ("c", 8, 1)], "bc"),
        ([("a", 16, 1), ("b", 2, 2)], "b"),
        ([("a", 10, 2), ("b", 8, 1), ("c", 8, 1)], "a"),
        ([("a", 10, 2), ("b", 8, 1), ("c", 6, 1), ("d", 4, 1)], "ac"),
    ],
)
def test_optional_guests_go_by_weight(vms: list[tuple[str, int, int]], placed: str) -> None:
    placement, bag = place(a_site([a_host("kvm-a")], [optional(*one) for one in vms]))
    assert "".join(placement.guests) == placed
    left = [name for name, *_ in vms if name not in placed]
    assert [item.message.split("`")[1] for item in bag] == left
    assert {note for item in bag for note in item.notes} == {
        "proven by exact search: no other choice of optional guests has more vCPUs, weight by weight"
    }


def test_one_that_gives_way_to_others_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast search placed `a`; the exact one takes it out again."""
    pytest.importorskip("ortools")
    monkeypatch.setattr(
        missing, "search", lambda demands, _, *rest: ["b", "c"] if not search(demands, ["a"], *rest) else []
    )
    placement, bag = place(a_site([a_host("kvm-a")], [optional("a", 10), optional("b", 8), optional("c", 8)]))
    assert list(placement.guests) == ["b", "c"]
    assert [item.message.split("`")[1] for item in bag] == ["a"]


@pytest.mark.usefixtures("blind")
def test_those_that_must_have_a_place_are_moved_for_no_optional_one() -> None:
    placement, _ = place(a_site([a_host("kvm-a")], [optional("a", 12, 9), a_vm("db", vcpus=6), optional("b", 8)]))
    assert list(placement.guests) == ["db", "b"]


def test_one_that_is_too_large_for_every_host_is_proven_by_sums() -> None:
    _, bag = place(a_site([a_host("kvm-a")], [optional("a", 18)]))
    (item,) = bag
    (note,) = item.notes
    assert note == (
        "it does not fit on any host, even an empty one: `kvm-a` node 0: needs 9 free cores for 18 vCPUs, 8 free"
    )
    assert item.help == ()


def test_without_the_extra_nothing_is_said_to_be_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing, "find_spec", lambda _: None)
    _, bag = place(a_site([a_host("kvm-a")], [optional("a", 10), optional("b", 8)]))
    (item,) = bag
    assert item.notes == ("not proven: with other places for the others it may fit",)
    assert item.help == ("`pip install kvmc[exact]`: the next build places as many optional guests as fit, by weight",)


def test_what_a_pigeonhole_shows_is_not_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three guests of five cores on two hosts of eight: 15 of 16 cores, and room for one on each."""
    monkeypatch.setattr(missing, "_decide", lambda *_: pytest.fail("the exact search was asked"))
    site = a_site([a_host("kvm-a"), a_host("kvm-b")], [a_vm(name, vcpus=10) for name in "abc"])
    placement, bag = resolve(site, TWO, {}, origins_of(site), search=True)
    assert placement is None
    (item,) = bag
    need, have = (
        "3 times at least 5 dedicated cores in one node are needed",
        "2 hosts together has room for that 2 times",
    )
    assert f"{need}, all that can hold them on {have}" in item.notes


def related(relation: str, domain: Domain) -> Site:
    """Three guests of two cores each on two hosts of eight; two of them are related if that can be."""
    vms = [a_vm(name, vcpus=4) for name in ("a", "b", "c")]
    site = a_site([a_host("kvm-a"), a_host("kvm-b")], vms)
    wish = Place(name="p", relation=relation, vms=("a", "c"), across=domain, within=domain, strength=Strength.PREFER)
    return site.model_copy(update={"places": {"p": wish}})


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("relation", ["apart", "together"])
@pytest.mark.parametrize("domain", [Domain.HOST, Domain.NODE])
def test_what_is_preferred_is_met(relation: str, domain: Domain) -> None:
    placement, bag = place(related(relation, domain))
    same = placement.guests["a"].host == placement.guests["c"].host
    assert same is (relation == "together")
    assert len(bag) == 0


@pytest.mark.usefixtures("blind")
def test_what_cannot_be_preferred_is_no_failure() -> None:
    """Three guests apart, two hosts: one domain more than one guest, and the rest as wished."""
    vms = [a_vm(name, vcpus=4) for name in ("a", "b", "c", "d")]
    site = a_site([a_host("kvm-a"), a_host("kvm-b")], vms)
    wish = Place(name="p", relation="apart", vms=("a", "b", "c", "d"), across=Domain.HOST, strength=Strength.PREFER)
    placement, _ = place(site.model_copy(update={"places": {"p": wish}}))
    assert sorted(guest.host for guest in placement.guests.values()) == ["kvm-a", "kvm-a", "kvm-b", "kvm-b"]


def test_a_fleet_that_is_too_large_is_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = pytest.importorskip("kvmc.resolver.exact")
    site = a_site([a_host("kvm-a")], [a_vm("a", vcpus=10), a_vm("b", vcpus=8)])
    kept, _ = keep(site, ONE, {}, origins_of(site))
    assert kept is not None
    demands = list(kept.demands.values())
    ways = sum(1 + len(node.slots) for node in State(kept.machines).hosts["kvm-a"].nodes) * 2
    monkeypatch.setattr(exact, "MOST", ways)
    assert exact.decide(demands, State(kept.machines)) == exact.Answer(None, proven=True)
    monkeypatch.setattr(exact, "MOST", ways - 1)
    text = f"its limit of {ways - 1} nodes and L3s to try for all guests, there are {ways}"
    assert exact.decide(demands, State(kept.machines)) == exact.Answer(None, proven=False, reached=text)
