"""Guest nodes without vCPUs, whose memory is HBM or CXL: from the source to the audit, the lock and libvirt."""

from __future__ import annotations

import dataclasses
import json
import random
from importlib.util import find_spec
from pathlib import Path

import pytest
from lxml import etree

from kvmc.model.cpuset import CpuSet
from kvmc.model.site import GuestNode, MemoryKind, Site, Vm
from kvmc.resolver.keep import keep
from kvmc.resolver.search import search
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import State
from kvmc.topology.model import Memory, Node, Topology
from lab.libvirtd import Libvirtd
from lab.needs import needs
from support.locking import locks_of
from support.machines import GIB, machine
from support.sites import a_host, a_site, a_vm, origins_of
from whole.shape_site import Built, build

HBM = MemoryKind.HBM
NODES = """  nodes  = 2
  memory = 20GiB
  node 0 {
    vcpus  = 4
    memory = 12GiB
  }
  node 1 {
    memory      = 8GiB
    memory_kind = hbm
  }
"""


def flat() -> Topology:
    """Nodes 0 and 1 with CPUs and 64 GiB, nodes 2 and 3 of 16 GiB of HBM beside them (a Xeon Max in flat mode)."""
    found = machine(cores_per_l3=8, memory_gib=64)
    rows = {0: (10, 21, 13, 23), 1: (21, 10, 23, 13), 2: (13, 23, 10, 23), 3: (23, 13, 23, 10)}
    nodes = [dataclasses.replace(node, distances=dict(enumerate(rows[node.id]))) for node in found.nodes]
    hbm = [Node(id, CpuSet(), 16 * GIB, dict(enumerate(rows[id])), memory=Memory.HBM) for id in (2, 3)]
    return dataclasses.replace(found, nodes=(*nodes, *hbm))


def text(name: str = "h1", more: str = "") -> str:
    return f"vm {name} : base {{\n  vcpus = 4\n{NODES}{more}}}\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("alone"), text("h1") + text("h2"), flat())


def test_the_memory_is_a_node_of_its_own(built: Built) -> None:
    assert built.outcome.ok, built.messages
    lock = json.loads((built.folder / "locks/a.json").read_text())["guests"]
    for vm in ("h1", "h2"):
        home, hbm = lock[vm]["cells"]
        assert (hbm["node"], hbm["vcpus"], hbm["memory_kib"]) == (home["node"] + 2, 0, 8 * GIB), "of the own side"
        root = built.xml(vm)
        cells = root.findall("cpu/numa/cell")
        assert [cell.get("cpus") for cell in cells] == ["0-3", None]
        assert [one.get("value") for one in root.iterfind("cpu/numa/cell/distances/sibling")] == [
            "10",
            "13",
            "13",
            "10",
        ]
        assert [one.get("nodeset") for one in root.iterfind("numatune/memnode")] == [
            str(home["node"]),
            str(hbm["node"]),
        ]
        (page,) = root.findall("memoryBacking/hugepages/page")
        assert page.get("nodeset") == "0", "the pool's pages are on nodes with CPUs"
        assert [one.get("sockets") for one in root.iterfind("cpu/topology")] == ["1"]


def test_its_lock_alone_gives_the_same_files(built: Built) -> None:
    before = [built.path(vm).read_bytes() for vm in ("h1", "h2")]
    again = built.again()
    assert again.outcome.ok, again.messages
    assert [again.path(vm).read_bytes() for vm in ("h1", "h2")] == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'cellid="1" mode="strict" nodeset="{hbm}"',
            'cellid="1" mode="strict" nodeset="{other}"',
            "asks for hbm memory",
        ),
        ('unit="KiB" nodeset="0"/>', 'unit="KiB" nodeset="0-1"/>', "guests take 8 pages of 1GiB on node"),
        ('<cell id="1" memory', '<cell id="1" cpus="3" memory', "is in two cells"),
        ('<sibling id="1" value="13"/>', '<sibling id="1" value="23"/>', "their nodes are 13 apart"),
    ],
)
def test_the_audit_knows_such_nodes(built: Built, old: str, new: str, message: str) -> None:
    hbm = built.xml("h1").findall("numatune/memnode")[1].get("nodeset", "")
    names = {"hbm": hbm, "other": str(int(hbm) - 2)}
    found = built.audit("h1", old.format(**names), new.format(**names))
    assert any(message in line for line in found), found


