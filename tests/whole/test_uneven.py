"""Guests whose nodes are not alike (Nova's hw:numa_cpus.N and hw:numa_mem.N), from the source to the audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from whole.shape_site import Built, build


def nodes(*parts: tuple[int, str], more: str = "") -> str:
    blocks = "".join(f"  node {n} {{\n    vcpus  = {v}\n    memory = {m}\n  }}\n" for n, (v, m) in enumerate(parts))
    return f"vm big : base {{\n  vcpus  = 8\n  memory = 8GiB\n{more}{blocks}}}\n"


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Built:
    # the first guest leaves node 0 too few pages for the larger cell, which therefore lies on node 1
    first = "vm a : base {\n  memory = 12GiB\n  vcpus  = 2\n}\n"
    return build(tmp_path_factory.mktemp("uneven"), first + nodes((2, "2GiB"), (6, "6GiB")))


def test_each_cell_has_what_its_block_says_on_whichever_node_has_room(uneven: Built) -> None:
    assert uneven.outcome.ok, uneven.messages
    root = uneven.xml("big")
    cells = [(one.get("id"), one.get("cpus"), one.get("memory")) for one in root.iterfind("cpu/numa/cell")]
    assert cells == [("0", "0-1", str(2 << 20)), ("1", "2-7", str(6 << 20))]
    where = [(one.get("cellid"), one.get("nodeset")) for one in root.iterfind("numatune/memnode")]
    small = uneven.xml("a").find("numatune/memory")
    assert small is not None and where == [
        ("0", small.get("nodeset")),
        ("1", "1" if small.get("nodeset") == "0" else "0"),
    ]
    topology = root.find("cpu/topology")
    assert topology is not None and topology.get("sockets") == "1", "sockets are of one size"


def test_its_lock_alone_gives_the_same_files(uneven: Built) -> None:
    before = uneven.path("big").read_bytes()
    again = uneven.again()
    assert again.outcome.ok, again.messages
    assert again.path("big").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('cpus="0-1"', 'cpus="0"', "vCPU 1 of `big` is in no cell"),
        (f'memory="{2 << 20}"', f'memory="{3 << 20}"', "the cells of `big` have 9GiB together, the guest has 8GiB"),
        ('cellid="0" mode="strict" nodeset="0"', 'cellid="0" mode="strict" nodeset="1"', "memory on node 1"),
    ],
)
def test_the_audit_finds_a_cell_that_is_not_what_was_asked_for(uneven: Built, old: str, new: str, told: str) -> None:
    found = uneven.audit("big", old, new)
    assert any(told in one for one in found), found


def test_the_audit_finds_cells_that_changed_places(uneven: Built) -> None:
    path = uneven.path("big")
    text = path.read_text()
    swapped = text.replace(f'cpus="0-1" memory="{2 << 20}"', 'cpus="0-5" memory="?"').replace(
        f'cpus="2-7" memory="{6 << 20}"', f'cpus="6-7" memory="{2 << 20}"'
    )
    found = uneven.audit("big", text, swapped.replace("?", str(6 << 20)))
    assert any("asks for vCPUs 0-1 in cell 0 and has 0-5 there" in one for one in found), found


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (nodes((2, "2GiB"), (5, "6GiB")), "KVMC0273", "`vcpus` of 7 together, the guest has 8"),
        (nodes((2, "2GiB"), (6, "5GiB")), "KVMC0273", "`memory` of 7GiB together, the guest has 8GiB"),
        (nodes((2, "2GiB"), (6, "6GiB"), more="  nodes  = 3\n"), "KVMC0272", "`nodes = 3`"),
        (nodes((2, "2GiB"), (6, "6GiB")).replace("node 1", "node 2"), "KVMC0272", "has a `node 2`"),
        (nodes((2, "2GiB"), (6, "6GiB")).replace("node 1", "node far"), "KVMC0272", "has a `node far`"),
        (nodes((2, "1536MiB"), (6, "6656MiB")), "KVMC0241", "1536MiB of node 0"),
        (nodes((2, "2GiB"), (6, "6GiB")).replace("    vcpus  = 6\n", ""), "KVMC0205", "has no `vcpus`"),
    ],
)
def test_each_misuse_is_told(tmp_path: Path, text: str, code: str, told: str) -> None:
    found = build(tmp_path, text)
    assert set(found.codes) == {code}, found.messages
    assert told in found.messages[0]


def test_a_cell_too_large_for_every_node_is_told_with_its_own_numbers(tmp_path: Path) -> None:
    found = build(tmp_path, nodes((1, "1GiB"), (31, "7GiB")).replace("vcpus  = 8", "vcpus  = 32"))
    assert found.codes == ["KVMC0402"]
    assert "needs 16 free cores for 31 vCPUs" in found.messages[0]
