"""Small sites over several builds: what a lock keeps, why it no longer holds, what moves and what that costs. For the goldens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kvmc.model.cpuset import CpuSet
from kvmc.model.site import (
    L3,
    Cores,
    Domain,
    Emulator,
    Hostdev,
    MemoryKind,
    MemoryMode,
    Near,
    Pinning,
    Place,
    Site,
    Threads,
    Vm,
)
from kvmc.model.values import PageCount, PciAddress
from kvmc.resolver.locks import GuestLock
from kvmc.resolver.placement import CellPlacement, GuestPlacement
from kvmc.topology.model import CoreKind
from resolver.sites_memory import kinds, rooted
from resolver.telling import Locks, Step, fresh, kept
from support.machines import device, machine, nic
from support.sites import GIB, a_host, a_nic, a_site, a_vm, apart, together, vfs, whole

Edit = Callable[[GuestPlacement], GuestPlacement]


def edited(vm: str, edit: Edit) -> Callable[[Locks], Locks]:
    """Locks with one guest's placement changed."""

    def apply(locks: Locks) -> Locks:
        lock = locks["kvm-a"]
        one = lock.guests[vm]
        changed = dataclasses.replace(one, placement=edit(one.placement))
        return {**locks, "kvm-a": dataclasses.replace(lock, guests={**lock.guests, vm: changed})}

    return apply


def emulated(text: str) -> Edit:
    """With another mask for its emulator; `+` before CPUs that it has besides."""

    def edit(guest: GuestPlacement) -> GuestPlacement:
        cpus = CpuSet.parse(text.removeprefix("+"))
        return dataclasses.replace(guest, emulator=guest.emulator | cpus if text.startswith("+") else cpus)

    return edit


def lie(node: int, pins: str) -> Edit:
    """On a node and CPUs, one a vCPU."""
    return cells(node=node, pins=tuple(map(CpuSet.parse, pins.split())))


def cells(**changes: Any) -> Edit:
    """The first cell changed."""

    def edit(guest: GuestPlacement) -> GuestPlacement:
        return dataclasses.replace(guest, cells=(dataclasses.replace(guest.cells[0], **changes), *guest.cells[1:]))

    return edit


def pinned(text: str, at: int = 0) -> Edit:
    """A cell with other pins, a CPU list each."""

    def edit(guest: GuestPlacement) -> GuestPlacement:
        pins = tuple(map(CpuSet.parse, text.split()))
        new: list[CellPlacement] = list(guest.cells)
        new[at] = dataclasses.replace(new[at], pins=pins)
        return dataclasses.replace(guest, cells=tuple(new))

    return edit


def with_vm(site: Site, vm: str, **values: Any) -> Site:
    return site.model_copy(update={"vms": {**site.vms, vm: site.vms[vm].model_copy(update=values)}})


def with_host(site: Site, host: str = "kvm-a", **values: Any) -> Site:
    return site.model_copy(update={"hosts": {**site.hosts, host: site.hosts[host].model_copy(update=values)}})


def with_places(site: Site, *places: Place) -> Site:
    return site.model_copy(update={"places": {one.name: one for one in places}})


def after(first: Step, *changes: tuple[str, Site, Callable[[Locks], Locks] | None]) -> list[Step]:
    """A build, and what each change of the site or the locks makes of its locks, without a search."""
    more = [
        Step(
            site, dict.fromkeys(site.hosts, first.machines["kvm-a"]), title=title, back=True, search=False, edit=edit or kept,
        )
        for title, site, edit in changes
    ]  # fmt: skip
    return [first, *more]


CORES = machine(
    packages=2, l3_per_node=2, cores_per_l3=4, memory_gib=32, pci=[nic("3b:00.0", node=0), nic("af:00.0", node=1)]
)


