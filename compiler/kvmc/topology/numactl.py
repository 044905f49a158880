"""`numactl -H`: NUMA nodes with their CPUs, memory in whole MiB, and distances (numactl.c, hardware()).

With `--cpu-compress` CPUs are ranges. Output that was pasted somewhere may have its long lines broken; a line of numbers alone
belongs to the one before.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import CpuSet, union
from kvmc.topology.failure import ReadFailure, quoted
from kvmc.topology.groups import MAX_DISTANCE, MAX_KIB, MAX_NODE, parse_cpus
from kvmc.topology.model import Node, Topology

FIRST = re.compile(r"^available: ([0-9]{1,4}) nodes? \(([0-9, -]*)\)\s*$", re.MULTILINE)
NONE = "No NUMA available on this system"

_NODE = re.compile(r"node ([0-9]{1,9}) (cpus|size|free): ?(.*)")
_ROW = re.compile(r"([0-9]{1,9}): +([0-9][0-9 ]*)")
_COUNT = re.compile(r"\s*\([0-9]+(?: cpus?)?\)$")
"""`--cpu-compress` may tell their number behind them."""


def read_numactl(text: str) -> Topology:
    """Raises ReadFailure. Not told: cores, packages, caches, and CPUs that are in no node."""
    first = FIRST.search(text)
    if first is None:
        raise ReadFailure(codes.TOPOLOGY_KIND, "no line `available: N nodes` as `numactl -H` writes it")
    ids = _ids(first)
    cpus: dict[int, CpuSet] = {}
    memory: dict[int, int] = {}
    rows: dict[int, list[int]] = {}
    columns: list[int] | None = None
    for line in _joined(text[first.end() :]):
        node, row = _NODE.fullmatch(line), _ROW.fullmatch(line)
        if node is not None:
            id = int(node[1])
            if id not in ids:
                raise ReadFailure(codes.TOPOLOGY_VALUE, f"`numactl -H` tells of node {id}, which is not available")
            if node[2] == "cpus":
                _once(cpus, id, "cpus")
                cpus[id] = parse_cpus(re.sub(r"[\s,]+", ",", _COUNT.sub("", node[3])), f"CPUs of node {id}")
            elif node[2] == "size" and node[3] != "<not available>":
                _once(memory, id, "size")
                memory[id] = _kib(node[3], id)
        elif line == "node distances:":
            columns = []
        elif columns is not None and re.fullmatch(r"node(?: +[0-9]{1,9})+", line):
            columns = [int(word) for word in line.split()[1:]]
        elif columns is not None and row is not None:
            _once(rows, int(row[1]), "distances")
            rows[int(row[1])] = [int(word) for word in row[2].split()]
        elif columns is not None and rows:
            break  # what follows is no part of the output
    if sorted(cpus) != ids:
        raise ReadFailure(
            codes.TOPOLOGY_DAMAGED,
            f"`numactl -H` says that {len(ids)} nodes are available and tells the CPUs of {len(cpus)}",
        )
    distances = _distances(ids, columns, rows)
    online = union(cpus.values())
    if not online:
        raise ReadFailure(codes.TOPOLOGY_INCOMPLETE, "the output of `numactl -H` names no CPU")
    nodes = tuple(Node(id, cpus[id], memory.get(id), distances.get(id, {})) for id in ids)
    return Topology("unknown", online, nodes, None, None, None)


def _ids(first: re.Match[str]) -> list[int]:
    ids = list(parse_cpus(first[2], "the list of available nodes"))
    if len(ids) != int(first[1]):
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"`numactl -H` says {first[1]} nodes and lists {len(ids)}")
    if ids and ids[-1] > MAX_NODE:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"node {ids[-1]} is above {MAX_NODE}, the kernel's limit")
    return ids


def _joined(text: str) -> Iterator[str]:
    """Lines without blanks around them, long ones put together again."""
    held: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if held and re.fullmatch(r"[0-9][0-9, -]*", line):
            held.append(line)
        elif line:
            if held:
                yield " ".join(held)
            held = [line]
    if held:
        yield " ".join(held)


def _once(known: Container[int], id: int, what: str) -> None:
    if id in known:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"`numactl -H` tells the {what} of node {id} twice")


def _kib(text: str, id: int) -> int:
    match = re.fullmatch(r"([0-9]{1,12}) MB", text)
    if match is None or int(match[1]) * 1024 > MAX_KIB:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"size of node {id}: {quoted(text)} is not a number of MB")
    return int(match[1]) * 1024


def _distances(ids: list[int], columns: list[int] | None, rows: dict[int, list[int]]) -> dict[int, dict[int, int]]:
    if columns is None:
        return {}  # `No distance information available.`, or a copy without them
    if columns != ids or sorted(rows) != ids or any(len(row) != len(ids) for row in rows.values()):
        raise ReadFailure(
            codes.TOPOLOGY_DAMAGED,
            f"the distances of `numactl -H` are no square of {len(ids)} nodes: truncated or damaged",
        )
    worst = max((value for row in rows.values() for value in row), default=0)
    if worst > MAX_DISTANCE or any(value < 1 for row in rows.values() for value in row):
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"a distance of `numactl -H` is outside 1 to {MAX_DISTANCE}")
    return {id: dict(zip(ids, rows[id], strict=True)) for id in ids}
