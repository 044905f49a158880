"""Small sites about guests together and apart, hosts that can't have a guest, and guests without a place. For the goldens."""

from __future__ import annotations

import dataclasses
from typing import Any

from kvmc.model.cpuset import CpuSet
from kvmc.model.site import (
    L3,
    Cores,
    Domain,
    Emulator,
    Hostdev,
    Isolation,
    MemoryKind,
    Near,
    Pinning,
    Place,
    Scheduler,
    Strength,
    Threads,
    Vm,
)
from kvmc.model.values import PageCount
from kvmc.topology.model import CoreKind, Topology
from resolver.sites_cpus import FOUR, built
from resolver.telling import Step, fresh, kept
from support.machines import device, machine, nic
from support.sites import GIB, a_host, a_nic, a_platform, a_site, a_vm, apart, together, vfs, whole

EIGHT = machine(packages=2, nodes_per_package=2, l3_per_node=2, cores_per_l3=2, threads=1, memory_gib=16)
"""Two packages of two nodes of two L3s of two cores."""
PREFER = Strength.PREFER


def related(
    *places: Place, vms: list[Vm], hosts: int = 1, on: Topology = EIGHT, explain: bool = False, **host: Any
) -> list[Step]:
    names = [f"kvm-{letter}" for letter in "abcd"[:hosts]]
    racks = {"kvm-a": "r1", "kvm-b": "r1", "kvm-c": "r2", "kvm-d": "r2"}
    values: dict[str, Any] = {"pages": 8}
    site = a_site([a_host(name, **({**values, "rack": racks[name]} | host)) for name in names], vms, places)
    return [Step(site, dict.fromkeys(names, on), edit=fresh, explain=explain)]


def some(letters: str, vcpus: int = 1, **more: Any) -> list[Vm]:
    return [a_vm(letter, vcpus=vcpus, **({"gib": 1} | more)) for letter in letters]


def apart_in_each_domain() -> list[Step]:
    return [
        *related(apart("q", "a", "b", "c", across=Domain.HOST), vms=some("abcd"), hosts=3, explain=True),
        *related(apart("q", "a", "b", across=Domain.RACK), vms=some("abc"), hosts=3),
        *related(apart("q", "a", "b", across=Domain.PACKAGE), vms=some("abc")),
        *related(apart("q", "a", "b", "c", across=Domain.NODE), vms=some("abc")),
        *related(apart("q", "a", "b", "c", "d", across=Domain.L3), vms=some("abcd"), explain=True),
    ]


def apart_in_more_domains_than_there_are() -> list[Step]:
    return [
        *related(apart("q", "a", "b", "c", across=Domain.HOST), vms=some("abc"), hosts=2),
        *related(apart("q", "a", "b", "c", across=Domain.RACK), vms=some("abc"), hosts=4),
        *related(apart("q", "a", "b", "c", across=Domain.PACKAGE), vms=some("abc")),
        *related(apart("q", *"abcdefgh", across=Domain.L3), vms=some("abcdefgh")),
        *related(apart("q", "a", "b", across=Domain.RACK), vms=some("ab"), hosts=2, rack=None),
    ]


def together_in_each_domain() -> list[Step]:
    return [
        *related(together("t", "b", "d", within=Domain.HOST), vms=some("abcd", 2, threads=Threads.ISOLATE), hosts=3),
        *related(
            together("t", "b", "c", within=Domain.RACK), vms=[*some("a", 2), *some("bc", 2, nodes=2, gib=2)], hosts=3
        ),
        *related(together("t", "a", "b", "c", within=Domain.PACKAGE), vms=some("abc")),
        *related(together("t", "a", "c", within=Domain.NODE), vms=some("abc"), explain=True),
        *related(together("t", "a", "c", within=Domain.L3), vms=some("abc")),
    ]


def together_where_no_domain_holds_all() -> list[Step]:
    return [
        *related(together("t", *"abc", within=Domain.L3), vms=some("abc")),
        *related(together("t", *"abcd", within=Domain.NODE), vms=some("abcd")),
        *related(together("t", "a", "b", within=Domain.HOST), vms=[*some("a", host="kvm-a"), *some("b", host="kvm-b")], hosts=2),
        *related(
            together("t", "a", "b", within=Domain.RACK),
            vms=[*some("a", host="kvm-a"), *some("b", host="kvm-d"), *some("c")], hosts=4,
        ),
        *related(together("t", "a", "b", within=Domain.RACK), vms=some("ab"), hosts=3, rack=None),
    ]  # fmt: skip