def a_case() -> tuple[Step, Site]:
    """A host with guests of each kind, and the site with one host more."""
    vms = [
        a_vm("odd", vcpus=5), a_vm("pairs", vcpus=4, threads=Threads.REQUIRE, l3=L3.REQUIRE), a_vm("wide", vcpus=4, nodes=2),
        a_vm("iso", vcpus=2, threads=Threads.ISOLATE), a_vm("web", vcpus=3, pinning=Pinning.SHARED, pages_kib=None),
        a_vm("upf", vcpus=2, gib=1, nics=[a_nic("n3", device="n3"), a_nic("n6", device="n3")]),
    ]  # fmt: skip
    host = a_host(
        "kvm-a", pages=12, shared_cores=1, devices=[vfs("n3", "3b:00.0", 4), vfs("n4", "af:00.0", 4)], rack="r1"
    )
    other = a_host("kvm-b", pages=12, shared_cores=1, devices=[vfs("n3", "3b:00.0", 4)], rack="r1")
    return Step(a_site([host], vms), {"kvm-a": CORES}, edit=fresh), a_site([host, other], vms)


def a_lock_that_no_longer_is_what_the_guest_asks_for() -> list[Step]:
    first, site = a_case()
    alone = site.model_copy(update={"hosts": {"kvm-b": site.hosts["kvm-b"]}})
    return after(
        first,
        ("as it was", site, None),
        ("a host is gone", alone, None),
        ("a host that the guest may not have", with_vm(site, "odd", host="kvm-b"), None),
        ("apart from one that is there", with_places(site, apart("q", "odd", "iso")), None),
        ("apart by racks", with_places(site, apart("q", "odd", "iso", across=Domain.RACK)), None),
        ("together with one elsewhere", with_places(site, together("t", "odd", "pairs", within=Domain.NODE)), None),
        ("in one node, which it is not", with_places(site, together("t", "wide", "web", within=Domain.NODE)), None),
        ("more vCPUs", with_vm(site, "odd", vcpus=6), None),
        ("fewer vCPUs", with_vm(site, "web", vcpus=2), None),
        ("more nodes", with_vm(site, "odd", nodes=2), None),
        ("more memory", with_vm(site, "odd", memory_kib=5 * GIB), None),
        ("whole cores", with_vm(site, "odd", threads=Threads.REQUIRE, vcpus=5), None),
        ("a core each", with_vm(site, "pairs", threads=Threads.ISOLATE), None),
        ("one L3", with_vm(site, "odd", l3=L3.REQUIRE), None),
        ("pairs where each had a core", with_vm(site, "iso", threads=Threads.PREFER), None),
        ("an emulator of its own", with_vm(site, "odd", emulator=Emulator.OWN), None),
        ("floating", with_vm(site, "odd", pinning=Pinning.SHARED), None),
        ("dedicated", with_vm(site, "web", pinning=Pinning.DEDICATED), None),
        ("mixed", with_vm(site, "odd", pinning=Pinning.MIXED, dedicated=CpuSet.parse("0-1")), None),
        ("another device", with_vm(site, "upf", nics={"n3": a_nic("n3", device="n3")}), None),
        ("of another pool", with_vm(site, "upf", nics={"n3": a_nic("n3", device="n4"), "n6": a_nic("n6", device="n3")}), None),
        ("interleaved memory", with_vm(site, "odd", numatune=MemoryMode.INTERLEAVE), None),
        ("other pages", with_vm(site, "odd", pages_kib=2048), None),
        ("normal pages", with_vm(site, "odd", pages_kib=None), None),
    )  # fmt: skip


def a_lock_that_the_host_no_longer_holds() -> list[Step]:
    first, site = a_case()
    return after(
        first,
        ("fewer pages than one takes", with_host(site, pages=(PageCount(3, GIB),)), None),
        ("pages for one and not for all", with_host(site, pages=(PageCount(5, GIB),)), None),
        ("no page", with_host(site, pages=()), None),
        ("less normal memory than one takes", with_host(site, reserve_memory_kib=18 * GIB), None),
        ("normal memory for one and not for all", with_host(site, reserve_memory_kib=20 * GIB - 4600 * 1024), None),
        ("shared CPUs for none", with_host(site, shared_overcommit=1), None),
        ("more housekeeping", with_host(site, housekeeping_cores=3), None),
        ("no shared cores", with_host(site, shared_cores=0), None),
        ("more shared cores", with_host(site, shared_cores=3), None),
        ("fewer functions", with_host(site, devices={"n3": vfs("n3", "3b:00.0", 1)}), None),
        ("drained", with_host(site, drained=True), None),
    )


