"""Hosts made for the tests: a description, and the files that a kernel or libvirt would show of it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kvmc.model.cpuset import CpuSet

CPU = "sys/devices/system/cpu"
NODE = "sys/devices/system/node"


@dataclass
class Machine:
    """`nodes` equal nodes of `cores` cores, two nodes a package, one L3 a node; thread t of core c is CPU c + t * all cores."""

    nodes: int = 4
    cores: int = 4
    threads: int = 2
    memory_kib: int = 8 * 1024**2
    offline: frozenset[int] = frozenset()
    memory_only: int = 0
    pci: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def all_cores(self) -> int:
        return self.nodes * self.cores

    @property
    def present(self) -> CpuSet:
        return CpuSet.of(range(self.all_cores * self.threads))

    @property
    def online(self) -> CpuSet:
        return self.present - CpuSet.of(self.offline)

    def of_cores(self, first: int, count: int) -> CpuSet:
        cores = range(first, first + count)
        return (
            CpuSet.of(core + thread * self.all_cores for core in cores for thread in range(self.threads)) & self.online
        )

    def files(self) -> dict[str, str]:
        """Contents by path; a value that starts with `->` is a symbolic link."""
        files = {f"{CPU}/online": str(self.online), f"{CPU}/present": str(self.present)}
        for cpu in self.present:
            base, core = f"{CPU}/cpu{cpu}", cpu % self.all_cores
            files[f"{base}/online"] = "1" if cpu in self.online else "0"
            if cpu not in self.online:
                continue
            node = core // self.cores
            package = node // 2
            own = self.of_cores(core, 1)
            whole = self.of_cores(package * 2 * self.cores, 2 * self.cores)
            l3 = self.of_cores(node * self.cores, self.cores)
            files |= {
                f"{base}/topology/core_cpus_list": str(own),
                f"{base}/topology/thread_siblings": mask(own),
                f"{base}/topology/package_cpus_list": str(whole),
                f"{base}/topology/core_siblings": mask(whole),
                f"{base}/topology/physical_package_id": str(package),
                f"{base}/topology/core_id": str(core % (2 * self.cores)),
                f"{base}/topology/die_id": "0",
            }
            for index, (level, kind, cpus) in enumerate(
                [("1", "Data", own), ("1", "Instruction", own), ("2", "Unified", own), ("3", "Unified", l3)]
            ):
                cache = f"{base}/cache/index{index}"
                files |= {f"{cache}/level": level, f"{cache}/type": kind, f"{cache}/shared_cpu_list": str(cpus)}
                files[f"{cache}/shared_cpu_map"] = mask(cpus)
        count = self.nodes + self.memory_only
        for node in range(count):
            base = f"{NODE}/node{node}"
            cpus = self.of_cores(node * self.cores, self.cores) if node < self.nodes else CpuSet()
            files |= {
                f"{base}/cpulist": str(cpus),
                f"{base}/cpumap": mask(cpus),
                f"{base}/meminfo": f"Node {node} MemTotal:       {self.memory_kib} kB\nNode {node} MemFree: 1 kB",
                f"{base}/distance": " ".join("10" if other == node else "21" for other in range(count)),
                f"{base}/hugepages/hugepages-2048kB/nr_hugepages": "0",
                f"{base}/hugepages/hugepages-1048576kB/nr_hugepages": "0",
            }
        for address, values in self.pci.items():
            for name, value in values.items():
                files[f"sys/devices/pci0000:00/{address}/{name}"] = value
            files[f"sys/bus/pci/devices/{address}"] = f"->../../../devices/pci0000:00/{address}"
        return files


def mask(cpus: CpuSet) -> str:
    """The kernel's mask form: groups of 32 bits."""
    count = max(1, -(-cpus.mask.bit_length() // 32))
    return ",".join(f"{cpus.mask >> 32 * index & 0xFFFFFFFF:08x}" for index in reversed(range(count)))


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if value.startswith("->"):
            path.symlink_to(value[2:])
        else:
            path.write_text(value + "\n" if value else "")
    return root


def write_tar(path: Path, files: Mapping[str, str], prefix: str = "host/", format: int = tarfile.GNU_FORMAT) -> Path:
    """An archive, packed as the name's ending says."""
    packing = {".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}.get(path.suffix, "w")
    with tarfile.open(path, packing, format=format) as archive:  # type: ignore[call-overload]
        for name, value in files.items():
            add(archive, prefix + name, value)
    return path


def add(archive: tarfile.TarFile, name: str, value: str) -> None:
    member = tarfile.TarInfo(name)
    if value.startswith("->"):
        member.type = tarfile.SYMTYPE
        member.linkname = value[2:]
        archive.addfile(member)
        return
    data = f"{value}\n".encode() if value else b""
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def capabilities(machine: Machine, cells: str | None = None) -> str:
    """What `virsh capabilities` prints of the machine. `cells`: other cells than the machine's."""
    banks = []
    found = []
    for node in range(machine.nodes + machine.memory_only):
        cpus = machine.of_cores(node * machine.cores, machine.cores) if node < machine.nodes else CpuSet()
        lines = [
            f"<cpu id='{cpu}' socket_id='{node // 2}' die_id='{node % 2}' cluster_id='65535' core_id='{cpu % machine.cores}' "
            f"siblings='{machine.of_cores(cpu % machine.all_cores, 1)}'/>"
            for cpu in cpus
        ]
        siblings = "".join(
            f"<sibling id='{other}' value='{10 if other == node else 21}'/>"
            for other in range(machine.nodes + machine.memory_only)
        )
        found.append(
            f"<cell id='{node}'><memory unit='KiB'>{machine.memory_kib}</memory>"
            "<pages unit='KiB' size='4'>9</pages><pages unit='KiB' size='2048'>0</pages>"
            f"<pages unit='KiB' size='1048576'>0</pages><distances>{siblings}</distances>"
            f"<cpus num='{len(cpus)}'>{''.join(lines)}</cpus></cell>"
        )
        if cpus:
            banks.append(f"<bank id='{node}' level='3' type='both' size='16' unit='MiB' cpus='{cpus}'/>")
    inner = "".join(found) if cells is None else cells
    number = inner.count("<cell ")
    return (
        "<capabilities><host><cpu><arch>x86_64</arch><model>Skylake-Server</model><vendor>Intel</vendor>"
        "<feature name='vmx'/><feature name='ds'/></cpu>"
        f"<topology><cells num='{number}'>{inner}</cells></topology><cache>{''.join(banks)}</cache></host></capabilities>\n"
    )
