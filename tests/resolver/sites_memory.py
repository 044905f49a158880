"""Small sites about memory and devices. For the goldens."""

from __future__ import annotations

import dataclasses
from typing import Any

from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Hostdev, Iothread, MemoryKind, MemoryMode, Near, Nic, Pinning, Vm
from kvmc.model.values import PageCount
from kvmc.topology.model import Memory, Node, PciDevice, Topology
from resolver.sites_cpus import FOUR, built
from resolver.telling import Step, fresh
from support.machines import device, machine, nic
from support.sites import GIB, a_disk, a_host, a_nic, a_site, a_vm, vfs, whole

SMALL = machine(packages=2, cores_per_l3=4, memory_gib=16)
MIB = 1024
NORMAL: dict[str, Any] = {"pages_kib": None}


def pages_of_two_sizes() -> list[Step]:
    both = (PageCount(4, GIB), PageCount(1024, 2048))
    host = a_host("kvm-a", reserve_pages=(PageCount(2, GIB), PageCount(512, 2048))).model_copy(update={"pages": both})
    small: dict[str, Any] = {"pages_kib": 2048}
    vms = [a_vm("large", vcpus=2, gib=3), a_vm("small", vcpus=2, gib=2, **small), a_vm("second", vcpus=2, gib=2)]
    last = [a_vm("third", vcpus=2, gib=2), a_vm("odd", vcpus=2, gib=1, **small)]
    return [
        Step(a_site([host], vms), {"kvm-a": SMALL}),
        Step(a_site([host], [*vms, *last]), {"kvm-a": SMALL}, title="more than there are"),
    ]


def pages_that_a_node_does_not_know_or_hold() -> list[Step]:
    steps: list[Step] = []
    for size, counts, more in (
        (16384, (PageCount(4, 16384),), {}),
        (GIB, (PageCount(20, GIB),), {}),
        (GIB, (PageCount(8, GIB), PageCount(2048, 2048)), {"reserve_pages": (PageCount(1, GIB),)}),
        (GIB, (PageCount(1, GIB),), {"reserve_memory_kib": 20 * GIB}),
        (GIB, (PageCount(2, GIB),), {"reserve_pages": (PageCount(1, 16384), PageCount(14, GIB))}),
        (GIB, (), {"reserve_memory_kib": 17 * GIB}),
    ):
        values: dict[str, Any] = more
        host = a_host("kvm-a", **values).model_copy(update={"pages": counts})
        steps.append(Step(a_site([host], [a_vm("one", pages_kib=size)]), {"kvm-a": SMALL}, edit=fresh))
    unknown = tuple(dataclasses.replace(node, page_sizes_kib=()) for node in SMALL.nodes)
    on = dataclasses.replace(SMALL, nodes=unknown)
    for arch, size in (("x86_64", 65536), ("aarch64", 65536)):
        host = a_host("kvm-a").model_copy(update={"pages": (PageCount(2, size),)})
        vms = [a_vm("one", vcpus=1, pages_kib=size).model_copy(update={"memory_kib": 65536})]
        steps.append(Step(a_site([host], vms), {"kvm-a": dataclasses.replace(on, arch=arch)}, edit=fresh))
    return steps


