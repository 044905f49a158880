"""Ratios of shared vCPUs node by node, and pages held for others, from the source to the files and their audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvmc.driver.audit import audit_tree
from kvmc.driver.stages import plan_site
from support.machines import machine
from whole.shape_site import Built, build

GUESTS = "".join(f"vm s{n} : base {{\n  pinning = shared\n}}\n" for n in range(3))


def made(folder: Path, ratio: str) -> Built:
    """Three guests of four floating vCPUs, two shared CPUs in each of two nodes; built with a ratio of 4, left with another."""
    built = build(folder, GUESTS, machine(cores_per_l3=8, memory_gib=64), shared=1)
    site = folder / "site.kvmt"
    site.write_text(site.read_text().replace("    cores = 1\n", f"    cores = 1\n    overcommit = {ratio}\n", 1))
    return Built(folder, built.outcome)


@pytest.mark.parametrize(
    ("ratio", "codes"),
    [("4", []), ("[4, 2]", []), ("[2, 4]", []), ("[2, 2]", ["KVMC0401"]), ("3", ["KVMC0401"]), ("[4]", ["KVMC0444"])],
)
def test_guests_fill_each_node_as_far_as_its_ratio_goes(tmp_path: Path, ratio: str, codes: list[str]) -> None:
    built = made(tmp_path, ratio)
    for lock in (tmp_path / "locks").glob("*.json"):
        lock.unlink()
    outcome = plan_site(built.folder / "site.kvmt")
    assert [item.code.id for item in outcome.bag] == codes, [item.message for item in outcome.bag]
    if not codes:
        assert outcome.placement is not None
        nodes = [guest.cells[0].node for guest in outcome.placement.guests.values()]
        assert sorted(nodes.count(node) for node in (0, 1)) == [1, 2]
        if ratio.startswith("["):
            assert nodes.count(0) == (2 if ratio == "[4, 2]" else 1)


@pytest.mark.parametrize(("ratio", "found"), [("4", []), ("3", ["KVMC0789"]), ("[4, 4]", []), ("[3, 3]", ["KVMC0789"])])
def test_the_audit_counts_what_floats_by_node(tmp_path: Path, ratio: str, found: list[str]) -> None:
    built = made(tmp_path, ratio)
    assert built.outcome.ok, built.messages
    bag = audit_tree(tmp_path / "generated", tmp_path / "site.kvmt", {}).bag
    assert [item.code.id for item in bag] == found, [item.message for item in bag]


def test_pages_held_for_others_are_kept_and_not_given(tmp_path: Path) -> None:
    """Sixteen offered and four held in each node: eight guests of four pages take all that is offered, and twenty are kept."""
    pool = ("reserve {", "  pages = [4 * 1GiB, 512 * 2MiB]", "}")
    guests = "".join(f"vm d{n} : base\n" for n in range(8))
    built = build(tmp_path, guests, machine(cores_per_l3=16, memory_gib=64), pool)
    assert built.outcome.ok, built.messages
    line = (tmp_path / "generated/a/etc/default/grub.d/zz-kvmc.cfg").read_text()
    assert "hugepagesz=1G hugepages=0:20,1:20" in line and "hugepagesz=2M hugepages=0:512,1:512" in line
    more = build(tmp_path, guests + "vm d8 : base\n", machine(cores_per_l3=16, memory_gib=64), pool)
    assert more.codes == ["KVMC0401"] and "most free is 0" in more.messages[0]
