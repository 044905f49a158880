"""hwloc's XML: what its three formats say, what hwloc hides, and what no file may do."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology import Topology
from kvmc.topology.model import CacheKind, CoreKind, Memory
from kvmc.topology.read import read_topology

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE topology SYSTEM "hwloc2.dtd">\n'


def sets(cpus: str, name: str = "cpuset") -> str:
    return f'{name}="0x{CpuSet.parse(cpus).mask:08x}"'


def pus(cpus: str) -> str:
    return "".join(f'<object type="PU" os_index="{cpu}" {sets(str(cpu))}/>' for cpu in CpuSet.parse(cpus))


def core(cpus: str) -> str:
    return f'<object type="Core" {sets(cpus)}>{pus(cpus)}</object>'


def node(id: int, cpus: str, more: str = 'local_memory="1073741824"', inside: str = "") -> str:
    return f'<object type="NUMANode" os_index="{id}" {sets(cpus)} {more}>{inside}</object>'


def xml(inside: str, after: str = "", machine: str = "", version: str = ' version="2.0"', cpus: str = "0-7") -> str:
    return f'{HEAD}<topology{version}><object type="Machine" {sets(cpus)} {machine}>{inside}</object>{after}</topology>'


def read(tmp_path: Path, text: str | bytes) -> tuple[Topology | None, list[tuple[str, str]]]:
    path = tmp_path / "h.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    topology, bag = read_topology(path, "h.xml")
    return topology, [(item.code.id, item.message) for item in bag]


def good(tmp_path: Path, text: str) -> Topology:
    topology, found = read(tmp_path, text)
    assert topology is not None and not found, found
    return topology


def refused(tmp_path: Path, text: str | bytes) -> tuple[str, str]:
    topology, found = read(tmp_path, text)
    assert topology is None and len(found) == 1, found
    return found[0]


TWO = "".join(
    f'<object type="Package" os_index="{index}" {sets(cpus)}>'
    f'<info name="CPUVendor" value="GenuineIntel"/><info name="CPUModel" value="A CPU  "/>{node(index, cpus)}'
    f'<object type="L3Cache" {sets(cpus)} cache_size="8388608" cache_type="0" depth="3">{core(a)}{core(b)}</object></object>'
    for index, cpus, a, b in ((0, "0-1,4-5", "0,4", "1,5"), (1, "2-3,6-7", "2,6", "3,7"))
)
MATRIX = (
    '<distances2 type="NUMANode" nbobjs="2" kind="5" name="NUMALatency" indexing="os"><indexes length="4">1 0 </indexes>'
    '<u64values length="6">10 31 </u64values><u64values length="6">21 10 </u64values></distances2>'
)


def test_a_host_of_format_2(tmp_path: Path) -> None:
    topology = good(tmp_path, xml(TWO, MATRIX + '<info name="Architecture" value="x86_64"/>'))
    assert topology.arch == "x86_64" and topology.cpu.vendor == "GenuineIntel" and topology.cpu.model == "A CPU"
    assert topology.online == CpuSet.parse("0-7")
    assert topology.packages == topology.l3 == (CpuSet.parse("0-1,4-5"), CpuSet.parse("2-3,6-7"))
    assert topology.cores == tuple(CpuSet.parse(text) for text in ("0,4", "1,5", "2,6", "3,7"))
    assert [(one.id, str(one.cpus), one.memory_kib) for one in topology.nodes] == [
        (0, "0-1,4-5", 1048576),
        (1, "2-3,6-7", 1048576),
    ]
    # rows are in the order of the indexes, and not symmetric
    assert [dict(one.distances) for one in topology.nodes] == [{0: 10, 1: 21}, {0: 31, 1: 10}]
    assert topology.caches == (CacheKind(3, "unified", 8192, CpuSet.parse("0-7")),)
    assert topology.dies is None and topology.clusters is None and topology.offline is None and topology.pci is None


def test_format_3_says_the_same(tmp_path: Path) -> None:
    old, new = (good(tmp_path, xml(TWO, MATRIX, version=f' version="{one}"')) for one in ("2.0", "3.0"))
    assert old == new


def test_format_1(tmp_path: Path) -> None:
    """Nodes hold packages, caches have one type, distances are relative, offline CPUs are objects without `online_cpuset`."""

    def v1(item: str) -> str:
        return item.replace("/>", ' online_cpuset="0x1"/>', 1)

    nodes = "".join(
        f'<object type="NUMANode" os_index="{id}" {sets(cpus)} local_memory="2048">'
        f'<object type="Socket" {sets(cpus)}><object type="Cache" {sets(cpus)} depth="3" cache_type="0" cache_size="2048">'
        + "".join(f'<object type="Core" {sets(str(cpu))}>{v1(pus(str(cpu)))}</object>' for cpu in CpuSet.parse(cpus))
        + "</object></object></object>"
        for id, cpus in ((1, "2-3"), (0, "0-1"))
    )
    offline = f'<object type="PU" os_index="9" {sets("9")} online_cpuset="0x0"/>'
    values = "".join(f'<latency value="{value}"/>' for value in ("1.000000", "2.100000", "1.600000", "1.000000"))
    distances = (
        '<distances nbobjs="2" relative_depth="3" latency_base="1.000000">'
        + '<latency value="4.0"/>' * 4
        + "</distances>"
        f'<distances nbobjs="2" relative_depth="1" latency_base="10.000000">{values}</distances>'
    )
    topology = good(
        tmp_path, xml(distances + nodes + offline, version="", cpus="0-3").replace("hwloc2.dtd", "hwloc.dtd")
    )
    assert topology.online == CpuSet.parse("0-3") and topology.packages == topology.l3
    assert [(one.id, str(one.cpus), dict(one.distances)) for one in topology.nodes] == [
        (0, "0-1", {0: 10, 1: 16}),
        (1, "2-3", {0: 21, 1: 10}),
    ]


def test_a_set_with_empty_groups_and_one_without_end(tmp_path: Path) -> None:
    high = '<object type="PU" os_index="80" cpuset="0x00010000,,0x0"/><object type="PU" os_index="1" cpuset="0x2"/>'
    machine = 'cpuset="0x00010000,,0x2" allowed_cpuset="0xf...f" complete_nodeset="0xf...f" nodeset="0x1"'
    text = f'{HEAD}<topology version="2.0"><object type="Machine" {machine}>{high}</object></topology>'
    topology = good(tmp_path, text)
    assert topology.online == CpuSet.parse("1,80") and topology.allowed is None


def test_nodes_that_hwloc_gives_the_cpus_of_others(tmp_path: Path) -> None:
    """HBM beside DRAM, persistent memory near two nodes: a CPU's own node is the ordinary one, whatever the order and numbers."""
    inside = (
        node(0, "0-3", 'subtype="HBM" local_memory="2048"')
        + node(5, "0-7", 'subtype="NVM" local_memory="4096"')
        + node(1, "0-3")
        + node(2, "4-7")
        + node(3, "4-7", 'subtype="GPUMemory"')
        + core("0-3")
        + core("4-7")
    )
    found = good(tmp_path, xml(inside)).nodes
    assert [(one.id, str(one.cpus), one.memory, one.kind) for one in found] == [
        (0, "", Memory.HBM, "CPU-less"),
        (1, "0-3", None, "normal"),
        (2, "4-7", None, "normal"),
        (3, "", Memory.GPU, "empty"),
        (5, "", Memory.NVM, "CPU-less"),
    ]