def relations_that_are_preferred() -> list[Step]:
    return [
        *related(apart("q", "a", "b", "c", across=Domain.HOST, strength=PREFER), vms=some("abc"), hosts=2, explain=True),
        *related(apart("q", "a", "b", across=Domain.L3, strength=PREFER), vms=some("ab")),
        *related(together("t", "a", "b", "c", within=Domain.L3, strength=PREFER), vms=some("abc"), explain=True),
        *related(together("t", "a", "b", within=Domain.NODE, strength=PREFER), vms=some("abc")),
        *related(
            apart("q", "a", "b", across=Domain.PACKAGE, strength=PREFER), together("t", "a", "c", within=Domain.NODE),
            vms=some("abc"), explain=True,
        ),
        *related(apart("q", *"abcdefg", across=Domain.HOST, strength=PREFER), vms=some("abcdefg")),
    ]  # fmt: skip


def preferred_relations_with_guests_that_are_tied() -> list[Step]:
    """The first looks for a place before the other has one, and once more when all have; who was there before stays."""
    free, tied, other = some("a"), some("b", host="kvm-b"), some("b", host="kvm-a")
    near, far = together("t", "a", "b", strength=PREFER), apart("q", "a", "b", strength=PREFER)
    steps = [*related(near, vms=[*free, *tied], hosts=2), *related(far, vms=[*free, *other], hosts=2)]
    for place, more in ((near, tied), (far, other)):
        (first,) = related(vms=[*some("a", 2)], hosts=2)
        (grown,) = related(place, vms=[*some("a", 3), *more], hosts=2)
        steps += [first, dataclasses.replace(grown, edit=kept, title="grown")]
    return steps


def relations_of_guests_of_several_nodes() -> list[Step]:
    wide = some("ab", 2, nodes=2, gib=2)
    return [
        *related(apart("q", "a", "b", across=Domain.PACKAGE), vms=wide, explain=True),
        *related(together("t", "a", "b", within=Domain.PACKAGE), vms=wide, explain=True),
        *related(together("t", "a", "c", within=Domain.NODE), vms=[*some("c"), *some("a", 2, nodes=2, gib=2)]),
        *related(apart("q", "a", "b", across=Domain.L3), vms=[*some("a", 3), *some("b", 2)]),
        *related(apart("q", "a", "b", across=Domain.L3), vms=some("ab", 1, emulator=Emulator.OWN)),
    ]


def relations_where_l3s_or_packages_are_not_told() -> list[Step]:
    on = dataclasses.replace(EIGHT, l3=None, packages=None)
    return [
        *related(apart("q", "a", "b", across=Domain.L3), vms=some("ab"), on=on),
        *related(together("t", "a", "b", within=Domain.L3), vms=some("ab"), on=on),
        *related(apart("q", "a", "b", across=Domain.PACKAGE), vms=some("ab"), on=on, hosts=2),
        *related(together("t", "a", "b", within=Domain.PACKAGE), vms=some("ab"), on=on),
    ]


def racks_that_some_hosts_lack() -> list[Step]:
    hosts = [a_host(f"kvm-{n}", pages=8, rack=None if n else "r1") for n in range(9)]
    site = a_site(hosts, some("ab"), [apart("q", "a", "b", across=Domain.RACK)])
    few = a_site(hosts[:2], some("ab"), [together("t", "a", "b", within=Domain.RACK, strength=PREFER)])
    return [Step(one, dict.fromkeys(one.hosts, EIGHT), edit=fresh) for one in (site, few)]


def guests_apart_that_give_way_to_a_tied_one() -> list[Step]:
    """The first takes what the second must have; it moves to another host or rack, with a third that is apart from both."""
    free, tied = some("ac"), some("b", host="kvm-a")
    return [
        *related(apart("q", "a", "b"), vms=[*free, *tied], hosts=2),
        *related(apart("q", "a", "b", "c"), vms=[*free, *tied], hosts=3),
        *related(apart("q", "a", "b", across=Domain.RACK), vms=[*free, *tied], hosts=3),
        *related(apart("q", "a", "b"), apart("r", "a", "c"), vms=[*free, *tied], hosts=2),
        *related(apart("q", "a", "b"), apart("r", "c", "b"), vms=[*free, *tied], hosts=2),
        *related(apart("q", "a", "b"), vms=[*some("a", host="kvm-a"), *tied], hosts=2),
    ]


