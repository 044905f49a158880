"""What some kernels and platforms say otherwise: packages listed by node, no topology folders, hybrid cores, kinds of memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology import Topology
from kvmc.topology.model import CacheKind, CoreKind, Memory
from kvmc.topology.read import read_topology
from topology.topology_machines import CPU, NODE, Machine, write_tar, write_tree


def read(tmp_path: Path, files: dict[str, str]) -> Topology:
    """The same from a folder and from an archive."""
    topology, bag = read_topology(write_tree(tmp_path / "tree", files), "x")
    assert topology is not None, [item.message for item in bag]
    packed, _ = read_topology(write_tar(tmp_path / "dump.tar.gz", files), "x")
    assert packed == topology
    return topology


@pytest.mark.parametrize("overlap", [False, True])
def test_packages_that_the_kernel_lists_by_node(tmp_path: Path, overlap: bool) -> None:
    """Linux 3.10 with cluster on die: the lists hold one node's CPUs, for some CPUs the whole package's; the numbers are right."""
    machine = Machine(nodes=4, cores=2, threads=1)
    files = machine.files()
    for cpu in machine.present:
        node = cpu // 2
        cpus = machine.of_cores(node * 2, 2)
        if overlap and cpu == 0:
            continue
        files[f"{CPU}/cpu{cpu}/topology/package_cpus_list"] = str(cpus)
    assert read(tmp_path, files).packages == (CpuSet.parse("0-3"), CpuSet.parse("4-7"))


def test_a_package_number_repeats_in_every_book(tmp_path: Path) -> None:
    machine = Machine(nodes=4, cores=2, threads=1)
    files = machine.files()
    for cpu in machine.present:
        files[f"{CPU}/cpu{cpu}/topology/physical_package_id"] = "0"
        files[f"{CPU}/cpu{cpu}/topology/book_siblings_list"] = files[f"{CPU}/cpu{cpu}/topology/package_cpus_list"]
    assert read(tmp_path, files).packages == (CpuSet.parse("0-3"), CpuSet.parse("4-7"))


def test_package_numbers_that_say_nothing(tmp_path: Path) -> None:
    machine = Machine(nodes=4, cores=2, threads=1)
    files = machine.files() | {f"{CPU}/cpu{cpu}/topology/physical_package_id": "-1" for cpu in machine.present}
    assert read(tmp_path, files).packages == (CpuSet.parse("0-3"), CpuSet.parse("4-7"))


def test_packages_of_one_cpu_that_have_one_number(tmp_path: Path) -> None:
    """A paravirtual guest: each CPU is a package to the kernel, and the numbers are all 0."""
    machine = Machine(nodes=1, cores=4, threads=1)
    files = machine.files()
    for cpu in machine.present:
        files[f"{CPU}/cpu{cpu}/topology/package_cpus_list"] = str(cpu)
    files = {name: value for name, value in files.items() if not name.endswith("die_id")}
    packages = read(tmp_path, files).packages
    assert packages is not None and len(packages) == 4


def test_a_kernel_without_topology_folders(tmp_path: Path) -> None:
    files = {f"{CPU}/cpu{cpu}/online": "1" for cpu in range(8)}
    blocks = [
        f"processor\t: {cpu}\nphysical id\t: {cpu % 2}\nsiblings : 4\ncore id\t\t: {cpu // 2 % 2}\n" for cpu in range(8)
    ]
    topology = read(tmp_path, files | {"proc/cpuinfo": "\n".join(blocks)})
    assert topology.packages == (CpuSet.parse("0,2,4,6"), CpuSet.parse("1,3,5,7"))
    assert topology.cores == tuple(CpuSet.parse(text) for text in ("0,4", "1,5", "2,6", "3,7"))
    short = read(tmp_path / "short", files | {"proc/cpuinfo": "\n".join(blocks[:7])})
    assert short.packages is None and short.cores is None, "a list that lacks a CPU tells nothing"


def test_hybrid_cores(tmp_path: Path) -> None:
    expected = {CoreKind.PERFORMANCE: CpuSet.parse("0-1"), CoreKind.EFFICIENCY: CpuSet.parse("2-3")}
    files = Machine(nodes=1, cores=4, threads=1).files()
    intel = files | {"sys/devices/cpu_core/cpus": "0-1", "sys/devices/cpu_atom/cpus": "2-3"}
    assert read(tmp_path / "intel", intel).core_kinds == expected
    low = intel | {"sys/devices/cpu_atom/cpus": "2", "sys/devices/cpu_lowpower/cpus": "3"}
    assert read(tmp_path / "low", low).core_kinds == expected
    arm = files | {f"{CPU}/cpu{cpu}/cpu_capacity": value for cpu, value in enumerate(["1024", "1024", "446", "300"])}
    assert read(tmp_path / "arm", arm).core_kinds == expected
    assert read(tmp_path / "plain", files).core_kinds is None


@pytest.mark.parametrize(
    ("target", "memory"),
    [
        ("LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region0/dax0.0/dax0.0", Memory.NVM),
        ("platform/ACPI0017:00/root0/decoder0.0/region0/dax_region0/dax0.0", Memory.CXL),
        ("platform/hmem.0/dax0.0", Memory.SPECIAL),
        ("platform/other/dax0.0", None),
    ],
)
def test_what_a_node_without_cpus_is_made_of(tmp_path: Path, target: str, memory: Memory | None) -> None:
    files = Machine(nodes=2, cores=1, memory_only=1).files()
    files |= {f"sys/devices/{target}/target_node": "2", "sys/bus/dax/devices/dax0.0": f"->../../../devices/{target}"}
    assert [node.memory for node in read(tmp_path, files).nodes] == [None, None, memory]
    files[f"sys/devices/{target}/target_node"] = "0"
    assert read(tmp_path / "own", files).nodes[0].memory is None, "a device of an ordinary node"


def test_caches_and_root_complexes(tmp_path: Path) -> None:
    machine = Machine(nodes=2, cores=1, threads=1, pci={"0000:01:00.0": {"numa_node": "0"}})
    files = machine.files()
    for cpu in machine.present:
        for index, size in enumerate(("48K", "32K", "2048K", "30M")):
            files[f"{CPU}/cpu{cpu}/cache/index{index}/size"] = size if cpu or index != 0 else "32K"
    topology = read(tmp_path, files)
    assert topology.caches == (
        CacheKind(1, "data", 32, CpuSet.parse("0")),
        CacheKind(1, "data", 48, CpuSet.parse("1")),
        CacheKind(1, "instruction", 32, CpuSet.parse("0-1")),
        CacheKind(2, "unified", 2048, CpuSet.parse("0-1")),
        CacheKind(3, "unified", 30720, CpuSet.parse("0-1")),
    )
    assert topology.pci is not None and topology.pci[PciAddress.parse("0000:01:00.0")].root == "0000:00"


def test_gpu_nodes_of_high_number_and_asymmetric_distances(tmp_path: Path) -> None:
    files = Machine(nodes=1, cores=1, threads=1).files()
    files |= {
        f"{NODE}/online": "0,250",
        f"{NODE}/node250/cpulist": "",
        f"{NODE}/node250/meminfo": "Node 250 MemTotal: 16777216 kB",
        f"{NODE}/node0/distance": "10 80",
        f"{NODE}/node250/distance": "40 10",
    }
    nodes = read(tmp_path, files).nodes
    assert [(node.id, node.kind, dict(node.distances)) for node in nodes] == [
        (0, "normal", {0: 10, 250: 80}),
        (250, "CPU-less", {0: 40, 250: 10}),
    ]


def test_a_cpuinfo_of_megabytes_is_no_host_s(tmp_path: Path) -> None:
    files = Machine(nodes=1, cores=1).files() | {"proc/cpuinfo": "x" * (5 * 1024**2)}
    for path in (write_tree(tmp_path / "tree", files), write_tar(tmp_path / "dump.tar", files)):
        topology, bag = read_topology(path, "x")
        assert topology is None and [item.code.id for item in bag] == ["KVMC0304"]
