"""Locks over time: what moves and what it costs, merged branches, changed machines, and why a guest is where it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kvmc.model.cpuset import CpuSet
from kvmc.model.site import L3, Site, Threads, Vm
from kvmc.resolver.leftover import state_of, stranded
from kvmc.resolver.locks import HostLock, dumps, loads
from kvmc.resolver.merged import without_newer
from kvmc.resolver.moves import Cost, placement_moves
from kvmc.resolver.placement import GuestPlacement, Placement
from kvmc.resolver.replan import replan
from kvmc.resolver.solve import resolve
from kvmc.resolver.why import why
from kvmc.topology.model import Topology
from kvmc.topology.summary import difference, summary
from support.locking import locks_of
from support.machines import machine, nic
from support.sites import a_host, a_nic, a_site, a_vm, origins_of, vfs

MACHINE = machine(l3_per_node=2, cores_per_l3=8, pci=[nic("3b:00.0")])
Locks = Mapping[str, HostLock]


def a_case(*vms: Vm, hosts: int = 2) -> Site:
    names = ("kvm-a", "kvm-b", "kvm-c")[:hosts]
    return a_site([a_host(name, devices=[vfs("n3", "3b:00.0", 8)]) for name in names], vms)


def built(site: Site, locks: Locks | None = None) -> tuple[Placement, Locks]:
    machines = dict.fromkeys(site.hosts, MACHINE)
    placement, bag = resolve(site, machines, locks or {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    return placement, locks_of(placement, machines, locks)


def test_growing_asks_before_another_moves() -> None:
    """Each node of one host holds 15 cores; `a` can only grow where `b` gives way, to the other node."""
    site = a_case(a_vm("a", vcpus=16), a_vm("b", vcpus=8), hosts=1)
    placement, locks = built(site)
    beside = placement.guests["a"].cells[0].node == placement.guests["b"].cells[0].node
    filler = a_vm("c", vcpus=22)
    site = a_case(*site.vms.values(), filler, hosts=1)
    _, locks = built(site, locks)
    assert beside
    grown = site.model_copy(update={"vms": {**site.vms, "a": a_vm("a", vcpus=26)}})
    _, bag = resolve(grown, {"kvm-a": MACHINE}, locks, origins_of(grown), search=True)
    (error,) = [one for one in bag if one.code.id == "KVMC0401"]
    assert error.help[0].startswith("`kvmc replan --vm ")


def test_numbers_grow_and_stay_with_a_placement_that_stays() -> None:
    site = a_case(a_vm("a"), a_vm("b"))
    _, locks = built(site)
    assert {one.placed for lock in locks.values() for one in lock.guests.values()} == {1}
    site = a_case(a_vm("a"), a_vm("b", vcpus=6), a_vm("c"))
    _, locks = built(site, locks)
    placed = {vm: one.placed for lock in locks.values() for vm, one in lock.guests.items()}
    assert placed == {"a": 1, "b": 2, "c": 2}
    for name, lock in locks.items():
        assert loads(dumps(lock), name)[0] == lock


def test_merged_branches_move_the_newer_alone() -> None:
    base = a_case(a_vm("old"))
    _, locks = built(base)
    one, two = a_vm("one"), a_vm("two")
    _, ours = built(a_case(a_vm("old"), one), locks)
    _, theirs = built(a_case(a_vm("old"), two), locks)
    _, theirs = built(a_case(a_vm("old"), a_vm("two", gib=5)), theirs)
    merged = {h: dataclasses.replace(lock, guests={**lock.guests, **theirs[h].guests}) for h, lock in ours.items()}
    site = a_case(a_vm("old"), a_vm("two", gib=5), one)
    machines = dict.fromkeys(site.hosts, MACHINE)
    placement, bag = resolve(site, machines, merged, origins_of(site), search=True)
    assert placement is None
    (error,) = bag
    assert error.code.id == "KVMC0615" and "`kvmc replan --conflicts` moves the newer of the two" in error.help
    settled = without_newer(site, machines, merged, origins_of(site))
    kept = {vm for lock in settled.values() for vm in lock.guests}
    number = {vm: one.placed for lock in merged.values() for vm, one in lock.guests.items()}
    # placed by a branch that had built more often, or, where both have one number, later in the source
    assert kept == {"old", min(("two", "one"), key=lambda vm: (number[vm], list(site.vms).index(vm)))}
    after, bag = resolve(site, machines, settled, origins_of(site), search=True)
    assert after is not None, [one.message for one in bag]


def test_a_changed_machine_is_told_by_what_changed_and_replan_keeps_what_holds() -> None:
    site = a_case(a_vm("a"), a_vm("b"), hosts=1)
    placement, locks = built(site)
    smaller = machine(l3_per_node=2, cores_per_l3=8, memory_gib=128, pci=[nic("3b:00.0", vfs=32)])
    after, bag = resolve(site, {"kvm-a": smaller}, locks, origins_of(site), search=True)
    assert after is None
    (error,) = bag
    assert error.code.id == "KVMC0614"
    assert any(note.startswith("node 0: now CPUs 0-15,32-47; 128GiB") and "was" in note for note in error.notes)
    assert "pci 0000:3b:00.0: now node 0, 32 VFs, was node 0, 64 VFs" in error.notes
    again, bag = replan(site, {"kvm-a": smaller}, locks, (), ("kvm-a",), origins_of(site))
    assert again is not None, [one.message for one in bag]
    assert {vm: one.cells for vm, one in again.guests.items()} == {
        vm: one.cells for vm, one in placement.guests.items()
    }


def test_differences_of_a_firmware_setting() -> None:
    old = summary(machine())
    assert difference(old, summary(machine(threads=1)))[0] == "cpus: now 0-31, was 0-63"
    assert any("node 2: new" in line for line in difference(old, summary(machine(nodes_per_package=2, cores_per_l3=8))))
    assert difference(old, old)[0].startswith("no size or place")


def moved(guest: GuestPlacement, pins: str, node: int = 0) -> GuestPlacement:
    cell = dataclasses.replace(guest.cells[0], pins=tuple(CpuSet.parse(one) for one in pins.split()), node=node)
    return dataclasses.replace(guest, cells=(cell,))


def cost(topology: Topology, pins: str, to: GuestPlacement, guest: GuestPlacement) -> Cost | None:
    old = moved(guest, pins)
    moves = placement_moves({"a": old}, Placement({}, {"a": to}), {"kvm-a": topology})
    return moves[0].cost if moves else None


def test_what_a_move_costs() -> None:
    placement, _ = built(a_case(a_vm("a", vcpus=2), hosts=1))
    guest = placement.guests["a"]
    siblings = moved(guest, "1 33")
    assert cost(MACHINE, "1 33", siblings, guest) is None
    assert cost(MACHINE, "2 34", siblings, guest) is Cost.REPIN
    assert cost(MACHINE, "2 3", siblings, guest) is Cost.RESTART, "the guest would see siblings that it had not"
    assert cost(MACHINE, "1 33", moved(guest, "17 49", node=1), guest) is Cost.RESTART, "memory does not follow a pin"
    assert cost(MACHINE, "1 33", dataclasses.replace(siblings, host="kvm-b"), guest) is Cost.MIGRATION
    passed = dataclasses.replace(siblings, host="kvm-b", devices={("nic", "n3"): nic("3b:00.0").address})
    assert cost(MACHINE, "1 33", passed, guest) is Cost.COLD


def test_replan_moves_none_without_gain_and_one_with_gain() -> None:
    site = a_case(a_vm("a", vcpus=4), a_vm("b", vcpus=4), hosts=1)
    placement, locks = built(site)
    machines = {"kvm-a": MACHINE}
    same, _ = replan(site, machines, locks, (), ("kvm-a",), origins_of(site))
    assert same == placement
    one = locks["kvm-a"].guests["b"]
    apart = dataclasses.replace(one, placement=moved(one.placement, "17 49 18 50", node=1))
    split = {"kvm-a": dataclasses.replace(locks["kvm-a"], guests={**locks["kvm-a"].guests, "b": apart})}
    better, _ = replan(site, machines, split, (), ("kvm-a",), origins_of(site))
    assert better is not None
    changed = [vm for vm, guest in better.guests.items() if guest.cells != split["kvm-a"].guests[vm].placement.cells]
    assert len(changed) == 1


def test_what_is_stranded() -> None:
    site = a_case(a_vm("iso", vcpus=4, threads=Threads.ISOLATE), a_vm("big", vcpus=12, l3=L3.REQUIRE), hosts=1)
    placement, _ = built(site)
    found = state_of(site, {"kvm-a": MACHINE}, placement, origins_of(site))
    assert found is not None
    rows = {(one.node, one.what): one.why for one in stranded(*found, placement)}
    node = placement.guests["iso"].cells[0].node
    assert rows[node, "4 CPUs"] == "idle siblings of their guests' cores"
    small = [what for (_, what), reason in rows.items() if reason.startswith("in L3s with fewer than 4 free cores")]
    assert small


def test_why_a_guest_is_where_it_is() -> None:
    upf = a_vm("upf", vcpus=8, nics=[a_nic("n3", device="n3")])
    site = a_case(upf, a_vm("db", vcpus=8, host="kvm-a"))
    placement, _ = built(site)
    found = state_of(site, dict.fromkeys(site.hosts, MACHINE), placement, origins_of(site))
    assert found is not None
    told = why(site, MACHINE, placement.guests["upf"], *found, locked=False)
    facts = dict(told.facts)
    assert facts["node"] == "0: 1 node asked for, beside `n3`"
    assert facts["host"].endswith("one of 2 with room beside the other guests")
    places = {one.place: one.text for one in told.elsewhere}
    assert places[f"{placement.guests['upf'].host} node 1"] == "no free function of `n3` there"
    assert set(places) == {"kvm-a node 1", "kvm-b"}
    told = why(site, MACHINE, placement.guests["db"], *found, locked=True)
    assert dict(told.facts)["host"] == "kvm-a: its `host` says so"
    assert ("kvm-b", "the guest is tied to host `kvm-a`") in [(one.place, one.text) for one in told.elsewhere]
    away = [one.text for one in told.elsewhere if one.place.startswith("kvm-a node")]
    assert away and "devices that it does not need" in away[0]
