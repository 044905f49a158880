"""Memory that is preferred on a node or goes round all of them, from the source to the audit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whole.shape_site import Built, build


def guest(name: str, memory: str, *lines: str) -> str:
    return f"vm {name} : base {{\n  memory = {memory}\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


PREFERRED, INTERLEAVE = "numatune = preferred", "numatune = interleave"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    # 16 pages of 1 GiB a node: 6 a node for `turn`, then `soft` has 10 on one node and the rest on the other
    text = guest("turn", "12GiB", INTERLEAVE) + guest("soft", "14GiB", PREFERRED) + guest("hard", "4GiB")
    return build(tmp_path_factory.mktemp("modes"), text)


def test_each_mode_is_libvirts_and_memory_is_counted_where_it_lies(built: Built) -> None:
    assert built.outcome.ok, built.messages
    modes = {
        vm: [(one.tag, one.get("mode"), one.get("nodeset")) for one in built.xml(vm).iterfind("numatune/*")]
        for vm in ("turn", "soft", "hard")
    }
    assert modes["turn"] == [("memory", "interleave", "0-1"), ("memnode", "interleave", "0-1")]
    ((_, mode, own), (_, _, cell)) = modes["soft"]
    assert (mode, own) == ("preferred", cell)
    assert modes["hard"][0][1] == "strict"
    lock = json.loads((built.folder / "locks/a.json").read_text())["guests"]
    assert lock["turn"]["cells"][0]["memory"] == {"0": 6 << 20, "1": 6 << 20}
    assert lock["soft"]["cells"][0]["memory"] == {own: 10 << 20, str(1 - int(own or 0)): 4 << 20}
    assert "memory" not in lock["hard"]["cells"][0]


def test_memory_that_is_planned_elsewhere_is_told(built: Built) -> None:
    assert built.codes == ["KVMC0420"]
    assert "`soft` prefers 14GiB of node" in built.messages[0] and "4GiB on node" in built.messages[0]


def test_its_lock_alone_gives_the_same_files(built: Built) -> None:
    before = [built.path(vm).read_bytes() for vm in ("turn", "soft")]
    again = built.again()
    assert again.outcome.ok, again.messages
    assert [again.path(vm).read_bytes() for vm in ("turn", "soft")] == before


@pytest.mark.parametrize(
    ("vm", "old", "new", "told"),
    [
        (
            "turn",
            'mode="interleave" nodeset="0-1"/>\n    <memnode',
            'mode="strict" nodeset="0-1"/>\n    <memnode',
            "mode `strict`",
        ),
        (
            "turn",
            'cellid="0" mode="interleave" nodeset="0-1"',
            'cellid="0" mode="interleave" nodeset="0"',
            "in turn and has it of 0",
        ),
        ("soft", 'cellid="0" mode="preferred"', 'cellid="0" mode="strict"', "mode `strict`, asked for is `preferred`"),
        (
            "hard",
            'cellid="0" mode="strict"',
            'cellid="0" mode="preferred"',
            "mode `preferred`, which lets it leave node",
        ),
    ],
)
def test_the_audit_finds_another_mode(built: Built, vm: str, old: str, new: str, told: str) -> None:
    found = built.audit(vm, old, new)
    assert any(told in one for one in found), found


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (
            guest("one", "34GiB", INTERLEAVE),
            "KVMC0402",
            "needs 17 pages of 1GiB on each of 2 nodes, node 0 has 16 free",
        ),
        (guest("one", "33GiB", PREFERRED), "KVMC0402", "needs 33 pages of 1GiB over all nodes, 32 free"),
        (
            guest("one", "4GiB", INTERLEAVE, "nodes = 2"),
            "KVMC0274",
            "`numatune = interleave` of vm `one`, which has 2 nodes",
        ),
        (guest("one", "4GiB", "numatune = loose"), "KVMC0221", "`loose`"),
    ],
)
def test_what_cannot_be_is_one_error(tmp_path: Path, text: str, code: str, told: str) -> None:
    found = build(tmp_path, text)
    assert found.codes == [code], found.messages
    assert told in found.messages[0]


def test_normal_memory_too(tmp_path: Path) -> None:
    text = guest("turn", "60GiB", INTERLEAVE, "pages  = none") + guest("soft", "20GiB", PREFERRED, "pages  = none")
    found = build(tmp_path, text)
    assert found.outcome.ok, found.messages
    assert found.again().outcome.ok