def a_related_guest_makes_others_move() -> list[Step]:
    """The second of the pair finds its L3 full, and the guest there gives way."""
    vms = [*some("x", 2), *some("y", 2), *some("a"), *some("b")]
    return related(together("t", "a", "b", within=Domain.L3), vms=vms, on=machine(1, 1, 4, 2, 1, 32), pages=16)


def hosts_that_refuse() -> list[Step]:
    """Each for a reason of its own; the last guest may go nowhere at all, for many reasons."""
    platforms = [a_platform(), a_platform("rt", realtime=True)]
    hosts = [
        a_host("plain", pages=8), a_host("boot", pages=8, isolation=Isolation.BOOT), a_host("real", pages=8, platform="rt"),
        a_host("other", pages=8, pool="other"),
    ]  # fmt: skip
    vms = [
        a_vm("fifo", scheduler=Scheduler.FIFO), a_vm("isolated", isolation=Isolation.BOOT), a_vm("pooled", pool="other"),
        a_vm("tied", host="plain"), a_vm("owner", emulator=Emulator.OWN), a_vm("free", vcpus=1),
    ]  # fmt: skip
    nowhere = [
        a_vm("a", scheduler=Scheduler.FIFO, isolation=Isolation.BOOT),
        a_vm("b", isolation=Isolation.BOOT, threads=Threads.REQUIRE, vcpus=3),
        a_vm("c", emulator=Emulator.OWN, isolation=Isolation.BOOT), a_vm("d", host="real", scheduler=Scheduler.FIFO, pool="other"),
        a_vm("e", cores=Cores.PERFORMANCE), a_vm("f", vcpus=3, threads=Threads.REQUIRE), a_vm("g", host="gone"),
        a_vm("h", vcpus=5, nodes=2, threads=Threads.REQUIRE), a_vm("i", pool="none"),
    ]  # fmt: skip
    machines = dict.fromkeys(["plain", "boot", "real", "other"], FOUR)
    single = dict.fromkeys(machines, machine(1, 1, 1, 4, 1, 32))
    return [
        Step(a_site(hosts, vms, platforms=platforms), machines, edit=fresh, explain=True),
        Step(a_site(hosts, nowhere, platforms=platforms), machines, edit=fresh),
        Step(a_site(hosts, [a_vm("p", threads=Threads.REQUIRE)], platforms=platforms), single, edit=fresh),
    ]


def guests_that_are_too_large() -> list[Step]:
    """For an empty host: cores of each policy, one L3, nodes, shared vCPUs, pages, devices."""
    on = dataclasses.replace(FOUR, pci={one.address: one for one in [nic("3b:00.0", node=1)]})
    guests = [
        a_vm("cores", vcpus=16), a_vm("isolate", vcpus=8, threads=Threads.ISOLATE), a_vm("l3", vcpus=9, l3=L3.REQUIRE),
        a_vm("nodes", vcpus=3, nodes=3), a_vm("shared", vcpus=9, pinning=Pinning.SHARED), a_vm("pages", vcpus=2, gib=17),
        a_vm("own", vcpus=14, emulator=Emulator.OWN), a_vm("wide", vcpus=4, nodes=2, gib=34),
        a_vm("nics", nics=[a_nic(f"n{index}", device="n3") for index in range(3)]),
        a_vm("mixed", vcpus=12, pinning=Pinning.MIXED, dedicated=CpuSet.parse("0-1")), a_vm("plain", gib=13, pages_kib=None),
        a_vm("beside", vcpus=14, nics=[a_nic("n0", device="n3")]), a_vm("both", vcpus=32, gib=33, nodes=2),
    ]  # fmt: skip
    return [
        step for vm in guests for step in built(vm, on=on, shared_cores=1, devices=[vfs("n3", "3b:00.0", 2)], pages=16)
    ]