def normal_pages_and_overhead() -> list[Step]:
    """Each host has what the guest takes, or a KiB less: QEMU, video, page tables, vCPUs and I/O threads, counted out."""
    disks = [a_disk("a", Iothread.OWN), a_disk("b", Iothread.SHARED), a_disk("c", Iothread.SHARED)]
    vms: list[tuple[Vm, int]] = [
        # 218 + 16 MiB, 8 a vCPU, and page tables of 1/512
        (a_vm("plain", vcpus=2, gib=4, **NORMAL), 4 * GIB + (218 + 16 + 16) * MIB + 8 * MIB),
        (a_vm("pages", vcpus=1, gib=2), (218 + 16 + 8) * MIB + 4 * MIB),
        (
            a_vm("passed", vcpus=1, gib=2, nics=[a_nic("n3", device="n3")]),
            (218 + 16 + 8) * MIB + 2 * 4 * MIB,
        ),
        (a_vm("disks", vcpus=1, gib=1, disks=disks), (218 + 16 + 8 + 16 + 2) * MIB),
        (a_vm("one", vcpus=1, gib=1, disks=disks[1:]), (218 + 16 + 8 + 8 + 2) * MIB),
        (a_vm("none", vcpus=1, gib=1, disks=[a_disk("a"), a_disk("b")]), (218 + 16 + 8 + 2) * MIB),
    ]  # fmt: skip
    on = dataclasses.replace(
        machine(packages=1, cores_per_l3=4, memory_gib=16), pci={nic("3b:00.0").address: nic("3b:00.0")}
    )
    steps: list[Step] = []
    for vm, need in vms:
        for short in (0, 1):
            rest = 16 * GIB - 4 * GIB - need + short
            host = a_host("kvm-a", pages=4, reserve_memory_kib=rest, devices=[vfs("n3", "3b:00.0", 2)])
            steps.append(Step(a_site([host], [vm]), {"kvm-a": on}, edit=fresh, title=f"{vm.name}, {short} KiB short"))
    return steps


def normal_memory_over_two_nodes() -> list[Step]:
    """The first cell has the overhead that is no node's, and the odd MiB."""
    vm = a_vm("wide", vcpus=3, nodes=2, **NORMAL).model_copy(update={"memory_kib": 5 * GIB + 3 * MIB + 7})
    return [*built(vm, on=SMALL, pages=0), *built(vm, on=SMALL, pages=9)]


def memory_from_all_nodes_in_turn() -> list[Step]:
    turn: dict[str, Any] = {"numatune": MemoryMode.INTERLEAVE}
    on = machine(packages=3, cores_per_l3=4, memory_gib=16)
    return [
        *built(
            a_vm("turns", vcpus=2, gib=7, **turn), a_vm("own", vcpus=2, gib=5), a_vm("plain", vcpus=2, gib=3, **turn, **NORMAL),
            on=on, pages=8, explain=True,
        ),
        *built(a_vm("own", vcpus=2, gib=6), a_vm("turns", vcpus=2, gib=7, **turn), on=on, pages=8),
        *built(a_vm("turns", vcpus=2, gib=30, **turn), on=on, pages=8),
        *built(a_vm("turns", vcpus=2, gib=40, **turn, **NORMAL), on=on, pages=0),
    ]  # fmt: skip


def memory_that_prefers_its_node() -> list[Step]:
    near: dict[str, Any] = {"numatune": MemoryMode.PREFERRED}
    on = machine(packages=2, nodes_per_package=2, cores_per_l3=4, memory_gib=16)
    return [
        *built(
            a_vm("wide", vcpus=2, gib=11, **near), a_vm("strict", vcpus=6, gib=5), a_vm("next", vcpus=4, gib=10, **near),
            a_vm("far", vcpus=4, gib=4, **near), on=on, pages=8, explain=True,
        ),
        *built(a_vm("wide", vcpus=2, gib=33, **near), on=on, pages=8),
        *built(
            a_vm("plain", vcpus=2, gib=14, **near, **NORMAL), a_vm("two", vcpus=4, gib=6, nodes=2, **near, **NORMAL),
            on=on, pages=0,
        ),
        *built(a_vm("a", gib=2), a_vm("b", gib=2), a_vm("far", vcpus=2, gib=9, **near), on=SMALL, pages=8),
        *built(a_vm("plain", vcpus=2, gib=70, **near, **NORMAL), on=on, pages=0),
    ]  # fmt: skip