def a_lock_that_is_no_sound_placement() -> list[Step]:
    first, site = a_case()
    third = PciAddress.parse("0000:3b:01.3")

    def same(guest: GuestPlacement) -> GuestPlacement:
        return dataclasses.replace(guest, devices=dict.fromkeys(guest.devices, third))

    def strange(guest: GuestPlacement) -> GuestPlacement:
        return dataclasses.replace(guest, devices={**guest.devices, ("nic", "n6"): PciAddress.parse("0000:af:01.0")})

    def twice(guest: GuestPlacement) -> GuestPlacement:
        return dataclasses.replace(
            guest, cells=(guest.cells[0], dataclasses.replace(guest.cells[1], node=guest.cells[0].node))
        )

    def shorter(guest: GuestPlacement) -> GuestPlacement:
        return dataclasses.replace(guest, cells=(dataclasses.replace(guest.cells[0], pins=guest.cells[0].pins[:-1]),))

    def later(guest: GuestPlacement) -> GuestPlacement:
        return dataclasses.replace(guest, cells=(dataclasses.replace(guest.cells[0], vcpus=tuple(range(1, 6))),))

    return after(
        first,
        ("a node that is not there", site, edited("odd", cells(node=7))),
        ("one node twice", site, edited("wide", twice)),
        ("memory of another size", site, edited("odd", cells(memory_kib=GIB))),
        ("memory in parts", site, edited("odd", cells(memory=((0, 4 * GIB),)))),
        ("a pin too few", site, edited("odd", shorter)),
        ("vCPUs from one on", site, edited("odd", later)),
        ("pins of housekeeping", site, edited("odd", pinned("0 16 2 18 3"))),
        ("pins of another node", site, edited("odd", pinned("2 18 3 19 6"))),
        ("pins of another guest", site, edited("odd", pinned("10 26 11 27 12"))),
        ("two CPUs for a vCPU", site, edited("odd", pinned("12-13 28 13 29 14"))),
        ("a CPU twice", site, edited("odd", pinned("12 12 13 29 14"))),
        ("siblings apart", site, edited("odd", pinned("12 13 28 29 14"))),
        ("a core in part before others", site, edited("odd", pinned("12 13 29 14 30"))),
        ("a core in part at the end", site, edited("odd", pinned("11 27 13 29 15"))),
        ("whole cores in part", site, edited("pairs", pinned("4 5 6 7"))),
        ("two L3s", site, edited("pairs", pinned("3 19 4 20"))),
        ("siblings of one core each", site, edited("iso", pinned("6 22"))),
        ("one function twice", site, edited("upf", same)),
        ("a function of another pool", site, edited("upf", strange)),
        (
            "an emulator anywhere",
            site,
            edited("odd", emulated("31")),
        ),
        (
            "idle siblings anywhere",
            site,
            edited("odd", lambda guest: dataclasses.replace(guest, idle=CpuSet.parse("31"))),
        ),
        ("floating anywhere", site, edited("web", pinned("31 30 29"))),
    )


