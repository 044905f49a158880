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
