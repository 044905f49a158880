"""util-linux's `lscpu -J` (a summary: CPUs and nodes) and `lscpu -J -e` (a row a CPU); sys-utils/lscpu.c.

Old releases write numbers and booleans as texts, leave out columns that they do not know, and print `-` for what is not there.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import MAX_CPU, CpuSet
from kvmc.topology.failure import ReadFailure, is_name, quoted
from kvmc.topology.groups import MAX_NODE, of_keys, parse_cpus, parse_mask
from kvmc.topology.lscpu_caches import read_caches
from kvmc.topology.model import Cpu, Node, Topology

_HELP = ("write it anew with `LC_ALL=C lscpu -J`",)
_ROWS_HELP = ("write it anew with `LC_ALL=C lscpu -J -e`, without a list of columns",)


def read_summary(top: Mapping[str, Any]) -> Topology:
    """Of `lscpu -J`. Raises ReadFailure."""
    fields: dict[str, str] = {}
    for name, data in _fields(top["lscpu"]):
        fields.setdefault(name, data)  # a host of several CPU types repeats some fields for each
    online = _set(fields, "On-line CPU(s)")
    if not online:
        raise ReadFailure(
            codes.TOPOLOGY_INCOMPLETE, "the output of `lscpu -J` has no `On-line CPU(s) list`", help=_HELP
        )
    ids = [int(match[1]) for name in fields if (match := re.fullmatch(r"(?:NUMA )?node([0-9]{1,9}) CPU\(s\)", name))]
    if any(id > MAX_NODE for id in ids):
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"NUMA node {max(ids)} is above {MAX_NODE}, the kernel's limit")
    count = fields.get("NUMA node(s)")
    if count is not None and count != str(len(ids)):
        raise ReadFailure(
            codes.TOPOLOGY_DAMAGED, f"`NUMA node(s)` is {quoted(count)}, and the CPUs of {len(ids)} nodes follow"
        )
    cpus = {
        id: _list(fields.get(f"NUMA node{id} CPU(s)") or fields.get(f"node{id} CPU(s)"), f"node {id}") for id in ids
    }
    offline = _set(fields, "Off-line CPU(s)")
    return Topology(
        arch=fields.get("Architecture") or "unknown",
        online=online,
        # no `NUMA node(s)`: a kernel without NUMA, one node as libvirt makes of it
        nodes=tuple(Node(id, cpus[id] & online) for id in sorted(cpus)) or (Node(0, online),),
        packages=None,
        cores=None,
        l3=None,
        offline=None if offline is None else offline - online,
        cpu=Cpu(
            fields.get("Vendor ID"),
            fields.get("Model name"),
            frozenset(filter(is_name, fields.get("Flags", "").split())),
        ),
    )


def _fields(items: object, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Names without their colon; newer releases nest them."""
    if not isinstance(items, list) or depth > 8:
        raise ReadFailure(codes.TOPOLOGY_VALUE, "`lscpu` is not a list of fields")
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("field"), str):
            raise ReadFailure(codes.TOPOLOGY_VALUE, "`lscpu` holds what is no field")
        data = item.get("data")
        text = "" if data is None or data == "-" else str(data).strip()
        if len(text) < 32 * 1024 and text.isprintable():
            yield item["field"].strip().removesuffix(":"), text
        if "children" in item:
            yield from _fields(item["children"], depth + 1)


def _set(fields: Mapping[str, str], name: str) -> CpuSet | None:
    """A list of CPUs, or with `lscpu -x` a mask."""
    text = fields.get(f"{name} list", fields.get(f"{name} mask"))
    return None if text is None else _list(text, f"`{name}`")


def _list(text: str | None, where: str) -> CpuSet:
    if text is not None and text.startswith("0x"):
        return parse_mask(text, where)
    return parse_cpus(text or "", where)


