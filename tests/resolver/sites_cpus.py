"""Small sites about CPUs: pools, threads, L3s, nodes, and what stays free. For the goldens."""

from __future__ import annotations

import dataclasses
from typing import Any

from kvmc.model.cpuset import CpuSet
from kvmc.model.site import L3, Cores, Emulator, Host, Pinning, Threads, Vm
from kvmc.topology.model import CoreKind, Topology
from resolver.telling import Step, fresh
from support.machines import machine, nic
from support.sites import a_host, a_nic, a_site, a_vm, vfs

FOUR = machine(packages=2, l3_per_node=2, cores_per_l3=4, memory_gib=32)
"""Two nodes of 8 cores in two L3s, two threads each."""
SINGLE = machine(packages=1, l3_per_node=1, cores_per_l3=8, threads=1, memory_gib=32)
SHARED: dict[str, Any] = {"pinning": Pinning.SHARED}


def built(*vms: Vm, on: Topology = FOUR, hosts: int = 1, explain: bool = False, **host: Any) -> list[Step]:
    """One site of hosts that are alike, built anew."""
    values: dict[str, Any] = {"pages": 16}
    names = [f"kvm-{letter}" for letter in "abcd"[:hosts]]
    site = a_site([a_host(name, **(values | host)) for name in names], vms)
    return [Step(site, dict.fromkeys(names, on), edit=fresh, explain=explain)]


def pools() -> list[Step]:
    return built(
        a_vm("one", vcpus=3), a_vm("two", vcpus=2, **SHARED),
        housekeeping_cores=2, vswitch_cores=1, shared_cores=2, shared_overcommit=2, explain=True,
    )  # fmt: skip


def pools_of_cpus_that_count_round_the_nodes() -> list[Step]:
    on = machine(packages=2, cores_per_l3=4, numbering="round-robin", memory_gib=32)
    return built(a_vm("one", vcpus=3), a_vm("two", vcpus=3), on=on, shared_cores=1)


def pools_of_siblings_side_by_side() -> list[Step]:
    on = machine(packages=1, cores_per_l3=8, numbering="siblings-adjacent", memory_gib=32)
    return built(a_vm("one", vcpus=3), a_vm("two", vcpus=2, threads=Threads.ISOLATE), on=on, vswitch_cores=1)


def pools_without_the_boot_cpu_and_with_cpus_of_others() -> list[Step]:
    """CPU 0 is offline, so the first online one is in housekeeping; 5 and 13 belong to others; 10 is offline: its core has one."""
    found = machine(packages=1, l3_per_node=2, cores_per_l3=4, memory_gib=32)
    cpus = found.online - CpuSet.parse("0,10")
    on = dataclasses.replace(
        found,
        online=cpus,
        nodes=(dataclasses.replace(found.nodes[0], cpus=cpus),),
        cores=tuple(core & cpus for core in found.cores or ()),
        l3=tuple(l3 & cpus for l3 in found.l3 or ()),
        allowed=cpus - CpuSet.parse("5,13"),
    )
    vms = [a_vm("pairs", vcpus=4, threads=Threads.REQUIRE), a_vm("any", vcpus=3, l3=L3.ANY)]
    return built(*vms, on=on)


def pools_take_more_than_a_node_has() -> list[Step]:
    return built(a_vm("one"), housekeeping_cores=3, vswitch_cores=4, shared_cores=2)


def pools_take_all_but_what_shared_leaves() -> list[Step]:
    return built(a_vm("one"), on=SINGLE, housekeeping_cores=8, shared_cores=1)


def threads_of_each_policy() -> list[Step]:
    return built(
        a_vm("prefer", vcpus=3), a_vm("require", vcpus=4, threads=Threads.REQUIRE),
        a_vm("isolate", vcpus=3, threads=Threads.ISOLATE), a_vm("one", vcpus=1), a_vm("two", vcpus=1), explain=True,
    )  # fmt: skip


