"""Guests with parts of L3 caches and limits of bandwidth, from the source to the files, their audit, and a host that runs them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kvmc.audit.check import audit_site
from kvmc.cli.app import app
from kvmc.topology.model import CacheKind, Cpu, Resctrl, Topology
from kvmc.verify.check import Verdict, verify_host
from kvmc.verify.root import TextRoot
from support.machines import machine
from verify.simulate import simulate
from whole.shape_site import Built, build

POOL = ("resctrl {", "  l3 = 24MiB", "  memory_bandwidth = 60", "}")
GUESTS = """\
vm db-1 : base {
  cachetune  = 7MiB
  memorytune = 15
}
vm db-2 : base {
  cachetune = 8MiB
  vcpus     = 24
  nodes     = 2
}
vm batch : base {
  pinning    = shared
  memorytune = 20
}
vm plain : base
"""


def shape(*, split: bool = False) -> Topology:
    """Two L3 caches of 16 ways, which the kernel counts from 1 down to 0."""
    bare = machine(cores_per_l3=16, memory_gib=64)
    caches = [Resctrl(name, 8, 16, 1) for name in (("L3CODE", "L3DATA") if split else ("L3",))]
    return replace(
        bare,
        cpu=Cpu("GenuineIntel"),
        caches=(CacheKind(3, "unified", 32 * 1024, bare.online),),
        resctrl=(*caches, Resctrl("MB", 8, step_percent=10, min_percent=10)),
        l3_ids=(1, 0),
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("resctrl"), GUESTS, shape(), POOL)


def parts(built: Built, vm: str, tag: str) -> dict[str, list[tuple[str, ...]]]:
    """By the vCPUs that each element is for: its parts, with all of their attributes."""
    return {
        one.get("vcpus", ""): [tuple(str(value) for value in part.attrib.values()) for part in one]
        for one in built.xml(vm).iterfind(f"cputune/{tag}")
    }


def test_sizes_are_whole_ways_on_the_caches_that_the_pins_are_on(built: Built) -> None:
    assert built.outcome.ok, built.messages
    nodes = {"0": "1", "1": "0"}
    (home,) = [one.get("nodeset", "") for one in built.xml("db-1").iterfind("numatune/memnode")]
    assert parts(built, "db-1", "cachetune") == {"0-3": [(nodes[home], "3", "both", "8", "MiB")]}
    assert parts(built, "db-1", "memorytune") == {"0-3": [(nodes[home], "20")]}
    assert parts(built, "db-2", "cachetune") == {"0-23": [(id, "3", "both", "8", "MiB") for id in "01"]}
    assert parts(built, "db-2", "memorytune") == {}
    (home,) = [one.get("nodeset", "") for one in built.xml("batch").iterfind("numatune/memnode")]
    assert parts(built, "batch", "memorytune") == {"0-3": [(nodes[home], "20")]}
    assert parts(built, "plain", "cachetune") == parts(built, "plain", "memorytune") == {}


def test_code_and_data_have_parts_of_their_own(tmp_path: Path) -> None:
    made = build(tmp_path, "vm db-1 : base {\n  cachetune = 3MiB\n}\n", shape(split=True), POOL)
    assert made.outcome.ok, made.messages
    ((first, second),) = parts(made, "db-1", "cachetune").values()
    assert [first[2:], second[2:]] == [("code", "4", "MiB"), ("data", "4", "MiB")]
    script = (tmp_path / "generated/a/etc/kvmc/share-resctrl").read_text()
    assert "mount -t resctrl -o cdp resctrl" in script
    assert [line for line in script.split("\n") if line.startswith("keep ")] == [
        f"keep {name} ffff {id} f000" for name in ("L3CODE", "L3DATA") for id in (0, 1)
    ]


def test_a_size_that_is_no_whole_kib_is_told_in_bytes(tmp_path: Path) -> None:
    odd = replace(shape(), caches=(CacheKind(3, "unified", 57 * 1024, shape().online),))
    odd = replace(odd, resctrl=(Resctrl("L3", 8, 15, 1),))
    made = build(tmp_path, "vm db-1 : base {\n  cachetune = 4MiB\n}\n", odd, POOL[:2] + POOL[3:])
    assert made.outcome.ok, made.messages
    way = 57 * 1024**2 // 15
    assert [part[3:] for part in parts(made, "db-1", "cachetune")["0-3"]] == [(str(2 * way), "B")]


def test_bandwidth_alone_leaves_the_caches(tmp_path: Path) -> None:
    made = build(tmp_path, "vm db-1 : base {\n  memorytune = 20\n}\n", shape(), (POOL[0], POOL[2], POOL[3]))
    assert made.outcome.ok, made.messages
    assert "\nkeep L3" not in (tmp_path / "generated/a/etc/kvmc/share-resctrl").read_text()


def test_old_platforms_lack_it(tmp_path: Path) -> None:
    made = build(tmp_path, GUESTS, shape(), POOL)
    text = (tmp_path / "site.kvmt").read_text()
    (tmp_path / "site.kvmt").write_text(text.replace('libvirt  = "9.0"', 'libvirt  = "4.5"'))
    assert made.outcome.ok
    again = made.again()
    needs = [message for message in again.messages if "needs libvirt 4.7" in message and "memorytune" in message]
    assert needs and not any("`cachetune` needs" in message for message in again.messages)


def test_a_raw_part_beside_the_setting_has_two_owners(tmp_path: Path) -> None:
    raw = """  raw xml monitor {
    value = "<cachetune vcpus='0'><monitor level='3' vcpus='0'/></cachetune>"
    at    = cputune
  }