def read_rows(top: Mapping[str, Any]) -> Topology:
    """Of `lscpu -J -e`. Raises ReadFailure."""
    rows = _rows(top["cpus"])
    columns = {name for row in rows.values() for name in row}
    online = CpuSet.of(cpu for cpu, row in rows.items() if _is_online(row, columns))
    if not online:
        raise ReadFailure(codes.TOPOLOGY_INCOMPLETE, "the output of `lscpu -J -e` names no online CPU", help=_ROWS_HELP)
    live = {cpu: row for cpu, row in rows.items() if cpu in online}
    # logical numbers are unique in the host; physical ones (-y) only within their package and what is above it
    above = ("drawer", "book", "socket")
    nodes = {cpu: _number(row, "node", MAX_NODE) for cpu, row in live.items()}
    caches = read_caches(live, columns)
    return Topology(
        arch="unknown",
        online=online,
        nodes=_nodes(nodes),
        packages=_groups(live, above, "socket"),
        cores=_cores(live, (*above, "node", "core"), caches),
        l3=None if caches is None else of_keys({cpu: own["l3"] for cpu, own in caches.items() if "l3" in own}),
        offline=CpuSet.of(rows) - online if len(online) < len(rows) else None,
    )


def _rows(items: object) -> dict[int, dict[str, Any]]:
    if not isinstance(items, list):
        raise ReadFailure(codes.TOPOLOGY_VALUE, "`cpus` is not a list of CPUs")
    found: dict[int, dict[str, Any]] = {}
    for item in items:
        row = {str(name).lower(): value for name, value in item.items()} if isinstance(item, dict) else {}
        cpu = _number(row, "cpu", MAX_CPU)
        if cpu is None:
            raise ReadFailure(
                codes.TOPOLOGY_INCOMPLETE, "a row of `lscpu -J -e` without the number of its CPU", help=_ROWS_HELP
            )
        if cpu in found:
            raise ReadFailure(codes.TOPOLOGY_VALUE, f"CPU {cpu} has two rows")
        found[cpu] = row
    return found


def _is_online(row: Mapping[str, Any], columns: Iterable[str]) -> bool:
    if "online" in columns:
        value = row.get("online")
        return value is True or str(value).lower() in ("yes", "y", "1", "true")
    known = [name for name in ("core", "socket") if name in columns]
    if not known:
        raise ReadFailure(
            codes.TOPOLOGY_INCOMPLETE,
            "the output of `lscpu -J -e` has no column that tells which CPUs are online",
            help=_ROWS_HELP,
        )
    return any(_number(row, name) is not None for name in known)


def _number(row: Mapping[str, Any], name: str, limit: int = 0xFFFFFFFF) -> int | None:
    """None where the column or its value is missing."""
    value = row.get(name)
    if value is None or value in ("", "-", "-1", -1):
        return None
    if isinstance(value, bool) or re.fullmatch(r"[0-9]{1,10}", str(value)) is None:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"column `{name}` holds {quoted(str(value))}, which is not a number")
    if int(value) > limit:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"column `{name}` holds {value}, above {limit}")
    return int(value)


def _groups(rows: Mapping[int, Mapping[str, Any]], names: tuple[str, ...], last: str) -> tuple[CpuSet, ...] | None:
    """CPUs with the same numbers in all columns; None where the last is nowhere told."""
    keys: dict[int, Hashable] = {
        cpu: tuple(_number(row, name) for name in names) for cpu, row in rows.items() if _number(row, last) is not None
    }
    return of_keys(keys) if keys else None


def _nodes(nodes: Mapping[int, int | None]) -> tuple[Node, ...]:
    """Those with CPUs: rows tell no others. Empty where the column is missing."""
    keys = {cpu: node for cpu, node in nodes.items() if node is not None}
    return tuple(Node(keys[cpus.first], cpus) for cpus in sorted(of_keys(keys), key=lambda one: keys[one.first]))


def _cores(
    rows: Mapping[int, Mapping[str, Any]], names: tuple[str, ...], caches: Mapping[int, Mapping[str, str]] | None
) -> tuple[CpuSet, ...] | None:
    """Threads of a core share its instruction cache. Where CPUs of one number do not, lscpu has counted cores and sockets anew for
    each type of CPU, and which belong together is not told."""
    cores = _groups(rows, names, "core")
    told = [(name, number) for own in (caches or {}).values() for name, number in own.items()]
    if len(set(told)) == len(told):
        return cores  # nothing is shared: the kernel does not say who shares what
    for core in cores or ():
        found = {caches[cpu]["l1i"] for cpu in core if "l1i" in caches[cpu]} if caches is not None else set()
        if len(found) > 1:
            raise ReadFailure(
                codes.TOPOLOGY_INCOMPLETE,
                f"CPUs {quoted(str(core))} have one core number and {len(found)} instruction caches",
                notes=("on a host with several types of CPU `lscpu` numbers cores and sockets anew for each",),
                help=("take a sysfs tree or `kvmc topology scan` of that host instead",),
            )
    return cores