def emulators_of_their_own() -> list[Step]:
    """Beside the vCPUs where a core is left, else where the rest is smallest."""
    own: dict[str, Any] = {"emulator": Emulator.OWN}
    return built(
        a_vm("beside", vcpus=4, **own), a_vm("apart", vcpus=8, **own), a_vm("wide", vcpus=4, nodes=2, **own),
        a_vm("floats", vcpus=2, **SHARED, **own), a_vm("any", vcpus=2, l3=L3.ANY, **own),
        on=machine(packages=2, l3_per_node=3, cores_per_l3=4, memory_gib=32), shared_cores=1, explain=True,
    )  # fmt: skip


def one_l3_or_several() -> list[Step]:
    on = machine(packages=1, l3_per_node=4, cores_per_l3=4, threads=1, memory_gib=64)
    return built(
        a_vm("whole", vcpus=4, l3=L3.REQUIRE), a_vm("split", vcpus=6), a_vm("pieces", vcpus=3, l3=L3.ANY),
        a_vm("small", vcpus=2), on=on, explain=True,
    )  # fmt: skip


def the_tightest_l3_is_taken_and_the_largest_hole_left() -> list[Step]:
    """Rests of 3, 4, 4 and 4 cores: two pairs share the smallest that holds them, a guest of four gets a whole one."""
    on = machine(packages=1, l3_per_node=4, cores_per_l3=4, threads=1, memory_gib=64)
    return built(a_vm("c", vcpus=1), a_vm("b", vcpus=2), a_vm("a", vcpus=4), a_vm("d", vcpus=3), on=on)


def a_guest_over_more_l3s_than_it_needs() -> list[Step]:
    """Nothing else is left for the last one; it is told as worse than it could be."""
    on = machine(packages=1, l3_per_node=3, cores_per_l3=4, threads=1, memory_gib=64)
    vms = [a_vm(name, vcpus=3, l3=L3.REQUIRE) for name in "abc"] + [a_vm("wide", vcpus=2)]
    return built(*vms, on=on, explain=True)


def l3s_that_nobody_tells() -> list[Step]:
    unknown = dataclasses.replace(machine(packages=1, cores_per_l3=8, memory_gib=32), l3=None)
    return built(a_vm("prefer", vcpus=4), a_vm("any", vcpus=3, l3=L3.ANY), on=unknown) + built(
        a_vm("require", vcpus=4, l3=L3.REQUIRE), on=unknown
    )


def some_cores_without_an_l3() -> list[Step]:
    found = machine(packages=1, l3_per_node=2, cores_per_l3=4, threads=1, memory_gib=32)
    on = dataclasses.replace(found, l3=(found.l3 or ())[1:])
    return built(
        a_vm("prefer", vcpus=2), a_vm("require", vcpus=2, l3=L3.REQUIRE), a_vm("any", vcpus=3, l3=L3.ANY), on=on
    )


def nodes_near_each_other() -> list[Step]:
    """Two packages of two nodes: two cells lie in one package, four in all."""
    on = machine(packages=2, nodes_per_package=2, cores_per_l3=4, memory_gib=16)
    return built(
        a_vm("one", vcpus=2, gib=2), a_vm("pair", vcpus=4, nodes=2), a_vm("all", vcpus=8, nodes=4),
        a_vm("odd", vcpus=3, gib=3, nodes=2), on=on, pages=8, explain=True,
    )  # fmt: skip


def nodes_of_one_guest_that_differ() -> list[Step]:
    from kvmc.model.site import GuestNode
    from support.sites import GIB

    def parts(*sizes: tuple[int, int]) -> dict[str, Any]:
        cells = {str(n): GuestNode(name=str(n), vcpus=v, memory_kib=gib * GIB) for n, (v, gib) in enumerate(sizes)}
        return {"cells": cells, "nodes": len(sizes), "vcpus": sum(v for v, _ in sizes), "gib": sum(g for _, g in sizes)}

    on = machine(packages=3, cores_per_l3=4, threads=1, memory_gib=32)
    return built(
        a_vm("first", vcpus=1, gib=14), a_vm("second", vcpus=2, gib=1), a_vm("uneven", **parts((1, 1), (3, 12))),
        a_vm("twins", **parts((1, 1), (1, 1), (1, 2))), on=on,
    )  # fmt: skip


