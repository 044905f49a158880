"""Relations between guests: what the search, the exact search and the locks make of them."""

from __future__ import annotations

import random
from importlib.util import find_spec

import pytest

from kvmc.diagnostics import Bag
from kvmc.model.cpuset import union
from kvmc.model.site import L3, Domain, Host, Pinning, Place, Site, Strength, Vm
from kvmc.resolver.keep import keep
from kvmc.resolver.placement import Placement
from kvmc.resolver.search import search
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import State
from kvmc.topology.model import Topology
from support.locking import locks_of
from support.machines import machine
from support.rules import broken_rules
from support.sites import a_host, a_site, a_vm, apart, origins_of, together

PREFER = Strength.PREFER
QUICK = 40
PROOF = 2000


def solved(
    hosts: list[Host], one: Topology, vms: list[Vm], places: list[Place], before: Placement | None = None
) -> tuple[Placement | None, Bag]:
    site = a_site(hosts, vms, places)
    machines = dict.fromkeys(site.hosts, one)
    locks = locks_of(before, machines) if before is not None else {}
    return resolve(site, machines, locks, origins_of(site), search=True)


def nodes_of(placement: Placement | None, *vms: str) -> list[tuple[str, int]]:
    assert placement is not None
    return [(placement.guests[vm].host, placement.guests[vm].cells[0].node) for vm in vms]


def l3_of(placement: Placement | None, one: Topology, vm: str) -> list[int]:
    assert placement is not None
    pins = union(pin for cell in placement.guests[vm].cells for pin in cell.pins)
    return [index for index, cpus in enumerate(one.l3 or ()) if cpus & pins]


TWO = [a_host("kvm-a", rack="r1"), a_host("kvm-b", rack="r2")]
SHAPE = machine(2, 2, 2, 4, 2)
"""Two packages of two nodes of two L3s of four cores."""


def test_together_in_each_domain() -> None:
    vms = [a_vm("a", 2), a_vm("b", 2), a_vm("c", 4)]
    for within in Domain:
        place = together("t", "a", "b", "c", within=within)
        placement, _ = solved(TWO, SHAPE, vms, [place])
        assert placement is not None, within
        assert broken_rules(a_site(TWO, vms, [place]), dict.fromkeys(("kvm-a", "kvm-b"), SHAPE), placement) == []


def test_apart_in_each_domain() -> None:
    for across, most in (
        (Domain.RACK, 2), (Domain.HOST, 2), (Domain.PACKAGE, 4), (Domain.NODE, 8), (Domain.L3, 16),
    ):  # fmt: skip
        names = [f"v{index}" for index in range(most)]
        vms = [a_vm(name, 2) for name in names]
        place = apart("p", *names, across=across)
        placement, bag = solved(TWO, SHAPE, vms, [place])
        assert placement is not None, (across, [one.message for one in bag])
        assert broken_rules(a_site(TWO, vms, [place]), dict.fromkeys(("kvm-a", "kvm-b"), SHAPE), placement) == []
        more = [*vms, a_vm("more", 2)]
        placement, bag = solved(TWO, SHAPE, more, [apart("p", *names, "more", across=across)])
        assert placement is None, across


def test_a_group_goes_where_all_of_it_fits() -> None:
    """The tightest host for the first one has no room for the others."""
    hosts = [a_host("kvm-a"), a_host("kvm-b")]
    site = a_site(hosts, [a_vm("a", 4), a_vm("b", 12), a_vm("c", 14)], [together("t", "a", "b", "c")])
    machines = {"kvm-a": machine(1, 1, 1, 8, 2), "kvm-b": machine(2, 1, 1, 9, 2)}
    placement, _ = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None
    assert {guest.host for guest in placement.guests.values()} == {"kvm-b"}


