"""Pools of a host: whole cores, node by node, and what is said where they do not fit."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kvmc.diagnostics import Bag
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Host
from kvmc.model.values import KIB_PER_UNIT, PageCount, PciAddress
from kvmc.resolver.machines import derive_machine
from kvmc.resolver.state import Machine
from kvmc.topology.model import Topology
from support.machines import device, machine, nic
from support.sites import a_host, a_site, a_vm, origins_of, vfs, whole

GIB = KIB_PER_UNIT["GiB"]


def derive(host: Host, topology: Topology) -> tuple[Machine | None, Bag]:
    return derive_machine(host, topology, origins_of(a_site([host], [a_vm("one")])))


def messages(host: Host, topology: Topology) -> list[str]:
    found, bag = derive(host, topology)
    assert found is None and bag.has_errors
    assert all(one.primary is not None for one in bag)
    return [one.message for one in bag]


def test_pools_are_cut_core_by_core_in_each_node() -> None:
    found, bag = derive(a_host("kvm-a", housekeeping_cores=2, vswitch_cores=1, shared_cores=3), machine())
    assert found is not None and not len(bag)
    assert str(found.pools.housekeeping) == "0-1,16-17,32-33,48-49"
    assert str(found.pools.vswitch) == "2,18,34,50"
    assert str(found.pools.shared) == "3-5,19-21,35-37,51-53"
    assert str(found.pools.dedicated) == "6-15,22-31,38-47,54-63"


def test_the_boot_cpus_core_is_first_though_its_l3_is_not() -> None:
    """CPU 0 sits in the second L3 of its node when the first L3 starts below it only on paper: lowest online CPU counts."""
    cores = (CpuSet.parse("1,5"), CpuSet.parse("2,6"), CpuSet.parse("0,4"), CpuSet.parse("3,7"))
    topology = dataclasses.replace(
        machine(packages=1, cores_per_l3=4),
        cores=tuple(sorted(cores, key=lambda core: core.first)),
        l3=(CpuSet.parse("0,3-4,7"), CpuSet.parse("1-2,5-6")),
        online=CpuSet.parse("1-7"),
    )
    found, _ = derive(a_host("kvm-a"), topology)
    assert found is not None
    assert str(found.pools.housekeeping) == "1,5"
    assert "1" not in str(found.pools.dedicated).split(",")


def test_the_boot_cpus_core_goes_to_guests_where_the_site_says_so() -> None:
    found, bag = derive(a_host("kvm-a", housekeeping_cores=2, shared_cores=1, boot_cpu=False), machine())
    assert found is not None and not len(bag)
    assert str(found.pools.housekeeping) == "1-2,16-17,33-34,48-49"
    assert str(found.pools.shared) == "3,18,35,50"
    assert {0, 32} <= set(found.pools.dedicated)


def test_a_node_of_one_core_cannot_give_it_away() -> None:
    small = machine(packages=1, cores_per_l3=1)
    (message,) = messages(a_host("kvm-a", boot_cpu=False), small)
    assert "CPU 0, on which it boots" in message


def test_only_usable_cpus_count() -> None:
    topology = dataclasses.replace(machine(packages=1, cores_per_l3=4), allowed=CpuSet.parse("0-3,5"))
    found, _ = derive(a_host("kvm-a"), topology)
    assert found is not None
    assert str(found.pools.housekeeping) == "0"
    assert str(found.pools.dedicated) == "1-3,5"
    assert sorted(slot.threads for slot in found.nodes[0].slots) == [1, 2]


@pytest.mark.parametrize(
    ("pools", "where"),
    [
        ({"housekeeping_cores": 5}, ("housekeeping", "cores")),
        ({"housekeeping_cores": 2, "vswitch_cores": 3}, ("vswitch", "cores")),
        ({"housekeeping_cores": 1, "shared_cores": 4}, ("shared", "cores")),
    ],
)
def test_too_few_cores_names_host_node_numbers_and_setting(pools: dict[str, Any], where: tuple[str, str]) -> None:
    host = a_host("kvm-a", **pools)
    origins = origins_of(a_site([host], [a_vm("one")]))
    _, bag = derive_machine(host, machine(cores_per_l3=4), origins)
    first = next(iter(bag))
    assert first.code.id == "KVMC0404"
    assert first.message.startswith("`kvm-a` node 0 has 4 cores, its pools take 5 (")
    assert first.primary is not None and first.primary.span == origins.table[("host", "kvm-a", *where)].span


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nodes": ()}, "no NUMA node"),
        ({"cores": None}, "no cores"),
        ({"pci": None}, "no PCI devices"),
    ],
)
def test_a_topology_that_lacks_something_is_told_what(change: dict[str, object], words: str) -> None:
    host = a_host("kvm-a", devices=[vfs("n3", "3b:00.0", 4)])
    topology = dataclasses.replace(machine(pci=[nic("3b:00.0")]), **change)  # type: ignore[arg-type]
    (message,) = messages(host, topology)
    assert "`kvm-a`" in message and words in message


def test_no_memory_per_node() -> None:
    topology = machine()
    bare = dataclasses.replace(
        topology, nodes=tuple(dataclasses.replace(node, memory_kib=None) for node in topology.nodes)
    )
    (message,) = messages(a_host("kvm-a"), bare)
    assert "no memory per node" in message


def test_pages_must_fit_the_memory_of_each_node() -> None:
    (message,) = messages(a_host("kvm-a", pages=256), machine(memory_gib=256))
    assert message == "`kvm-a` node 0 keeps 256GiB of pages + 4GiB of reserve, it has 256GiB"
    _, bag = derive(a_host("kvm-a", pages=256), machine(memory_gib=256))
    assert next(iter(bag)).help == ("set `pages = 252 * 1GiB`",)
    found, _ = derive(a_host("kvm-a", pages=252), machine(memory_gib=256))
    assert found is not None and found.memory[0].normal_kib == 0


def test_reserved_pages_count_as_well() -> None:
    host = a_host("kvm-a", pages=200, reserve_pages=(PageCount(60, GIB),))
    (message,) = messages(host, machine(memory_gib=256))
    assert "200GiB of pages + 60GiB of reserved pages + 4GiB of reserve, it has 256GiB" in message


def test_a_page_size_that_the_node_lacks() -> None:
    (message,) = messages(a_host("kvm-a", pages=2, page_kib=64 * 1024), machine())
    assert message == "`kvm-a` node 0 has no huge pages of 64MiB, it has 2MiB and 1GiB"


def test_nodes_without_memory_or_cpus_hold_no_pages() -> None:
    topology = machine(memory_gib=64)
    bare = dataclasses.replace(topology.nodes[1], memory_kib=0)
    memory_only = dataclasses.replace(topology.nodes[1], id=2, cpus=CpuSet(), memory_kib=8 * GIB)
    found, bag = derive(
        a_host("kvm-a", pages=40), dataclasses.replace(topology, nodes=(topology.nodes[0], bare, memory_only))
    )
    assert found is not None, [one.message for one in bag]
    assert [dict(one.pages) for one in found.memory] == [{GIB: 40}, {}]


def test_vfs_get_the_addresses_that_the_kernel_gives_them() -> None:
    found, _ = derive(a_host("kvm-a", devices=[vfs("n3", "3b:00.0", 10)]), machine(pci=[nic("3b:00.0", node=1)]))
    assert found is not None
    assert [str(one.address) for one in found.functions["n3"]][:2] == ["0000:3b:01.0", "0000:3b:01.1"]
    assert str(found.functions["n3"][8].address) == "0000:3b:02.0"
    assert {one.node for one in found.functions["n3"]} == {1}


@pytest.mark.parametrize(
    ("pools", "code", "words"),
    [
        ([vfs("n3", "3c:00.0", 4)], "KVMC0408", "has no PCI device `0000:3c:00.0`"),
        ([whole("gpu", "01:00.7")], "KVMC0408", "has no PCI device `0000:01:00.7`"),
        ([vfs("n3", "01:00.0", 4)], "KVMC0409", "makes no virtual functions"),
        ([vfs("n3", "3b:00.0", 65)], "KVMC0410", "makes 64 virtual functions, `n3` asks for 65"),
        ([vfs("a", "3b:00.0", 4), vfs("b", "3b:00.0", 2)], "KVMC0411", "twice, in `a` and in `b`"),
        ([whole("a", "02:00.0", "02:00.0")], "KVMC0411", "twice, in `a` and in `a`"),
        ([vfs("a", "3b:00.0", 4), whole("b", "3b:00.0")], "KVMC0411", "twice, in `a` and in `b`"),
        ([whole("gpu", "01:00.0")], "KVMC0412", "IOMMU group of 2, 1 offered: 0000:01:00.1 left out"),
    ],
)
def test_devices_that_can_not_be_offered(pools: list[object], code: str, words: str) -> None:
    pci = [
        nic("3b:00.0"),
        device("00:01.0", group=7, class_id=0x060400),
        device("01:00.0", group=7),
        device("01:00.1", group=7, class_id=0x040300),
        device("02:00.0", group=8),
    ]
    _, bag = derive(a_host("kvm-a", devices=pools), machine(pci=pci))  # type: ignore[arg-type]
    assert [(one.code.id, words in one.message) for one in bag] == [(code, True)]


def test_a_bridge_may_stay_in_the_group() -> None:
    pci = [device("00:01.0", group=7, class_id=0x060400), device("01:00.0", group=7)]
    found, _ = derive(a_host("kvm-a", devices=[whole("gpu", "01:00.0")]), machine(pci=pci))
    assert found is not None
    assert found.functions["gpu"][0].group == (PciAddress.parse("01:00.0"),)