def locks_of_emulators_of_their_own() -> list[Step]:
    own: dict[str, Any] = {"emulator": Emulator.OWN}
    vms = [
        a_vm("one", vcpus=4, **own),
        a_vm("wide", vcpus=4, nodes=2, **own),
        a_vm("web", pinning=Pinning.SHARED, **own),
    ]
    site = a_site([a_host("kvm-a", pages=12, shared_cores=1)], vms)
    first = Step(site, {"kvm-a": CORES}, edit=fresh)

    return after(
        first,
        ("as it was", site, None),
        ("of nobody", site, edited("one", emulated(""))),
        ("half a core", site, edited("one", emulated("7"))),
        ("on one of its vCPUs", site, edited("one", pinned("4 20 6 22"))),
        ("and more", site, edited("one", emulated("+8"))),
        ("in one of two nodes", site, edited("wide", emulated("14,30"))),
        ("housekeeping", with_vm(site, "one", emulator=Emulator.HOUSEKEEPING), None),
    )  # fmt: skip


def locks_of_kinds_of_cores() -> list[Step]:
    found = machine(1, 1, 1, 8, 1, 32)
    core_kinds = {CoreKind.PERFORMANCE: CpuSet.parse("0-3"), CoreKind.EFFICIENCY: CpuSet.parse("4-7")}
    on = dataclasses.replace(found, core_kinds=core_kinds)
    site = a_site([a_host("kvm-a", pages=16)], [a_vm("fast", vcpus=2, cores=Cores.PERFORMANCE), a_vm("any", vcpus=2)])
    first = Step(site, {"kvm-a": on}, edit=fresh)
    return after(
        first,
        ("the other kind", with_vm(site, "fast", cores=Cores.EFFICIENCY), None),
        ("any kind", with_vm(site, "fast", cores=Cores.ANY), None),
        ("one that was of any", with_vm(site, "any", cores=Cores.PERFORMANCE), None),
    )


def locks_of_memory_elsewhere() -> list[Step]:
    normal: dict[str, Any] = {"pages_kib": None}
    on = kinds()
    vms = [
        a_vm("turns", vcpus=2, gib=4, numatune=MemoryMode.INTERLEAVE), a_vm("near", vcpus=2, gib=9, numatune=MemoryMode.PREFERRED),
        a_vm("hbm", vcpus=2, gib=4, memory_kind=MemoryKind.HBM, **normal),
    ]  # fmt: skip
    site = a_site([a_host("kvm-a", pages=10)], vms)

    def lies(*parts: tuple[int, int]) -> Edit:
        return cells(memory=parts)

    return after(
        Step(site, {"kvm-a": on}, edit=fresh),
        ("as it was", site, None),
        ("not in turn", site, edited("turns", lies((0, 3 * GIB), (1, GIB)))),
        ("all in turn on one", site, edited("turns", lies((0, 4 * GIB)))),
        ("of no node", site, edited("near", lies())),
        ("a node that is gone", site, edited("near", lies((9, 9 * GIB)))),
        ("too little", site, edited("near", lies((0, 8 * GIB)))),
        ("one node twice", site, edited("near", lies((0, 4 * GIB), (0, 5 * GIB)))),
        ("not whole pages", site, edited("near", lies((0, 9 * GIB - 4), (1, 4)))),
        ("more than a node has", site, edited("near", lies((0, 9 * GIB)))),
        (
            "more than a node has of all",
            with_host(site, pages=(PageCount(8, GIB),)),
            edited("near", lies((0, 9 * GIB))),
        ),
        ("of another kind", site, edited("hbm", lies((4, 4 * GIB)))),
        ("of two nodes of its kind", site, edited("hbm", lies((2, 2 * GIB), (3, 2 * GIB)))),
        ("strict now", with_vm(site, "near", numatune=MemoryMode.STRICT), None),
        ("of no kind now", with_vm(site, "hbm", memory_kind=None), None),
    )