"""
    both = build(tmp_path, f"vm db-1 : base {{\n  memorytune = 20\n{raw}}}\n", shape(), POOL)
    assert both.codes == ["KVMC0573"] and "has a `<cachetune>`, and the guest has `memorytune`" in both.messages[0]
    alone = build(tmp_path, f"vm db-1 : base {{\n{raw}}}\n", shape(), POOL)
    assert alone.outcome.ok, alone.messages


@pytest.mark.parametrize(
    ("vm", "old", "new", "code"),
    [
        ("db-1", 'size="8"', 'size="7"', "KVMC0786"),
        ("db-1", 'size="8"', 'size="32"', "KVMC0786"),
        ("db-1", 'size="8"', 'size="6"', "KVMC0752"),
        ("db-1", 'type="both"', 'type="code"', "KVMC0786"),
        ("db-1", '<cachetune vcpus="0-3">', '<cachetune vcpus="0-4">', "KVMC0713"),
        ("db-1", '<cachetune vcpus="0-3">', '<cachetune vcpus="0-2">', "KVMC0784"),
        ("db-1", 'bandwidth="20"', 'bandwidth="25"', "KVMC0786"),
        ("db-1", 'bandwidth="20"', 'bandwidth="30"', "KVMC0752"),
        ("db-1", 'bandwidth="20"', 'bandwidth="50"', "KVMC0787"),
        ("db-2", '<cache id="0" level="3" type="both" size="8" unit="MiB"/>', "", "KVMC0752"),
        ("db-2", 'size="8"', 'size="26"', "KVMC0787"),
        ("db-2", '<cache id="0"', '<cache id="2"', "KVMC0785"),
    ],
)
def test_the_audit_finds_a_wrong_part(built: Built, vm: str, old: str, new: str, code: str) -> None:
    text = built.path(vm).read_text()
    assert old in text
    found = built.audit(vm, old, new)
    assert any(one.startswith(code) for one in found), found


def test_a_part_of_another_cache_is_found(built: Built) -> None:
    mine = parts(built, "db-1", "cachetune")["0-3"][0][0]
    other = "0" if mine == "1" else "1"
    found = built.audit("db-1", f'<cache id="{mine}"', f'<cache id="{other}"')
    assert [one for one in found if one.startswith("KVMC0785") and "of CPUs" in one], found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("keep L3 ffff 0 f000", "keep L3 ffff 0 f800"),
        ("keep L3 ffff 0 f000", "keep L3 fffff 0 f000"),
        ("keep L3 ffff 0 f000\n", ""),
        ("keep L3 ffff 0 f000\n", "keep L3 ffff 0 f000\nkeep L3 ffff 2 f000\n"),
        ('if [ "$has" != "$whole" ]; then', 'if [ "$has" = "$whole" ]; then'),
        ("-t resctrl resctrl", "-t resctrl -o mba_MBps resctrl"),
    ],
)
def test_the_audit_finds_a_wrong_default_group(built: Built, old: str, new: str) -> None:
    files = tree(built)
    path = "etc/kvmc/share-resctrl"
    assert old in files[path]
    found = audit_site({"a": {**files, path: files[path].replace(old, new)}}, {"a": shape()}, built.outcome.site)
    assert {item.code.id for item in found} & {"KVMC0755", "KVMC0765"}, [item.message for item in found]


@pytest.mark.parametrize("path", ["etc/kvmc/share-resctrl", "etc/systemd/system/kvmc-resctrl.service"])
def test_the_audit_misses_a_file(built: Built, path: str) -> None:
    files = tree(built)
    del files[path]
    found = audit_site({"a": files}, {"a": shape()}, built.outcome.site)
    assert any(item.code.id == "KVMC0755" and f"no `{path}`" in item.message for item in found)


def test_more_groups_than_there_are_are_found(built: Built) -> None:
    few = replace(shape(), resctrl=tuple(replace(one, closids=3) for one in shape().resctrl or ()))
    found = audit_site({"a": tree(built)}, {"a": few}, None)
    assert [item.message for item in found if item.code.id == "KVMC0787"] == [
        "guests of host `a` need 3 groups of resctrl with `db-2`; there are 2 beside the default one"
    ]


def tree(built: Built) -> dict[str, str]:
    folder = built.folder / "generated/a"
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(built: Built, root: Path) -> subprocess.CompletedProcess[str]:
    script = built.folder / "generated/a/etc/kvmc/share-resctrl"
    environment = os.environ | {"KVMC_ROOT": str(root)}
    return subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with resctrl mounted, as the script finds it: a plain file that holds what was written last."""
    groups = tmp_path / "sys/fs/resctrl"
    (groups / "info/L3").mkdir(parents=True)
    (groups / "info/L3/cbm_mask").write_text("ffff\n")
    (groups / "schemata").write_text("    L3:0=ffff;1=ffff\n")
    return tmp_path