def kinds(*, hbm: int = 8, with_cpus: bool = False) -> Topology:
    """Two nodes of CPUs, one of HBM beside each, and one of CXL beside the second."""
    found = machine(packages=2, cores_per_l3=4, memory_gib=32)
    rows = ({0: 10, 1: 21, 2: 13, 3: 23, 4: 28}, {0: 21, 1: 10, 2: 23, 3: 13, 4: 24})
    memory = Memory.HBM if with_cpus else Memory.DRAM
    nodes = [
        dataclasses.replace(node, distances=rows[index], memory=memory if index == 1 else Memory.DRAM)
        for index, node in enumerate(found.nodes)
    ]
    nodes += [
        Node(2, CpuSet(), hbm * GIB, {}, (2048, GIB), Memory.HBM), Node(3, CpuSet(), hbm * GIB, {}, (2048, GIB), Memory.HBM),
        Node(4, CpuSet(), 64 * GIB, {}, (2048, GIB), Memory.CXL), Node(5, CpuSet(), 0, {}, (), Memory.GPU),
    ]  # fmt: skip
    return dataclasses.replace(found, nodes=tuple(nodes))


def memory_of_a_kind() -> list[Step]:
    def asks(name: str, kind: MemoryKind, gib: int, **more: Any) -> Vm:
        return a_vm(name, vcpus=2, gib=gib, memory_kind=kind, **NORMAL, **more)

    hbm, cxl, gpu = MemoryKind.HBM, MemoryKind.CXL, MemoryKind.GPU
    return [
        *built(
            asks("a", hbm, 5),
            asks("b", hbm, 4),
            asks("c", cxl, 40),
            asks("d", hbm, 4, host="kvm-a"),
            on=kinds(),
            explain=True,
        ),
        *built(asks("a", hbm, 5), asks("b", hbm, 4), asks("e", hbm, 5), on=kinds()),
        *built(asks("a", hbm, 9), on=kinds()),
        *built(asks("a", gpu, 1), on=kinds()),
        *built(asks("a", hbm, 3), asks("b", hbm, 3), on=kinds(with_cpus=True), pages=8),
        *built(a_vm("pages", vcpus=2, gib=4, memory_kind=hbm), on=kinds(with_cpus=True), pages=8),
        *built(a_vm("pages", vcpus=2, gib=4, memory_kind=cxl), on=kinds(), pages=8),
        *built(a_vm("two", vcpus=4, gib=6, nodes=2, memory_kind=hbm, **NORMAL), on=kinds()),
    ]


def a_node_without_memory() -> list[Step]:
    found = machine(packages=2, cores_per_l3=4, memory_gib=16)
    on = dataclasses.replace(found, nodes=(found.nodes[0], dataclasses.replace(found.nodes[1], memory_kib=0)))
    return built(a_vm("one", vcpus=2), a_vm("two", vcpus=6), on=on, pages=8) + built(
        a_vm("turns", vcpus=2, numatune=MemoryMode.INTERLEAVE), on=on, pages=8
    )


def what_a_topology_does_not_tell() -> list[Step]:
    none = [dataclasses.replace(node, cpus=CpuSet()) for node in FOUR.nodes]
    unknown = [dataclasses.replace(node, memory_kib=None) for node in FOUR.nodes]
    both = dataclasses.replace(FOUR.nodes[1], cpus=FOUR.nodes[1].cpus | CpuSet.parse("16"))
    machines = [
        dataclasses.replace(FOUR, nodes=tuple(none)),
        dataclasses.replace(FOUR, nodes=tuple(unknown), cores=None),
        dataclasses.replace(FOUR, pci=None),
        dataclasses.replace(FOUR, nodes=(dataclasses.replace(FOUR.nodes[0], cpus=CpuSet.parse("0-7,17-23")), both)),
    ]
    devices: dict[str, Any] = {"devices": [vfs("n3", "3b:00.0", 2)]}
    return [step for on in machines for step in built(a_vm("one"), on=on, **(devices if on.pci is None else {}))]


