"""A host whose switch polls on cores of its own, and guests on its sockets, from the source to the files and their audit."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kvmc.audit.check import audit_site
from kvmc.model.cpuset import EMPTY
from kvmc.topology.model import Node, Topology
from kvmc.topology.snapshot import dumps
from support.machines import GIB, machine
from whole.shape_site import Built, build

SCRIPT = "etc/kvmc/set-vswitch"
UNIT = "etc/systemd/system/kvmc-vswitch.service"
POOL = ("isolation = boot", "vswitch {", "  cores = 1", "  type  = ovs-dpdk", "  pages = 2 * 1GiB", "}")
GUEST = """\
vm fw : base {
  nic dp {
    socket  = "/run/ovs/{vm}-{nic}.sock"
    vswitch = require
  }
}
"""
SECOND = """\
host b : p {
  topology = "a.json"
  vswitch {
    cores = 0
    type  = none
  }
  shared {
    cores = 4
  }
}
"""


def shape() -> Topology:
    """Two nodes with CPUs, and one of memory alone between them in number."""
    bare = machine(cores_per_l3=8, memory_gib=64)
    first, second = bare.nodes
    return replace(
        bare,
        nodes=(
            replace(first, distances={0: 10, 1: 15, 2: 21}),
            Node(1, EMPTY, 16 * GIB, {0: 15, 1: 10, 2: 15}),
            replace(second, id=2, distances={0: 21, 1: 15, 2: 10}),
        ),
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("vswitch"), GUEST, shape(), POOL)


def tree(built: Built) -> dict[str, str]:
    folder = built.folder / "generated/a"
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_switch_is_told_its_cores_and_the_memory_of_each_node(built: Built, tmp_path: Path) -> None:
    """By the script itself, with a program of that name that says what it was given."""
    assert built.outcome.ok, built.messages
    assert built.outcome.placement is not None
    pools = built.outcome.placement.pools["a"]
    program = tmp_path / "ovs-vsctl"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = built.folder / "generated/a" / SCRIPT
    done = subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        *("--no-wait", "--timeout=60", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true"),
        f"other_config:pmd-cpu-mask={hex(pools.vswitch.mask)}",
        f"other_config:dpdk-lcore-mask={hex(1 << pools.housekeeping.first)}",
        "other_config:dpdk-socket-mem=2048,0,2048",
    ]
    assert len(pools.vswitch) == 4 and pools.vswitch.issubset(pools.housekeeping | pools.vswitch)


def test_its_pages_are_kept_beside_those_of_guests(built: Built) -> None:
    line = tree(built)["etc/default/grub.d/zz-kvmc.cfg"]
    assert "hugepages=0:18,2:18" in line


def test_its_cores_are_isolated_and_no_guests(built: Built) -> None:
    assert built.outcome.placement is not None
    pools = built.outcome.placement.pools["a"]
    (plan,) = built.outcome.plans
    assert pools.vswitch.issubset(plan.isolated)
    assert not any(pin & pools.vswitch for pin in plan.guests[0].pins)
    assert not plan.guests[0].emulator & pools.vswitch


def test_pages_of_both_blocks_add_up_by_size(tmp_path: Path) -> None:
    more = (*POOL, "reserve {", "  pages = [1 * 1GiB, 16 * 2MiB]", "}")
    made = build(tmp_path, GUEST, shape(), more)
    assert made.outcome.ok, made.messages
    assert made.outcome.site is not None
    kept = made.outcome.site.hosts["a"].reserve_pages
    assert sorted((one.size_kib, one.number) for one in kept) == [(2048, 16), (GIB, 3)]


def test_without_a_type_nothing_is_written(tmp_path: Path) -> None:
    made = build(tmp_path, GUEST, shape(), [line for line in POOL if "type" not in line])
    assert made.outcome.ok, made.messages
    assert SCRIPT not in tree(made) and UNIT not in tree(made)


def test_a_switch_without_cores_contradicts(tmp_path: Path) -> None:
    made = build(tmp_path, GUEST, shape(), [line for line in POOL if "cores" not in line])
    assert made.codes == ["KVMC0240"] and "`cores = 0`" in made.messages[0]


def second(folder: Path, guests: str) -> Built:
    """A second host without a switch, and with fewer cores free, so that guests fit tighter there."""
    (folder / "a.json").write_text(dumps(shape()))
    return build(folder, SECOND + guests, shape(), POOL)


@pytest.mark.parametrize("wish", ["require", "prefer", "any"])
def test_guests_go_where_the_switch_has_cores(tmp_path: Path, wish: str) -> None:
    made = second(tmp_path, GUEST.replace("require", wish))
    assert made.outcome.ok, made.messages
    assert made.outcome.placement is not None
    assert made.outcome.placement.guests["fw"].host == (
        "a" if wish != "any" else made.outcome.placement.guests["fw"].host
    )


def test_a_preference_that_cannot_be_is_told(tmp_path: Path) -> None:
    tied = GUEST.replace("require", "prefer").replace("vm fw : base {\n", "vm fw : base {\n  host = b\n")
    made = second(tmp_path, tied)
    assert made.outcome.ok and made.codes == ["KVMC0431"]
    assert "`b` has none" in made.messages[0]
    made = second(tmp_path, tied.replace("prefer", "require"))
    assert made.codes == ["KVMC0403"] and "has no `vswitch` cores" in made.messages[0]


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("pmd-cpu-mask=0x", "pmd-cpu-mask=0x1", {"KVMC0788", "KVMC0743"}),
        ("dpdk-lcore-mask=0x1", "dpdk-lcore-mask=0x3", {"KVMC0755", "KVMC0788"}),
        ("dpdk-lcore-mask=0x1", "dpdk-lcore-mask=0x2", {"KVMC0788"}),
        ("2048,0,2048", "2048,1024,2048", {"KVMC0755"}),
        ("2048,0,2048", "2048,0", {"KVMC0755"}),
        ("dpdk-init=true", "dpdk-init=false", {"KVMC0765"}),
        ("--no-wait ", "", {"KVMC0765"}),
    ],
)
def test_the_audit_finds_a_wrong_switch(built: Built, old: str, new: str, codes: set[str]) -> None:
    files = tree(built)
    assert old in files[SCRIPT]
    found = audit_site({"a": {**files, SCRIPT: files[SCRIPT].replace(old, new)}}, {"a": shape()}, built.outcome.site)
    assert {item.code.id for item in found} & codes, [item.message for item in found]


def test_the_audit_finds_cores_that_are_another_nodes_or_half(built: Built) -> None:
    files = tree(built)
    assert built.outcome.placement is not None
    pmd = built.outcome.placement.pools["a"].vswitch
    for cpus, code in (
        (pmd & shape().nodes[0].cpus, "KVMC0755"),
        (pmd - type(pmd).of([pmd.first]), "KVMC0788"),
    ):
        text = files[SCRIPT].replace(hex(pmd.mask), hex(cpus.mask))
        assert text != files[SCRIPT]
        found = audit_site({"a": {**files, SCRIPT: text}}, {"a": shape()}, built.outcome.site)
        assert code in {item.code.id for item in found}, [item.message for item in found]


def test_the_audit_finds_a_guest_on_its_cores(built: Built) -> None:
    assert built.outcome.placement is not None
    pmd = built.outcome.placement.pools["a"].vswitch
    own = built.pins("fw")[0]
    found = built.audit("fw", f'vcpupin vcpu="0" cpuset="{own}"', f'vcpupin vcpu="0" cpuset="{pmd.first}"')
    assert any(one.startswith("KVMC0788") and "where PMD threads of the switch poll" in one for one in found), found
    mask = built.xml("fw").find("cputune/emulatorpin")
    assert mask is not None
    old = f'emulatorpin cpuset="{mask.get("cpuset")}"'
    found = built.audit("fw", old, old.replace('"', f'"{pmd.first},', 1))
    assert any("the emulator of `fw`" in one for one in found), found


@pytest.mark.parametrize("path", [SCRIPT, UNIT])
def test_the_audit_misses_a_file(built: Built, path: str) -> None:
    files = tree(built)
    del files[path]
    found = audit_site({"a": files}, {"a": shape()}, built.outcome.site)
    assert any(item.code.id == "KVMC0755" and f"no `{path}`" in item.message for item in found)