def case(*vms: Vm) -> tuple[Site, dict[str, Topology]]:
    return a_site([a_host("kvm-a", pages=32)], vms), {"kvm-a": flat()}


def guest(name: str, *hbm: int, vcpus: int = 4, nodes: int = 1, gib: int = 4) -> Vm:
    """A guest of so many nodes with vCPUs, and one of HBM for each number of GiB."""
    cells = [GuestNode(name=str(n), vcpus=vcpus // nodes, memory_kib=gib * GIB) for n in range(nodes)]
    cells += [
        GuestNode(name=str(nodes + n), vcpus=0, memory_kib=size * GIB, memory_kind=HBM) for n, size in enumerate(hbm)
    ]
    total = sum(cell.memory_kib for cell in cells) // GIB
    return a_vm(name, vcpus, total, nodes=len(cells), cells={cell.name: cell for cell in cells})


def placed(*vms: Vm) -> dict[str, list[int]]:
    site, machines = case(*vms)
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None, [item.message for item in bag]
    return {name: [cell.node for cell in one.cells] for name, one in placement.guests.items()}


def test_each_is_on_the_nearest_node_with_room() -> None:
    found = placed(guest("a", 10), guest("b", 10))
    assert sorted(found.values()) == [[0, 2], [1, 3]]
    assert sorted(placed(guest("a", 4, 4))["a"][1:]) == [2, 3], "two nodes are on two nodes"
    assert placed(guest("a", 10, vcpus=8, nodes=2))["a"] == [0, 1, 2]


def test_too_little_of_the_kind_is_told() -> None:
    site, machines = case(guest("a", 20))
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is None
    assert "needs 20GiB of hbm memory on one node, 16GiB free" in bag.items[0].message
    plain = {"kvm-a": machine(cores_per_l3=8, memory_gib=64)}
    placement, bag = resolve(site, plain, {}, origins_of(site), search=True)
    assert placement is None and "has no node of hbm memory" in bag.items[0].message
    site, machines = case(*(guest(name, 10) for name in "abc"))
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is None and bag.items[0].code.id == "KVMC0401"


def test_a_lock_holds_while_the_node_is_what_is_asked_for() -> None:
    site, machines = case(guest("a", 10), guest("b", 4))
    first, _ = resolve(site, machines, {}, origins_of(site), search=True)
    assert first is not None
    locks = locks_of(first, machines)
    again, bag = resolve(site, machines, locks, origins_of(site), search=False)
    assert again == first and not list(bag)
    for changed, why in (
        (guest("a", 11), "locked with 10GiB on `kvm-a` node"),
        (guest("a"), "locked on 2 nodes, 1 asked for"),
        (guest("a", 5, 5), "locked on 2 nodes, 3 asked for"),
    ):
        other, machines = case(changed, guest("b", 4))
        _, bag = resolve(other, machines, locks, origins_of(other), search=False)
        assert why in " ".join((bag.items[0].message, *bag.items[0].notes)), (why, bag.items[0])
    cxl = [dataclasses.replace(node, memory=Memory.CXL if node.memory else None) for node in machines["kvm-a"].nodes]
    aged = {"kvm-a": dataclasses.replace(machines["kvm-a"], nodes=tuple(cxl))}
    moved = locks_of(first, aged)
    _, bag = resolve(site, aged, moved, origins_of(site), search=False)
    assert "its memory is not of `memory_kind = hbm`" in " ".join((bag.items[0].message, *bag.items[0].notes))


@pytest.mark.skipif(find_spec("ortools") is None, reason="needs OR-Tools")
def test_both_searches_agree() -> None:
    from kvmc.resolver.exact import decide

    fits = 0
    for seed in range(40):
        rng = random.Random(seed)
        vms = [
            guest(
                f"v{index}",
                *(rng.choice((4, 8, 12)) for _ in range(rng.choice((0, 1, 1, 2)))),
                vcpus=rng.choice((4, 8, 12)),
                nodes=rng.choice((1, 1, 2)),
            )
            for index in range(rng.randint(1, 4))
        ]
        site, machines = case(*vms)
        kept, _ = keep(site, machines, {}, origins_of(site))
        assert kept is not None
        left = search(kept.demands, list(kept.missing), State(kept.machines), {})
        answer = decide(list(kept.demands.values()), State(kept.machines))
        assert answer.proven and (answer.choices is not None) == (not left), f"seed {seed}"
        if answer.choices is not None:
            state = State(kept.machines)
            for vm, choice in answer.choices.items():
                state.place(kept.demands[vm], choice)
            assert all(store.normal >= 0 for store in state.hosts["kvm-a"].stores), f"seed {seed}"
        fits += not left
    assert 8 < fits < 36


MISTAKES = (
    (
        NODES.replace("memory_kind = hbm", "memory_kind = hbm\n    vcpus = 2"),
        "node 1 of vm `h1` has vCPUs and memory of a kind",
    ),
    (
        NODES.replace("node 0", "node 9").replace("node 1", "node 0").replace("node 9", "node 1"),
        "node 0 of vm `h1` has no vCPUs and is before node 1, which has",
    ),
    (NODES + "  numatune = preferred\n", "`numatune = preferred` of vm `h1`, whose node 1 is memory alone"),
    (NODES.replace("    memory_kind = hbm\n", ""), "node `1` of vm `h1` has no `vcpus`"),
    (
        NODES.replace("20GiB", "19GiB"),
        "the nodes of vm `h1` have `memory` of 20GiB together, the guest has 19GiB",
    ),
)


@pytest.mark.parametrize(("lines", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_what_such_a_node_may_not_be(tmp_path: Path, lines: str, message: str) -> None:
    found = build(tmp_path, f"vm h1 : base {{\n  vcpus = 4\n{lines}}}\n", flat())
    assert message in found.messages


@needs("libvirtd", "qemu")
def test_libvirt_takes_it_and_qemu_starts_it(built: Built, libvirtd: Libvirtd) -> None:
    root = built.xml("h1")
    for path in (
        "memoryBacking",
        "cputune",
        "numatune",
        "iothreads",
        "features/kvm",
        "devices/disk",
        "devices/interface",
    ):
        for one in root.findall(path):
            one.getparent().remove(one)  # type: ignore[union-attr]
    root.set("type", "qemu")
    root.find("cpu").set("mode", "maximum")  # type: ignore[union-attr]
    for one in root.findall("cpu/cache"):
        one.getparent().remove(one)  # type: ignore[union-attr]
    root.find("vcpu").attrib.pop("cpuset")  # type: ignore[union-attr]
    for size in (*root.iterfind("memory"), *root.iterfind("currentMemory")):
        size.text = str(512 * 1024)
    for cell in root.iterfind("cpu/numa/cell"):
        cell.set("memory", str(256 * 1024))
    xml = etree.tostring(root, encoding="unicode")
    assert libvirtd.define_validate(xml) is None
    try:
        kept = etree.fromstring(libvirtd.dumpxml("h1").encode())
        assert [cell.get("cpus") for cell in kept.iterfind("cpu/numa/cell")] == ["0-3", None]
        assert libvirtd.start("h1") is None
        libvirtd.destroy("h1")
    finally:
        libvirtd.undefine("h1")
