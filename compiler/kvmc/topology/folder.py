"""A sysfs tree that lies in a folder, or is the running host's own (`/`).

Nothing outside the folder is opened: symbolic links that leave it count as missing. Only regular files are read, and of each no
more than a value can hold.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from kvmc.diagnostics.codes import topology as codes
from kvmc.topology import dump as names
from kvmc.topology.cgroup import candidates
from kvmc.topology.dump import Dump
from kvmc.topology.failure import ReadFailure

_PIECE = 64 * 1024
MAX_WALK = 200_000
"""Folders looked at in search of PCI functions where `bus/pci/devices` is missing."""


def read_folder(path: Path) -> Dump:
    """Lift the files that tell. Raises ReadFailure."""
    root = os.path.realpath(path)
    for sub in ("sys", ""):
        base = os.path.join(root, sub) if sub else root  # noqa: PTH118 - hot path, thousands of joins
        if Path(base, "devices/system/cpu").is_dir():
            return _Folder(root if sub else None, base).lift()
    raise ReadFailure(
        codes.TOPOLOGY_INCOMPLETE,
        "a folder without `sys/devices/system/cpu`",
        help=("give the folder that holds the host's `sys` and `proc`",),
    )


class _Folder:
    def __init__(self, root: str | None, sys: str) -> None:
        self.root = root
        self.sys = sys
        self.border = "/" if root == "/" else (root or sys).rstrip("/") + "/"
        self.dump = Dump()
        self.total = 0
        self.known: dict[str, bool] = {}

    def lift(self) -> Dump:
        for name in names.ROOT_FILES:
            self.take(name)
        self.cpus()
        self.nodes()
        self.pci()
        self.dax()
        self.resctrl()
        self.cgroups()
        return self.dump

    def cpus(self) -> None:
        for name in names.CPU_FILES:
            self.take(f"{names.CPU}/{name}")
        for files in names.KIND_FILES.values():
            for name in files:
                self.take(name)
        for cpu in self.entries(names.CPU, r"cpu[0-9]+"):
            base = f"{names.CPU}/{cpu}"
            self.dump.folders.add(base)
            for name in names.OWN_FILES:
                self.take(f"{base}/{name}")
            for name in self.entries(f"{base}/topology", "|".join(names.TOPOLOGY_FILES)):
                self.take(f"{base}/topology/{name}")
            for index in self.entries(f"{base}/cache", r"index[0-9]+"):
                for name in names.CACHE_FILES:
                    self.take(f"{base}/cache/{index}/{name}")

    def nodes(self) -> None:
        for name in names.NODE_LIST_FILES:
            self.take(f"{names.NODE}/{name}")
        for node in self.entries(names.NODE, r"node[0-9]+"):
            base = f"{names.NODE}/{node}"
            self.dump.folders.add(base)
            for name in names.NODE_FILES:
                self.take(f"{base}/{name}")
            self.page_sizes(f"{base}/hugepages")
        self.page_sizes("sys/kernel/mm/hugepages")

    def page_sizes(self, folder: str) -> None:
        self.dump.folders.update(f"{folder}/{name}" for name in self.entries(folder, r"hugepages-[0-9]+kB"))

    def pci(self) -> None:
        found = {address: f"{names.PCI_BUS}/{address}" for address in self.entries(names.PCI_BUS, names.ADDRESS)}
        # a dump may have lost the links of `bus/pci/devices`, or hold links whose target was not gathered
        if not found or not all(self.inside(self.real(path)) for path in found.values()):
            found.update(self.search_pci())
        for address, path in found.items():
            self.dump.pci[address] = path
            for name in names.PCI_FILES:
                self.take(f"{path}/{name}")
            self.link(path)
            for name in names.PCI_LINKS:
                self.link(f"{path}/{name}")

    def search_pci(self) -> dict[str, str]:
        found: dict[str, str] = {}
        start = self.real("sys/devices")
        for count, (folder, subfolders, _) in enumerate(os.walk(start)):
            if count > MAX_WALK:
                raise ReadFailure(codes.TOPOLOGY_TOO_LARGE, f"more than {MAX_WALK} folders below `sys/devices`")
            if folder == start:
                subfolders[:] = [name for name in subfolders if name not in ("system", "virtual")]
            subfolders.sort()
            for name in subfolders:
                if re.fullmatch(names.ADDRESS, name):
                    found[name] = f"sys/devices{folder[len(start) :]}/{name}"
        return found

    def dax(self) -> None:
        for name in self.entries(names.DAX_BUS, names.DAX_NAME):
            self.link(f"{names.DAX_BUS}/{name}")
            self.take(f"{names.DAX_BUS}/{name}/target_node")

    def resctrl(self) -> None:
        for resource in self.entries(names.RESCTRL, names.RESCTRL_NAME):
            for name in names.RESCTRL_FILES:
                self.take(f"{names.RESCTRL}/{resource}/{name}")

    def link(self, key: str) -> None:
        try:
            self.dump.links[key] = os.readlink(self.real(key))  # noqa: PTH115 - a text, not a path to follow
        except OSError:
            return

    def cgroups(self) -> None:
        for path in candidates(self.dump):
            self.take(path)

    def real(self, key: str) -> str:
        if key.startswith("sys/"):
            return f"{self.sys}/{key[4:]}"
        return f"{(self.root or '').rstrip('/')}/{key}"

    def inside(self, folder: str) -> bool:
        """Whether a folder (a real path) exists and stays in the tree when its links are followed."""
        if self.border == "/":
            return True
        if folder not in self.known:
            real = os.path.realpath(folder) + "/"
            self.known[folder] = real.startswith(self.border) and Path(real).is_dir()
        return self.known[folder]

    def entries(self, key: str, pattern: str) -> list[str]:
        """Names in a folder that match, in a fixed order; none where it is missing."""
        folder = self.real(key)
        try:
            found = os.listdir(folder) if self.inside(folder) else []  # noqa: PTH208 - names alone, hot path
        except OSError:
            return []
        return sorted(name for name in found if re.fullmatch(pattern, name))

    def take(self, key: str) -> None:
        """Read a regular file; what is missing or unreadable is not told (some sysfs files answer with an error)."""
        if self.root is None and not key.startswith("sys/"):
            return
        path = self.real(key)
        if not self.inside(path.rpartition("/")[0]):
            return
        try:
            if os.path.islink(path):  # noqa: PTH114 - hot path
                path = os.path.realpath(path)
                if not path.startswith(self.border):
                    return
            # O_NONBLOCK: a named pipe in a hostile tree must not hold us
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                self.dump.files[key] = data = read_all(handle, Dump.limit(key) + 1)
                self.total += len(data)
        except OSError:
            return
        finally:
            os.close(handle)
        if self.total > names.MAX_TOTAL:
            raise ReadFailure(codes.TOPOLOGY_TOO_LARGE, f"more than {names.MAX_TOTAL // 1024**2} MiB of sysfs values")


def read_all(handle: int, limit: int) -> bytes:
    """At most `limit` bytes: /proc gives long files in pieces, and refuses to be asked for megabytes at once."""
    parts: list[bytes] = []
    while limit > 0:
        part = os.read(handle, min(limit, _PIECE))
        if not part:
            break
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)