def locks_of_devices_near_each_other() -> list[Step]:
    parts = [
        rooted("10:00.0", 0, "r0"), rooted("20:00.0", 0, "r1"), rooted("21:00.0", 0, "r1"), rooted("91:00.0", 1, "r2"),
        device("40:00.0", group=3), device("40:00.1", group=3),
    ]  # fmt: skip
    on = machine(2, 1, 1, 8, 2, 64, pci=parts)
    pools = [
        whole("gpu", "10:00.0", "20:00.0"),
        whole("rdma", "21:00.0", "91:00.0"),
        whole("both", "40:00.0", "40:00.1"),
    ]
    gpu, rdma = Hostdev(name="gpu", device="gpu", beside="rdma"), Hostdev(name="rdma", device="rdma")
    both = [Hostdev(name=name, device="both") for name in "xy"]
    site = a_site(
        [a_host("kvm-a", pages=32, devices=pools)], [a_vm("pair", hostdevs=[gpu, rdma]), a_vm("group", hostdevs=both)]
    )

    def has(label: str, address: str) -> Edit:
        return lambda guest: dataclasses.replace(
            guest, devices={**guest.devices, ("hostdev", label): PciAddress.parse(address)}
        )

    def half(guest: GuestPlacement) -> GuestPlacement:
        return dataclasses.replace(guest, devices={("hostdev", "x"): PciAddress.parse("40:00.0")})

    free = {"gpu": gpu.model_copy(update={"beside": None}), "rdma": rdma.model_copy(update={"near": Near.PREFER})}
    loose = {"gpu": gpu, "rdma": rdma.model_copy(update={"near": Near.ANY})}
    return after(
        Step(site, {"kvm-a": on}, edit=fresh),
        ("as it was", site, None),
        ("on another root", site, edited("pair", has("gpu", "10:00.0"))),
        ("on another node", site, edited("pair", has("rdma", "91:00.0"))),
        ("on another node, and may be", with_vm(site, "pair", hostdevs=loose), edited("pair", has("rdma", "91:00.0"))),
        ("on another node, not beside", with_vm(site, "pair", hostdevs=free), edited("pair", has("rdma", "91:00.0"))),
        ("half a group", with_vm(site, "group", hostdevs={"x": both[0]}), edited("group", half)),
    )  # fmt: skip


def merged(*vms: str, number: int = 2) -> Callable[[Locks], Locks]:
    """Each of these locked where the first guest is, as by another branch."""

    def edit(locks: Locks) -> Locks:
        lock = locks["kvm-a"]
        first = next(iter(lock.guests))
        one = lock.guests[first]
        twins = {vm: GuestLock(dataclasses.replace(one.placement, vm=vm), one.identity, number) for vm in vms}
        return {**locks, "kvm-a": dataclasses.replace(lock, guests={**lock.guests, **twins})}

    return edit


def on_both(vm: str) -> Callable[[Locks], Locks]:
    def edit(locks: Locks) -> Locks:
        one = locks["kvm-a"].guests[vm]
        there = dataclasses.replace(
            one, placement=dataclasses.replace(one.placement, host="kvm-b"), placed=one.placed + 1
        )
        return {**locks, "kvm-b": dataclasses.replace(locks["kvm-b"], guests={**locks["kvm-b"].guests, vm: there})}

    return edit