def a_machine(*parts: PciDevice, nodes: int = 2) -> Topology:
    return machine(nodes, 1, 1, 8, 2, 64, pci=parts)


def devices_that_are_not_what_the_host_says() -> list[Step]:
    on = a_machine(nic("3b:00.0", vfs=4), nic("5e:00.0", vfs=0), device("10:00.0"))
    return [
        *built(a_vm("one"), on=on, devices=[vfs("n3", "3c:00.0", 2)]),
        *built(a_vm("one"), on=on, devices=[vfs("n3", "5e:00.0", 2)]),
        *built(a_vm("one"), on=on, devices=[vfs("n3", "3b:00.0", 5)]),
        *built(a_vm("one"), on=on, devices=[whole("gpu", "10:00.0", "11:00.0", "12:00.0")]),
        *built(a_vm("one"), on=on, devices=[vfs("n3", "3b:00.0", 2), whole("nic", "3b:00.0")]),
        *built(a_vm("one"), on=on, devices=[whole("gpu", "10:00.0"), whole("more", "10:00.0")]),
    ]


def devices_of_one_iommu_group() -> list[Step]:
    """The bridge may stay; the audio function may not."""
    bridge = device("00:01.0", group=7, class_id=0x060400)
    parts = [
        device("10:00.0", group=7),
        device("10:00.1", group=7, class_id=0x040300),
        device("20:00.0", group=8),
        bridge,
    ]
    on = a_machine(*parts)
    gpu, audio, other = (Hostdev(name=name, device=name) for name in ("gpu", "audio", "other"))
    pools = [whole("gpu", "10:00.0"), whole("audio", "10:00.1"), whole("other", "20:00.0")]
    return [
        *built(a_vm("both", hostdevs=[gpu, audio]), a_vm("alone", hostdevs=[other]), on=on, devices=pools),
        *built(a_vm("half", hostdevs=[gpu]), on=on, devices=pools),
        *built(a_vm("one"), on=on, devices=pools[:1]),
        *built(
            a_vm("any", hostdevs=[Hostdev(name="x", device="gpus")]),
            on=on, devices=[whole("gpus", "10:00.0", "10:00.1", "20:00.0")],
        ),
    ]  # fmt: skip


def virtual_functions_node_by_node() -> list[Step]:
    def upf(name: str, *pools: str, **more: Any) -> Vm:
        return a_vm(name, nics=[a_nic(f"n{index}", device=pool) for index, pool in enumerate(pools)], **more)

    on = a_machine(nic("3b:00.0", node=0), nic("af:00.0", node=1), nic("e0:00.0", node=None))
    pools = [vfs("near", "3b:00.0", 3), vfs("far", "af:00.0", 1), vfs("loose", "e0:00.0", 2)]
    return [
        *built(
            upf("a", "near", "near"), upf("b", "far"), upf("c", "loose"), upf("wide", "near", vcpus=4, nodes=2),
            on=on, devices=pools, explain=True,
        ),
        *built(upf("a", "near", "near"), upf("b", "near", "near"), on=on, devices=pools),
        *built(upf("a", "near", "far"), on=on, devices=pools),
        *built(a_vm("big", vcpus=12), upf("a", "near", vcpus=10), a_vm("c", vcpus=8), on=on, devices=pools),
        *built(upf("a", "none"), on=on, devices=pools),
        *built(a_vm("h", hostdevs=[Hostdev(name="x", device="none")]), on=on, devices=pools),
    ]  # fmt: skip


def rooted(address: str, node: int, root: str) -> PciDevice:
    return dataclasses.replace(device(address, node=node), root=root)