def test_a_group_makes_room_for_itself() -> None:
    """Only one host takes all three, and others that could be anywhere are on it first."""
    hosts = [a_host("kvm-a"), a_host("kvm-b")]
    vms = [a_vm("big", 14), a_vm("other", 14), a_vm("a", 2), a_vm("b", 12), a_vm("c", 14)]
    site = a_site(hosts, vms, [together("t", "a", "b", "c")])
    machines = {"kvm-a": machine(1, 1, 1, 16, 2), "kvm-b": machine(2, 1, 1, 9, 2)}
    placement, _ = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None
    assert len({placement.guests[vm].host for vm in "abc"}) == 1


def test_a_new_member_joins_the_locked_ones() -> None:
    first, _ = solved(TWO, SHAPE, [a_vm("x", 2, host="kvm-b"), a_vm("a", 2, host="kvm-b")], [])
    vms = [a_vm("x", 2, host="kvm-b"), a_vm("a", 2, host="kvm-b"), a_vm("b", 2), a_vm("c", 2)]
    places = [together("t", "a", "b", within=Domain.L3), apart("s", "b", "c", across=Domain.NODE)]
    placement, _ = solved(TWO, SHAPE, vms, places, first)
    assert first is not None and placement is not None
    assert placement.guests["a"] == first.guests["a"]
    assert l3_of(placement, SHAPE, "a") == l3_of(placement, SHAPE, "b")
    b, c = nodes_of(placement, "b", "c")
    assert b != c


def test_a_locked_guest_that_breaks_a_new_relation_moves() -> None:
    vms = [a_vm("a", 2, host="kvm-a"), a_vm("b", 2, host="kvm-b")]
    first, _ = solved(TWO, SHAPE, vms, [])
    loose = [a_vm("a", 2), a_vm("b", 2)]
    placement, bag = solved(TWO, SHAPE, loose, [together("t", "a", "b")], first)
    assert first is not None and placement is not None
    assert placement.guests["a"] == first.guests["a"]
    assert placement.guests["b"].host == "kvm-a"
    assert "`b` is placed anew: `place together t` no longer holds with `a`" in [one.message for one in bag]


def test_preferred_relations_are_met_where_they_can_be() -> None:
    vms = [a_vm(name, 2) for name in ("a", "b", "c")]
    for within in (Domain.HOST, Domain.L3):
        place = together("t", "a", "b", "c", within=within, strength=PREFER)
        placement, bag = solved(TWO, SHAPE, vms, [place])
        assert len({host for host, _ in nodes_of(placement, "a", "b", "c")}) == 1
        assert not list(bag)
    placement, bag = solved(TWO, SHAPE, vms, [apart("p", "a", "b", strength=PREFER)])
    a, b = nodes_of(placement, "a", "b")
    assert a[0] != b[0] and not list(bag)
    placement, bag = solved(TWO, SHAPE, vms, [apart("p", "a", "b", across=Domain.L3, strength=PREFER)])
    assert l3_of(placement, SHAPE, "a") != l3_of(placement, SHAPE, "b")


def test_a_preferred_relation_never_costs_a_place() -> None:
    vms = [a_vm(name, 2) for name in ("a", "b", "c")]
    placement, (note,) = solved(TWO, SHAPE, vms, [apart("p", "a", "b", "c", strength=PREFER)])
    assert placement is not None
    assert note.code.id == "KVMC0431"
    assert "`place apart p` is preferred and not met for 2 guests" in note.message


def test_required_members_that_no_host_takes_together() -> None:
    hosts = [a_host("kvm-a", pool="small"), a_host("kvm-b", pool="large")]
    vms = [a_vm("a", 2, pool="small"), a_vm("b", 2, host="kvm-b")]
    placement, (error,) = solved(hosts, SHAPE, vms, [together("t", "a", "b")])
    assert placement is None
    assert error.code.id == "KVMC0430"
    assert error.notes == ("`a` may go to `kvm-a`", "`b` may go to `kvm-b`")


def test_a_relation_is_named_where_it_keeps_a_guest_out() -> None:
    vms = [a_vm("a", 30), a_vm("b", 30)]
    one = machine(2, 1, 1, 16, 2)
    placement, bag = solved([a_host("kvm-a")], one, vms, [together("t", "a", "b", within=Domain.NODE)])
    (error,) = bag
    assert placement is None
    assert "`place together t` keeps them in one node" in error.message
    assert any("`strength = prefer` in `place together t`" in one for one in error.help)