def shared_vcpus_node_by_node() -> list[Step]:
    return built(
        a_vm("wide", vcpus=6, nodes=2, **SHARED), a_vm("a", vcpus=5, **SHARED), a_vm("b", vcpus=5, **SHARED),
        a_vm("c", vcpus=2, **SHARED), shared_cores=1, shared_overcommit=5, explain=True,
    )  # fmt: skip


def mixed_vcpus() -> list[Step]:
    mixed: dict[str, Any] = {"pinning": Pinning.MIXED}
    return built(
        a_vm("head", vcpus=6, dedicated=CpuSet.parse("0-1,4"), **mixed),
        a_vm("wide", vcpus=6, nodes=2, dedicated=CpuSet.parse("1,3-5"), **mixed),
        a_vm("tail", vcpus=4, dedicated=CpuSet.parse("3"), threads=Threads.ISOLATE, **mixed),
        shared_cores=1, shared_overcommit=4, explain=True,
    )  # fmt: skip


def kinds_of_cores() -> list[Step]:
    """Six fast cores of two threads, six slow ones of one."""
    found = machine(packages=1, cores_per_l3=12, threads=2, memory_gib=64)
    gone = CpuSet.parse("18-23")
    on = dataclasses.replace(
        found,
        online=found.online - gone,
        nodes=(dataclasses.replace(found.nodes[0], cpus=found.online - gone),),
        cores=tuple(core - gone for core in found.cores or ()),
        l3=tuple(l3 - gone for l3 in found.l3 or ()),
        core_kinds={CoreKind.PERFORMANCE: CpuSet.parse("0-5,12-17"), CoreKind.EFFICIENCY: CpuSet.parse("6-11")},
    )
    return built(
        a_vm("fast", vcpus=3, cores=Cores.PERFORMANCE), a_vm("slow", vcpus=3, cores=Cores.EFFICIENCY),
        a_vm("pairs", vcpus=4, cores=Cores.PERFORMANCE, threads=Threads.REQUIRE),
        a_vm("lone", vcpus=2, cores=Cores.EFFICIENCY, emulator=Emulator.OWN, l3=L3.REQUIRE), on=on, explain=True,
    ) + built(
        a_vm("fast", vcpus=12, cores=Cores.PERFORMANCE), a_vm("pairs", vcpus=2, cores=Cores.EFFICIENCY, threads=Threads.REQUIRE),
        a_vm("any", vcpus=2, threads=Threads.REQUIRE), on=on,
    ) + built(a_vm("fast", cores=Cores.PERFORMANCE), on=FOUR)  # fmt: skip


def nodes_with_devices_are_left_to_those_that_need_them() -> list[Step]:
    on = dataclasses.replace(FOUR, pci={one.address: one for one in [nic("3b:00.0", node=0)]})
    return built(
        a_vm("plain", vcpus=2), a_vm("packet", vcpus=2, nics=[a_nic("n3", device="n3")]),
        a_vm("pair", vcpus=4, nodes=2), on=on, devices=[vfs("n3", "3b:00.0", 4)], explain=True,
    )  # fmt: skip


def hosts_one_after_the_other() -> list[Step]:
    """The smallest rest first: what fits beside others goes there before an empty host is opened."""
    on = machine(packages=1, cores_per_l3=8, threads=1, memory_gib=32)
    vms = [a_vm("a", vcpus=5), a_vm("b", vcpus=3), a_vm("c", vcpus=3), a_vm("d", vcpus=2), a_vm("e", vcpus=6)]
    return built(*vms, on=on, hosts=3, pages=12, explain=True)