def test_the_script_leaves_the_high_ways_to_the_default_group(built: Built, host: Path) -> None:
    done = run(built, host)
    assert (done.returncode, done.stderr) == (0, "")
    assert (host / "sys/fs/resctrl/schemata").read_text() == "L3:1=f000\n"


def test_the_script_fails_on_other_caches(built: Built, host: Path) -> None:
    (host / "sys/fs/resctrl/info/L3/cbm_mask").write_text("fffff\n")
    done = run(built, host)
    assert done.returncode == 1 and "has the mask 'fffff', not ffff" in done.stderr
    assert (host / "sys/fs/resctrl/schemata").read_text() == "    L3:0=ffff;1=ffff\n"


def test_the_script_fails_where_it_cannot_write_or_mount(built: Built, host: Path) -> None:
    schemata = host / "sys/fs/resctrl/schemata"
    schemata.unlink()
    schemata.symlink_to("/dev/full")
    done = run(built, host)
    assert done.returncode == 1 and "can't leave f000 of L3 0 to the default group" in done.stderr
    schemata.unlink()
    (host / "sys/fs/resctrl").rename(host / "sys/fs/gone")
    done = run(built, host)
    assert done.returncode == 1 and "can't mount resctrl" in done.stderr


def verdict(built: Built, old: str = "", new: str = "") -> Verdict:
    texts = tree(built)
    root = simulate("a", texts, shape())
    path = "sys/fs/resctrl/schemata"
    assert old in root[path]
    return verify_host("a", texts, TextRoot({**root, path: root[path].replace(old, new, 1)} if new else root))


def test_verify_reads_the_default_group_back(built: Built) -> None:
    assert verdict(built).equal
    found = verdict(built, "1=f000", "1=ffff")
    (one,) = found.differences
    assert "default group of resctrl for L3 1" in one.message and "is ffff; f000 was compiled" in one.message
    assert "restart kvmc-resctrl.service" in one.steps[0]
    told = [item.message for item in verdict(built, "1=f000", "2=f000").bag]
    assert any("default group of resctrl for L3 1" in message for message in told)


def test_a_plan_and_an_explanation_tell_what_guests_have(built: Built) -> None:
    runner = CliRunner()
    site = str(built.folder / "site.kvmt")
    plan = runner.invoke(app, ["plan", site])
    assert plan.exit_code == 0
    lines = [line for line in plan.stdout.splitlines() if line.startswith("    L3 ")]
    told = sorted(line.rpartition("; ")[2] for line in lines)
    both = "40 of 60 % of bandwidth)"
    assert told in (
        ["4 of 12 ways, 20 of 60 % of bandwidth)", "8 of 12 ways, 20 of 60 % of bandwidth)"],
        ["4 of 12 ways, 0 of 60 % of bandwidth)", f"8 of 12 ways, {both}"],
        ["4 of 12 ways, 40 of 60 % of bandwidth)", "8 of 12 ways, 0 of 60 % of bandwidth)"],
    ), told
    explained = runner.invoke(app, ["explain", "vm", "db-1", site])
    assert "4 ways (8MiB) of each of 1 L3 cache, 4 of the 12 offered left: `cachetune = 7MiB`" in explained.stdout
    assert "20 % behind each of 1 L3 cache: `memorytune = 15`" in explained.stdout
