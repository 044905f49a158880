"""Random hosts and guests: what is placed keeps every rule, what is locked stays, what fails says so with numbers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvmc.diagnostics import Bag
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import L3, Emulator, Pinning, Site, Threads, Vm
from kvmc.resolver.locks import HostLock
from kvmc.resolver.placement import Placement
from kvmc.resolver.solve import resolve
from kvmc.topology.model import Topology
from support.locking import locks_of
from support.machines import machine, nic
from support.rules import broken_rules
from support.sites import a_host, a_nic, a_site, a_vm, apart, origins_of, vfs

Case = tuple[Site, dict[str, Topology]]

QUICK = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    node_count = draw(st.integers(1, 4))
    found = machine(
        packages=node_count,
        l3_per_node=draw(st.integers(1, 3)),
        cores_per_l3=draw(st.integers(4, 10)),
        threads=draw(st.sampled_from((1, 2, 2, 2, 4))),
        memory_gib=draw(st.sampled_from((32, 64))),
        numbering=draw(st.sampled_from(("siblings-last", "siblings-adjacent", "round-robin"))),
        pci=[
            nic(
                "0000:3b:00.0",
                node=draw(st.integers(-1, node_count - 1)) % (node_count + 1) if node_count > 1 else None,
            )
        ],
    )
    if draw(st.integers(0, 4)) == 0:
        banned = CpuSet.of(draw(st.sets(st.sampled_from(sorted(found.online)), max_size=3)))
        found = dataclasses.replace(found, allowed=found.online - banned)
    if draw(st.integers(0, 9)) == 0:
        found = dataclasses.replace(found, l3=None)
    return found


@st.composite
def guests(draw: st.DrawFn, name: str) -> Vm:
    nodes = draw(st.sampled_from((1, 1, 1, 2)))
    return a_vm(
        name,
        vcpus=draw(st.sampled_from((2, 4, 4, 8, 8, 12, nodes, 3, 5))),
        gib=draw(st.integers(nodes, 6)),
        nodes=nodes,
        pages_kib=draw(st.sampled_from((1024**2, 1024**2, None))),
        pinning=draw(st.sampled_from((Pinning.DEDICATED, Pinning.DEDICATED, Pinning.SHARED))),
        threads=draw(st.sampled_from((Threads.PREFER, Threads.PREFER, Threads.ISOLATE, Threads.REQUIRE))),
        l3=draw(st.sampled_from((L3.PREFER, L3.PREFER, L3.ANY, L3.REQUIRE))),
        emulator=draw(st.sampled_from((Emulator.HOUSEKEEPING, Emulator.HOUSEKEEPING, Emulator.OWN))),
        nics=[a_nic("n3", device="n3")] if draw(st.integers(0, 3)) == 0 else [a_nic("eth0", network="core")],
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(1, 3))
    names = [f"kvm-{letter}" for letter in "abc"[:count]]
    hosts = [
        a_host(
            name,
            pages=draw(st.integers(4, 24)),
            shared_cores=1,
            vswitch_cores=draw(st.integers(0, 1)),
            devices=[vfs("n3", "0000:3b:00.0", 4)],
        )
        for name in names
    ]
    vms = [draw(guests(f"vm-{index:02}")) for index in range(draw(st.integers(1, 10)))]
    places = []
    if len(vms) > 1 and count > 1 and draw(st.booleans()):
        places = [apart("quorum", vms[0].name, vms[1].name)]
    return a_site(hosts, vms, places), {name: draw(topologies()) for name in names}


def place(
    case: Case, locks: Mapping[str, HostLock] | None = None, *, search: bool = True
) -> tuple[Placement | None, Bag]:
    site, machines = case
    return resolve(site, machines, locks or {}, origins_of(site), search=search)


def thinned(case: Case) -> tuple[Case, Placement]:
    """The case without the guests that found no place, one by one, and its placement."""
    site, machines = case
    while True:
        placement, bag = place((site, machines))
        if placement is not None:
            return (site, machines), placement
        (named, *_) = re.findall(r"`(vm-\d+)`", next(iter(bag)).message)
        vms = {name: vm for name, vm in site.vms.items() if name != named}
        site = a_site(site.hosts.values(), vms.values(), [p for p in site.places.values() if set(p.vms) <= set(vms)])


@QUICK
@given(cases())
def test_what_is_placed_keeps_every_rule(case: Case) -> None:
    placement, bag = place(case)
    assert (placement is None) == bag.has_errors
    for one in bag:
        assert one.primary is not None
        assert re.search(r"\d|`", one.message)
    (site, machines), found = thinned(case)
    assert broken_rules(site, machines, found) == []


@QUICK
@given(cases())
def test_a_locked_site_is_the_same_again_without_a_search(case: Case) -> None:
    case, placement = thinned(case)
    locks = locks_of(placement, case[1])
    again, bag = place(case, locks, search=False)
    assert not bag.has_errors, [one.message for one in bag]
    assert again == placement
    assert place(case, locks)[0] == placement
    assert place(case)[0] == placement


@QUICK
@given(cases(), st.data())
def test_a_guest_added_or_removed_moves_no_other(case: Case, data: st.DataObject) -> None:
    (site, machines), placement = thinned(case)
    gone = data.draw(st.sampled_from([*site.vms, None]))
    vms = [vm for vm in site.vms.values() if vm.name != gone]
    new = data.draw(guests("new"))
    changed = a_site(site.hosts.values(), [new, *vms])
    after, bag = place((changed, machines), locks_of(placement, machines))
    if after is None:
        assert all("`new`" in one.message for one in bag)
        return
    assert broken_rules(changed, machines, after) == []
    for vm in vms:
        assert after.guests[vm.name] == placement.guests[vm.name]


@QUICK
@given(cases(), st.data())
def test_a_resized_guest_moves_no_other(case: Case, data: st.DataObject) -> None:
    (site, machines), placement = thinned(case)
    if not site.vms:
        return
    name = data.draw(st.sampled_from(list(site.vms)))
    grown = site.vms[name].model_copy(update={"vcpus": data.draw(st.integers(2, 14))})
    changed = site.model_copy(update={"vms": {**site.vms, name: grown}})
    after, bag = place((changed, machines), locks_of(placement, machines))
    if after is None:
        assert all(f"`{name}`" in one.message for one in bag)
        return
    assert broken_rules(changed, machines, after) == []
    assert {vm for vm in site.vms if after.guests[vm] != placement.guests[vm]} <= {name}


def test_the_rules_find_a_broken_placement() -> None:
    """The checker itself can fail: it sees a pin moved onto another guest's CPU."""
    machines = {"kvm-a": machine()}
    site = a_site([a_host("kvm-a")], [a_vm("one"), a_vm("two")])
    placement, _ = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None
    cell = placement.guests["one"].cells[0]
    moved = dataclasses.replace(
        placement.guests["two"], cells=(dataclasses.replace(placement.guests["two"].cells[0], pins=cell.pins),)
    )
    broken = broken_rules(site, machines, dataclasses.replace(placement, guests={**placement.guests, "two": moved}))
    assert any("another guest's too" in one for one in broken)
