"""`kvmc topology scan` and the script for hosts without kvmc: the same bytes, a snapshot that reads back, and nothing private."""

from __future__ import annotations

import ast
import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kvmc.cli.app import app
from kvmc.topology.facts import read_facts
from kvmc.topology.read import read_topology
from kvmc.topology.scan import scan
from kvmc.topology.script import lowered, scan_script
from kvmc.topology.snapshot import dumps, loads
from topology.topology_machines import Machine, write_tree

RELEASE = "6.1.0-18-amd64"
MACHINE = Machine(nodes=2, cores=2, memory_only=1, pci={"0000:3b:00.0": {"numa_node": "1", "class": "0x020000"}})
FILES = MACHINE.files() | {
    "proc/cpuinfo": "processor : 0\nvendor_id : GenuineIntel\nmodel name : A CPU\nflags : lm vmx\n",
    "proc/sys/kernel/osrelease": RELEASE,
    "proc/sys/kernel/hostname": "secret-host",
    "proc/sys/vm/swappiness": "60",
    "proc/sys/net/ipv4/conf/all/rp_filter": "1",
    "proc/sys/net/ipv4/conf/enp59s0f0/rp_filter": "1",
    "proc/sys/net/ipv4/neigh/br-secret/gc_stale_time": "1",
    f"boot/config-{RELEASE}": "CONFIG_NR_CPUS=8192\nCONFIG_HZ=250\n# CONFIG_PREEMPT_RT is not set\n"
    'CONFIG_SOUND=m\nCONFIG_NUMA="y"\n',
    "sys/module/kvm/parameters/halt_poll_ns": "200000",
    "sys/module/nf_conntrack/parameters/hashsize": "1",
    "sys/class/dmi/id/product_serial": "SERIAL123",
    "sys/class/net/enp59s0f0/address": "52:54:00:12:34:56",
    "sys/fs/resctrl/info/L3/num_closids": "16",
    "sys/fs/resctrl/info/L3/cbm_mask": "7ff",
    "sys/fs/resctrl/info/L3/min_cbm_bits": "1",
    "sys/fs/resctrl/info/MB/num_closids": "8",
    "sys/fs/resctrl/info/MB/bandwidth_gran": "10",
    "sys/fs/resctrl/info/MB/min_bandwidth": "10",
    "var/lib/dpkg/status": "Package: tuned\nStatus: install ok installed\nPriority: optional\nVersion: 2.20.0-1\n\n"
    "Package: qemu-system-x86\nStatus: install ok installed\nVersion: 1:7.2+dfsg-7\n",
}


