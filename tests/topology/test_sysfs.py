"""The rules by which sysfs files become a topology, each on a tree that has one thing special."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology import Sriov, Topology
from kvmc.topology.read import read_topology
from topology.topology_machines import CPU, NODE, Machine, mask, write_tree


def read(root: Path, files: Mapping[str, str]) -> Topology:
    topology, bag = read_topology(write_tree(root, files), "host")
    assert topology is not None, [item.message for item in bag]
    assert not len(bag), [item.message for item in bag]
    return topology


def fail(root: Path, files: Mapping[str, str]) -> tuple[str, str]:
    topology, bag = read_topology(write_tree(root, files), "host")
    assert topology is None
    assert len(bag) == 1, [item.message for item in bag]
    return bag.items[0].code.id, bag.items[0].message


def sets(groups: tuple[CpuSet, ...] | None) -> list[str] | None:
    return None if groups is None else [str(group) for group in groups]


def test_a_whole_machine(tmp_path: Path) -> None:
    topology = read(tmp_path, Machine(nodes=2, cores=2, memory_only=1).files())
    assert str(topology.online) == "0-7"
    assert topology.offline == CpuSet()
    assert sets(topology.cores) == ["0,4", "1,5", "2,6", "3,7"]
    assert sets(topology.packages) == ["0-7"]
    assert sets(topology.l3) == ["0-1,4-5", "2-3,6-7"]
    assert sets(topology.dies) == ["0-7"]
    assert topology.clusters is None
    assert [str(node.cpus) for node in topology.nodes] == ["0-1,4-5", "2-3,6-7", ""]
    assert topology.nodes[2].memory_kib == 8 * 1024**2
    assert topology.nodes[2].distances == {0: 21, 1: 21, 2: 10}
    assert topology.nodes[0].page_sizes_kib == (2048, 1048576)
    assert topology.pci is None


def test_offline_threads_leave_every_group(tmp_path: Path) -> None:
    topology = read(tmp_path, Machine(nodes=2, cores=2, offline=frozenset({0, 5})).files())
    assert str(topology.online) == "1-4,6-7"
    assert str(topology.offline) == "0,5"
    assert sets(topology.cores) == ["1", "2,6", "3,7", "4"]
    assert str(topology.nodes[0].cpus) == "1,4"


def test_lists_that_still_name_offline_cpus(tmp_path: Path) -> None:
    files = Machine(nodes=1, cores=2, offline=frozenset({3})).files()
    files[f"{CPU}/cpu1/topology/core_cpus_list"] = "1,3"
    files[f"{NODE}/node0/cpulist"] = "0-3"
    topology = read(tmp_path, files)
    assert sets(topology.cores) == ["0,2", "1"]
    assert str(topology.nodes[0].cpus) == "0-2"


@pytest.mark.parametrize("own_file", ["online files", "topology folders alone"])
def test_without_the_list_of_online_cpus(tmp_path: Path, own_file: str) -> None:
    files = Machine(nodes=1, cores=2, offline=frozenset({3})).files()
    del files[f"{CPU}/online"], files[f"{CPU}/present"]
    del files[f"{CPU}/cpu0/online"]  # the boot CPU never has one
    if own_file != "online files":
        for cpu in (1, 2):
            del files[f"{CPU}/cpu{cpu}/online"]
    topology = read(tmp_path, files)
    assert (str(topology.online), str(topology.offline)) == ("0-2", "3")


def test_masks_where_lists_are_missing(tmp_path: Path) -> None:
    machine = Machine(nodes=2, cores=16, threads=2)
    files = machine.files()
    for name in [name for name in files if name.endswith("core_cpus_list")]:
        del files[name]
    for name in [name for name in files if name.endswith("shared_cpu_list")]:
        files[name.replace("_list", "_map")] = mask(CpuSet.parse(files.pop(name)))
    for node in range(2):
        files[f"{NODE}/node{node}/cpumap"] = mask(CpuSet.parse(files.pop(f"{NODE}/node{node}/cpulist")))
    topology = read(tmp_path, files)
    assert topology.cores is not None and sets(topology.cores)[:2] == ["0,32", "1,33"]  # type: ignore[index]
    assert sets(topology.l3) == ["0-15,32-47", "16-31,48-63"]
    assert [str(node.cpus) for node in topology.nodes] == ["0-15,32-47", "16-31,48-63"]


def test_core_ids_count_within_package_and_die_alone(tmp_path: Path) -> None:
    files = Machine(nodes=4, cores=2, threads=1).files()
    for name in [name for name in files if name.endswith(("core_cpus_list", "thread_siblings", "package_cpus_list"))]:
        del files[name]
    for cpu in range(8):
        files[f"{CPU}/cpu{cpu}/topology/core_id"] = str(cpu % 2)
        files[f"{CPU}/cpu{cpu}/topology/die_id"] = str(cpu // 2 % 2)
    topology = read(tmp_path, files)
    assert sets(topology.cores) == [str(cpu) for cpu in range(8)]
    assert sets(topology.packages) == ["0-3", "4-7"]
    assert sets(topology.dies) == ["0-1", "2-3", "4-5", "6-7"]


def test_ids_of_platforms_without_dies_and_clusters(tmp_path: Path) -> None:
    files = Machine(nodes=1, cores=2).files()
    for cpu in range(4):
        base = f"{CPU}/cpu{cpu}/topology"
        files |= {f"{base}/die_id": "-1", f"{base}/die_cpus_list": str(cpu)}
        files |= {f"{base}/cluster_id": "65535", f"{base}/cluster_cpus_list": str(cpu)}
    topology = read(tmp_path, files)
    assert topology.dies is None
    assert topology.clusters is None


def test_clusters(tmp_path: Path) -> None:
    files = Machine(nodes=1, cores=4, threads=1).files()
    for cpu in range(4):
        base = f"{CPU}/cpu{cpu}/topology"
        files |= {f"{base}/cluster_id": str(138 + cpu // 2), f"{base}/cluster_cpus_list": "0-1" if cpu < 2 else "2-3"}
    assert sets(read(tmp_path, files).clusters) == ["0-1", "2-3"]


def test_an_instruction_cache_of_level_3_is_no_l3_and_order_of_folders_is_nothing(tmp_path: Path) -> None:
    files = Machine(nodes=1, cores=2, threads=1).files()
    files[f"{CPU}/cpu0/cache/index3/type"] = "Instruction"
    for name in ("level", "type", "shared_cpu_list"):
        first, last = f"{CPU}/cpu1/cache/index0/{name}", f"{CPU}/cpu1/cache/index3/{name}"
        files[first], files[last] = files[last], files[first]
    files[f"{CPU}/cpu1/cache/index0/shared_cpu_list"] = "1"
    assert sets(read(tmp_path, files).l3) == ["1"]


def test_no_cache_folders(tmp_path: Path) -> None:
    files = {name: value for name, value in Machine(nodes=1).files().items() if "/cache/" not in name}
    assert read(tmp_path, files).l3 == ()


def test_sparse_nodes_and_columns_of_distances(tmp_path: Path) -> None:
    files = Machine(nodes=2, cores=1, threads=1).files()
    for name in [name for name in files if name.startswith(f"{NODE}/node1/")]:
        files[name.replace("node1/", "node72/")] = files.pop(name).replace("Node 1 ", "Node 72 ")
    files[f"{NODE}/online"] = "0,33,72"
    files[f"{NODE}/node0/distance"] = "10 16 22"
    files[f"{NODE}/node72/distance"] = "22 16 10"
    topology = read(tmp_path, files)
    assert [(node.id, node.memory_kib) for node in topology.nodes] == [(0, 8 * 1024**2), (72, 8 * 1024**2)]
    assert topology.nodes[0].distances == {0: 10, 72: 22}
    assert topology.nodes[1].distances == {0: 22, 72: 10}


def test_distances_that_fit_no_list_of_nodes_are_left_out_aloud(tmp_path: Path) -> None:
    files = Machine(nodes=2).files()
    files[f"{NODE}/node0/distance"] = "10 21 21 21"
    topology, bag = read_topology(write_tree(tmp_path, files), "host")
    assert topology is not None
    assert topology.nodes[0].distances == {}
    assert topology.nodes[1].distances == {0: 21, 1: 10}
    assert [item.message for item in bag] == [f"`host`: `{NODE}/node0/distance` has 4 values for 2 nodes"]


def test_a_kernel_without_numa_has_one_node(tmp_path: Path) -> None:
    files = {name: value for name, value in Machine(nodes=1).files().items() if not name.startswith(NODE)}
    files["proc/meminfo"] = "MemTotal:       16317512 kB\nMemFree: 3 kB"
    files["sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"] = "0"
    (node,) = read(tmp_path, files).nodes
    assert (node.id, str(node.cpus), node.memory_kib, node.page_sizes_kib) == (0, "0-7", 16317512, (2048,))


def test_cpus_in_no_node_are_told(tmp_path: Path) -> None:
    files = Machine(nodes=1, cores=2).files()
    files[f"{NODE}/node0/cpulist"] = "0-2"
    topology, bag = read_topology(write_tree(tmp_path, files), "host")
    assert topology is not None
    assert [(item.code.id, item.message) for item in bag] == [("KVMC0312", "`host`: online CPUs `3` are in no node")]


@pytest.mark.parametrize(
    ("files", "allowed"),
    [
        (
            {
                "proc/mounts": "none /dev/cpuset cpuset rw 0 0",
                "proc/self/cpuset": "/part",
                "dev/cpuset/part/cpus": "0-2,40",
            },
            "0-2",
        ),
        (
            {
                "proc/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0",
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/cpuset.cpus.effective": "2-3",
                "sys/fs/cgroup/cpuset.cpus.effective": "0-7",
            },
            "2-3",
        ),
        (
            {
                "proc/mounts": "cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0",
                "proc/self/cgroup": "4:cpuset:/lxc/x\n3:memory:/",
                "sys/fs/cgroup/cpuset/lxc/x/cpuset.cpus": "1",
            },
            "1",
        ),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpuset.cpus.effective": "0-7"}, None),
        ({"proc/self/cpuset": "/../../etc", "etc/cpus": "1"}, None),
    ],
)
def test_allowed_cpus(tmp_path: Path, files: dict[str, str], allowed: str | None) -> None:
    found = read(tmp_path, Machine(nodes=1).files() | files).allowed
    assert (None if found is None else str(found)) == allowed


def test_pci(tmp_path: Path) -> None:
    function = {"class": "0x020000", "vendor": "0x8086", "device": "0x1572", "numa_node": "1", "local_cpulist": "4-7"}
    pf = function | {
        "sriov_totalvfs": "64",
        "sriov_offset": "16",
        "sriov_stride": "1",
        "iommu_group": "->../../../kernel/iommu_groups/27",
    }
    vf = function | {"physfn": "->../0000:3b:00.0"}
    old = {"class": "0x010802", "numa_node": "-1", "local_cpus": "00000000,0000000f"}
    files = Machine(pci={"0000:3b:00.0": pf, "0000:3b:02.0": vf, "10000:01:00.0": old}).files()
    pci = read(tmp_path, files).pci
    assert pci is not None
    assert [str(address) for address in pci] == ["0000:3b:00.0", "0000:3b:02.0", "10000:01:00.0"]
    first, second, third = pci.values()
    assert (first.node, str(first.local_cpus), first.class_id, first.vendor_id, first.device_id) == (
        1,
        "4-7",
        0x020000,
        0x8086,
        0x1572,
    )
    assert first.iommu_group == 27
    assert first.sriov == Sriov(64, 16, 1)
    assert second.parent_pf == PciAddress.parse("0000:3b:00.0") and second.sriov is None
    assert third.node is None and str(third.local_cpus) == "0-3" and third.vendor_id is None


def test_pci_without_the_links_of_the_bus(tmp_path: Path) -> None:
    files = Machine(nodes=1, pci={"0000:3b:00.0": {"numa_node": "0"}}).files()
    del files["sys/bus/pci/devices/0000:3b:00.0"]
    pci = read(tmp_path, files).pci
    assert pci is not None and [str(address) for address in pci] == ["0000:3b:00.0"]


@pytest.mark.parametrize(
    ("cpuinfo", "extra", "arch", "vendor", "model", "feature"),
    [
        (
            "vendor_id\t: GenuineIntel\nmodel name\t: Xeon\nflags\t\t: fpu lm vmx",
            {},
            "x86_64",
            "GenuineIntel",
            "Xeon",
            "vmx",
        ),
        (
            "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x48\nCPU architecture: 8\nCPU part\t: 0xd01",
            {},
            "aarch64",
            "0x48",
            "0xd01",
            "asimd",
        ),
        ("vendor_id       : IBM/S390\nfeatures\t: esan3 zarch", {}, "s390x", "IBM/S390", None, "zarch"),
        ("processor\t: 0\nisa\t\t: rv64imafdc\nuarch\t\t: sifive,u74-mc", {}, "riscv64", None, "sifive,u74-mc", None),
        (
            "processor\t: 0\ncpu\t\t: POWER9, altivec",
            {"sys/kernel/cpu_byteorder": "little"},
            "ppc64le",
            None,
            "POWER9, altivec",
            None,
        ),
        ("processor\t: 0\ncpu\t\t: POWER9", {}, "unknown", None, "POWER9", None),
        ("nothing", {"proc/hwloc-nofile-info": "OSName: Linux\nArchitecture: ppc64le"}, "ppc64le", None, None, None),
    ],
)
def test_cpuinfo(
    tmp_path: Path,
    cpuinfo: str,
    extra: dict[str, str],
    arch: str,
    vendor: str | None,
    model: str | None,
    feature: str | None,
) -> None:
    topology = read(tmp_path, Machine(nodes=1).files() | {"proc/cpuinfo": cpuinfo} | extra)
    assert (topology.arch, topology.cpu.vendor, topology.cpu.model) == (arch, vendor, model)
    assert (feature in topology.cpu.features) == (feature is not None)


def test_nul_after_a_list_is_tolerated_and_within_it_is_not(tmp_path: Path) -> None:
    files = Machine(nodes=1).files()
    good = write_tree(tmp_path / "good", files)
    (good / f"{CPU}/cpu1/topology/core_cpus_list").write_bytes(b"1,5\n\0")
    topology, _ = read_topology(good, "host")
    assert topology is not None and sets(topology.cores) == ["0,4", "1,5", "2,6", "3,7"]
    bad = write_tree(tmp_path / "bad", files)
    (bad / f"{CPU}/cpu1/topology/core_cpus_list").write_bytes(b"1\x00,5\n")
    _, bag = read_topology(bad, "host")
    assert [item.code.id for item in bag] == ["KVMC0307"]


@pytest.mark.parametrize(
    ("path", "value", "code", "word"),
    [
        (f"{CPU}/online", "0-1000000000", "KVMC0307", "1000000000"),
        (f"{CPU}/online", "zero", "KVMC0307", "zero"),
        (f"{CPU}/cpu0/topology/thread_siblings", "g", "KVMC0307", "mask"),
        (f"{CPU}/cpu1000000000/online", "1", "KVMC0307", "1000000000"),
        (f"{CPU}/cpu99999999999999999999/online", "1", "KVMC0307", "8191"),
        (f"{NODE}/node1000000000/cpulist", "1", "KVMC0307", "1023"),
        (f"{NODE}/node0/distance", "10 x", "KVMC0307", "distance"),
        (f"{CPU}/cpu0/topology/core_cpus_list", "1," * 40000, "KVMC0304", "64 KiB"),
        (f"{CPU}/cpu0/topology/core_cpus_list", "7" * 5000, "KVMC0307", "7777"),
    ],
)
def test_values_out_of_range(tmp_path: Path, path: str, value: str, code: str, word: str) -> None:
    files = Machine(nodes=1).files() | {path: value}
    if path.endswith("thread_siblings"):
        del files[f"{CPU}/cpu0/topology/core_cpus_list"]
    found, message = fail(tmp_path, files)
    assert found == code
    assert word in message and len(message) < 300


def test_a_huge_mask_is_no_cpu(tmp_path: Path) -> None:
    files = Machine(nodes=1).files()
    del files[f"{CPU}/cpu0/topology/core_cpus_list"]
    files[f"{CPU}/cpu0/topology/thread_siblings"] = "1" + ",00000000" * 256
    assert fail(tmp_path, files) == (
        "KVMC0307",
        f"`host`: `{CPU}/cpu0/topology/thread_siblings` names CPU 8192, above 8191, the kernel's limit",
    )


def test_siblings_that_contradict(tmp_path: Path) -> None:
    files = Machine(nodes=1, cores=2).files()
    files[f"{CPU}/cpu1/topology/core_cpus_list"] = "1-3"
    code, message = fail(tmp_path, files)
    assert code == "KVMC0309"
    assert message == "`host`: CPU 1 is in core `1,3` and core `1-3`"
