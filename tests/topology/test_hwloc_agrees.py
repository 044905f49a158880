"""Stock hwloc as a second reader of the same trees."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.topology.groups import distinct
from kvmc.topology.read import read_topology
from topology.topology_machines import Machine, write_tree


def lstopo(root: Path) -> ElementTree.Element:
    if shutil.which("lstopo-no-graphics") is None:
        pytest.skip("hwloc (lstopo-no-graphics) is not installed")
    done = subprocess.run(
        ["lstopo-no-graphics", "--of", "xml", "--disallowed"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HWLOC_FSROOT": str(root), "HWLOC_THISSYSTEM": "0", "HWLOC_COMPONENTS": "linux,stop"},
    )
    return ElementTree.fromstring(done.stdout)


def cpus(element: ElementTree.Element) -> CpuSet:
    groups = element.attrib["cpuset"].split(",")
    return CpuSet(int("".join((group.removeprefix("0x") or "0").rjust(8, "0") for group in groups), 16))


def groups(top: ElementTree.Element, kind: str) -> tuple[CpuSet, ...]:
    return distinct(cpus(item) for item in top.iter("object") if item.attrib["type"] == kind)


@pytest.mark.parametrize("seed", range(8))
def test_a_random_machine(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    nodes, cores, threads = choose.choice([1, 2, 4, 8]), choose.randint(1, 6), choose.choice([1, 2, 4])
    every = range(nodes * cores * threads)
    offline = frozenset(choose.sample(every, choose.randint(0, len(every) // 4)))
    machine = Machine(nodes, cores, threads, offline=offline)
    if any(not machine.of_cores(node * cores, cores) for node in range(nodes)):
        machine.offline = frozenset()
    root = write_tree(tmp_path, machine.files())
    topology, bag = read_topology(root, "x")
    assert topology is not None and not len(bag)
    top = lstopo(root)
    assert topology.online == CpuSet.of(
        int(item.attrib["os_index"]) for item in top.iter("object") if item.attrib["type"] == "PU"
    )
    assert topology.cores == groups(top, "Core")
    assert topology.packages == groups(top, "Package")
    assert topology.l3 == groups(top, "L3Cache")
    told = {int(item.attrib["os_index"]): item for item in top.iter("object") if item.attrib["type"] == "NUMANode"}
    assert {node.id: node.cpus for node in topology.nodes} == {id: cpus(item) for id, item in told.items()}
    memory = {node.id: (node.memory_kib or 0) * 1024 for node in topology.nodes}
    assert memory == {id: int(item.attrib["local_memory"]) for id, item in told.items()}


def synthetic(seed: int) -> str:
    """A machine in hwloc's own words: what hwloc numbers and groups, kvmc must read the same."""
    choose = random.Random(seed)
    parts = [f"pack:{choose.choice([1, 2, 3, 4])}"]
    if choose.random() < 0.3:
        parts.append(f"die:{choose.choice([1, 2])}")
    if choose.random() < 0.4:
        parts.append(f"group:{choose.choice([1, 2])}")
    numa = f"numa:{choose.choice([1, 2, 4])}"
    memory = choose.choice(["(memory=8GB)", "(memory=1GB)", ""])
    parts.append(numa + memory)
    if choose.random() < 0.8:
        parts.append(f"l3:{choose.choice([1, 2, 3])}")
    if choose.random() < 0.5:
        parts.append("l2:2 l1:1")
    parts += [f"core:{choose.choice([1, 2, 3, 5])}", f"pu:{choose.choice([1, 2, 4, 8])}"]
    return " ".join(parts)


@pytest.mark.parametrize(
    "seed", [*range(12), *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(12, 200))]
)
def test_a_random_synthetic_machine(tmp_path: Path, seed: int) -> None:
    if shutil.which("lstopo-no-graphics") is None:
        pytest.skip("hwloc (lstopo-no-graphics) is not installed")
    words = synthetic(seed)
    run = ["lstopo-no-graphics", "-i", words]
    done = subprocess.run([*run, "--of", "xml"], capture_output=True, text=True, check=True)
    (tmp_path / "h.xml").write_text(done.stdout)
    topology, bag = read_topology(tmp_path / "h.xml", words)
    assert topology is not None and not len(bag), (words, [item.message for item in bag])
    top = ElementTree.fromstring(done.stdout)
    assert topology.cores == groups(top, "Core"), words
    assert topology.packages == groups(top, "Package"), words
    assert topology.l3 == groups(top, "L3Cache"), words
    told = {
        int(item.attrib["os_index"]): cpus(item) for item in top.iter("object") if item.attrib["type"] == "NUMANode"
    }
    assert {node.id: node.cpus for node in topology.nodes} == told, words
    # hwloc's own count, from its own words and not from the file
    calc = subprocess.run(
        ["hwloc-calc", "-i", words, "-N", "pu", "all"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert len(topology.online) == int(calc), words
    if seed % 4 == 0:
        old = tmp_path / "v1.xml"
        subprocess.run([*run, "-f", "--export-xml-flags", "v1", str(old)], capture_output=True, check=True)
        first, bag = read_topology(old, words)
        assert first is not None, (words, [item.message for item in bag])
        for part in ("online", "cores", "packages", "l3"):
            assert getattr(first, part) == getattr(topology, part), (words, part)
        assert [(one.id, one.cpus, one.memory_kib) for one in first.nodes] == [
            (one.id, one.cpus, one.memory_kib) for one in topology.nodes
        ], words