def test_nodes_that_share_a_part_are_not_guessed(tmp_path: Path) -> None:
    code, message = refused(tmp_path, xml(node(0, "0-4") + node(1, "3-7") + core("0-3") + core("4-7")))
    assert code == "KVMC0310" and "CPU 3 is in node 0 and node 1" in message


def test_a_node_without_memory_among_others_has_none(tmp_path: Path) -> None:
    told = good(tmp_path, xml(node(0, "0-3") + node(1, "4-7", "") + core("0-3") + core("4-7")))
    assert [one.memory_kib for one in told.nodes] == [1048576, 0]
    untold = good(tmp_path, xml(node(0, "0-7", "") + core("0-7")))
    assert untold.nodes[0].memory_kib is None, "no node has any: the file does not tell"


def test_what_hwloc_drops_is_not_told(tmp_path: Path) -> None:
    """A cluster of one core, a die as large as its package: such objects are not in the file."""
    part = f'<object type="Group" subtype="Cluster" {sets("0-3")}>{core("0-1")}{core("2-3")}</object>{core("4-5")}{core("6-7")}'
    assert good(tmp_path, xml(part)).clusters is None
    whole = "".join(f'<object type="Die" {sets(cpus)}>{core(cpus)}</object>' for cpus in ("0-3", "4-7"))
    assert good(tmp_path, xml(whole)).dies == (CpuSet.parse("0-3"), CpuSet.parse("4-7"))


def test_what_a_control_group_hides(tmp_path: Path) -> None:
    group = '<info name="LinuxCgroup" value="/job"/>'
    inside = node(0, "0-3") + core("0-3")
    hidden = f"{sets('0-7', 'complete_cpuset')} {sets('0-3', 'allowed_cpuset')}"
    code, message = refused(tmp_path, xml(inside, group, hidden, cpus="0-3"))
    assert code == "KVMC0306" and "hides CPUs `4-7`" in message and "`/job`" in message
    assert good(tmp_path, xml(inside, "", hidden, cpus="0-3")).online == CpuSet.parse("0-3"), "offline, then"
    code, message = refused(tmp_path, xml(inside, "", 'nodeset="0x1" complete_nodeset="0x3"', cpus="0-3"))
    assert code == "KVMC0306" and "nodes `1`" in message
    allowed = good(tmp_path, xml(node(0, "0-7") + core("0-3") + core("4-7"), group, sets("0-3", "allowed_cpuset")))
    assert allowed.allowed == CpuSet.parse("0-3") and allowed.disallowed == CpuSet.parse("4-7")


