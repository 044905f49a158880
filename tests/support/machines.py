"""Topologies of machines of a given shape, for tests that need a host without a file."""

from __future__ import annotations

from collections.abc import Iterable

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import KIB_PER_UNIT, PciAddress
from kvmc.topology.model import Cpu, Node, PciDevice, Sriov, Topology

GIB = KIB_PER_UNIT["GiB"]


def machine(
    packages: int = 2,
    nodes_per_package: int = 1,
    l3_per_node: int = 1,
    cores_per_l3: int = 16,
    threads: int = 2,
    memory_gib: int = 256,
    numbering: str = "siblings-last",
    pci: Iterable[PciDevice] = (),
) -> Topology:
    """A regular machine; memory_gib is that of each node.

    numbering: `siblings-last` (core n has CPUs n and n + cores, as Intel and AMD firmware count), `siblings-adjacent` (2n and
    2n + 1, as on POWER and in guests), or `round-robin` (cores alternate between the nodes, siblings last, as on older Dells).
    """
    nodes = packages * nodes_per_package
    per_node = l3_per_node * cores_per_l3
    count = nodes * per_node
    cores: list[CpuSet] = []
    for index in range(count):
        node, within = divmod(index, per_node)
        number = within * nodes + node if numbering == "round-robin" else index
        if numbering == "siblings-adjacent":
            cores.append(CpuSet.of(range(number * threads, (number + 1) * threads)))
        else:
            cores.append(CpuSet.of(number + count * thread for thread in range(threads)))

    def groups(size: int) -> tuple[CpuSet, ...]:
        found = [
            CpuSet.of(cpu for core in cores[start : start + size] for cpu in core) for start in range(0, count, size)
        ]
        return tuple(sorted(found, key=lambda cpus: cpus.first))

    by_node = [
        CpuSet.of(cpu for core in cores[n * per_node : (n + 1) * per_node] for cpu in core) for n in range(nodes)
    ]
    return Topology(
        arch="x86_64",
        online=CpuSet.of(range(count * threads)),
        nodes=tuple(
            Node(
                id=index,
                cpus=cpus,
                memory_kib=memory_gib * GIB,
                distances={
                    other: 10
                    if other == index
                    else 12
                    if other // nodes_per_package == index // nodes_per_package
                    else 32
                    for other in range(nodes)
                },
                page_sizes_kib=(2048, GIB),
            )
            for index, cpus in enumerate(by_node)
        ),
        packages=groups(per_node * nodes_per_package),
        cores=tuple(sorted(cores, key=lambda core: core.first)),
        l3=groups(cores_per_l3),
        offline=CpuSet(),
        pci={device.address: device for device in pci},
        cpu=Cpu(vendor="GenuineIntel", model="test", features=frozenset({"vmx"})),
    )


def nic(address: str, node: int | None = 0, vfs: int = 64, group: int | None = None) -> PciDevice:
    """A physical function of a NIC with SR-IOV."""
    return PciDevice(
        address=PciAddress.parse(address),
        node=node,
        class_id=0x020000,
        vendor_id=0x8086,
        device_id=0x1593,
        iommu_group=group,
        sriov=Sriov(total_vfs=vfs, offset=8, stride=1) if vfs else None,
    )


def device(address: str, node: int | None = 0, group: int | None = None, class_id: int = 0x030200) -> PciDevice:
    """A PCI function to give whole: a GPU by its class."""
    return PciDevice(
        address=PciAddress.parse(address),
        node=node,
        class_id=class_id,
        vendor_id=0x10DE,
        device_id=0x20B5,
        iommu_group=group,
    )
