"""The snapshot: canonical, reversible, and strict with what is written by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvmc.model.cpuset import CpuSet, union
from kvmc.model.values import PciAddress
from kvmc.topology import Cpu, Node, PciDevice, Sriov, Topology
from kvmc.topology.snapshot import dumps, loads

SMALL = """{
  "kvmc_topology": 1,
  "online": "0-7",
  "nodes": [
    {"id": 0, "cpus": "0-3", "memory_kib": 1048576, "distances": [10, 21]},
    {"id": 5, "cpus": "4-7", "distances": {"0": 21}}
  ],
  "cores": ["0-1", "2-3", "4,5", ["6", "7"]],
  "pci": {"3b:00.0": {"numa_node": 0, "sriov": {"total_vfs": 8, "offset": 16, "stride": 1}}}
}
"""


def problems(change: Any) -> list[tuple[str, str]]:
    """What is said of the small snapshot after a change."""
    top = json.loads(SMALL)
    change(top)
    topology, bag = loads(json.dumps(top), "hosts/a.json")
    assert topology is None
    assert all(item.message.startswith("`hosts/a.json`: ") for item in bag)
    return [(item.code.id, item.message.removeprefix("`hosts/a.json`: ")) for item in bag]


def test_by_hand_with_all_left_out_that_may_be() -> None:
    topology, bag = loads(SMALL, "x")
    assert topology is not None and not len(bag)
    assert topology == Topology(
        arch="unknown",
        online=CpuSet.parse("0-7"),
        nodes=(
            Node(0, CpuSet.parse("0-3"), 1048576, {0: 10, 5: 21}),
            Node(5, CpuSet.parse("4-7"), None, {0: 21}),
        ),
        packages=None,
        cores=tuple(CpuSet.parse(text) for text in ("0-1", "2-3", "4-5", "6-7")),
        l3=None,
        pci={PciAddress.parse("0000:3b:00.0"): PciDevice(PciAddress.parse("0000:3b:00.0"), 0, sriov=Sriov(8, 16, 1))},
    )


def test_the_canonical_form() -> None:
    topology, _ = loads(SMALL, "x")
    assert topology is not None
    assert (
        dumps(topology)
        == """{
  "kvmc_topology": 1,
  "arch": "unknown",
  "online": "0-7",
  "nodes": [
    {"id": 0, "cpus": "0-3", "memory_kib": 1048576, "distances": [10, 21]},
    {"id": 5, "cpus": "4-7", "distances": {"0": 21}}
  ],
  "cores": [
    "0-1", "2-3", "4-5", "6-7"
  ],
  "pci": {
    "0000:3b:00.0": {"numa_node": 0, "sriov": {"total_vfs": 8, "offset": 16, "stride": 1}}
  }
}
"""
    )


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Anything that the contract allows: sparse CPUs and nodes, groups of any shape, each fact told or not."""
    threads = draw(st.integers(1, 4))
    counts = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4).filter(any))
    numbers = iter(draw(st.permutations(range(0, threads * 12 * 3, draw(st.integers(1, 3))))))
    nodes: list[list[CpuSet]] = [
        [CpuSet.of(next(numbers) for _ in range(threads)) for _ in range(count)] for count in counts
    ]
    ids = sorted(draw(st.sets(st.integers(0, 1023), min_size=len(nodes), max_size=len(nodes))))
    cores = tuple(sorted((core for node in nodes for core in node), key=lambda core: core.first))
    online = union(cores)
    rest = [cpu for cpu in range(150) if cpu not in online]
    cpu_sets = st.sets(st.sampled_from(list(online)), min_size=1).map(CpuSet.of)

    def maybe(value: Any) -> Any:
        return draw(st.one_of(st.none(), st.just(value)))

    caches = tuple(sorted((union(node) for node in nodes if node), key=lambda group: group.first))
    distances = st.dictionaries(st.sampled_from(ids), st.integers(10, 254))
    addresses = st.builds(
        PciAddress, st.integers(0, 0x1FFFF), st.integers(0, 255), st.integers(0, 31), st.integers(0, 7)
    )
    device = st.builds(
        PciDevice,
        address=addresses,
        node=st.one_of(st.none(), st.sampled_from(ids)),
        local_cpus=st.one_of(st.none(), st.just(CpuSet()), cpu_sets),
        class_id=st.one_of(st.none(), st.integers(0, 0xFFFFFF)),
        vendor_id=st.one_of(st.none(), st.integers(0, 0xFFFF)),
        device_id=st.one_of(st.none(), st.integers(0, 0xFFFF)),
        iommu_group=st.one_of(st.none(), st.integers(0, 5000)),
        sriov=st.one_of(st.none(), st.builds(Sriov, st.integers(1, 256), st.integers(0, 512), st.integers(0, 8))),
        parent_pf=st.one_of(st.none(), addresses),
    )
    name = st.text('abcXYZ ()@-"\\é', min_size=1, max_size=20)
    pci = {item.address: item for item in draw(st.lists(device, max_size=4))}
    return Topology(
        arch=draw(name),
        online=online,
        nodes=tuple(
            Node(
                id,
                union(node),
                draw(st.one_of(st.none(), st.integers(0, 1 << 40))),
                draw(distances),
                tuple(sorted(draw(st.sets(st.sampled_from([64, 2048, 1048576]))))),
            )
            for id, node in zip(ids, nodes, strict=True)
        ),
        packages=maybe((online,)),
        cores=maybe(cores),
        l3=draw(st.sampled_from([None, (), caches])),
        dies=maybe(caches),
        clusters=maybe(cores),
        offline=draw(st.one_of(st.none(), st.sets(st.sampled_from(rest)).map(CpuSet.of))),
        allowed=draw(st.one_of(st.none(), cpu_sets)),
        pci=maybe(dict(sorted(pci.items()))),
        cpu=Cpu(maybe(draw(name)), maybe(draw(name)), frozenset(draw(st.sets(st.sampled_from(["vmx", "fpu", "lm"]))))),
    )


