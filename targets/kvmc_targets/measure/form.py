"""The form of a baseline: every value that the steps give, where it stands, and none measured yet."""

from __future__ import annotations

import json
from collections.abc import Iterator

from kvmc.hostconfig.plan import DiskPlan, GuestPlan, HostPlan
from kvmc.model.cpuset import CpuSet
from kvmc_targets.measure.guest import fifo
from kvmc_targets.measure.jobs import sources

FORMAT = 1
"""The version of the form's shape."""

Row = dict[str, object]


def form(plan: HostPlan) -> str:
    """The JSON text. Each measure: `file` below the folder of results, its `format` there, the `path` to the value (`*` is
    any entry: the sum of counters, else the largest), the unit, which way is better, and the value itself."""
    body = {
        "format": FORMAT,
        "host": plan.host,
        "guests": {guest.name: _placed(guest) for guest in plan.guests},
        "measures": [*_host(plan), *(row for guest in plan.guests for row in _guest(guest))],
    }
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _placed(guest: GuestPlan) -> Row:
    """What the values hold for: with another placement they are another measurement."""
    return {
        "vcpus": [str(pin) for pin in guest.pins],
        "emulator": str(guest.emulator),
        "nodes": str(CpuSet.of(cell.host_node for cell in guest.cells)),
    }


def _row(name: str, file: str, format: str, path: list[str], unit: str, better: str) -> Row:
    return {
        "name": name,
        "file": file,
        "format": format,
        "path": path,
        "unit": unit,
        "better": better,
        "measured": None,
    }


def _fio(name: str, file: str, job: int, path: list[str], unit: str, better: str) -> Row:
    return _row(name, file, "json", ["jobs", str(job), *path], unit, better)


def _latency(name: str, file: str) -> Row:
    return _row(name, file, "json", ["thread", "*", "max"], "us", "lower")


def _stress(name: str, file: str) -> Row:
    return _row(name, f"{file}.yaml", "stress-ng", ["bogo-ops-per-second-real-time"], "operations/s", "higher")


def _reads(name: str, file: str) -> Iterator[Row]:
    yield _fio(f"{name}/random-read", file, 0, ["read", "iops"], "reads/s", "higher")
    yield _fio(f"{name}/random-read-p99", file, 0, ["read", "clat_ns", "percentile", "99.000000"], "ns", "lower")
    yield _fio(f"{name}/sequential-read", file, 1, ["read", "bw_bytes"], "B/s", "higher")


def _host(plan: HostPlan) -> Iterator[Row]:
    if plan.pools.dedicated:
        path = ["sysstat", "hosts", "*", "statistics", "*", "cpu-load", "*"]
        for value in ("sys", "irq", "soft"):
            yield _row(f"host/noise-{value}", "host/noise", "json", [*path, value], "%", "lower")
    if plan.isolated and plan.platform.realtime:
        yield _latency("host/latency", "host/latency.json")
    if sources(plan):
        for index, folder in enumerate(sources(plan)):
            yield _fio(f"host/storage {folder}", "host/storage", index, ["read", "iops"], "reads/s", "higher")


def _guest(guest: GuestPlan) -> Iterator[Row]:
    name = guest.name
    host, inside = f"guests/{name}/host", f"guests/{name}/guest"
    for value in ("wait", "delay"):
        yield _row(f"{name}/vcpu-{value}", f"{host}/vcpus-after", "domstats", ["vcpu", "*", value], "ns", "lower")
    nodes = str(CpuSet.of(cell.host_node for cell in guest.cells))
    yield _row(f"{name}/memory-elsewhere", f"{host}/memory", "numastat", [nodes], "MB", "lower")
    path = ["sysstat", "hosts", "*", "statistics", "*", "cpu-load", "*", "steal"]
    yield _row(f"{name}/steal", f"{inside}/steal", "json", path, "%", "lower")
    yield _stress(f"{name}/compute", f"{inside}/compute")
    yield _stress(f"{name}/bandwidth", f"{inside}/bandwidth")
    if len(guest.cells) > 1:
        yield _stress(f"{name}/numa", f"{inside}/numa")
    if fifo(guest):
        yield _latency(f"{name}/latency", f"{inside}/latency.json")
    for disk in guest.disks:
        yield from _disk(f"{name}/{disk.name}", inside, disk)


def _disk(name: str, inside: str, disk: DiskPlan) -> Iterator[Row]:
    yield from _reads(name, f"{inside}/disk-{disk.name}")
    if disk.own_iothread:
        for value, path in (("mean", ["mean"]), ("p99", ["percentile", "99.000000"])):
            file = f"{inside}/commit-{disk.name}"
            yield _fio(f"{name}/commit-{value}", file, 0, ["sync", "lat_ns", *path], "ns", "lower")