def a_case(seed: int) -> tuple[Site, dict[str, Topology]]:
    """One to three small hosts, guests that need a good part of them, and up to three relations."""
    rng = random.Random(seed)
    hosts, machines = [], {}
    shape = rng.choice(
        [(1, 1, 2, 4, 1), (1, 2, 1, 4, 1), (2, 1, 1, 3, 2), (2, 2, 1, 3, 1), (1, 2, 2, 3, 1), (2, 1, 2, 3, 1)]
    )
    for index in range(rng.choice((1, 2, 3, 3))):
        name = f"kvm-{index}"
        hosts.append(a_host(name, pages=12, rack=f"r{index}", shared_cores=0))
        machines[name] = machine(*shape, 64)
    nodes = len(next(iter(machines.values())).nodes)
    vms = []
    for index in range(rng.randint(2, 6)):
        cells = rng.choice((1, 1, 1, min(2, nodes)))
        vms.append(
            a_vm(
                f"v{index}",
                vcpus=rng.choice((cells, 2, 2, 2, 4)),
                gib=rng.randint(cells, 4),
                nodes=cells,
                pinning=Pinning.DEDICATED,
                l3=rng.choice((L3.PREFER, L3.ANY, L3.REQUIRE)),
            )
        )
    places = []
    for index in range(rng.randint(1, 2)):
        some = rng.sample(vms, rng.randint(2, min(3, len(vms))))
        domain = rng.choice(list(Domain))
        if rng.random() < 0.5:
            if domain in (Domain.NODE, Domain.L3) and any(vm.nodes > 1 for vm in some):
                domain = Domain.PACKAGE
            places.append(together(f"p{index}", *(vm.name for vm in some), within=domain))
        else:
            places.append(apart(f"p{index}", *(vm.name for vm in some), across=domain))
    return a_site(hosts, vms, places), machines


def check(seed: int) -> tuple[bool, bool]:
    """Whether the fast search places all, and whether the exact one says that it can be done."""
    from kvmc.resolver.exact import decide

    site, machines = a_case(seed)
    kept, bag = keep(site, machines, {}, origins_of(site))
    if kept is None:
        assert bag.has_errors
        return False, False
    left = search(kept.demands, list(kept.missing), State(kept.machines), {})
    answer = decide(list(kept.demands.values()), State(kept.machines))
    assert answer.proven, f"seed {seed}"
    assert left or answer.choices is not None, f"seed {seed}: the search places all, the exact one says that none can"
    if answer.choices is not None:  # else resolving would go on to explain
        placement, _ = resolve(site, machines, {}, origins_of(site), search=True)
        assert placement is not None, f"seed {seed}"
        assert broken_rules(site, machines, placement) == [], f"seed {seed}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("kvmc.resolver.missing.search", lambda _, wanted, *__: list(wanted))
            exact, _ = resolve(site, machines, {}, origins_of(site), search=True)
        assert exact is None or broken_rules(site, machines, exact) == [], f"seed {seed}"
    return not left, answer.choices is not None


@pytest.mark.skipif(find_spec("ortools") is None, reason="needs OR-Tools")
def test_the_searches_agree_on_small_sites() -> None:
    found = [check(seed) for seed in range(QUICK)]
    fits = sum(fit for _, fit in found)
    assert 10 < fits < 32
    assert sum(fast for fast, _ in found) >= 0.98 * fits


@pytest.mark.proof
@pytest.mark.skipif(find_spec("ortools") is None, reason="needs OR-Tools")
def test_the_searches_agree_on_many_small_sites(record_property: object) -> None:
    found = [check(seed) for seed in range(PROOF)]
    fits = sum(fit for _, fit in found)
    fast = sum(fast for fast, _ in found)
    assert callable(record_property)
    record_property(
        "relations", f"{PROOF} small sites with relations: {fits} fit, {fast} of them by the fast search alone"
    )
    assert fast >= 0.98 * fits