@settings(max_examples=60, deadline=None)
@given(topologies())
def test_reading_what_was_written_gives_the_same(topology: Topology) -> None:
    text = dumps(topology)
    again, bag = loads(text, "x")
    assert again == topology, [item.message for item in bag]
    assert dumps(again) == text
    assert json.loads(text)["kvmc_topology"] == 1


def test_a_large_host_stays_reviewable() -> None:
    cores = tuple(CpuSet.of((core, core + 64)) for core in range(64))
    topology = Topology("x86_64", CpuSet.of(range(128)), (Node(0, CpuSet.of(range(128))),), None, cores, ())
    lines = dumps(topology).splitlines()
    assert len(lines) < 20
    assert max(len(line) for line in lines) <= 120


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda top: top.update(nodse=[]), [("KVMC0308", "`nodse` is no key of a snapshot")]),
        (lambda top: top["nodes"][1].update(memroy=3), [("KVMC0308", "`nodes[1].memroy` is no key of a snapshot")]),
        (lambda top: top.pop("online"), [("KVMC0306", "`online` is missing")]),
        (lambda top: top.pop("nodes"), [("KVMC0306", "`nodes` is missing")]),
        (lambda top: top.update(online=""), [("KVMC0306", "`online` names no CPU")]),
        (
            lambda top: top.update(online="0-1000000000"),
            [("KVMC0307", "`online` is no list of CPUs: `0-1000000000` is not a CPU or a range of CPUs")],
        ),
        (lambda top: top.update(kvmc_topology=2), [("KVMC0302", "`kvmc_topology` is `2`; this kvmc reads version 1")]),
        (
            lambda top: top.update(kvmc_topology=True),
            [("KVMC0302", "`kvmc_topology` is `true`; this kvmc reads version 1")],
        ),
        (lambda top: top.update(offline="7-8"), [("KVMC0307", "`offline` holds `7`, which `online` holds too")]),
        (lambda top: top.update(allowed="7-8"), [("KVMC0307", "`allowed` holds `8`, which `online` does not")]),
        (lambda top: top.update(l3=["0-9"]), [("KVMC0307", "`l3[0]` holds `8-9`, which `online` does not")]),
        (lambda top: top.update(l3=["0-1", "0-1"]), [("KVMC0307", "`l3[1]` is the same as the one before")]),
        (lambda top: top.update(l3=["0-4", "4-7"]), [("KVMC0309", "CPU 4 is in L3 `0-4` and L3 `4-7`")]),
        (lambda top: top.update(cores=["0-1", "1-2"]), [("KVMC0309", "CPU 1 is in core `0-1` and core `1-2`")]),
        (lambda top: top.update(cores=["3-4"]), [("KVMC0311", "core `3-4` is split over node 0 and node 5")]),
        (
            lambda top: top.update(packages=["0-2", "3-7"]),
            [("KVMC0311", "core `2-3` is split over package `0-2` and package `3-7`")],
        ),
        (lambda top: top["nodes"][1].update(cpus="3-7"), [("KVMC0310", "CPU 3 is in node 0 and node 5")]),
        (lambda top: top["nodes"][1].update(id=0), [("KVMC0307", "`nodes[1].id` is 0, which another node has")]),
        (
            lambda top: top["nodes"][1].update(id=10**9),
            [("KVMC0307", "`nodes[1].id` is 1000000000, outside 0 to 1023")],
        ),
        (
            lambda top: top["nodes"][1].pop("cpus"),
            [("KVMC0307", '`nodes[1].cpus` is missing; a node of memory alone has `""`')],
        ),
        (
            lambda top: top["nodes"][0].update(distances=[10]),
            [("KVMC0307", "`nodes[0].distances` has 1 value for 2 nodes")],
        ),
        (
            lambda top: top["nodes"][0].update(distances={"9": 10}),
            [("KVMC0307", "`nodes[0].distances` names `9`, which is no node")],
        ),
        (
            lambda top: top["nodes"][0].update(distances=[10, 0]),
            [("KVMC0307", "`nodes[0].distances[1]` is 0, outside 1 to 65535")],
        ),
        (
            lambda top: top["nodes"][0].update(memory_kib=-1),
            [("KVMC0307", "`nodes[0].memory_kib` is -1, outside 0 to 1125899906842624")],
        ),
        (
            lambda top: top["nodes"][0].update(memory_kib=1.5),
            [("KVMC0307", "`nodes[0].memory_kib` is not a whole number")],
        ),
        (
            lambda top: top["nodes"][0].update(memory_kib=True),
            [("KVMC0307", "`nodes[0].memory_kib` is not a whole number")],
        ),
        (
            lambda top: top["nodes"].append(7),
            [
                ("KVMC0307", "`nodes[2]` is not an object"),
            ],
        ),
        (lambda top: top.update(arch=""), [("KVMC0307", "`arch` is not a text of 1 to 256 printable characters")]),
        (lambda top: top.update(arch="a\nb"), [("KVMC0307", "`arch` is not a text of 1 to 256 printable characters")]),
        (lambda top: top.update(cpu=[]), [("KVMC0307", "`cpu` is not an object")]),
        (lambda top: top.update(cores={}), [("KVMC0307", "`cores` is not a list")]),
        (lambda top: top.update(cores=[5]), [("KVMC0307", '`cores[0]` is not a list of CPUs such as `"0-3,8"`')]),
        (
            lambda top: top["pci"].update(x={}),
            [("KVMC0307", "`pci.x` is not a PCI address such as `0000:3b:00.0`: `x`")],
        ),
        (
            lambda top: top["pci"].update({"0000:3b:00.0": {}}),
            [("KVMC0307", "`pci.0000:3b:00.0` stands twice, in different forms")],
        ),
        (
            lambda top: top["pci"]["3b:00.0"].update({"class": 3}),
            [("KVMC0307", "`pci.3b:00.0.class` is not a text of `0x` and at most 6 hexadecimal digits")],
        ),
        (
            lambda top: top["pci"]["3b:00.0"]["sriov"].pop("stride"),
            [("KVMC0307", "`pci.3b:00.0.sriov.stride` is not a whole number")],
        ),
    ],
)
def test_mistakes_of_the_hand(change: Any, expected: list[tuple[str, str]]) -> None:
    assert problems(change) == expected


def test_several_mistakes_are_told_at_once() -> None:
    def change(top: dict[str, Any]) -> None:
        top["nodse"] = []
        top["nodes"][0]["memory_kib"] = "8"
        top["offline"] = "x"

    assert [code for code, _ in problems(change)] == ["KVMC0308", "KVMC0307", "KVMC0307"]


def test_a_near_key_is_proposed() -> None:
    _, bag = loads(SMALL.replace('"online"', '"onlin"'), "x")
    assert [item.help for item in bag if item.code.id == "KVMC0308"] == [("the nearest key is `online`",)]


def test_a_key_twice() -> None:
    _, bag = loads(SMALL.replace('"online": "0-7",', '"online": "0-7", "online": "0-3",'), "x")
    assert [(item.code.id, item.message) for item in bag] == [
        ("KVMC0307", "`x`: key `online` stands twice in one object")
    ]
