"""The picture for a person."""

from __future__ import annotations

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology import Cpu, Node, PciDevice, Sriov, Topology
from kvmc.topology.show import draw, to_json
from kvmc.topology.snapshot import dumps


def device(address: str, node: int | None, class_id: int, **more: object) -> tuple[PciAddress, PciDevice]:
    own = PciAddress.parse(address)
    return own, PciDevice(own, node, class_id=class_id, vendor_id=0x8086, device_id=0x1572, **more)  # type: ignore[arg-type]


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


ODD = Topology(
    arch="x86_64",
    cpu=Cpu("GenuineIntel", "Xeon"),
    online=cpus("0-6,8-9"),
    offline=cpus("7"),
    allowed=cpus("0-6"),
    nodes=(
        Node(0, cpus("0-1,4-5"), 16 * 1024**2, {0: 10, 2: 20, 3: 17}, (2048, 1048576)),
        Node(2, cpus("2-3,6"), 0, {0: 21, 2: 10, 3: 28}),
        Node(3, CpuSet(), 128 * 1024**2),
    ),
    packages=(cpus("0-6,8-9"),),
    cores=(cpus("0,4"), cpus("1,5"), cpus("2,6"), cpus("3"), cpus("8-9")),
    l3=(cpus("0,2-6"),),
    pci=dict(
        [
            device("0000:3b:00.0", 0, 0x020000, sriov=Sriov(64, 16, 1), iommu_group=27),
            device("0000:3b:02.0", 0, 0x020000, parent_pf=PciAddress.parse("0000:3b:00.0")),
            device("0000:00:1f.0", 0, 0x060100),
            device("0000:5e:00.0", None, 0x010802, local_cpus=cpus("0-3")),
            device("0000:af:00.0", 2, 0x030200),
        ]
    ),
)

PICTURE = """\
x86_64, Xeon, 1 package, 3 nodes, 1 L3, 5 cores, 9 CPUs
online   0-6,8-9
offline  7
allowed  0-6 (disallowed 8-9)
package 0: CPUs 0-6,8-9, nodes 0, 2

node 0: memory 16.0 GiB, pages 2MiB 1GiB, distances 0:10 2:20 3:17
  L3 0, shared with node 2
    [0 4] [5]
  outside every L3
    [1]
  0000:3b:00.0 network 8086:1572, SR-IOV up to 64 VFs, IOMMU group 27

node 2: memory 0.0 GiB, distances 0:21 2:10 3:28
  L3 0, shared with node 0
    [2 6] [3]
  0000:af:00.0 display 8086:1572

node 3: memory 128.0 GiB
  no CPUs

in no node
  outside every L3
    [8 9]

devices of no node
  0000:5e:00.0 NVMe 8086:1572, near CPUs 0-3

! 1 CPU offline
! 2 online CPUs not allowed to this system
! node numbers have gaps
! 1 node without CPUs: 3
! 1 node without memory: 2
! the L3 of CPUs 0,2-6 spans nodes 0, 2
! cores have different numbers of threads: 1, 2
! distances between nodes are not symmetric
"""


def test_all_that_is_odd() -> None:
    assert draw(ODD) == PICTURE


def test_what_is_not_told() -> None:
    bare = Topology("unknown", cpus("0-3"), (Node(0, cpus("0-3")),), None, None, None)
    assert draw(bare) == (
        "unknown, CPU not told, 1 node, 4 CPUs\nonline   0-3\n\nnode 0: memory not told\n  CPUs 0-3 (cores not told)\n\n"
        "? memory of nodes not told: `numactl -H`, `virsh capabilities` or a scan tell it\n"
        "? cores not told: `lscpu -J -e`, `virsh capabilities` or a scan tell them\n"
        "? L3 caches not told: `lscpu -J -e`, newer `virsh capabilities` or a scan tell them\n"
        "? PCI devices not told: a scan tells them\n"
    )


def test_many_cores_are_wrapped() -> None:
    online = CpuSet.of(range(256))
    wide = Topology(
        "x86_64", online, (Node(0, online, 1),), (online,), tuple(CpuSet.of((cpu, cpu + 128)) for cpu in range(128)), ()
    )
    lines = draw(wide).splitlines()
    assert max(len(line) for line in lines) <= 104
    assert sum(line.count("[") for line in lines) == 128


def test_json_is_the_snapshot() -> None:
    assert to_json(ODD) == dumps(ODD)