def branches_that_came_together() -> list[Step]:
    def site(*vms: Vm, hosts: int = 2) -> Site:
        names = ("kvm-a", "kvm-b")[:hosts]
        devices = [vfs("n3", "3b:00.0", 4)]
        return a_site([a_host(name, pages=12, shared_cores=1, devices=devices) for name in names], vms)

    def a(name: str, **more: Any) -> Vm:
        values: dict[str, Any] = {"vcpus": 4, "nics": [a_nic("n3", device="n3")]}
        return a_vm(name, **(values | more))

    one, two, three = site(a("a")), site(a("a"), a("b")), site(a("b"), a("c"), a("a"))
    machines = {"kvm-a": CORES, "kvm-b": CORES}
    floats: dict[str, Any] = {"pinning": Pinning.SHARED, "nics": []}
    loose = site(*(a(name, vcpus=6, **floats) for name in "abc"))
    normal = site(*(a(name, gib=9, vcpus=2, pages_kib=None, **floats) for name in "abc"))
    pages = site(*(a(name, gib=7, vcpus=2, **floats) for name in "abcdefgh"))
    steps = [Step(one, machines, edit=fresh), Step(two, machines, edit=merged("b"), title="two on the same CPUs"),
             Step(two, machines, edit=merged("b"), settle=True, back=True, title="settled"),
             Step(three, machines, edit=merged("b", "c"), back=True, title="three on the same CPUs"),
             Step(three, machines, edit=merged("b", "c", number=1), settle=True, back=True, title="settled by their order"),
             Step(one, machines, edit=on_both("a"), back=True, title="on two hosts"),
             Step(one, machines, edit=on_both("a"), back=True, settle=True, title="settled on the first")]  # fmt: skip
    for many, name in ((loose, "vCPUs"), (normal, "memory"), (pages, "pages")):
        first = many.model_copy(update={"vms": {"a": many.vms["a"]}})
        others = [vm for vm in many.vms if vm != "a"]
        steps += [
            Step(first, machines, edit=fresh), Step(many, machines, edit=merged(*others), title=f"too many {name}"),
            Step(first, machines, edit=fresh), Step(many, machines, edit=merged(*others), settle=True, title="settled"),
        ]  # fmt: skip
    renamed = dataclasses.replace
    steps += [
        Step(one, machines, edit=fresh),
        Step(
            one,
            machines,
            edit=lambda locks: {**locks, "kvm-a": renamed(locks["kvm-a"], host="kvm-x")},
            title="of another host",
        ),
    ]
    return steps


def relations_that_came_together() -> list[Step]:
    """Two branches, each with one of a pair that is to be apart, or in one node."""
    hosts = [a_host("kvm-a", pages=12, rack="r1"), a_host("kvm-b", pages=12, rack="r1")]
    machines = {"kvm-a": CORES, "kvm-b": CORES}
    steps: list[Step] = []
    for place in (
        apart("q", "a", "b"), apart("q", "a", "b", across=Domain.RACK), apart("q", "a", "b", across=Domain.NODE),
        together("q", "a", "b", within=Domain.NODE),
    ):  # fmt: skip
        both = a_site(hosts, [a_vm("b"), a_vm("a")])
        moved = edited("a", lie(1, "9 25 10 26"))
        apart_now = moved if place.relation == "together" else (lambda locks: locks)
        steps += [
            Step(both, machines, edit=fresh),
            Step(
                with_places(both, place),
                machines,
                edit=apart_now,
                settle=True,
                title=f"{place.title} by {place.domain}, settled",
            ),
        ]
    return steps


def guests_that_come_and_go() -> list[Step]:
    """Nobody moves who need not; who grows keeps his node and the cores that he had; who left is retired until he is back."""
    host = [a_host("kvm-a", pages=12), a_host("kvm-b", pages=12)]
    machines = {"kvm-a": CORES, "kvm-b": CORES}

    def site(*vms: Vm) -> Site:
        return a_site(host, vms)

    a, b, c = a_vm("a", vcpus=4), a_vm("b", vcpus=6), a_vm("c", vcpus=3, nodes=1)
    return [
        Step(site(a, b), machines, edit=fresh),
        Step(site(c, a, b), machines, title="one more"),
        Step(site(c, a_vm("a", vcpus=6), b), machines, title="a grows"),
        Step(site(c, a_vm("a", vcpus=2), b), machines, title="a shrinks"),
        Step(site(c, b), machines, title="a leaves"),
        Step(site(c, a_vm("a", vcpus=14), b), machines, title="a is back, larger"),
        Step(site(c, a_vm("a", vcpus=14, nodes=2), b), machines, title="over two nodes"),
        Step(site(c, a_vm("a", vcpus=14, host="kvm-b"), b), machines, title="tied to another host", explain=True),
        Step(site(c, a_vm("a", vcpus=14, host="kvm-b"), b, a_vm("d", vcpus=14, host="kvm-b")), machines, title="no room for d"),
    ]  # fmt: skip