def hosts_that_are_not_alike() -> list[Step]:
    small, wide = machine(packages=1, cores_per_l3=4, memory_gib=16), machine(packages=2, cores_per_l3=8, memory_gib=32)
    hosts: list[Host] = [a_host("kvm-a", pages=4), a_host("kvm-b", pages=16), a_host("kvm-c", pages=4)]
    vms = [a_vm("a", vcpus=4), a_vm("b", vcpus=2, gib=2), a_vm("c", vcpus=10, gib=8), a_vm("d", vcpus=6)]
    machines = {"kvm-a": small, "kvm-b": wide, "kvm-c": small}
    return [Step(a_site(hosts, vms), machines, explain=True)]


def optional_guests_by_their_weight() -> list[Step]:
    vms = [
        a_vm("must", vcpus=4), a_vm("light", vcpus=6, optional=True), a_vm("heavy", vcpus=8, optional=True, weight=5),
        a_vm("small", vcpus=2, optional=True), a_vm("never", vcpus=40, optional=True, weight=9),
    ]  # fmt: skip
    return built(*vms, on=machine(packages=1, cores_per_l3=9, memory_gib=64), pages=32)


def optional_guests_of_less_weight_give_way() -> list[Step]:
    """The heavy one fits only alone; the two light ones together are worth less."""
    vms = [
        a_vm("a", vcpus=6, optional=True),
        a_vm("b", vcpus=6, optional=True),
        a_vm("c", vcpus=14, optional=True, weight=2),
    ]
    return built(*vms, on=machine(packages=1, cores_per_l3=8, memory_gib=64), pages=32)


def cores_that_are_stranded() -> list[Step]:
    on = machine(packages=2, l3_per_node=2, cores_per_l3=4, memory_gib=32)
    vms = [
        a_vm("iso", vcpus=2, threads=Threads.ISOLATE), a_vm("big", vcpus=6, l3=L3.REQUIRE, gib=12),
        a_vm("more", vcpus=6, l3=L3.REQUIRE), a_vm("last", vcpus=6, l3=L3.REQUIRE),
    ]  # fmt: skip
    return built(*vms, on=on)


def pages_that_are_stranded() -> list[Step]:
    on = machine(packages=1, cores_per_l3=4, memory_gib=32)
    return built(a_vm("all", vcpus=6, gib=4), on=on, pages=8) + built(a_vm("all", vcpus=4, gib=8), on=on, pages=8)


def threads_on_housekeeping_cpus_over_their_budget() -> list[Step]:
    vms = [
        a_vm("queues", nics=[a_nic("eth0", network="core", queues=4), a_nic("eth1", network="core")]),
        a_vm("own", nics=[a_nic("eth0", network="core", queues=9)], emulator=Emulator.OWN),
    ]
    return [*built(*vms, housekeeping_threads=1), *built(*vms, housekeeping_threads=2)]


CASES = {
    one.__name__.replace("_", " "): one
    for one in (
        pools, pools_of_cpus_that_count_round_the_nodes, pools_of_siblings_side_by_side,
        pools_without_the_boot_cpu_and_with_cpus_of_others, pools_take_more_than_a_node_has,
        pools_take_all_but_what_shared_leaves, threads_of_each_policy, emulators_of_their_own, one_l3_or_several,
        the_tightest_l3_is_taken_and_the_largest_hole_left, a_guest_over_more_l3s_than_it_needs, l3s_that_nobody_tells,
        some_cores_without_an_l3, nodes_near_each_other, nodes_of_one_guest_that_differ, shared_vcpus_node_by_node, mixed_vcpus,
        kinds_of_cores, nodes_with_devices_are_left_to_those_that_need_them, hosts_one_after_the_other, hosts_that_are_not_alike,
        optional_guests_by_their_weight, optional_guests_of_less_weight_give_way, cores_that_are_stranded,
        pages_that_are_stranded, threads_on_housekeeping_cpus_over_their_budget,
    )
}  # fmt: skip