def guests_without_room_beside_others() -> list[Step]:
    tall: dict[str, Any] = {"vcpus": 12, "gib": 2}
    return [
        *built(a_vm("a", **tall), a_vm("b", **tall), a_vm("c", **tall)),
        *built(a_vm("a", gib=10), a_vm("b", gib=10), a_vm("c", gib=10)),
        *built(a_vm("a", vcpus=5, l3=L3.REQUIRE), *(a_vm(x, vcpus=6, l3=L3.REQUIRE, gib=2) for x in "bcd"), hosts=1),
        *built(*(a_vm(x, vcpus=6, pinning=Pinning.SHARED) for x in "abc"), shared_cores=1),
        *built(*(a_vm(x, **tall) for x in "abcdefghijkl"), hosts=2),
        *built(a_vm("a", vcpus=8, gib=2, nodes=2), a_vm("b", vcpus=12, gib=2), a_vm("c", vcpus=12, gib=2)),
        *built(
            a_vm("a", gib=13, pages_kib=None),
            a_vm("b", gib=13, pages_kib=None),
            a_vm("c", gib=13, pages_kib=None),
            pages=0,
        ),
        *built(
            a_vm("a", vcpus=10, host="kvm-a"),
            a_vm("b", vcpus=10, host="kvm-a"),
            a_vm("c", vcpus=10, host="kvm-a"),
            hosts=2,
        ),
        *built(
            a_vm("a", vcpus=14, optional=True), a_vm("b", vcpus=14), a_vm("c", vcpus=14), a_vm("d", vcpus=14), hosts=1
        ),
    ]


def hosts_of_a_fleet_that_have_no_room() -> list[Step]:
    """Eight hosts, in words of six; some for another reason."""
    hosts = [a_host(f"kvm-{n}", pages=16, pool="blue" if n > 5 else "compute") for n in range(8)]
    vms = [a_vm("a", vcpus=2, gib=40), a_vm("b", vcpus=2, pool="compute", gib=20)]
    return [Step(a_site(hosts, vms), dict.fromkeys((host.name for host in hosts), FOUR), edit=fresh)]


def lists_that_are_long() -> list[Step]:
    """Six are told by name, and one more as a number; of nodes four, of hosts with a line in common three."""
    steps: list[Step] = []
    wide = machine(6, 1, 1, 3, 1, 16)
    for number in (6, 7):
        letters = "abcdefg"[:number]
        hosts = [a_host(f"kvm-{n}", pages=4) for n in range(number)]
        few = dict.fromkeys((host.name for host in hosts), machine(1, 1, 1, 3, 1, 16))
        steps += [
            Step(a_site(hosts, [a_vm("a", vcpus=2, gib=5)]), few, edit=fresh),
            Step(a_site(hosts, [a_vm("a", vcpus=2, pool="none")]), few, edit=fresh),
            *built(*some(letters), on=wide, drained=True, pages=4),
            *related(
                apart("q", *letters, "x", across=Domain.HOST, strength=PREFER),
                vms=some(f"{letters}x"),
                on=wide,
                explain=True,
            ),
            *related(together("t", *letters), vms=[a_vm(x, host=f"kvm-{'ab'[x == 'a']}") for x in letters], hosts=2),
        ]
    for number in (6, 7, 9):
        hosts = [a_host(f"kvm-{n}", pages=4, pool="blue" if n else "compute") for n in range(number + 1)]
        pair = [a_vm("a", vcpus=1, gib=1, pool="blue"), a_vm("b", vcpus=1, gib=1, pool="compute")]
        steps.append(
            Step(a_site(hosts, pair, [together("t", "a", "b")]), {one.name: wide for one in hosts}, edit=fresh)
        )
    for nodes in (4, 5):
        on = machine(nodes, 1, 1, 3, 1, 16)
        low = dataclasses.replace(on, nodes=(*on.nodes[:-1], dataclasses.replace(on.nodes[-1], memory_kib=0)))
        steps += built(a_vm("a", vcpus=3, gib=1), a_vm("b", vcpus=nodes, gib=nodes, nodes=nodes), on=low, pages=4)
    on = machine(1, 1, 6, 2, 1, 32)
    steps += built(a_vm("a", vcpus=7), a_vm("b", vcpus=3), on=on, explain=True)
    steps += built(a_vm("a", vcpus=9), on=on, explain=True)
    for number in (8, 9, 10):
        steps += built(*(a_vm(f"vm-{n}", vcpus=1, gib=1) for n in range(number)), on=machine(1, 1, 1, number, 1, 32))
    for number in (3, 4):
        one: dict[tuple[str, ...], tuple[str, ...]] = {
            ("host", "vswitch", "cores"): tuple(f"kvm-{x}" for x in "abcd"[:number])
        }
        grown = built(*some("abcd"[:number], 2), on=machine(1, 1, 1, 3, 1, 16), hosts=number, vswitch_cores=1, pages=4)
        steps += [dataclasses.replace(step, one=one) for step in grown]
    return steps


