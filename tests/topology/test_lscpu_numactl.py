"""`lscpu -J`, `lscpu -J -e` and `numactl -H` in the forms that their releases have, whole and broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.topology import Topology
from kvmc.topology.read import read_topology

SUMMARY = {
    "Architecture": "x86_64",
    "CPU(s)": "8",
    "On-line CPU(s) list": "0-3,5-7",
    "Off-line CPU(s) list": "4",
    "Vendor ID": "GenuineIntel",
    "Model name": "A CPU",
    "Flags": "vmx sse",
    "NUMA node(s)": "3",
    "NUMA node0 CPU(s)": "0,1,4,5",
    "NUMA node2 CPU(s)": "2-3,6-7",
    "NUMA node33 CPU(s)": None,
}


def read(tmp_path: Path, value: object) -> tuple[Topology | None, list[tuple[str, str]]]:
    path = tmp_path / "input"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    topology, bag = read_topology(path, "input")
    return topology, [(item.code.id, item.message) for item in bag]


def good(tmp_path: Path, value: object) -> Topology:
    topology, found = read(tmp_path, value)
    assert topology is not None and not found, found
    return topology


def refused(tmp_path: Path, value: object) -> tuple[str, str]:
    topology, found = read(tmp_path, value)
    assert topology is None and len(found) == 1, found
    return found[0]


def summary(fields: dict[str, Any]) -> dict[str, Any]:
    return {"lscpu": [{"field": f"{name}:", "data": data} for name, data in fields.items()]}


def test_the_summary(tmp_path: Path) -> None:
    topology = good(tmp_path, summary(SUMMARY))
    assert topology.online == CpuSet.parse("0-3,5-7") and topology.offline == CpuSet.parse("4")
    # a node's list may hold offline CPUs; one without CPUs has no data
    assert [(node.id, str(node.cpus)) for node in topology.nodes] == [(0, "0-1,5"), (2, "2-3,6-7"), (33, "")]
    assert (topology.cores, topology.packages, topology.l3, topology.pci) == (None, None, None, None)
    assert (
        topology.arch == "x86_64" and topology.cpu.vendor == "GenuineIntel" and topology.cpu.features == {"vmx", "sse"}
    )


def test_the_nested_form_of_newer_releases(tmp_path: Path) -> None:
    nested = summary({name: data for name, data in SUMMARY.items() if "NUMA" not in name})
    numa = summary({name: data for name, data in SUMMARY.items() if "NUMA" in name})["lscpu"]
    nested["lscpu"].append({"field": "NUMA:", "data": None, "children": numa})
    assert good(tmp_path, nested) == good(tmp_path, summary(SUMMARY))


def test_masks_of_lscpu_x(tmp_path: Path) -> None:
    masks = {
        **{name: data for name, data in SUMMARY.items() if "list" not in name},
        "On-line CPU(s) mask": "0xef",
        "Off-line CPU(s) mask": "0x10",
        "NUMA node0 CPU(s)": "0x33",
        "NUMA node2 CPU(s)": "0xcc",
    }
    assert good(tmp_path, summary(masks)) == good(tmp_path, summary(SUMMARY))


def test_a_kernel_without_numa_is_one_node(tmp_path: Path) -> None:
    fields = {name: data for name, data in SUMMARY.items() if "NUMA" not in name and "Off" not in name}
    topology = good(tmp_path, summary(fields))
    assert [(node.id, node.cpus) for node in topology.nodes] == [(0, topology.online)] and topology.offline is None


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        (lambda one: one.pop("On-line CPU(s) list"), "KVMC0306", "On-line CPU(s) list"),
        (lambda one: one.update({"On-line CPU(s) list": "0-"}), "KVMC0307", "`0-`"),
        (lambda one: one.update({"On-line CPU(s) list": "0-1000000000"}), "KVMC0307", "`On-line CPU(s)`"),
        (lambda one: one.update({"NUMA node(s)": "4"}), "KVMC0303", "3 nodes"),
        (lambda one: one.update({"NUMA node5000 CPU(s)": "", "NUMA node(s)": "4"}), "KVMC0307", "5000"),
    ],
)
def test_broken_summaries(tmp_path: Path, change: Callable[[dict[str, Any]], object], code: str, word: str) -> None:
    fields = dict(SUMMARY)
    change(fields)
    found, message = refused(tmp_path, summary(fields))
    assert found == code and word in message, message


@pytest.mark.parametrize("items", [3, [3], [{"field": 3}], [{"field": "a", "children": 3}]])
def test_a_summary_of_another_shape(tmp_path: Path, items: object) -> None:
    assert refused(tmp_path, {"lscpu": items})[0] == "KVMC0307"


def rows(old: bool = False) -> list[dict[str, Any]]:
    """Two packages of two cores, siblings n and n + 4, CPU 6 offline; CPU numbers as numbers, or as old releases write them."""
    found: list[dict[str, Any]] = []
    for cpu in range(8):
        core = cpu % 4
        row: dict[str, Any] = {"cpu": cpu, "node": core // 2, "socket": core // 2, "core": core}
        row |= {"l1d:l1i:l2:l3": f"{core}:{core}:{core}:{core // 2}", "online": True}
        if cpu == 6:
            row = {"cpu": 6} | dict.fromkeys(("node", "socket", "core", "l1d:l1i:l2:l3")) | {"online": False}
        if old:
            row = {name: "-" if value is None else str(value) for name, value in row.items()}
            row["online"] = "no" if cpu == 6 else "yes"
        found.append(row)
    return found


def test_rows(tmp_path: Path) -> None:
    topology = good(tmp_path, {"cpus": rows()})
    assert topology.online == CpuSet.parse("0-5,7") and topology.offline == CpuSet.parse("6")
    assert topology.cores == tuple(CpuSet.parse(text) for text in ("0,4", "1,5", "2", "3,7"))
    assert topology.packages == topology.l3 == (CpuSet.parse("0-1,4-5"), CpuSet.parse("2-3,7"))
    assert [(node.id, str(node.cpus)) for node in topology.nodes] == [(0, "0-1,4-5"), (1, "2-3,7")]


def test_rows_of_old_releases(tmp_path: Path) -> None:
    assert good(tmp_path, {"cpus": rows(old=True)}) == good(tmp_path, {"cpus": rows()})


def test_physical_numbers(tmp_path: Path) -> None:
    """With -y a core's number is its own only within its package, and that one's only within its book."""
    physical = [row | {"core": 0 if row["core"] in (0, 2) else 9} if row["online"] else row for row in rows()]
    assert good(tmp_path, {"cpus": physical}).cores == good(tmp_path, {"cpus": rows()}).cores
    books = [{"cpu": cpu, "book": cpu, "socket": 0, "core": 0, "online": True} for cpu in range(2)]
    assert good(tmp_path, {"cpus": books}).packages == (CpuSet.parse("0"), CpuSet.parse("1"))


def test_column_sets(tmp_path: Path) -> None:
    def cut(*names: str) -> Topology:
        return good(tmp_path, {"cpus": [{name: row[name] for name in names} for row in rows()]})

    whole = good(tmp_path, {"cpus": rows()})
    few = cut("cpu", "core")
    assert (
        few.cores == whole.cores and few.online == whole.online and few.packages is few.l3 is None and few.nodes == ()
    )
    assert cut("cpu", "socket", "online").cores is None
    renamed = [{("l1d:l1i:l2" if ":" in name else name): value for name, value in row.items()} for row in rows()]
    without = [row | {"l1d:l1i:l2": "0:0:0"} for row in renamed]
    assert good(tmp_path, {"cpus": without}).l3 == (), "a host that has no L3"
    some = [row | {"l1d:l1i:l2:l3": "0:0:0:-"} if row["cpu"] in (1, 5) else row for row in rows()]
    assert good(tmp_path, {"cpus": some}).l3 == (CpuSet.parse("0,4"), CpuSet.parse("2-3,7")), (
        "cores outside of every L3"
    )


def test_caches_that_a_release_leaves_out_of_the_cell(tmp_path: Path) -> None:
    """Meteor Lake: two cores outside of the L3, and two whose L1 the kernel does not show."""
    cells = ["8:8:2:0", "8:8:2:0", "10:10:1:0", "1:0", "64:64:8", "66:66:8"]
    cores = [0, 0, 1, 2, 3, 4]
    made = [
        {"cpu": cpu, "socket": 0, "core": core, "l1d:l1i:l2:l3": cell, "online": True}
        for cpu, (core, cell) in enumerate(zip(cores, cells, strict=True))
    ]
    topology = good(tmp_path, {"cpus": made})
    assert topology.l3 == (CpuSet.parse("0-3"),) and topology.cores is not None and len(topology.cores) == 5
    made[3]["l1d:l1i:l2:l3"] = "5:9"
    code, message = refused(tmp_path, {"cpus": made})
    assert code == "KVMC0306" and "CPU 3 has 2 of 4 caches, `5:9`" in message


def test_cores_that_are_numbered_anew_for_each_type_of_cpu(tmp_path: Path) -> None:
    made = [
        {"cpu": cpu, "socket": 0, "core": core, "l1d:l1i:l2:l3": f"{cpu}:{cpu}:{cpu}:0", "online": True}
        for cpu, core in enumerate([0, 1, 2, 0, 1, 0, 1, 0])
    ]
    code, message = refused(tmp_path, {"cpus": made})
    assert code == "KVMC0306" and "CPUs `0,3,5,7` have one core number and 4 instruction caches" in message
    # AMD's compute units: two data caches, one instruction cache, one core to the kernel
    units = [
        row | {"core": cpu // 2, "l1d:l1i:l2:l3": f"{cpu}:{cpu // 2}:{cpu // 2}:0"} for cpu, row in enumerate(made)
    ]
    cores = good(tmp_path, {"cpus": units}).cores
    assert cores is not None and len(cores) == 4


@pytest.mark.parametrize(
    ("value", "code", "word"),
    [
        ([{"cpu": 0, "node": 0}], "KVMC0306", "which CPUs are online"),
        ([{"core": 0, "online": True}], "KVMC0306", "without the number of its CPU"),
        ([{"cpu": 0, "online": False}], "KVMC0306", "no online CPU"),
        ([{"cpu": 0, "online": True}, {"cpu": 0, "online": True}], "KVMC0307", "two rows"),
        ([{"cpu": 10**9, "online": True}], "KVMC0307", "above 8191"),
        ([{"cpu": 0, "core": "x", "online": True}], "KVMC0307", "`core`"),
        ([{"cpu": True, "online": True}], "KVMC0307", "`cpu`"),
        ([{"cpu": 0, "node": 5000, "online": True}], "KVMC0307", "5000"),
        ([7], "KVMC0306", "without the number"),
        (7, "KVMC0307", "not a list"),
    ],
)
def test_broken_rows(tmp_path: Path, value: object, code: str, word: str) -> None:
    found, message = refused(tmp_path, {"cpus": value})
    assert found == code and word in message, message


NUMACTL = """available: 3 nodes (0-1,33)
node 0 cpus: 0 1 4 5
node 0 size: 8189 MB
node 0 free: 7918 MB
node 1 cpus: 2 3 6 7
node 1 size: 16384 MB
node 1 free: 16111 MB
node 33 cpus:
node 33 size: 0 MB
node 33 free: 0 MB
node distances:
node   0   1  33 
  0:  10  21  17 
  1:  31  10  28 
 33:  17  28  10 