def a_better_placement_on_request() -> list[Step]:
    on = machine(packages=2, l3_per_node=2, cores_per_l3=4, memory_gib=32)
    hosts = [a_host("kvm-a", pages=12), a_host("kvm-b", pages=12)]
    machines = {"kvm-a": on, "kvm-b": on}
    vms = [a_vm("a", vcpus=4), a_vm("b", vcpus=4), a_vm("c", vcpus=6, l3=L3.REQUIRE)]
    site = a_site(hosts, vms)
    alone = a_site(hosts[:1], vms)
    split = edited("b", pinned("6 22 9 25"))
    spread = edited("b", lie(1, "11 27 12 28"))
    drained = with_host(site, drained=True)
    newer = machine(packages=2, l3_per_node=2, cores_per_l3=4, memory_gib=64, pci=[nic("3b:00.0")])
    plain = machine(packages=2, l3_per_node=2, cores_per_l3=8, threads=1, memory_gib=32)
    return [
        Step(alone, machines, edit=fresh),
        Step(site, machines, hosts=("kvm-a",), title="no better one"),
        Step(site, machines, edit=spread, back=True, hosts=("kvm-a",), title="b over two L3s"),
        Step(site, machines, edit=spread, back=True, vms=("b",), title="b over two L3s, b alone"),
        Step(site, machines, edit=spread, back=True, vms=("a",), title="b over two L3s, a alone"),
        Step(site, machines, edit=split, back=True, hosts=("kvm-a",), title="b is nowhere"),
        Step(drained, machines, back=True, title="drained"),
        Step(drained, machines, back=True, vms=("a", "b"), title="drained, two move"),
        Step(drained, machines, back=True, hosts=("kvm-a",), title="drained, all move"),
        Step(site, {**machines, "kvm-a": newer}, back=True, title="another machine"),
        Step(site, {**machines, "kvm-a": newer}, back=True, hosts=("kvm-a",), title="another machine, taken as it is"),
        Step(site, {**machines, "kvm-a": plain}, back=True, hosts=("kvm-a",), title="a machine that holds none as it was"),
    ]  # fmt: skip


def a_guest_over_more_l3s_than_it_must_be() -> list[Step]:
    """Six vCPUs need two L3s; where others have half of each it is three, and a third of them is what could be avoided."""
    on = machine(packages=2, l3_per_node=4, cores_per_l3=4, threads=1, memory_gib=64)
    site = a_site([a_host("kvm-a", pages=32)], [a_vm("wide", vcpus=6), *(a_vm(name, vcpus=2) for name in "abc")])

    def lying(wide: tuple[int, str]) -> Callable[[Locks], Locks]:
        def edit(locks: Locks) -> Locks:
            for vm, node, text in (("a", 1, "20 21"), ("b", 1, "24 25"), ("c", 1, "28 29"), ("wide", *wide)):
                locks = edited(vm, lie(node, text))(locks)
            return locks

        return edit

    good, bad = lying((0, "4 5 6 7 8 9")), lying((1, "17 18 19 22 23 26"))
    return [
        Step(site, {"kvm-a": on}, edit=fresh),
        Step(site, {"kvm-a": on}, edit=good, back=True, search=False, explain=True, title="over two"),
        Step(site, {"kvm-a": on}, edit=bad, back=True, search=False, explain=True, title="over three"),
        Step(site, {"kvm-a": on}, edit=bad, back=True, vms=("wide",), title="over three, decided anew"),
    ]


def a_drained_host_with_many_guests() -> list[Step]:
    def site(number: int, **more: Any) -> Site:
        return a_site([a_host("kvm-a", pages=12, **more)], [a_vm(f"vm-{n}", vcpus=1, gib=1) for n in range(number)])

    return [
        step
        for number in (1, 7, 9)
        for step in (
            Step(site(number), {"kvm-a": CORES}, edit=fresh), Step(site(number, drained=True), {"kvm-a": CORES}, title="drained")
        )
    ]  # fmt: skip