def what_hosts_keep_is_in_the_way() -> list[Step]:
    return [
        *built(a_vm("a", vcpus=12), a_vm("b", vcpus=12), vswitch_cores=1, housekeeping_cores=2),
        *built(a_vm("a", vcpus=2, gib=13, pages_kib=None), pages=0, reserve_memory_kib=24 * GIB),
        *built(a_vm("a", vcpus=2, gib=13), pages=12, reserve_pages=(PageCount(2, GIB),)),
        *built(a_vm("a", vcpus=2, gib=14), pages=12, reserve_pages=(PageCount(4, GIB),), reserve_memory_kib=14 * GIB),
        *built(a_vm("a", vcpus=2), a_vm("b", vcpus=2), hosts=2, drained=True),
    ]


def settings_of_a_class_and_a_pool_are_one_line() -> list[Step]:
    """Three guests get their size from one class, two hosts what they keep from one pool."""
    names = ("a", "b", "c", "d")
    one = {("vm", "vcpus"): names, ("vm", "l3"): names, ("host", "vswitch", "cores"): ("kvm-a", "kvm-b")}
    vms = [a_vm(name, vcpus=6, gib=2, l3=L3.REQUIRE) for name in names]
    steps = built(*vms, on=machine(1, 1, 2, 4, 2, 32), hosts=2, vswitch_cores=1)
    return [dataclasses.replace(step, one=one) for step in steps]


def settings_that_can_be_loosened() -> list[Step]:
    found = machine(1, 1, 2, 6, 2, 64)
    kinds = {CoreKind.PERFORMANCE: CpuSet.parse("0-5,12-17"), CoreKind.EFFICIENCY: CpuSet.parse("6-11,18-23")}
    roots = [("10:00.0", "r0"), ("20:00.0", "r1"), ("30:00.0", "r2")]
    parts = {one.address: one for address, root in roots for one in [dataclasses.replace(device(address), root=root)]}
    hybrid = dataclasses.replace(found, core_kinds=kinds, pci=parts)
    pools = [whole("gpu", "10:00.0"), whole("rdma", "20:00.0"), whole("spare", "30:00.0")]

    def devices(**more: Any) -> list[Hostdev]:
        return [Hostdev(name="gpu", device="gpu", **more), Hostdev(name="rdma", device="rdma")]

    return [
        *built(a_vm("a", vcpus=12, threads=Threads.ISOLATE, gib=2), on=found),
        *built(a_vm("a", vcpus=13, l3=L3.REQUIRE, gib=2), on=found),
        *built(a_vm("a", vcpus=12, cores=Cores.PERFORMANCE, gib=2), on=hybrid),
        *built(a_vm("a", vcpus=22, emulator=Emulator.OWN, gib=2), on=found),
        *built(a_vm("a", isolation=Isolation.BOOT), on=found),
        *built(a_vm("a", scheduler=Scheduler.FIFO), on=found),
        *built(a_vm("a", host="kvm-b"), a_vm("b", vcpus=20, host="kvm-b"), on=found, hosts=2),
        *built(a_vm("a", pool="none"), on=found),
        *built(a_vm("a", memory_kind=MemoryKind.CXL, pages_kib=None), on=found, pages=0),
        *built(a_vm("a", hostdevs=devices(beside="rdma")), on=hybrid, devices=pools),
        *built(a_vm("a", hostdevs=devices(near=Near.PREFER, beside="rdma")), on=hybrid, devices=pools),
        *built(
            a_vm("a", vcpus=23, threads=Threads.REQUIRE, gib=2),
            a_vm("b", vcpus=24, threads=Threads.REQUIRE, gib=2),
            on=found,
        ),
    ]


CASES = {
    one.__name__.replace("_", " "): one
    for one in (
        apart_in_each_domain, apart_in_more_domains_than_there_are, together_in_each_domain, together_where_no_domain_holds_all,
        relations_that_are_preferred, preferred_relations_with_guests_that_are_tied,
        relations_of_guests_of_several_nodes, relations_where_l3s_or_packages_are_not_told,
        racks_that_some_hosts_lack, guests_apart_that_give_way_to_a_tied_one,
        a_related_guest_makes_others_move, hosts_that_refuse, guests_that_are_too_large,
        guests_without_room_beside_others, lists_that_are_long, hosts_of_a_fleet_that_have_no_room, what_hosts_keep_is_in_the_way,
        settings_of_a_class_and_a_pool_are_one_line, settings_that_can_be_loosened,
    )
}  # fmt: skip