def test_kinds_of_cores(tmp_path: Path) -> None:
    def kind(cpus: str, name: str, value: str) -> str:
        return f'<cpukind {sets(cpus)}><info name="{name}" value="{value}"/></cpukind>'

    expected = {CoreKind.PERFORMANCE: CpuSet.parse("0-3"), CoreKind.EFFICIENCY: CpuSet.parse("4-7")}
    intel = kind("0-3", "CoreType", "IntelCore") + kind("4-7", "CoreType", "IntelAtom")
    arm = (
        kind("0-3", "LinuxCapacity", "1024") + kind("4-5", "LinuxCapacity", "400") + kind("6-7", "LinuxCapacity", "200")
    )
    assert good(tmp_path, xml(TWO, intel)).core_kinds == expected
    assert good(tmp_path, xml(TWO, arm)).core_kinds == expected
    assert good(tmp_path, xml(TWO, kind("0-7", "CoreType", "IntelCore"))).core_kinds is None


def test_pci_devices(tmp_path: Path) -> None:
    bridge = (
        '<object type="Bridge" bridge_type="0-1" bridge_pci="0000:[3a-3c]">'
        '<object type="Bridge" bridge_type="1-1" pci_busid="0000:3a:00.0" pci_type="0604 [8086:2030] [0000:0000] 04">'
        '<object type="PCIDev" pci_busid="0000:3b:00.0" pci_type="0108 [144d:a80a] [144d:a801] 00 02"/></object></object>'
    )
    with_device = TWO.replace("</object></object></object>", f"</object></object>{bridge}</object>", 1)
    found = good(tmp_path, xml(with_device + bridge.replace("3b:", "5b:").replace("3a:", "5a:"))).pci
    assert found is not None and len(found) == 4
    nvme = found[PciAddress.parse("0000:3b:00.0")]
    assert (nvme.node, str(nvme.local_cpus), nvme.class_id, nvme.root) == (0, "0-1,4-5", 0x010802, "0000:3a")
    far = found[PciAddress.parse("0000:5b:00.0")]
    assert far.node is None and far.local_cpus is None, "below the machine: its place is not told"


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        (xml(TWO, version=' version="9.0"'), "KVMC0302", "`9.0`"),
        (
            f"{HEAD}<topology version='2.0'><object type='Machine'/><object type='Machine'/></topology>",
            "KVMC0302",
            "2 machines",
        ),
        (xml(""), "KVMC0306", "no CPU"),
        (xml(TWO.replace('os_index="6"', 'os_index="1000000000"')), "KVMC0307", "1000000000"),
        (xml(TWO.replace('os_index="6"', 'os_index="-1"')), "KVMC0307", "`-1`"),
        (xml(TWO.replace('os_index="6"', 'os_index="3"')), "KVMC0307", "the number 3"),
        (xml(TWO.replace('"0x00000040"', '"0x4g"')), "KVMC0307", "not a CPU mask"),
        (xml(TWO.replace('cpuset="0x00000044"', "")), "KVMC0307", "is missing"),
        (xml(node(0, "0-3") + node(0, "4-7") + core("0-7")), "KVMC0307", "1 numbers"),
        (xml(node(4000, "0-7") + core("0-7")), "KVMC0307", "4000"),
        (xml(node(0, "0-7", 'local_memory="99999999999999999999"') + core("0-7")), "KVMC0307", "local_memory"),
        (xml(TWO + '<object type="PCIDev" pci_busid="x"/>'), "KVMC0307", "PCI address"),
        (xml(TWO).replace("hwloc2.dtd", "file:///etc/passwd"), "KVMC0305", "document type"),
        (xml(TWO).replace('"hwloc2.dtd">', '"hwloc2.dtd" [<!ENTITY a "b">]>'), "KVMC0305", "document type"),
        (xml(TWO).replace("</topology>", ""), "KVMC0303", "truncated"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, code: str, word: str) -> None:
    found, message = refused(tmp_path, text)
    assert found == code and word in message, message


@pytest.mark.parametrize("values", ["10 21 21", "10 0 21 10", "10 x 21 10", "10 99999999 21 10"])
def test_a_broken_matrix_is_left_out_with_a_warning(tmp_path: Path, values: str) -> None:
    matrix = MATRIX.replace("10 31 ", values).replace("21 10 ", "")
    topology, found = read(tmp_path, xml(TWO, matrix))
    assert topology is not None and not topology.nodes[0].distances
    assert [code for code, _ in found] == ["KVMC0313"]
