"""What other schedulers' own tests ask for, restated as data: a shape, a guest, whether it fits, and how little it may touch.

host: `nodes` is a list of nodes, each a list of L3s, each a pair of whole free cores and of cores of which another guest has a
part; `pages` are offered in each node, of 1 GiB or by their size in KiB. Every node has one core more, for housekeeping. guests: in
place of `guest` several at once; what they may touch is counted together. peer: what the other one answers; where it is not ours,
`differs` says why.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import L3, Emulator, Host, Threads, Vm
from kvmc.model.values import KIB_PER_UNIT, PageCount
from kvmc.resolver.solve import resolve
from kvmc.topology.model import Node, Topology
from support.rules import broken_rules
from support.sites import a_host, a_site, a_vm, origins_of

FOLDER = Path(__file__).parent / "cases"
CASES: list[dict[str, Any]] = [
    case for path in sorted(FOLDER.glob("*.json")) for case in json.loads(path.read_text(encoding="utf-8"))
]
GIB = KIB_PER_UNIT["GiB"]


def topology_of(host: dict[str, Any]) -> Topology:
    """Cores with neighbouring numbers; the housekeeping core of a node has an L3 of its own."""
    cores: list[CpuSet] = []
    l3: list[CpuSet] = []
    nodes: list[Node] = []
    for index, groups in enumerate(host["nodes"]):
        start = len(cores)
        for number in (1, *(whole for whole, _ in groups)):
            mine = [
                CpuSet.of(range((len(cores) + core) * host["threads"], (len(cores) + core + 1) * host["threads"]))
                for core in range(number)
            ]
            cores += mine
            if mine:
                l3.append(union(mine))
        nodes.append(Node(index, union(cores[start:]), 64 * GIB, {}, (2048, GIB)))
    packages = tuple(node.cpus for node in nodes)
    return Topology("x86_64", union(cores), tuple(nodes), packages, tuple(cores), tuple(l3))


def host_of(host: dict[str, Any]) -> Host:
    pages = host.get("pages", 0)
    by_size = pages if isinstance(pages, dict) else {GIB: pages}
    counts = tuple(PageCount(number, int(size)) for size, number in by_size.items() if number)
    return a_host("host", pages=0).model_copy(update={"pages": counts})


def guest_of(name: str, asked: dict[str, Any], *, huge: bool) -> Vm:
    size = asked.get("page_kib", GIB)
    vm = a_vm(
        name,
        asked["vcpus"],
        nodes=asked.get("nodes", 1),
        threads=Threads(asked.get("threads", "prefer")),
        l3=L3(asked.get("l3", "prefer")),
        emulator=Emulator(asked.get("emulator", "housekeeping")),
        pages_kib=size if huge else None,
    )
    return vm.model_copy(update={"memory_kib": asked.get("pages", asked.get("nodes", 1)) * size})


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['source'].split()[0]}: {case['name']}")
def test_case(case: dict[str, Any]) -> None:
    machines = {"host": topology_of(case["host"])}
    guests = [
        guest_of(f"guest-{index}", asked, huge="pages" in case["host"] and ("pages" in asked or "page_kib" in asked))
        for index, asked in enumerate(case.get("guests") or [case["guest"]])
    ]
    site = a_site([host_of(case["host"])], guests)
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert (placement is not None) == case["fits"], [one.message for one in bag]
    assert case["fits"] == case["peer"] or case["differs"]
    if placement is None:
        return
    assert broken_rules(site, machines, placement) == []
    cells = [cell for found in placement.guests.values() for cell in found.cells]
    pins = union(pin for cell in cells for pin in cell.pins)
    own = union(found.emulator for found in placement.guests.values()) - placement.pools["host"].housekeeping
    expect = case["expect"]
    assert sum(bool(core & (pins | own)) for core in machines["host"].cores or ()) == expect["cores"]
    assert len(cells) == expect["nodes"]
    assert sum(bool(l3 & pins) for l3 in machines["host"].l3 or ()) <= expect["l3s"]


def test_the_cases_are_of_three_schedulers_and_no_two_are_one() -> None:
    sources = Counter(case["source"].split()[0] for case in CASES)
    assert sources.keys() == {"kubernetes", "openstack", "oVirt"}
    assert max(Counter((case["source"], case["name"]) for case in CASES).values()) == 1


def test_at_least_150_ask_for_something_of_their_own() -> None:
    asked = {json.dumps([case["host"], case.get("guest"), case.get("guests")], sort_keys=True) for case in CASES}
    assert len(asked) >= 150
