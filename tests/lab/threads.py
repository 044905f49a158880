"""What the kernel says of QEMU's threads and of its memory, read from the text of /proc."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kvmc.model.cpuset import CpuSet

_POLICIES = {0: "other", 1: "fifo", 2: "rr", 3: "batch", 5: "idle", 6: "deadline"}


@dataclass(frozen=True, slots=True)
class Thread:
    """priority: of the realtime policies, else 0. nodes: where it may take memory."""

    cpus: CpuSet
    policy: str
    priority: int
    nodes: CpuSet = field(default_factory=CpuSet)


def parse_thread(status: str, stat: str) -> Thread:
    """A thread from /proc/PID/task/TID/status and .../stat. Raises ValueError where they are something else."""
    cpus = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.M)
    nodes = re.search(r"^Mems_allowed_list:\s*(\S+)", status, re.M)
    if cpus is None or nodes is None:
        raise ValueError(f"no masks in {status!r}")
    # Fields 40 and 41 of proc(5)'s stat, counted behind the name in brackets, which may hold spaces.
    fields = stat.rpartition(")")[2].split()
    return Thread(CpuSet.parse(cpus[1]), _POLICIES[int(fields[38])], int(fields[37]), CpuSet.parse(nodes[1]))


def by_name(threads: Iterable[tuple[str, Thread]]) -> dict[str, Thread]:
    """Threads under their names; a name that comes again gets a `'`."""
    named: dict[str, Thread] = {}
    for name, thread in threads:
        while name in named:
            name += "'"
        named[name] = thread
    return named


@dataclass(frozen=True, slots=True)
class Memory:
    """From /proc/PID/numa_maps. huge: KiB of huge pages that are there, by (node, page size in KiB). bound: the node lists of
    mappings with the policy `bind`."""

    huge: Mapping[tuple[int, int], int]
    bound: frozenset[CpuSet]


def parse_memory(numa_maps: str) -> Memory:
    huge: dict[tuple[int, int], int] = {}
    bound: set[CpuSet] = set()
    for line in numa_maps.splitlines():
        policy = re.match(r"[0-9a-f]+ (\S+)", line)
        if policy is not None and policy[1].startswith("bind"):
            # `bind:0`, or with flags `bind=static:0-1`.
            bound.add(CpuSet.parse(policy[1].rpartition(":")[2]))
        size = re.search(r"kernelpagesize_kB=(\d+)", line)
        if size is not None and re.search(r"\bhuge\b", line):
            for node, count in re.findall(r"\bN(\d+)=(\d+)", line):
                key = (int(node), int(size[1]))
                huge[key] = huge.get(key, 0) + int(count) * key[1]
    return Memory(huge, frozenset(bound))
