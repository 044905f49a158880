"""What must hold in every topology, and what is only odd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kvmc.diagnostics import Severity
from kvmc.model.cpuset import CpuSet
from kvmc.topology import Node, Topology
from kvmc.topology.check import check


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def groups(*texts: str) -> tuple[CpuSet, ...]:
    return tuple(cpus(text) for text in texts)


SOUND = Topology(
    arch="x86_64",
    online=cpus("0-7"),
    nodes=(Node(0, cpus("0-3"), 1, {0: 10, 1: 20}), Node(1, cpus("4-7"), 1, {0: 20, 1: 10})),
    packages=groups("0-7"),
    cores=groups("0-1", "2-3", "4-5", "6-7"),
    l3=groups("0-7"),
)


def test_a_sound_one() -> None:
    assert not len(check(SOUND, "x"))
    assert not len(check(replace(SOUND, cores=None, packages=None, l3=None, nodes=()), "x"))


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        (replace(SOUND, packages=groups("0-4", "4-7")), "KVMC0309", "CPU 4 is in package `0-4` and package `4-7`"),
        (replace(SOUND, dies=groups("0-4", "0", "5-7")), "KVMC0309", "CPU 0 is in die `0-4` and die `0`"),
        (replace(SOUND, dies=groups("0", "1-7")), "KVMC0311", "core `0-1` is split over die `0` and die `1-7`"),
        (
            replace(SOUND, packages=groups("0-3", "4-7"), dies=groups("0-7")),
            "KVMC0311",
            "die `0-7` is split over package `0-3` and package `4-7`",
        ),
        (
            replace(SOUND, nodes=(Node(0, cpus("0-2")), Node(1, cpus("3-7")))),
            "KVMC0311",
            "core `2-3` is split over node 0 and node 1",
        ),
        (
            replace(SOUND, nodes=tuple(Node(id, cpus("0-7")) for id in range(6))),
            "KVMC0310",
            "CPU 0 is in node 0, node 1, node 2 and 3 others",
        ),
        (
            replace(SOUND, cores=groups("0-1", "2-3", "4-5", "6")),
            "KVMC0312",
            "online CPUs `7` are in no core: their siblings are not told",
        ),
        (replace(SOUND, l3=groups("0-2", "3-7")), "KVMC0312", "core `2-3` is split over L3 `0-2` and L3 `3-7`"),
        (
            replace(SOUND, online=cpus("0-8"), cores=groups("0-8"), nodes=(Node(0, cpus("0-8")),)),
            "KVMC0312",
            "core `0-8` has 9 threads; no known CPU has more than 8",
        ),
        (
            replace(SOUND, nodes=(Node(0, cpus("0-3"), 1, {0: 20, 1: 10}), SOUND.nodes[1])),
            "KVMC0312",
            "node 0 is nearer to node 1 (10) than to itself (20)",
        ),
    ],
)
def test_each_cause_is_told_once(changed: Topology, code: str, message: str) -> None:
    bag = check(changed, "hosts/a")
    assert [(item.code.id, item.message) for item in bag] == [(code, f"`hosts/a`: {message}")]
    assert (bag.items[0].severity is Severity.WARNING) == (code == "KVMC0312")


@pytest.mark.parametrize(
    "changed",
    [
        replace(SOUND, packages=groups("0-3", "4-7"), l3=groups("0-7")),
        replace(SOUND, nodes=(Node(0, cpus("0-7")),), packages=groups("0-3", "4-7")),
        replace(SOUND, l3=groups("0-3")),
        replace(SOUND, nodes=(*SOUND.nodes, Node(250, CpuSet(), 5, {250: 10}))),
        replace(SOUND, cores=groups("0-1", "2", "3", "4-5", "6-7")),
    ],
    ids=["one L3 over packages", "a node of two packages", "cores outside any L3", "memory alone", "hybrid"],
)
def test_what_real_machines_do(changed: Topology) -> None:
    assert not len(check(changed, "x"))
