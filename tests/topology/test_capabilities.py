"""libvirt's capabilities."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvmc.diagnostics import Bag
from kvmc.topology import Topology
from kvmc.topology.read import read_topology
from topology.topology_machines import Machine, capabilities, write_tree

CELL = "<cell id='{id}'><cpus num='1'><cpu id='{cpu}' socket_id='0' core_id='0' siblings='{siblings}'/></cpus></cell>"


def load(tmp_path: Path, text: str) -> tuple[Topology | None, Bag]:
    path = tmp_path / "caps"
    path.write_text(text)
    return read_topology(path, "caps")


def read(tmp_path: Path, text: str) -> Topology:
    topology, bag = load(tmp_path, text)
    assert topology is not None and not len(bag), [item.message for item in bag]
    return topology


def refused(tmp_path: Path, text: str) -> tuple[str, str]:
    topology, bag = load(tmp_path, text)
    assert topology is None and len(bag) == 1, [item.message for item in bag]
    return bag.items[0].code.id, bag.items[0].message


@pytest.mark.parametrize(
    "machine",
    [Machine(), Machine(nodes=2, memory_only=2), Machine(nodes=1, threads=1), Machine(offline=frozenset({0, 17}))],
)
def test_the_same_as_sysfs(tmp_path: Path, machine: Machine) -> None:
    xml = read(tmp_path, capabilities(machine))
    tree, _ = read_topology(write_tree(tmp_path / "tree", machine.files()), "tree")
    assert tree is not None
    for part in ("online", "nodes", "packages", "cores", "l3"):
        assert getattr(xml, part) == getattr(tree, part), part


def test_what_it_tells_of_the_cpu(tmp_path: Path) -> None:
    topology = read(tmp_path, capabilities(Machine(nodes=1)))
    assert (topology.arch, topology.cpu.vendor, topology.cpu.model) == ("x86_64", "Intel", "Skylake-Server")
    assert topology.cpu.features == {"vmx", "ds"}
    assert (topology.offline, topology.allowed, topology.pci, topology.clusters) == (None, None, None, None)


def test_core_and_die_ids_repeat(tmp_path: Path) -> None:
    cpus = "".join(
        f"<cpu id='{cpu}' socket_id='{cpu // 4}' die_id='{cpu // 2 % 2}' cluster_id='0' core_id='{cpu % 2}' siblings='{cpu}'/>"
        for cpu in range(8)
    )
    topology = read(tmp_path, capabilities(Machine(), f"<cell id='3'><cpus num='8'>{cpus}</cpus></cell>"))
    assert topology.cores is not None and len(topology.cores) == 8
    assert [str(package) for package in topology.packages or ()] == ["0-3", "4-7"]
    assert [str(die) for die in topology.dies or ()] == ["0-1", "2-3", "4-5", "6-7"]
    assert [str(cluster) for cluster in topology.clusters or ()] == ["0-1", "2-3", "4-5", "6-7"]
    assert topology.nodes[0].id == 3 and topology.nodes[0].memory_kib is None and topology.nodes[0].distances == {}


def test_an_old_libvirt_without_siblings_and_caches(tmp_path: Path) -> None:
    text = (
        "<capabilities><host><topology><cells num='1'><cell id='0'><cpus num='2'><cpu id='0'/><cpu id='1'/></cpus>"
        "</cell></cells></topology></host></capabilities>"
    )
    topology = read(tmp_path, text)
    assert str(topology.online) == "0-1"
    assert (topology.arch, topology.cores, topology.packages, topology.l3) == ("unknown", None, None, None)


def test_banks_of_other_levels_and_of_code_are_no_l3(tmp_path: Path) -> None:
    banks = (
        "<bank id='0' level='2' type='both' cpus='0'/><bank id='0' level='3' type='code' cpus='0-1'/>"
        "<bank id='0' level='3' type='data' cpus='0-1,90'/>"
    )
    text = capabilities(Machine(nodes=1, cores=1)).split("<cache>")[0] + f"<cache>{banks}</cache></host></capabilities>"
    assert [str(cache) for cache in read(tmp_path, text).l3 or ()] == ["0-1"]


@pytest.mark.parametrize(
    ("unit", "text", "kib"), [("KiB", "2048", 2048), ("MiB", "3", 3072), ("bytes", "4096", 4), ("G", "1", 1024**2)]
)
def test_units_of_memory(tmp_path: Path, unit: str, text: str, kib: int) -> None:
    cell = f"<cell id='0'><memory unit='{unit}'>{text}</memory><cpus num='1'><cpu id='0' siblings='0'/></cpus></cell>"
    assert read(tmp_path, capabilities(Machine(), cell)).nodes[0].memory_kib == kib


def test_nodes_that_overlap_are_refused_with_the_reason(tmp_path: Path) -> None:
    cells = CELL.format(id=0, cpu=0, siblings=0) + CELL.format(id=1, cpu=0, siblings=0)
    topology, bag = load(tmp_path, capabilities(Machine(), cells))
    assert topology is None
    assert [(item.code.id, item.message) for item in bag] == [("KVMC0310", "`caps`: CPU 0 is in node 0 and node 1")]
    assert "numa=fake" in bag.items[0].notes[0]


@pytest.mark.parametrize(
    ("cells", "code", "word"),
    [
        ("", "KVMC0306", "no CPU"),
        (CELL.format(id=0, cpu=0, siblings=0) * 2, "KVMC0307", "cell 0 stands 2 times"),
        (CELL.format(id=-1, cpu=0, siblings=0), "KVMC0307", "-1"),
        (CELL.format(id=0, cpu=10**9, siblings=0), "KVMC0307", "8191"),
        (CELL.format(id=0, cpu="x", siblings=0), "KVMC0307", "`x`"),
        (CELL.format(id=0, cpu=0, siblings="0-1000000000"), "KVMC0307", "1000000000"),
        (CELL.format(id=10**9, cpu=0, siblings="0"), "KVMC0307", "1023"),
        ("<cell id='0'><memory unit='stone'>5</memory><cpus/></cell>", "KVMC0307", "stone"),
        ("<cell><cpus/></cell>", "KVMC0307", "missing"),
        (
            "<cell id='0'><cpus><cpu id='0' siblings='0-1'/><cpu id='1' siblings='1'/></cpus></cell>",
            "KVMC0309",
            "CPU 1 is in core `0-1` and core `1`",
        ),
        (
            "<cell id='0'><cpus><cpu id='0' socket_id='0' siblings='0-1'/><cpu id='1' socket_id='1' siblings='0-1'/></cpus></cell>",
            "KVMC0311",
            "core `0-1` is split over package `0` and package `1`",
        ),
        (
            "<cell id='0'><cpus><cpu id='0' siblings='0'/><cpu id='0' siblings='0,5'/></cpus></cell>",
            "KVMC0307",
            "two values",
        ),
    ],
)
def test_cells_that_cannot_be(tmp_path: Path, cells: str, code: str, word: str) -> None:
    found, message = refused(tmp_path, capabilities(Machine(), cells))
    assert found == code and word in message, message


def test_a_count_that_is_not_true_is_told(tmp_path: Path) -> None:
    topology, bag = load(tmp_path, capabilities(Machine(nodes=2)).replace("<cells num='2'>", "<cells num='3'>"))
    assert topology is not None
    assert [(item.code.id, item.message) for item in bag] == [("KVMC0312", "`caps`: `<cells num=3>` holds 2 cells")]


def test_capabilities_of_a_driver_without_a_host(tmp_path: Path) -> None:
    assert refused(tmp_path, "<capabilities><guest/></capabilities>")[0] == "KVMC0306"
    assert refused(tmp_path, "<capabilities><host><cpu/></host></capabilities>")[0] == "KVMC0306"