def devices_near_and_beside_each_other() -> list[Step]:
    def gpu(near: Near = Near.REQUIRE, beside: str | None = None) -> Hostdev:
        return Hostdev(name="gpu", device="gpu", near=near, beside=beside)

    def rdma(near: Near = Near.REQUIRE, beside: str | None = None) -> Nic:
        return a_nic("rdma", device="rdma").model_copy(update={"near": near, "beside": beside})

    on = a_machine(
        rooted("10:00.0", 0, "r0"), rooted("20:00.0", 0, "r1"), rooted("90:00.0", 1, "r2"),
        rooted("21:00.0", 0, "r1"), rooted("91:00.0", 1, "r2"), rooted("a0:00.0", 1, "r3"),
    )  # fmt: skip
    pools = [whole("gpu", "10:00.0", "20:00.0", "90:00.0"), whole("rdma", "21:00.0", "91:00.0", "a0:00.0")]
    big: dict[str, Any] = {"vcpus": 10, "gib": 4}
    return [
        *built(
            a_vm("pair", hostdevs=[gpu()], nics=[rdma(beside="gpu")]), a_vm("mate", hostdevs=[gpu(beside="rdma")], nics=[rdma()]),
            on=on, devices=pools, explain=True,
        ),
        *built(
            a_vm("a", hostdevs=[gpu()], **big), a_vm("b", hostdevs=[gpu(Near.PREFER)], **big), a_vm("c", hostdevs=[gpu(Near.ANY)]),
            on=on, devices=pools, explain=True,
        ),
        *built(
            a_vm("a", hostdevs=[gpu()], nics=[rdma(beside="gpu")]), a_vm("b", hostdevs=[gpu()], nics=[rdma(beside="gpu")]),
            a_vm("c", hostdevs=[gpu()], nics=[rdma(beside="gpu")]), on=on, devices=pools,
        ),
        *built(
            a_vm("d", nics=[rdma(Near.ANY)], host="kvm-a"), a_vm("wide", hostdevs=[gpu()], vcpus=4, nodes=2),
            on=on, devices=pools,
        ),
    ]  # fmt: skip


def devices_on_a_node_without_cpus() -> list[Step]:
    found = a_machine(device("90:00.0", node=1))
    bare = Node(1, CpuSet(), 8 * GIB, {}, (2048, GIB))
    first = found.nodes[0].cpus
    on = dataclasses.replace(
        found, online=first, nodes=(found.nodes[0], bare), packages=(first,), l3=(first,), cores=(found.cores or ())[:8]
    )
    wants = [Hostdev(name="gpu", device="gpu")]
    loose = [Hostdev(name="gpu", device="gpu", near=Near.PREFER)]
    pools = [whole("gpu", "90:00.0")]
    return [
        *built(a_vm("one", hostdevs=wants), on=on, devices=pools),
        *built(a_vm("one", hostdevs=loose), on=on, devices=pools),
    ]


def shared_guests_and_devices() -> list[Step]:
    on = a_machine(device("10:00.0"), nic("3b:00.0", node=1))
    pools = [whole("gpu", "10:00.0"), vfs("n3", "3b:00.0", 2)]
    shared: dict[str, Any] = {"pinning": Pinning.SHARED}
    return built(
        a_vm("gpu", hostdevs=[Hostdev(name="gpu", device="gpu")], **shared), a_vm("upf", nics=[a_nic("n3", device="n3")], **shared),
        a_vm("web", **shared, **NORMAL), on=on, devices=pools, shared_cores=2,
    )  # fmt: skip


CASES = {
    one.__name__.replace("_", " "): one
    for one in (
        pages_of_two_sizes, pages_that_a_node_does_not_know_or_hold, normal_pages_and_overhead, normal_memory_over_two_nodes,
        memory_from_all_nodes_in_turn, memory_that_prefers_its_node, memory_of_a_kind, a_node_without_memory,
        what_a_topology_does_not_tell, devices_that_are_not_what_the_host_says, devices_of_one_iommu_group,
        virtual_functions_node_by_node, devices_near_and_beside_each_other, devices_on_a_node_without_cpus,
        shared_guests_and_devices,
    )
}  # fmt: skip
