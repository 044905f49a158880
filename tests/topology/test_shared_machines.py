"""Recorded real machines, judged by their own checker. They are no part of the repository."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from kvmc.topology import Topology
from kvmc.topology.combine import read_topologies
from kvmc.topology.read import read_topology
from kvmc.topology.scan import scan
from kvmc.topology.show import draw, to_json
from kvmc.topology.snapshot import loads
from topology.topology_machines import Machine

SHARED = Path(os.environ.get("KVMC_SHARED") or Path(__file__).resolve().parents[2].parent / "shared") / "topologies"
TEXT = "lscpu-text"
"""Made for people; kvmc reads the JSON."""


def inputs() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for expected in sorted(SHARED.glob("*/EXPECTED.json")):
        told = json.loads(expected.read_text())["inputs"]
        found += [(expected.parent.name, item["path"]) for item in told if item["kind"] != TEXT]
    return found


def test_the_machines_are_there() -> None:
    if not SHARED.is_dir():
        pytest.skip("no folder of recorded machines (KVMC_SHARED)")
    assert len(inputs()) >= 34
    assert len({machine for machine, _ in inputs()}) >= 18


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
        # hwloc leaves most devices out and tells the place of the others roughly
        if not (key == "pci" and name == "hwloc.xml") and expected["facts"].get(key) is not None and f'"{key}"' in text
    ]
    everything = ",".join({"online", "nodes", "packages", "cores", "l3"})
    if rest:
        done = subprocess.run([*checker[:4], "--ignore", everything], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_helper_is_not_the_judge() -> None:
    """The tests' own machines and the recorded ones agree on what a file looks like: a guard against testing our own ideas."""
    if not SHARED.is_dir():
        pytest.skip("no folder of recorded machines (KVMC_SHARED)")
    with tarfile.open(SHARED / "xeon-pmem-snc-6n/root.tar.xz") as archive:
        real = {name.removeprefix("root/") for name in archive.getnames()}
    made = Machine(nodes=4, cores=14, threads=2, memory_only=2).files()
    ours = {name for name in made if "/cpu7/" in name or "/node3/" in name}
    assert ours and not {name for name in ours if name not in real}


def told(topology: Topology) -> dict[str, object]:
    """What an input can tell at all, by name; nodes without what numactl cuts or rows lack."""
    parts = ("packages", "cores", "l3", "dies", "offline", "allowed", "core_kinds")
    found: dict[str, object] = {part: getattr(topology, part) for part in parts if getattr(topology, part) is not None}
    for node in topology.nodes:
        if node.cpus:
            found[f"node {node.id}"] = node.cpus
        if node.memory_kib is not None:
            found[f"memory {node.id}"] = node.memory_kib // 1024
        if node.distances:
            found[f"distances {node.id}"] = dict(node.distances)
    return found


def several() -> list[str]:
    names = [machine for machine, _ in inputs()]
    return sorted({machine for machine in names if names.count(machine) > 1})


@pytest.mark.parametrize("machine", several())
def test_several_inputs_of_one_machine_say_the_same(machine: str) -> None:
    paths = [(SHARED / machine / name, name) for one, name in inputs() if one == machine]
    read = {name: read_topology(path, name)[0] for path, name in paths}
    for (first, mine), (second, other) in itertools.combinations(read.items(), 2):
        assert mine is not None and other is not None
        one, two = told(mine), told(other)
        assert {key: one[key] for key in one.keys() & two.keys()} == {
            key: two[key] for key in one.keys() & two.keys()
        }, (first, second)
    for order in (paths, paths[::-1]):
        topology, bag = read_topologies(order)
        assert topology is not None and not len(bag), [item.message for item in bag]
        everything: dict[str, object] = {}
        for single in read.values():
            assert single is not None
            everything |= told(single)
        assert told(topology) == everything


@pytest.mark.proof
@pytest.mark.parametrize("machine", sorted({machine for machine, name in inputs() if name.startswith("root")}))
def test_hwloc_reads_the_same_trees(machine: str, tmp_path: Path) -> None:
    """Stock hwloc on the recorded tree, its XML read by kvmc: nodes, packages, cores, threads and L3s agree."""
    if shutil.which("lstopo-no-graphics") is None:
        pytest.skip("hwloc (lstopo-no-graphics) is not installed")
    root = SHARED / machine / "root"
    if not root.is_dir():
        with tarfile.open(SHARED / machine / "root.tar.xz") as archive:
            archive.extractall(tmp_path, filter="data")
        root = tmp_path / "root"
    ours, _ = read_topology(root, "tree")
    assert ours is not None
    for flags in ([], ["--export-xml-flags", "v1"]):
        out = tmp_path / "hwloc.xml"
        subprocess.run(
            ["lstopo-no-graphics", "--disallowed", "-f", *flags, str(out)],
            check=True,
            capture_output=True,
            env={**os.environ, "HWLOC_FSROOT": str(root), "HWLOC_THISSYSTEM": "0", "HWLOC_COMPONENTS": "linux,stop"},
        )
        theirs, bag = read_topology(out, "hwloc.xml")
        assert theirs is not None and not len(bag), [item.message for item in bag]
        for part in ("online", "packages", "cores", "l3", "allowed"):
            assert getattr(ours, part) == getattr(theirs, part), part
        assert [(one.id, one.cpus) for one in ours.nodes] == [(one.id, one.cpus) for one in theirs.nodes]
        for one, other in zip(ours.nodes, theirs.nodes, strict=True):
            assert other.memory_kib in (None, one.memory_kib) and (
                not one.distances or other.distances == one.distances
            )


@pytest.mark.proof
@pytest.mark.parametrize(("machine", "name"), [one for one in inputs() if one[1].startswith("root")])
def test_scan_of_a_recorded_tree(machine: str, name: str, tmp_path: Path) -> None:
    """scan -> show --json -> scan is the identity, and a scan tells what the tree does."""
    root = SHARED / machine / name
    if name != "root":
        with tarfile.open(root) as archive:
            archive.extractall(tmp_path, filter="data")
        root = tmp_path / "root"
    scanned, _ = scan(root, "x")
    read, _ = read_topology(SHARED / machine / name, "x")
    assert scanned is not None and read is not None
    assert replace(scanned, facts=None) == read
    text = to_json(scanned)
    again, bag = loads(text, "x")
    assert again == scanned and not len(bag) and to_json(again) == text
