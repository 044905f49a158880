"""Guests whose memory is HBM or CXL on a node without CPUs, from the source to the audit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from kvmc.driver.audit import audit_tree
from kvmc.model.cpuset import CpuSet
from kvmc.topology.model import Memory, Node, Topology
from support.machines import GIB, machine
from whole.shape_site import Built, build

NEAR, FAR = 13, 23


def flat() -> Topology:
    """Nodes 0 and 1 with CPUs and 64 GiB, nodes 2 and 3 of 16 GiB of HBM beside them (a Xeon Max in flat mode)."""
    found = machine(cores_per_l3=8, memory_gib=64)
    rows = {0: (10, 21, NEAR, FAR), 1: (21, 10, FAR, NEAR), 2: (NEAR, FAR, 10, FAR), 3: (FAR, NEAR, FAR, 10)}
    nodes = [dataclasses.replace(node, distances=dict(enumerate(rows[node.id]))) for node in found.nodes]
    hbm = [Node(id, CpuSet(), 16 * GIB, dict(enumerate(rows[id])), memory=Memory.HBM) for id in (2, 3)]
    return dataclasses.replace(found, nodes=(*nodes, *hbm))


def guest(name: str, memory: str, *lines: str) -> str:
    lines = ("pages       = none", "memory_kind = hbm", *lines)
    return f"vm {name} : base {{\n  memory      = {memory}\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    text = "".join(guest(f"h{n}", "10GiB") for n in (1, 2)) + "vm plain : base\n"
    return build(tmp_path_factory.mktemp("kinds"), text, flat(), shared=1)


def test_memory_is_on_the_nearest_node_of_the_kind_and_qemu_beside_its_vcpus(built: Built) -> None:
    assert built.outcome.ok, built.messages
    lock = json.loads((built.folder / "locks/a.json").read_text())["guests"]
    for vm in ("h1", "h2"):
        (cell,) = lock[vm]["cells"]
        assert cell["memory"] == {str(cell["node"] + 2): 10 << 20}, "HBM of the own side"
        whole, cells = list(built.xml(vm).iterfind("numatune/*"))
        assert (cells.get("mode"), cells.get("nodeset")) == ("strict", str(cell["node"] + 2))
        assert whole.get("nodeset") == f"{cell['node']},{cell['node'] + 2}"
    assert {lock[vm]["cells"][0]["node"] for vm in ("h1", "h2")} == {0, 1}


def test_its_lock_alone_gives_the_same_files(built: Built) -> None:
    before = [built.path(vm).read_bytes() for vm in ("h1", "h2", "plain")]
    again = built.again()
    assert again.outcome.ok, again.messages
    assert [again.path(vm).read_bytes() for vm in ("h1", "h2", "plain")] == before


def test_the_audit_finds_memory_of_another_kind_or_node(built: Built) -> None:
    own = built.xml("h1").findall("numatune/memnode")[0].get("nodeset", "")
    cpu = str(int(own) - 2)
    found = built.audit("h1", f'mode="strict" nodeset="{own}"', f'mode="strict" nodeset="{cpu}"')
    assert any("asks for hbm memory and has that of node" in one for one in found), found
    other = str(5 - int(own))
    found = built.audit("h1", f'mode="strict" nodeset="{own}"', f'mode="strict" nodeset="{other}"')
    assert found


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (guest("one", "17GiB"), "KVMC0402", "needs 17GiB of hbm memory, most free is 16GiB on node"),
        (guest("one", "4GiB").replace("hbm", "cxl"), "KVMC0402", "needs 4GiB of cxl memory, no node has that kind"),
        (
            guest("one", "4GiB").replace("none", "1GiB"),
            "KVMC0402",
            "needs 4 pages of 1GiB of hbm memory, most free is 0",
        ),
        (guest("one", "4GiB", "nodes = 2"), "KVMC0275", "`memory_kind = hbm` of vm `one`, which has 2 nodes"),
        (
            guest("one", "4GiB", "numatune = preferred"),
            "KVMC0240",
            "`memory_kind = hbm` contradicts `numatune = preferred`",
        ),
    ],
)
def test_what_cannot_be_is_one_error(tmp_path: Path, text: str, code: str, told: str) -> None:
    found = build(tmp_path, text, flat(), shared=1)
    assert found.codes == [code], found.messages
    assert told in found.messages[0]


def test_guests_share_out_what_there_is(tmp_path: Path) -> None:
    three = build(tmp_path, "".join(guest(f"h{n}", "10GiB") for n in (1, 2, 3)), flat(), shared=1)
    assert three.codes == ["KVMC0401"]


PAGES = "  memory hbm {\n    pages = [6 * 1GiB, 512 * 2MiB]\n  }\n"


def test_pages_of_a_kind_are_kept_on_its_nodes_and_given_to_guests(tmp_path: Path) -> None:
    text = guest("h1", "4GiB").replace("none", "1GiB") + guest("h2", "4GiB").replace("none", "1GiB")
    found = build(tmp_path, text, flat(), shared=1, pool=PAGES.splitlines())
    assert found.outcome.ok, found.messages
    line = (tmp_path / "generated/a/etc/default/grub.d/zz-kvmc.cfg").read_text()
    assert "hugepages=0:16,1:16,2:6,3:6" in line and "hugepages=2:512,3:512" in line
    nodes = {found.xml(vm).findall("numatune/memnode")[0].get("nodeset") for vm in ("h1", "h2")}
    assert nodes == {"2", "3"}, "each has the pages of its side"
    assert [one.get("size") for one in found.xml("h1").iterfind("memoryBacking/hugepages/page")] == [str(1 << 20)]
    again = found.again()
    assert again.outcome.ok, again.messages
    wrong = (tmp_path / "generated/a/etc/default/grub.d/zz-kvmc.cfg").read_text().replace("2:6,3:6", "2:6,3:5")
    (tmp_path / "generated/a/etc/default/grub.d/zz-kvmc.cfg").write_text(wrong)
    told = [item.message for item in audit_tree(tmp_path / "generated", tmp_path / "site.kvmt", {}).bag]
    assert any("is to keep 6 pages of 1GiB on node 3, offered and reserved; its files keep 5" in one for one in told), (
        told
    )


@pytest.mark.parametrize(
    ("pool", "code", "told"),
    [
        (PAGES.replace("6 *", "20 *"), "KVMC0406", "`a` node 2 keeps 21GiB of pages, it has 16GiB"),
        (PAGES.replace("hbm", "dram"), "KVMC0207", "no kind of memory `dram`"),
    ],
)
def test_pages_that_a_kind_cannot_keep(tmp_path: Path, pool: str, code: str, told: str) -> None:
    found = build(tmp_path, "vm plain : base\n", flat(), shared=1, pool=pool.splitlines())
    assert told in found.messages, found.messages
    assert code in found.codes


def test_what_is_left_beside_the_pages_is_normal_memory(tmp_path: Path) -> None:
    fits = build(tmp_path, guest("h1", "9GiB"), flat(), shared=1, pool=PAGES.splitlines())
    assert fits.outcome.ok, fits.messages
    more = build(tmp_path, guest("h1", "10GiB"), flat(), shared=1, pool=PAGES.splitlines())
    assert "most free is 9GiB" in more.messages[0]
