"""The placements that the benchmarks write, on instances of seeds of their own: sound, and as good as they must be."""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import placement

sys.path.pop(0)

import kvmc.resolver.missing as missing
from benchmarks.instances import KINDS, SHAPES, Instance, instance


@pytest.fixture(autouse=True)
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here is the search that everybody has."""
    monkeypatch.setattr(missing, "find_spec", lambda _: None)


def measure(one: Instance, result: list[dict[str, Any]]) -> tuple[int, int]:
    """vCPUs of guests on as few L3s as they need with no core of another guest, and of all guests; what is broken fails."""
    (host,) = one["hosts"]
    cpus = {cpu: rest for cpu, *rest in host["cpus"] if cpu not in host["reserved"]}
    vms = {vm["id"]: vm for vm in one["vms"]}
    pages = {node["id"]: node["pages"]["1048576"] for node in host["nodes"]}
    sizes: dict[int, Counter[int]] = defaultdict(Counter)
    for _core, l3, node in {(core, l3, node) for core, l3, node, _ in cpus.values()}:
        sizes[node][l3] += 1
    threads = SHAPES[one["name"].split("-")[0]][4]
    owners: dict[int, set[str]] = defaultdict(set)
    held: Counter[int] = Counter()
    clean = 0
    for entry in result:
        vm = vms[entry["vm"]]
        mine = [entry["pins"][str(index)] for index in range(vm["vcpus"])]
        held.update([*mine, *entry["emulator"]])
        assert len(entry["emulator"]) == vm["emulator"]
        assert len(set(entry["nodes"])) == vm["nodes"]
        assert not vm["near"] or any(vm["near"] in host["nodes"][node]["pci"] for node in entry["nodes"])
        extra = 0
        for index, node in enumerate(entry["nodes"]):
            cell = [cpu for at, cpu in enumerate(mine) if at * vm["nodes"] // vm["vcpus"] == index]
            assert {cpus[cpu][2] for cpu in cell} == {node}
            pages[node] -= vm["mem_mib"] // 1024 // vm["nodes"]
            each = 1 if vm["smt"] == "isolate" else threads
            need = -(-(len(cell) + (vm["emulator"] if index == 0 else 0)) // each)
            fewest = 0
            for size in sorted(sizes[node].values(), reverse=True):
                fewest += need > 0
                need -= size
            extra += max(0, len({cpus[cpu][1] for cpu in cell}) - fewest)
            if vm["smt"] == "isolate":
                assert len({cpus[cpu][0] for cpu in cell}) == len(cell)
        for cpu in [*mine, *entry["emulator"]]:
            owners[cpus[cpu][0]].add(vm["id"])
        clean += 0 if extra else vm["vcpus"]
    assert not held or max(held.values()) == 1
    assert min(pages.values()) >= 0
    assert all(len(vms) == 1 for vms in owners.values())
    return clean, sum(vm["vcpus"] for vm in one["vms"])


def run(one: Instance) -> tuple[int, int]:
    found, _, _ = placement.place(one)
    return measure(one, placement.result_of(one, found))


@pytest.mark.parametrize("shape", SHAPES)
def test_with_room_all_are_placed_clean(shape: str) -> None:
    for seed in range(2):
        clean, wanted = run(instance(shape, "q95", seed))
        assert clean == wanted, f"seed {seed}"


@pytest.mark.parametrize("shape", SHAPES)
def test_full_hosts_are_placed_clean(shape: str) -> None:
    clean, wanted = run(instance(shape, "q", 1))
    assert clean >= 0.98 * wanted


@pytest.mark.parametrize("kind", ["b", "c"])
@pytest.mark.parametrize("shape", SHAPES)
def test_overfull_hosts_use_their_cores(shape: str, kind: str) -> None:
    one = instance(shape, kind, 3)
    found, _, _ = placement.place(one)
    again, _, _ = placement.place(one)
    assert placement.result_of(one, found) == placement.result_of(one, again)
    clean, wanted = measure(one, placement.result_of(one, found))
    assert 0.5 * wanted < clean < wanted


def test_guests_that_stay_keep_their_places() -> None:
    one = instance("rome_nps1", "q95", 5)
    names = [vm["id"] for vm in one["vms"]]
    events = [["add", vm] for vm in names[:-3]] + [["del", names[0]]] + [["add", vm] for vm in names[-3:]]
    before, _, _ = placement.place({**one, "events": events[: len(names) - 3]})
    after, _, _ = placement.place({**one, "events": events})
    assert names[0] not in after.guests
    assert all(after.guests[vm] == before.guests[vm] for vm in names[1:-3])


def test_room_is_made_by_splitting_what_need_not_be_split_alone() -> None:
    """Nodes of 7 and 8 cores, 15 of 15 needed: the cell of three cores must lie on the second node, in both of its L3s."""
    cpus = [[thread * 16 + core, core, core // 4, core // 8, 0] for thread in (0, 1) for core in range(16)]
    nodes = [{"id": node, "mem_mib": 0, "pages": {"1048576": 20}, "pci": {}} for node in (0, 1)]
    alike = {"smt": "prefer", "nodes": 2, "mem_mib": 2048, "page_kib": 1048576, "near": None, "group": None}
    vms = [{**alike, "id": f"vm{n}", "vcpus": v, "emulator": e} for n, (v, e) in enumerate(((12, 0), (8, 0), (8, 1)))]
    found, _, _ = placement.place(
        {"name": "full", "hosts": [{"id": "h", "cpus": cpus, "nodes": nodes, "reserved": [0, 16]}], "vms": vms}
    )
    assert sorted(found.guests) == ["vm0", "vm1", "vm2"]


@pytest.mark.proof
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_many_seeds(shape: str, kind: str, record_property: Callable[[str, object], None]) -> None:
    lost = total = whole = 0
    slowest = 0.0
    for seed in range(40):
        start = time.process_time()
        clean, wanted = run(instance(shape, kind, seed))
        slowest = max(slowest, time.process_time() - start)
        lost += wanted - clean
        total += wanted
        whole += clean == wanted
    record_property("clean", f"{total - lost} of {total} vCPUs, {whole} of 40 complete, at most {slowest:.2f} s of CPU")
    if kind in ("q", "q95"):
        assert lost <= (0.005 if kind == "q" else 0.0) * total
        assert whole >= (32 if kind == "q" else 40)
        assert slowest < 0.5
