"""Recorded real machines, judged by their own checker. They are no part of the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kvmc.topology.read import read_topology
from kvmc.topology.show import draw, to_json
from kvmc.topology.snapshot import loads
from topology.topology_machines import Machine

SHARED = Path(os.environ.get("KVMC_SHARED") or Path(__file__).resolve().parents[2].parent / "shared") / "topologies"
KINDS = ("sysfs", "virsh-capabilities")


def inputs() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for expected in sorted(SHARED.glob("*/EXPECTED.json")):
        told = json.loads(expected.read_text())["inputs"]
        found += [(expected.parent.name, item["path"]) for item in told if item["kind"] in KINDS]
    return found


def test_the_machines_are_there() -> None:
    if not SHARED.is_dir():
        pytest.skip("no folder of recorded machines (KVMC_SHARED)")
    assert len(inputs()) >= 15


@pytest.mark.parametrize(("machine", "name"), inputs())
def test_machine(machine: str, name: str, tmp_path: Path) -> None:
    folder = SHARED / machine
    topology, bag = read_topology(folder / name, name)
    expected = json.loads((folder / "EXPECTED.json").read_text())
    if topology is None:
        assert expected.get("may_refuse"), [item.message for item in bag]
        assert [item.code.id for item in bag] == ["KVMC0310"], "nodes that overlap"
        return
    assert not len(bag), [item.message for item in bag]
    text = to_json(topology)
    assert loads(text, "x")[0] == topology
    assert draw(topology).startswith(f"{topology.arch}, ")
    (tmp_path / "out.json").write_text(text)
    checker = [
        sys.executable,
        str(SHARED / "check_topology.py"),
        str(folder),
        str(tmp_path / "out.json"),
        "--input",
        name,
    ]
    done = subprocess.run(checker, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # what the file tells beyond the list of what it can tell must be true as well
    rest = [
        key
        for key in ("dies", "clusters", "offline", "allowed", "pci")
        if expected["facts"].get(key) is not None and f'"{key}"' in text
    ]
    everything = ",".join({"online", "nodes", "packages", "cores", "l3"})
    if rest:
        done = subprocess.run([*checker[:4], "--ignore", everything], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_helper_is_not_the_judge() -> None:
    """The tests' own machines and the recorded ones agree on what a file looks like: a guard against testing our own ideas."""
    if not SHARED.is_dir():
        pytest.skip("no folder of recorded machines (KVMC_SHARED)")
    import tarfile

    with tarfile.open(SHARED / "xeon-pmem-snc-6n/root.tar.xz") as archive:
        real = {name.removeprefix("root/") for name in archive.getnames()}
    made = Machine(nodes=4, cores=14, threads=2, memory_only=2).files()
    ours = {name for name in made if "/cpu7/" in name or "/node3/" in name}
    assert ours and not {name for name in ours if name not in real}