"""  # noqa: W291 - as numactl writes it


def test_numactl(tmp_path: Path) -> None:
    topology = good(tmp_path, NUMACTL)
    assert topology.online == CpuSet.parse("0-7") and topology.cores is topology.packages is topology.l3 is None
    assert [(node.id, str(node.cpus), node.memory_kib) for node in topology.nodes] == [
        (0, "0-1,4-5", 8189 * 1024),
        (1, "2-3,6-7", 16384 * 1024),
        (33, "", 0),
    ]
    assert [dict(node.distances) for node in topology.nodes] == [
        {0: 10, 1: 21, 33: 17},
        {0: 31, 1: 10, 33: 28},
        {0: 17, 1: 28, 33: 10},
    ]
    assert topology.nodes[2].kind == "empty"


@pytest.mark.parametrize("cpus", ["0-1,4-5", "0-1, 4-5", "0-1 4-5", "0-1, 4-5 (4)", "0 1 4-5", "0 1\n4 5"])
def test_numactl_with_ranges_and_broken_lines(tmp_path: Path, cpus: str) -> None:
    assert good(tmp_path, NUMACTL.replace("0 1 4 5", cpus)) == good(tmp_path, NUMACTL)


def test_numactl_that_was_pasted(tmp_path: Path) -> None:
    pasted = "$ numactl -H\r\n" + NUMACTL.replace("\n", "\r\n") + "$ exit\r\n"
    assert good(tmp_path, pasted) == good(tmp_path, NUMACTL)


def test_numactl_without_what_the_kernel_lacks(tmp_path: Path) -> None:
    text = NUMACTL.partition("node distances")[0].replace("8189 MB", "<not available>")
    topology = good(tmp_path, text + "No distance information available.\n")
    assert topology.nodes[0].memory_kib is None and not topology.nodes[0].distances


@pytest.mark.parametrize(
    ("old", "new", "code", "word"),
    [
        ("3 nodes", "4 nodes", "KVMC0307", "says 4 nodes and lists 3"),
        ("node 33 cpus:\n", "", "KVMC0303", "3 nodes"),
        (" 33:  17  28  10 \n", "", "KVMC0303", "square"),
        ("  1:  31  10  28", "  1:  31  10", "KVMC0303", "square"),
        ("  1:  31  10  28", "  1:  31   0  28", "KVMC0307", "distance"),
        ("0 1 4 5", "0 1 4 1000000000", "KVMC0307", "CPUs of node 0"),
        ("0 1 4 5", "0 1 4 five", "KVMC0307", "`five`"),
        ("8189 MB", "8189 XB", "KVMC0307", "size of node 0"),
        ("(0-1,33)", "(0-1,5000)", "KVMC0307", "5000"),
        ("2 3 6 7", "2 3 5 7", "KVMC0310", "CPU 5"),
        ("node 1 size", "node 0 size", "KVMC0307", "twice"),
        ("node 1 size", "node 7 size", "KVMC0307", "node 7"),
    ],
)
def test_broken_numactl(tmp_path: Path, old: str, new: str, code: str, word: str) -> None:
    assert old in NUMACTL
    found, message = refused(tmp_path, NUMACTL.replace(old, new))
    assert found == code and word in message, message


@pytest.mark.parametrize("cut", range(40, len(NUMACTL) - 12, 7))
def test_numactl_cut_anywhere_is_refused_or_tells_only_what_is_whole(tmp_path: Path, cut: int) -> None:
    topology, found = read(tmp_path, NUMACTL[:cut])
    if topology is None:
        assert len(found) == 1 and found[0][0] in ("KVMC0303", "KVMC0307", "KVMC0306"), found
        return
    whole = good(tmp_path, NUMACTL)
    for node, other in zip(topology.nodes, whole.nodes, strict=True):
        assert node.cpus == other.cpus and node.memory_kib in (None, other.memory_kib)
        assert node.distances in ({}, other.distances)