def run_script(tmp_path: Path, *arguments: str, python: str = sys.executable) -> str:
    (tmp_path / "kvmc-scan.py").write_text(scan_script())
    done = subprocess.run(
        [python, "-I", str(tmp_path / "kvmc-scan.py"), *arguments], capture_output=True, text=True, cwd=tmp_path, env={}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_writes_the_same_bytes(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", FILES)
    ours = tmp_path / "ours.json"
    done = CliRunner().invoke(app, ["topology", "scan", "--root", str(root), "-o", str(ours)])
    assert done.exit_code == 0, done.output
    run_script(tmp_path, "--root", str(root), "-o", str(tmp_path / "theirs.json"))
    assert ours.read_bytes() == (tmp_path / "theirs.json").read_bytes()
    assert run_script(tmp_path, "--root", str(root)) == ours.read_text()
    made = CliRunner().invoke(app, ["topology", "scan", "--script"])
    assert made.stdout == (tmp_path / "kvmc-scan.py").read_text()


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.9", "3.10", "3.12", "3.13"])
def test_the_script_under_older_and_newer_pythons(tmp_path: Path, version: str) -> None:
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    if not found:
        pytest.skip(f"no Python {version} below ~/.pyenv")
    root = write_tree(tmp_path / "tree", FILES)
    topology, _ = scan(root, "x")
    assert topology is not None
    assert run_script(tmp_path, "--root", str(root), python=str(found[-1])) == dumps(topology)


def test_the_script_is_of_python_3_6(tmp_path: Path) -> None:
    """Its syntax; that what it imports is there too is tried where such a Python is at hand."""
    text = scan_script()
    ast.parse(text, feature_version=(3, 6))
    space: dict[str, dict[str, str]] = {}
    exec(text.partition("\nclass _Modules")[0], space)  # its tables alone
    assert "kvmc.topology.sysfs" in space["MODULES"]
    for module in space["MODULES"].values():
        ast.parse(module, feature_version=(3, 6))


def test_lowering_keeps_what_the_code_does() -> None:
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass(frozen=True, slots=True)\nclass A:\n    x: int | None = 3\n"
        "def f(a: str, *, b: list[str] | None = None) -> int:\n    c: dict[str, int] = {}\n"
        "    return (7).bit_count() + len(a.removeprefix('0x')) + sum(1 for _ in zip(a, a, strict=True)) + len(c)\n"
    )
    old = lowered(source)
    for gone in ("slots", "strict", "removeprefix", "bit_count", "|", "__future__", "list[str]"):
        assert gone not in old
    first: dict[str, object] = {}
    second: dict[str, object] = {}
    exec(source, first)
    exec(old, second)
    for text in ("0x12", "12", "0x", ""):
        assert first["f"](text) == second["f"](text)  # type: ignore[operator]


def test_scan_show_scan_is_the_identity(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", FILES)
    runner, first, second = CliRunner(), tmp_path / "a.json", tmp_path / "b.json"
    runner.invoke(app, ["topology", "scan", "--root", str(root), "-o", str(first)])
    shown = runner.invoke(app, ["topology", "show", "--json", str(first)])
    assert shown.exit_code == 0 and shown.stdout == first.read_text()
    second.write_text(shown.stdout)
    assert runner.invoke(app, ["topology", "show", "--json", str(second)]).stdout == first.read_text()
    topology, bag = loads(first.read_text(), "a")
    scanned, _ = scan(root, "x")
    assert topology == scanned and not len(bag)
    same = runner.invoke(app, ["topology", "diff", str(first), str(second)])
    assert (same.exit_code, same.stdout) == (0, "")


def test_a_scan_is_what_the_tree_tells_and_the_facts(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", FILES)
    topology, _ = scan(root, "x")
    read, _ = read_topology(root, "x")
    assert topology is not None and read is not None and topology.facts is not None
    from dataclasses import replace

    assert replace(topology, facts=None) == read
    facts = topology.facts
    assert (facts.kernel, facts.tuned, facts.qemu, facts.libvirt) == (RELEASE, "2.20.0", "7.2", None)
    assert facts.kernel_config == {"NR_CPUS": "8192", "HZ": "250", "NUMA": "y"}
    assert facts.modules == {"kvm": ("halt_poll_ns",)}
    assert {"net.ipv4.conf.all.rp_filter", "net.ipv4.conf.*.rp_filter", "vm.swappiness"} <= set(facts.sysctls)
    assert [(one.resource, one.closids, one.ways) for one in topology.resctrl or ()] == [
        ("L3", 16, 11),
        ("MB", 8, None),
    ]


def test_nothing_private(tmp_path: Path) -> None:
    topology, _ = scan(write_tree(tmp_path / "tree", FILES), "x")
    assert topology is not None
    text = dumps(topology)
    for private in ("secret", "SERIAL123", "52:54:00", "enp59s0f0", "200000", '"60"', str(tmp_path)):
        assert private not in text


def test_the_configuration_that_the_kernel_holds(tmp_path: Path) -> None:
    root = write_tree(tmp_path, {"proc/sys/kernel/osrelease": "1.2"})
    (root / "proc/config.gz").write_bytes(gzip.compress(b"CONFIG_HZ=1000\n"))
    assert read_facts(root).kernel_config == {"HZ": "1000"}
    (root / "proc/config.gz").write_bytes(gzip.compress(b"CONFIG_HZ=1000\n")[:12])
    assert read_facts(root).kernel_config == {}


def test_links_and_pipes_of_a_hostile_root(tmp_path: Path) -> None:
    import os

    root = write_tree(tmp_path / "root", {"proc/sys/kernel/osrelease": "../../etc"})
    (tmp_path / "outside").write_text("CONFIG_HZ=1\n")
    (root / "boot").mkdir()
    (root / "boot/config-1").symlink_to(tmp_path / "outside")
    (root / "proc/sys/kernel/osrelease").write_text("1")
    (root / "proc/sys/loop").symlink_to(root / "proc/sys")
    os.mkfifo(root / "proc/config.gz")
    facts = read_facts(root)
    assert facts.kernel == "1" and facts.kernel_config == {} and facts.sysctls == ("kernel.osrelease",)


def test_what_cannot_be_scanned(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(app, ["topology", "scan", "--root", str(tmp_path / "empty")])
    assert done.exit_code == 1 and "KVMC0306" in done.stderr and not done.stdout
    root = write_tree(tmp_path / "tree", FILES)
    done = CliRunner().invoke(app, ["topology", "scan", "--root", str(root), "-o", str(tmp_path / "no/such/file")])
    assert done.exit_code == 2 and "no such file" in done.stderr
    (tmp_path / "kvmc-scan.py").write_text(scan_script())
    for arguments, status in ((["--root", str(tmp_path / "empty")], 1), (["--what"], 2), (["--help"], 0)):
        command = [sys.executable, "-I", str(tmp_path / "kvmc-scan.py"), *arguments]
        assert subprocess.run(command, capture_output=True).returncode == status
