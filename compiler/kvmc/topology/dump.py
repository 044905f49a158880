"""The few files of `/sys` and `/proc` that tell a host's topology, lifted from a folder or a tar archive.

Keys are paths from the host's root without a leading slash (`sys/devices/system/cpu/online`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kvmc.diagnostics.codes import topology as codes
from kvmc.topology.failure import ReadFailure, quoted

MAX_VALUE = 64 * 1024
"""Bytes of one sysfs value: the list of every other of 8192 CPUs, the longest that the kernel writes, is below 24 KiB."""
MAX_PROC = 4 * 1024**2
"""Bytes kept of a file of /proc: the `cpuinfo` of a 2048-CPU host has about 3 MiB."""
MAX_TOTAL = 256 * 1024**2
"""Bytes of all values kept of one dump."""

CPU = "sys/devices/system/cpu"
NODE = "sys/devices/system/node"
PCI_BUS = "sys/bus/pci/devices"

ADDRESS = r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]"

TOPOLOGY_FILES = (
    *("core_cpus_list", "core_cpus", "thread_siblings_list", "thread_siblings"),
    *("package_cpus_list", "package_cpus", "core_siblings_list", "core_siblings", "physical_package_id"),
    *("die_cpus_list", "die_cpus", "die_id", "cluster_cpus_list", "cluster_cpus", "cluster_id", "core_id"),
    *("book_siblings_list", "book_siblings"),
)
CACHE_FILES = ("level", "type", "size", "shared_cpu_list", "shared_cpu_map", "id")
NODE_FILES = ("cpulist", "cpumap", "meminfo", "distance")
PCI_FILES = (
    *("numa_node", "local_cpulist", "local_cpus", "class", "vendor", "device"),
    *("sriov_totalvfs", "sriov_offset", "sriov_stride"),
)
PCI_LINKS = ("iommu_group", "physfn")
CPU_FILES = ("online", "present")
OWN_FILES = ("online", "cpu_capacity")
"""In a CPU's own folder."""
KIND_FILES = {
    "performance": ("sys/devices/cpu_core/cpus",),
    "efficiency": ("sys/devices/cpu_atom/cpus", "sys/devices/cpu_lowpower/cpus"),
}
"""The CPUs of each kind of a hybrid x86 CPU, as its performance counters list them."""
DAX_BUS = "sys/bus/dax/devices"
DAX_NAME = r"dax[0-9]{1,9}\.[0-9]{1,9}"
RESCTRL = "sys/fs/resctrl/info"
RESCTRL_FILES = ("num_closids", "cbm_mask", "min_cbm_bits", "bandwidth_gran", "min_bandwidth")
RESCTRL_NAME = r"L[23](?:CODE|DATA)?|MB|SMBA"
NODE_LIST_FILES = ("online",)
CGROUP_FILES = ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus", "cpus")
"""A CPU set's members, by the names of cgroup v2 and v1, best first."""
ROOT_FILES = (
    *("proc/cpuinfo", "proc/meminfo", "proc/mounts", "proc/self/cpuset", "proc/self/cgroup"),
    *("proc/hwloc-nofile-info", "sys/kernel/cpu_byteorder"),
)


@dataclass(slots=True)
class Dump:
    """files: contents. links: targets, as texts, of the symbolic links that matter. folders: those that matter by their name alone.

    pci: the folder of each PCI function, by address.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    pci: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def limit(path: str) -> int:
        """Bytes of the file that are kept."""
        return MAX_PROC if path.startswith("proc/") else MAX_VALUE

    def text(self, path: str) -> str | None:
        """A value without the blanks and NUL bytes around it; None where the file is missing or empty.

        Some kernels end a CPU list with a NUL, and tar pads a sysfs file that is shorter than its size says with NULs.
        """
        data = self.files.get(path)
        if data is None:
            return None
        if len(data) > self.limit(path):
            raise ReadFailure(codes.TOPOLOGY_TOO_LARGE, f"{quoted(path)} is longer than {self.limit(path) // 1024} KiB")
        text = data.rstrip(b"\0 \t\r\n").decode("utf-8", "replace").strip()
        if "\0" in text:
            raise ReadFailure(codes.TOPOLOGY_VALUE, f"{quoted(path)} holds a NUL byte within its value")
        return text or None

    def integer(self, path: str, low: int = -1, high: int = 0xFFFFFFFF) -> int | None:
        """A decimal or `0x` number within bounds; None where the file is missing or empty."""
        text = self.text(path)
        if text is None:
            return None
        if re.fullmatch(r"-?[0-9]{1,10}|0[xX][0-9a-fA-F]{1,8}", text) is None:
            raise ReadFailure(codes.TOPOLOGY_VALUE, f"{quoted(path)} holds {quoted(text)}, which is not a number")
        value = int(text, 16 if text[1:2] in ("x", "X") else 10)
        if not low <= value <= high:
            raise ReadFailure(codes.TOPOLOGY_VALUE, f"{quoted(path)} holds {value}, outside {low} to {high}")
        return value
