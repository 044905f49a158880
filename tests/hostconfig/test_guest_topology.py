"""What guests are told of their CPUs, against hosts of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from kvmc.hostconfig.guest_topology import CpuShape, cell_distances, cpu_shape, highest_apic_id
from kvmc.hostconfig.plan import CpuTopology
from kvmc.model.cpuset import CpuSet
from kvmc.resolver.placement import CellPlacement
from kvmc.topology import Node, Topology
from support.guests import GIB, cell, siblings, topology


def shape(cells: Sequence[CellPlacement], host: Topology, **changes: Any) -> CpuShape:
    fields = {"pinned": True, "host_cpu": False, "amd": False, "dies_known": True} | changes
    found = cpu_shape(cells, host, **fields)
    parts = found.topology
    assert parts.sockets * parts.dies * parts.cores * parts.threads == sum(len(one.vcpus) for one in cells)
    return found


def test_whole_sibling_sets_are_threads() -> None:
    host = topology()
    found = shape([cell(0, 0, siblings(host, [1, 2]))], host)
    assert found == CpuShape(CpuTopology(1, 1, 2, 2), None)


def test_cells_are_sockets() -> None:
    host = topology()
    cells = [cell(0, 0, siblings(host, [1, 2])), cell(1, 4, siblings(host, [9, 10]))]
    assert shape(cells, host).topology == CpuTopology(2, 1, 2, 2)


def test_one_thread_a_core_is_flat_and_hides_nothing() -> None:
    host = topology()
    assert shape([cell(0, 0, [1, 2, 3, 4])], host) == CpuShape(CpuTopology(1, 1, 4, 1), None)


@pytest.mark.parametrize("cpus", [[1, 17, 2], [1, 2, 17, 18], [1, 17, 2, 3], [17, 1, 2]])
def test_siblings_that_are_not_all_side_by_side_are_not_shown(cpus: list[int]) -> None:
    found = shape([cell(0, 0, cpus)], topology())
    assert found.topology == CpuTopology(1, 1, len(cpus), 1)
    assert "siblings" in found.hidden[0]


def test_cores_of_two_sizes_are_flat() -> None:
    cores = (CpuSet.parse("0-1"), CpuSet.parse("2-3"), CpuSet.parse("4"), CpuSet.parse("5"))
    host = replace(topology(nodes=1), cores=cores, l3=(CpuSet.parse("0-5"),))
    assert shape([cell(0, 0, [0, 1, 4, 5])], host).topology == CpuTopology(1, 1, 4, 1)
    assert shape([cell(0, 0, [0, 1, 2, 3])], host).topology == CpuTopology(1, 1, 2, 2)


def test_four_threads_a_core() -> None:
    host = topology(threads=4)
    assert shape([cell(0, 0, siblings(host, [1, 2]))], host).topology == CpuTopology(1, 1, 2, 4)


def test_unknown_cores_are_flat() -> None:
    assert shape([cell(0, 0, [1, 17])], replace(topology(), cores=None)).topology.threads == 1


def test_even_l3s_are_dies() -> None:
    host = topology(nodes=2, l3s=2, cores=4)
    cells = [cell(0, 0, siblings(host, [0, 1, 4, 5])), cell(1, 8, siblings(host, [8, 9, 12, 13]))]
    assert shape(cells, host) == CpuShape(CpuTopology(2, 2, 2, 2), None)


@pytest.mark.parametrize(
    "cores",
    [
        pytest.param([0, 1, 4], id="two and one"),
        pytest.param([0, 4, 1, 5], id="to and fro"),
    ],
)
def test_uneven_l3s_are_not_shown(cores: list[int]) -> None:
    host = topology(nodes=1, l3s=2, cores=4)
    found = shape([cell(0, 0, siblings(host, cores))], host, host_cpu=True)
    assert found.topology == CpuTopology(1, 1, len(cores), 2)
    assert found.cache == "disable"
    assert found.hidden == ("its vCPUs are spread over L3 caches unevenly, so no L3 cache is shown",)


def test_an_l3_that_a_core_is_outside_of_is_not_shown() -> None:
    host = topology(nodes=1, cores=4, l3=(CpuSet.parse("0-2,4-6"),))
    assert shape([cell(0, 0, siblings(host, [2, 3]))], host).cache == "disable"


@pytest.mark.parametrize("l3", [None, ()])
def test_an_unknown_l3_is_not_claimed(l3: tuple[CpuSet, ...] | None) -> None:
    found = shape([cell(0, 0, [1, 17])], topology(l3=l3))
    assert (found.topology.threads, found.cache, len(found.hidden)) == (2, "disable", 1)


def test_dies_need_a_libvirt_that_has_them() -> None:
    host = topology(nodes=1, l3s=2, cores=4)
    found = shape([cell(0, 0, siblings(host, [0, 1, 4, 5]))], host, dies_known=False)
    assert (found.topology.dies, found.cache) == (1, "disable")
    assert "6.1" in found.hidden[0]


def test_uneven_cells_are_not_sockets() -> None:
    host = topology()
    cells = [cell(0, 0, siblings(host, [1, 2])), cell(1, 4, siblings(host, [9]))]
    assert shape(cells, host) == CpuShape(
        CpuTopology(1, 1, 3, 2),
        "disable",
        (),
        ("its cells differ in size or vCPU order, so they are not sockets",),
    )


def test_cells_whose_vcpus_are_interleaved() -> None:
    host = topology()
    cells = [replace(cell(0, 0, [1, 17]), vcpus=(0, 2)), replace(cell(1, 0, [9, 25]), vcpus=(1, 3))]
    found = shape(cells, host)
    assert (found.topology, found.cache) == (CpuTopology(1, 1, 4, 1), "disable")


def test_an_l3_that_splits_a_core_makes_no_dies() -> None:
    host = replace(topology(nodes=1, cores=2), l3=tuple(CpuSet.of([cpu]) for cpu in range(4)))
    found = shape([cell(0, 0, siblings(host, [0, 1]))], host)
    assert (found.topology, found.cache) == (CpuTopology(1, 1, 2, 2), "disable")


def test_whole_l3s_pass_the_host_caches() -> None:
    host = topology(cores=4)
    whole = [cell(0, 0, siblings(host, range(4))), cell(1, 8, siblings(host, range(4, 8)))]
    assert shape(whole, host, host_cpu=True).cache == "passthrough"
    assert shape(whole, host).cache is None
    assert shape([cell(0, 0, siblings(host, [0, 1]))], host, host_cpu=True).cache is None
    clustered = topology(cores=4, clusters=(CpuSet.parse("0-3,8-11"),))
    assert shape(whole, clustered, host_cpu=True).cache is None


def test_several_whole_l3s_do_not_pass_the_host_caches() -> None:
    host = topology(nodes=1, l3s=2, cores=4)
    assert shape([cell(0, 0, siblings(host, range(8)))], host, host_cpu=True).cache is None


def test_amd_shows_threads_and_dies_only_with_topoext() -> None:
    host = topology(nodes=1, l3s=2, cores=4)
    even = shape([cell(0, 0, siblings(host, [0, 1, 4, 5]))], host, amd=True)
    assert (even.topology, even.features) == (CpuTopology(1, 2, 2, 2), (("topoext", "require"),))
    plain = shape([cell(0, 0, [0, 1])], host, amd=True)
    assert plain == CpuShape(CpuTopology(1, 1, 2, 1), None)


def test_amd_shows_no_threads_where_it_would_show_a_false_l3() -> None:
    host = topology(nodes=1, l3s=2, cores=4)
    found = shape([cell(0, 0, siblings(host, [0, 1, 4]))], host, amd=True)
    assert (found.topology, found.cache) == (CpuTopology(1, 1, 6, 1), "disable")
    assert found.features == (("topoext", "disable"),)
    assert len(found.hidden) == 2


def _floating(cpus: str, node: int = 0, first: int = 0) -> CellPlacement:
    return CellPlacement(node, tuple(range(first, first + 4)), (CpuSet.parse(cpus),) * 4, GIB)


def test_floating_guests_are_flat_without_a_note() -> None:
    host = topology()
    cells = [_floating("1-2,17-18"), _floating("9-10,25-26", 1, 4)]
    assert shape(cells, host, pinned=False, host_cpu=True) == CpuShape(CpuTopology(2, 1, 4, 1), None)


def test_floating_over_two_l3s_shares_none() -> None:
    host = topology(nodes=1, l3s=2, cores=4)
    assert shape([_floating("3-4")], host, pinned=False).cache == "disable"
    assert shape([_floating("3-4")], host, pinned=False, amd=True).features == (("topoext", "disable"),)


def _distances(rows: Sequence[dict[int, int]]) -> Topology:
    return replace(topology(), nodes=tuple(Node(n, CpuSet.of([n]), GIB, row) for n, row in enumerate(rows)))


@pytest.mark.parametrize(
    ("rows", "nodes", "expected"),
    [
        ([{0: 10, 1: 21}, {0: 31, 1: 10}], [0, 1], ((10, 21), (31, 10))),
        ([{0: 10, 1: 21}, {0: 31, 1: 10}], [1, 0], ((10, 31), (21, 10))),
        ([{0: 10, 1: 21}, {0: 21, 1: 10}], [0], ((),)),
        ([{0: 10, 1: 21}, {}], [0, 1], ((), ())),
        ([{0: 10, 1: 10}, {0: 10, 1: 10}], [0, 1], ((10, 11), (11, 10))),
        ([{0: 10, 1: 255}, {0: 300, 1: 10}], [0, 1], ((10, 254), (254, 10))),
    ],
)
def test_distances_are_the_hosts(
    rows: Sequence[dict[int, int]], nodes: list[int], expected: tuple[tuple[int, ...], ...]
) -> None:
    assert cell_distances(nodes, _distances(rows)) == expected


@pytest.mark.parametrize(
    ("parts", "highest"),
    [
        ((1, 1, 1, 1), 0),
        ((2, 1, 4, 2), 15),
        ((1, 1, 255, 1), 254),
        ((2, 1, 3, 1), 6),
        ((5, 1, 33, 1), 288),
        ((2, 3, 5, 2), 105),
    ],
)
def test_apic_ids_take_whole_bits(parts: tuple[int, int, int, int], highest: int) -> None:
    assert highest_apic_id(CpuTopology(*parts)) == highest
