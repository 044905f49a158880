"""Several inputs of one host: what each gives, and what contradicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology import Topology
from kvmc.topology.combine import read_topologies
from kvmc.topology.model import Facts, Resctrl
from kvmc.topology.read import read_topology
from kvmc.topology.snapshot import dumps
from topology.topology_machines import Machine, capabilities, write_tree

MACHINE = Machine(
    nodes=2, cores=2, memory_only=1, pci={"0000:3b:00.0": {"numa_node": "1", "vendor": "0x8086", "device": "0x1"}}
)


def lscpu_rows(machine: Machine) -> str:
    rows = []
    for cpu in machine.present:
        core = cpu % machine.all_cores
        node = core // machine.cores
        row = {"cpu": cpu, "node": node, "socket": node // 2, "core": core, "l1d:l2:l3": f"{core}:{core}:{node}"}
        rows.append(row | {"online": cpu in machine.online})
    return json.dumps({"cpus": rows})


def numactl(machine: Machine) -> str:
    count = machine.nodes + machine.memory_only
    lines = [f"available: {count} nodes (0-{count - 1})"]
    for node in range(count):
        cpus = machine.of_cores(node * machine.cores, machine.cores) if node < machine.nodes else CpuSet()
        lines.append(f"node {node} cpus: " + " ".join(map(str, cpus)))
        lines.append(f"node {node} size: {machine.memory_kib // 1024} MB")
    lines += ["node distances:", "node " + " ".join(map(str, range(count)))]
    lines += [f" {a}: " + " ".join("10" if a == b else "21" for b in range(count)) for a in range(count)]
    return "\n".join(lines) + "\n"


def combined(tmp_path: Path, **files: str) -> tuple[Topology | None, list[str]]:
    inputs = []
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        inputs.append((tmp_path / name, name))
    topology, bag = read_topologies(inputs)
    return topology, [item.message for item in bag]


def test_lscpu_and_numactl_tell_together_what_placement_needs(tmp_path: Path) -> None:
    topology, found = combined(tmp_path, rows=lscpu_rows(MACHINE), memory=numactl(MACHINE))
    tree, _ = read_topology(write_tree(tmp_path / "tree", MACHINE.files()), "tree")
    assert topology is not None and tree is not None and not found
    for part in ("online", "packages", "cores", "l3"):
        assert getattr(topology, part) == getattr(tree, part), part
    assert [(one.id, one.cpus, one.memory_kib, one.distances) for one in topology.nodes] == [
        (one.id, one.cpus, one.memory_kib, one.distances) for one in tree.nodes
    ]


def test_every_order_gives_the_same(tmp_path: Path) -> None:
    files = {"rows": lscpu_rows(MACHINE), "memory": numactl(MACHINE), "caps": capabilities(MACHINE)}
    first, found = combined(tmp_path, **files)
    second, again = combined(tmp_path, **dict(reversed(files.items())))
    assert first is not None and first == second and not found and not again
    assert first.arch == "x86_64" and first.cpu.model == "Skylake-Server"


def test_numactl_cuts_memory_to_whole_mib(tmp_path: Path) -> None:
    exact = Machine(nodes=2, cores=2, memory_kib=8 * 1024**2 + 1023)
    for files in ({"a": capabilities(exact), "b": numactl(exact)}, {"b": numactl(exact), "a": capabilities(exact)}):
        topology, found = combined(tmp_path, **files)
        assert topology is not None and not found
        assert {one.memory_kib for one in topology.nodes} == {exact.memory_kib}


@pytest.mark.parametrize(
    ("name", "other", "words"),
    [
        ("online CPUs", lscpu_rows(Machine(nodes=2, cores=2, offline=frozenset({7}))), ["online CPUs", "`0-7`", "`0-6`"]),
        ("node", numactl(Machine(nodes=2, cores=2, memory_only=1)), ["NUMA nodes", "`0-1`", "`0-2`"]),
        ("cpus of a node", numactl(Machine(nodes=2, cores=2)).replace("0 1 4 5", "0 1 4 6").replace("2 3 6 7", "2 3 5 7"),
         ["CPUs of node 0", "`0-1,4-5`", "`0-1,4,6`"]),
        ("memory", numactl(Machine(nodes=2, cores=2)).replace("8192 MB", "8190 MB", 1), ["memory of node 0", "`8388608 KiB`"]),
        ("distances", numactl(Machine(nodes=2, cores=2)).replace("21", "31"), ["distances of node 0", "`0:10 1:31`"]),
        ("cores", lscpu_rows(Machine(nodes=2, cores=2)).replace('"core": 3', '"core": 2'), ["cores", "`2,6`", "`2-3,6-7`"]),
    ],
)  # fmt: skip
def test_contradictions_name_both_inputs_and_both_values(
    tmp_path: Path, name: str, other: str, words: list[str]
) -> None:
    topology, found = combined(tmp_path, first=capabilities(Machine(nodes=2, cores=2)), second=other)
    assert topology is None and len(found) == 1, name
    for word in ("`first` and `second`", *words):
        assert word in found[0], found


def test_one_cause_is_told_once(tmp_path: Path) -> None:
    _, found = combined(tmp_path, first=capabilities(Machine(nodes=2, cores=2)), second="junk")
    assert len(found) == 1 and found[0].startswith("`second`: ")


def test_devices_and_facts_and_limits(tmp_path: Path) -> None:
    tree, _ = read_topology(write_tree(tmp_path / "tree", MACHINE.files()), "tree")
    assert tree is not None and tree.pci is not None
    address = PciAddress.parse("0000:3b:00.0")
    from dataclasses import replace

    one = replace(tree, pci=None, facts=Facts(kernel="6.1"), resctrl=(Resctrl("L3", 16, ways=11),))
    other = replace(tree, resctrl=(Resctrl("L3", 16, way_kib=2048),))
    topology, found = combined(tmp_path, one=dumps(one), other=dumps(other))
    assert topology is not None and not found
    assert topology.pci == tree.pci and topology.facts == one.facts
    assert topology.resctrl == (Resctrl("L3", 16, ways=11, way_kib=2048),)
    moved = replace(other, pci={address: replace(tree.pci[address], node=0)})
    _, found = combined(tmp_path, whole=dumps(tree), moved=dumps(moved))
    assert len(found) == 1 and "node of 0000:3b:00.0 `1` and `0`" in found[0]
    limited = replace(other, resctrl=(Resctrl("L3", 8),))
    _, found = combined(tmp_path, one=dumps(one), limited=dumps(limited))
    assert len(found) == 1 and "groups of resctrl's `L3` `16` and `8`" in found[0]


def test_the_place_of_a_device_is_not_hwloc_s(tmp_path: Path) -> None:
    """hwloc hangs devices below larger objects; sysfs tells their place."""
    tree = write_tree(tmp_path / "tree", MACHINE.files())
    real, _ = read_topology(tree, "tree")
    nodes = "".join(
        f'<object type="NUMANode" os_index="{node}" cpuset="{mask}" local_memory="{8 * 1024**3}"/>'
        f'<object type="Package" cpuset="0xff"/><object type="L3Cache" cpuset="{mask}"/>'
        for node, mask in ((0, "0x33"), (1, "0xcc"), (2, "0x0"))
    )
    pus = "".join(f'<object type="PU" os_index="{cpu}" cpuset="{1 << cpu:#x}"/>' for cpu in range(8))
    device = '<object type="PCIDev" pci_busid="0000:3b:00.0" pci_type="0200 [8086:0001] [0000:0000] 00"/>'
    group = f'<object type="Group" cpuset="0x33">{device}</object>'
    xml = f'<topology version="2.0"><object type="Machine" cpuset="0xff">{nodes}{pus}{group}</object></topology>'
    (tmp_path / "h.xml").write_text(xml)
    for inputs in ([tree, tmp_path / "h.xml"], [tmp_path / "h.xml", tree]):
        topology, bag = read_topologies([(path, path.name) for path in inputs])
        assert topology is not None and topology.pci is not None and real is not None and real.pci is not None, (
            bag.items
        )
        found = topology.pci[PciAddress.parse("0000:3b:00.0")]
        assert found.node == 1 and found.class_id == 0x020000