def room_that_takes_moves() -> list[Step]:
    """What is locked stays; the message says which moves make room."""
    on = machine(packages=2, l3_per_node=1, cores_per_l3=5, threads=1, memory_gib=32)
    host = [a_host("kvm-a", pages=12)]
    machines = {"kvm-a": on}
    one = a_site(host, [a_vm("a", vcpus=1, gib=1), a_vm("b", vcpus=3, gib=1), a_vm("d", vcpus=2, gib=1)])

    def with_more(*vms: Vm) -> Site:
        return one.model_copy(update={"vms": {**one.vms, **{vm.name: vm for vm in vms}}})

    def spread(locks: Locks) -> Locks:
        for vm, node, text in (("a", 0, "1"), ("b", 0, "2 3 4"), ("d", 1, "6 7")):
            locks = edited(vm, lie(node, text))(locks)
        return locks

    def apart_(locks: Locks) -> Locks:
        for vm, node, text in (("a", 0, "1"), ("b", 1, "6 7 8"), ("d", 0, "2 3")):
            locks = edited(vm, lie(node, text))(locks)
        return locks

    return [
        Step(one, machines, edit=fresh),
        Step(with_more(a_vm("x", vcpus=2, gib=1)), machines, edit=apart_, back=True, title="one move"),
        Step(with_more(a_vm("x", vcpus=2, gib=1)), machines, edit=spread, back=True, title="none is needed"),
        Step(with_more(a_vm("x", vcpus=4, gib=1)), machines, edit=apart_, back=True, title="none is enough"),
        Step(
            with_more(a_vm("x", vcpus=2, gib=1), a_vm("y", vcpus=1, gib=1)),
            machines,
            edit=apart_,
            back=True,
            title="for two",
        ),
    ]


def hosts_that_may_be_lost() -> list[Step]:
    def site(*vms: Vm, number: int = 3, **more: Any) -> Site:
        return a_site(
            [a_host(f"kvm-{letter}", pages=12, host_failures=1, **more) for letter in "abcdefg"[:number]], vms
        )

    on = machine(packages=1, cores_per_l3=8, memory_gib=32)
    cases = [
        ("all have a place", site(a_vm("a", vcpus=8), a_vm("b", vcpus=6), a_vm("c", vcpus=8))),
        ("one has none", site(a_vm("a", vcpus=8), a_vm("b", vcpus=10), a_vm("c", vcpus=10))),
        (
            "tied and optional ones",
            site(a_vm("a", vcpus=12, host="kvm-a"), a_vm("b", vcpus=12, optional=True), a_vm("c", vcpus=12)),
        ),
        ("pages", site(a_vm("a", vcpus=2, gib=10), a_vm("b", vcpus=2, gib=10), a_vm("c", vcpus=2, gib=10))),
        ("many", site(*(a_vm(name, vcpus=14) for name in "abcdef"), number=6)),
        ("several of one host", site(*(a_vm(name, vcpus=4) for name in "abcdefghi"))),
        ("one drained", with_host(site(a_vm("a", vcpus=14), a_vm("b", vcpus=14)), "kvm-c", drained=True)),
        ("one that need not", with_host(site(*(a_vm(name, vcpus=14) for name in "abc")), "kvm-a", host_failures=0)),
    ]  # fmt: skip
    return [Step(one, dict.fromkeys(one.hosts, on), edit=fresh, title=title) for title, one in cases]


CASES = {
    one.__name__.replace("_", " "): one
    for one in (
        a_lock_that_no_longer_is_what_the_guest_asks_for, a_lock_that_the_host_no_longer_holds, a_lock_that_is_no_sound_placement,
        locks_of_emulators_of_their_own, locks_of_kinds_of_cores, locks_of_memory_elsewhere, locks_of_devices_near_each_other,
        branches_that_came_together, relations_that_came_together, guests_that_come_and_go, a_better_placement_on_request,
        a_guest_over_more_l3s_than_it_must_be, a_drained_host_with_many_guests, room_that_takes_moves, hosts_that_may_be_lost,
    )
}  # fmt: skip
