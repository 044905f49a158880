"""What changes the fingerprint, and what does not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology import Cpu, Node, PciDevice, Sriov, Topology
from kvmc.topology.fingerprint import fingerprint
from kvmc.topology.read import read_topology
from topology.topology_machines import Machine, write_tree

PF = PciAddress.parse("0000:3b:00.0")
VF = PciAddress.parse("0000:3b:02.0")
BASE = Topology(
    arch="x86_64",
    online=CpuSet.parse("0-7"),
    nodes=(Node(0, CpuSet.parse("0-7"), 1024, {0: 10}, (2048,)),),
    packages=(CpuSet.parse("0-7"),),
    cores=tuple(CpuSet.of((cpu, cpu + 4)) for cpu in range(4)),
    l3=(CpuSet.parse("0-7"),),
    pci={PF: PciDevice(PF, 0, None, 0x020000, 0x8086, 0x1572, 27, Sriov(64, 16, 1))},
)
NODE = BASE.nodes[0]


def device(**changes: object) -> Topology:
    assert BASE.pci is not None
    return replace(BASE, pci={PF: replace(BASE.pci[PF], **changes)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, online=CpuSet.parse("0-6")),
        replace(BASE, allowed=CpuSet.parse("0-6")),
        replace(BASE, nodes=(replace(NODE, id=1),)),
        replace(BASE, nodes=(replace(NODE, cpus=CpuSet.parse("0-6")),)),
        replace(BASE, nodes=(replace(NODE, distances={0: 11}),)),
        replace(BASE, nodes=(replace(NODE, page_sizes_kib=(2048, 1048576)),)),
        replace(BASE, cores=tuple(CpuSet.of((cpu,)) for cpu in range(8))),
        replace(BASE, cores=None),
        replace(BASE, packages=None),
        replace(BASE, l3=()),
        replace(BASE, l3=None),
        replace(BASE, pci={}),
        device(node=1),
        device(iommu_group=28),
        device(sriov=None),
        device(sriov=Sriov(64, 16, 2)),
    ],
)
def test_what_placement_depends_on(changed: Topology) -> None:
    assert fingerprint(changed) != fingerprint(BASE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, arch="unknown"),
        replace(BASE, cpu=Cpu("GenuineIntel", "Xeon", frozenset({"vmx"}))),
        replace(BASE, offline=CpuSet.parse("8")),
        replace(BASE, nodes=(replace(NODE, memory_kib=1025),)),  # a kernel update moves it by some MiB
        replace(BASE, pci={**(BASE.pci or {}), VF: PciDevice(VF, 0, parent_pf=PF)}),
        device(device_id=0x1573),
    ],
)
def test_what_it_does_not(changed: Topology) -> None:
    assert fingerprint(changed) == fingerprint(BASE)


def test_the_same_bytes_with_any_hash_seed(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path, Machine(pci={"0000:3b:00.0": {"numa_node": "1"}}).files() | {"proc/cpuinfo": "flags : lm a b c d e f"}
    )
    topology, _ = read_topology(root, "x")
    assert topology is not None
    script = (
        "import sys; from pathlib import Path; from kvmc.topology.read import read_topology\n"
        "from kvmc.topology.snapshot import dumps\n"
        "from kvmc.topology.fingerprint import fingerprint; from kvmc.topology.show import draw\n"
        "t, _ = read_topology(Path(sys.argv[1]), 'x'); print(fingerprint(t), dumps(t), draw(t))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, str(root)],
            capture_output=True,
            check=True,
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed, "LC_ALL": locale},
        ).stdout
        for seed, locale in (("1", "C"), ("2", "tr_TR.UTF-8"), ("3", "C.UTF-8"))
    }
    assert len(outputs) == 1
    assert outputs.pop().decode().startswith(fingerprint(topology))
