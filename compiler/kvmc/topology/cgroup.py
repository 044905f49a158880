"""Which CPUs the control group of a dump's process may use (cpuset controller of cgroup v1 and v2, and the older cpuset mount)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from kvmc.topology.dump import CGROUP_FILES, Dump

_USUAL_MOUNTS = ("sys/fs/cgroup/cpuset", "dev/cpuset", "sys/fs/cgroup")


def candidates(dump: Dump) -> Iterator[str]:
    """Files that may hold the CPUs, best first: the own group's, then its ancestors' (a group without the controller inherits)."""
    for mount, group in _groups(dump):
        path = PurePosixPath(group.lstrip("/"))
        if ".." in path.parts:
            continue
        for folder in (path, *path.parents):
            for name in CGROUP_FILES:
                yield str(PurePosixPath(mount, folder, name))


def _groups(dump: Dump) -> Iterator[tuple[str, str]]:
    """Each mount of a hierarchy that has CPU sets, with the group's path in it."""
    v1 = dump.text("proc/self/cpuset")
    v2 = None
    for line in (dump.text("proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if "cpuset" in controllers.split(","):
            v1 = group
        elif number == "0" and not controllers:
            v2 = group
    mounts = dump.text("proc/mounts")
    if mounts is None:
        yield from ((mount, v1 or v2 or "/") for mount in _USUAL_MOUNTS if v1 or v2)
        return
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 4 or not fields[1].startswith("/"):
            continue
        mount, kind, options = fields[1].lstrip("/"), fields[2], fields[3].split(",")
        if v1 and (kind == "cpuset" or (kind == "cgroup" and "cpuset" in options)):
            yield mount, v1
        elif v2 and kind == "cgroup2":
            yield mount, v2
