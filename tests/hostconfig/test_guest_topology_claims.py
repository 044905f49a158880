"""Whatever the pins, nothing that a guest is told is false: told by a second reading of the shape, vCPU by vCPU."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from kvmc.hostconfig.guest_topology import CpuShape, cpu_shape
from kvmc.hostconfig.plan import CpuTopology
from kvmc.model.cpuset import union
from kvmc.resolver.placement import CellPlacement
from kvmc.topology import Topology
from support.guests import cell, siblings, topology


def false_claims(shape: CpuShape, cells: list[CellPlacement], host: Topology, *, amd: bool) -> list[str]:
    """Pairs of vCPUs that are told of a core or an L3 that their CPUs do not share."""
    cpus = {vcpu: pin.first for one in cells for vcpu, pin in zip(one.vcpus, one.pins, strict=True)}
    parts = shape.topology
    topoext = ("topoext", "require") in shape.features
    threads_seen = parts.threads if not amd or topoext else 1
    l3_seen = shape.cache != "disable" or (amd and topoext)
    found = []
    for one, other in combinations(sorted(cpus), 2):
        pair = {cpus[one], cpus[other]}
        if one // threads_seen == other // threads_seen and not any(pair <= set(core) for core in host.cores or ()):
            found.append(f"core of {one} and {other}")
        die = parts.cores * parts.threads
        if l3_seen and one // die == other // die and not any(pair <= set(group) for group in host.l3 or ()):
            found.append(f"L3 of {one} and {other}")
    return found


@st.composite
def guests(draw: st.DrawFn) -> tuple[list[CellPlacement], Topology]:
    host = topology(
        draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 4]))
    )
    cells: list[CellPlacement] = []
    first = 0
    for node in host.nodes:
        cores = [index for index, core in enumerate(host.cores or ()) if core.issubset(node.cpus)]
        chosen = draw(st.lists(st.sampled_from(cores), min_size=1, unique=True))
        whole = siblings(host, draw(st.sampled_from([chosen, sorted(chosen)])))
        cpus = draw(
            st.sampled_from([whole, whole[: len(whole) // 2 + 1], whole[::-1], whole[:: len(whole) // len(chosen)]])
        )
        cells.append(cell(node.id, first, cpus))
        first += len(cpus)
    if draw(st.booleans()):
        numbers = iter(draw(st.permutations(range(first))))
        cells = [replace(one, vcpus=tuple(sorted(next(numbers) for _ in one.vcpus))) for one in cells]
    return cells, host


@settings(max_examples=400, deadline=None, derandomize=True)
@given(guest=guests(), amd=st.booleans(), host_cpu=st.booleans())
def test_no_claim_is_false(guest: tuple[list[CellPlacement], Topology], amd: bool, host_cpu: bool) -> None:
    cells, host = guest
    shape = cpu_shape(cells, host, pinned=True, host_cpu=host_cpu, amd=amd, dies_known=True)
    parts = shape.topology
    assert parts.sockets * parts.dies * parts.cores * parts.threads == sum(len(one.vcpus) for one in cells)
    assert false_claims(shape, cells, host, amd=amd) == []
    if shape.cache == "passthrough":
        assert host_cpu
        assert all(union(one.pins) in (host.l3 or ()) for one in cells)
        assert {len(core) for core in host.cores or ()} == {parts.threads}


def test_the_second_reading_finds_false_claims() -> None:
    host = topology(nodes=1, l3s=2, cores=2)
    cells = [cell(0, 0, [0, 2])]
    assert false_claims(CpuShape(CpuTopology(1, 1, 1, 2), "disable"), cells, host, amd=False) == ["core of 0 and 1"]
    assert false_claims(CpuShape(CpuTopology(1, 1, 2, 1), None), cells, host, amd=False) == ["L3 of 0 and 1"]
    assert false_claims(CpuShape(CpuTopology(1, 2, 1, 1), None), cells, host, amd=False) == []
    shown = CpuShape(CpuTopology(1, 1, 2, 1), "disable", (("topoext", "require"),))
    assert false_claims(shown, cells, host, amd=True) == ["L3 of 0 and 1"]
