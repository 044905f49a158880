"""From the files of `/sys` and `/proc` to a Topology. What each file means: Documentation/ABI in the kernel's sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import topology as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import MAX_CPU, CpuSet, union
from kvmc.topology import dump as names
from kvmc.topology.cgroup import candidates
from kvmc.topology.cpuinfo import read_arch, read_cpu, read_ids
from kvmc.topology.dump import Dump
from kvmc.topology.failure import ReadFailure, quoted
from kvmc.topology.groups import (
    CACHE_TYPES,
    MAX_DISTANCE,
    MAX_KIB,
    MAX_NODE,
    NO_ID,
    by_capacity,
    disjoint,
    distinct,
    numbered,
    of_keys,
    parse_cpus,
    parse_mask,
)
from kvmc.topology.model import CacheKind, CoreKind, Memory, Node, Topology
from kvmc.topology.resctrl import read_resctrl
from kvmc.topology.sysfs_pci import read_pci

_SIZE = re.compile(r"([0-9]{1,9})([KMG])")
_KIB = {"K": 1, "M": 1024, "G": 1024**2}


def read_sysfs(dump: Dump, shown: str, bag: Bag) -> Topology:
    """Raises ReadFailure. Warnings go to the bag."""
    return _Reader(dump, shown, bag).read()


class _Reader:
    def __init__(self, dump: Dump, shown: str, bag: Bag) -> None:
        self.dump = dump
        self.shown = shown
        self.bag = bag
        self.lists: dict[str, CpuSet] = {}
        self.masks: dict[str, CpuSet] = {}

    def read(self) -> Topology:
        dump = self.dump
        present = CpuSet.of(self.ids(names.CPU, "cpu", MAX_CPU)) | (self.cpu_list(f"{names.CPU}/present") or CpuSet())
        self.online = online = self.read_online()
        if not online:
            raise ReadFailure(codes.TOPOLOGY_INCOMPLETE, "the tree names no online CPU")
        packages = self.packages()
        l3, l3_ids, caches = self.read_caches()
        limits = read_resctrl(dump)
        return Topology(
            arch=read_arch(dump),
            online=online,
            nodes=self.nodes(),
            packages=packages,
            cores=self.cores(),
            l3=l3,
            dies=self.dies(packages),
            clusters=self.clusters(),
            offline=present - online,
            allowed=self.allowed(),
            pci=read_pci(dump, self.cpus_of),
            cpu=read_cpu(dump),
            core_kinds=self.core_kinds(),
            caches=caches or None,
            resctrl=limits,
            l3_ids=l3_ids if limits else None,
        )

    # values

    def cpu_list(self, path: str) -> CpuSet | None:
        """A CPU list; None where not told. Equal texts are read once: the same list stands in every CPU's folder."""
        text = self.dump.text(path)
        if text is None:
            return None
        if text not in self.lists:
            self.lists[text] = parse_cpus(text, quoted(path))
        return self.lists[text]

    def mask(self, path: str) -> CpuSet | None:
        text = self.dump.text(path)
        if text is None:
            return None
        if text not in self.masks:
            self.masks[text] = parse_mask(text, quoted(path))
        return self.masks[text]

    def cpus_of(self, folder: str, list_name: str, mask_name: str) -> CpuSet | None:
        """The list form, else the mask form."""
        cpus = self.cpu_list(f"{folder}/{list_name}")
        return cpus if cpus is not None else self.mask(f"{folder}/{mask_name}")

    def ids(self, folder: str, stem: str, limit: int) -> list[int]:
        """The numbers of the folders `STEM<number>`, ascending."""
        start = f"{folder}/{stem}"
        found = [name[len(start) :] for name in self.dump.folders if name.startswith(start)]
        numbers = sorted({int(text) for text in found if re.fullmatch(r"[0-9]{1,9}", text)})
        if (numbers and numbers[-1] > limit) or any(text.isdigit() and len(text) > 9 for text in found):
            worst = max((text for text in found if text.isdigit()), key=lambda text: (len(text), text))
            raise ReadFailure(codes.TOPOLOGY_VALUE, f"folder {quoted(stem + worst)}: the kernel's limit is {limit}")
        return numbers

    # CPUs

    def read_online(self) -> CpuSet:
        """`cpu/online`; without it, each CPU's own file; without that a CPU is online if it has a topology folder."""
        told = self.cpu_list(f"{names.CPU}/online")
        if told is not None:
            return told
        cpus = self.ids(names.CPU, "cpu", MAX_CPU)
        known = re.compile(rf"{names.CPU}/cpu([0-9]+)/(?:topology|cache)/")
        has_topology = {int(match[1]) for match in map(known.match, self.dump.files) if match is not None}
        online: list[int] = []
        for cpu in cpus:
            own = self.dump.integer(f"{names.CPU}/cpu{cpu}/online")
            if own == 1 or (own is None and (cpu in has_topology or not has_topology)):
                online.append(cpu)
        return CpuSet.of(online)

    def groups(self, tell: Callable[[str, int], CpuSet | None]) -> tuple[CpuSet, ...] | None:
        """One set a group, of what each online CPU says; None where none says it."""
        found: list[CpuSet] = []
        for cpu in self.online:
            cpus = tell(f"{names.CPU}/cpu{cpu}/topology", cpu)
            if cpus is not None:
                found.append((cpus & self.online) | CpuSet(1 << cpu))
        return distinct(found) if found else None

    def by_ids(self, *files: str) -> tuple[CpuSet, ...] | None:
        """Groups of CPUs that have the same ids; None where a CPU has none."""
        keys: dict[int, tuple[int, ...]] = {}
        for cpu in self.online:
            ids = [self.dump.integer(f"{names.CPU}/cpu{cpu}/topology/{file}") for file in files]
            if ids[-1] is None or ids[-1] in NO_ID:
                return None
            keys[cpu] = tuple(-1 if id is None else id for id in ids)
        return of_keys(keys)

    def cores(self) -> tuple[CpuSet, ...] | None:
        def tell(folder: str, _: int) -> CpuSet | None:
            cpus = self.cpus_of(folder, "core_cpus_list", "core_cpus")
            return cpus if cpus is not None else self.cpus_of(folder, "thread_siblings_list", "thread_siblings")

        # a core's number is its own only within its package and die
        return self.groups(tell) or self.by_ids("physical_package_id", "die_id", "core_id") or self.by_cpuinfo(2)

    def packages(self) -> tuple[CpuSet, ...] | None:
        def tell(folder: str, _: int) -> CpuSet | None:
            cpus = self.cpus_of(folder, "package_cpus_list", "package_cpus")
            return cpus if cpus is not None else self.cpus_of(folder, "core_siblings_list", "core_siblings")

        listed = self.groups(tell)
        if listed is None or self.has_books():
            return listed or self.by_ids("physical_package_id") or self.by_cpuinfo(1)
        # some kernels list only a package's CPUs of one node (3.10 with cluster on die): then the numbers are right
        numbered = self.by_ids("physical_package_id")
        if numbered is None or not all(any(part.issubset(whole) for whole in numbered) for part in listed):
            return listed
        nodes = {self.node_cpus(id) for id in self.ids(names.NODE, "node", MAX_NODE)}
        return numbered if not disjoint(listed) or nodes.issuperset(listed) else listed

    def has_books(self) -> bool:
        """On s390 a package's number is its own only within its book."""
        return any(path.rpartition("/")[2].startswith("book_siblings") for path in self.dump.files)

    def by_cpuinfo(self, keys: int) -> tuple[CpuSet, ...] | None:
        """Groups by the package's number, or by that and the core's, as /proc/cpuinfo has them."""
        ids = read_ids(self.dump)
        known = {cpu: ids[cpu][:keys] for cpu in self.online if cpu in ids}
        return of_keys(known) if len(known) == len(self.online) else None

    def dies(self, packages: tuple[CpuSet, ...] | None) -> tuple[CpuSet, ...] | None:
        def tell(folder: str, _: int) -> CpuSet | None:
            id = self.dump.integer(f"{folder}/die_id")
            return None if id in NO_ID else self.cpus_of(folder, "die_cpus_list", "die_cpus")

        listed = self.groups(tell)
        # older kernels have the number alone, which is a die's own only within its package
        numbered = self.by_ids("die_id") if listed is None and packages is not None else None
        if numbered is None:
            return listed
        return distinct(package & die for package in packages or () for die in numbered)

    def clusters(self) -> tuple[CpuSet, ...] | None:
        def tell(folder: str, _: int) -> CpuSet | None:
            id = self.dump.integer(f"{folder}/cluster_id")
            return None if id in NO_ID else self.cpus_of(folder, "cluster_cpus_list", "cluster_cpus")

        return self.groups(tell)

    def read_caches(self) -> tuple[tuple[CpuSet, ...], tuple[int, ...] | None, tuple[CacheKind, ...]]:
        """One set a L3 (a CPU without one is in none), the kernel's number of each, and the kinds of all caches. Index folders have
        no fixed order: the level is in a file."""
        levels = re.compile(rf"({names.CPU}/cpu([0-9]+)/cache/index[0-9]+)/level")
        shared: dict[int, CpuSet] = {}
        ids: dict[CpuSet, int] = {}
        kinds: dict[tuple[int, str, int], int] = {}
        for path in self.dump.files:
            match = levels.fullmatch(path)
            if match is None or int(match[2]) not in self.online:
                continue
            folder, cpu = match[1], int(match[2])
            level, kind = self.dump.text(path), (self.dump.text(f"{folder}/type") or "").lower()
            size = _SIZE.fullmatch(self.dump.text(f"{folder}/size") or "")
            if size is not None and level in ("1", "2", "3", "4") and kind in CACHE_TYPES:
                key = (int(level), kind, int(size[1]) * _KIB[size[2]])
                kinds[key] = kinds.get(key, 0) | 1 << cpu
            if level == "3" and kind != "instruction":
                cpus = self.cpus_of(folder, "shared_cpu_list", "shared_cpu_map")
                if cpus is not None:
                    shared[cpu] = (cpus & self.online) | CpuSet(1 << cpu)
                    id = self.dump.integer(f"{folder}/id", 0)
                    if id is not None:
                        ids[shared[cpu]] = id
        l3 = distinct(shared[cpu] for cpu in sorted(shared))
        return (
            l3,
            numbered(l3, ids),
            tuple(CacheKind(*key, CpuSet(mask)) for key, mask in sorted(kinds.items())),
        )

    def core_kinds(self) -> Mapping[CoreKind, CpuSet] | None:
        """A hybrid CPU's: x86 lists them by performance counter, arm64 gives each CPU a capacity."""
        kinds = {
            CoreKind(kind): union(self.cpu_list(file) or CpuSet() for file in files) & self.online
            for kind, files in names.KIND_FILES.items()
        }
        if all(kinds.values()):
            return kinds
        told = {cpu: self.dump.integer(f"{names.CPU}/cpu{cpu}/cpu_capacity") for cpu in self.online}
        return by_capacity({cpu: value for cpu, value in told.items() if value is not None})

    def allowed(self) -> CpuSet | None:
        for path in candidates(self.dump):
            cpus = self.cpu_list(path)
            if cpus:
                usable = cpus & self.online
                return usable if usable and usable != self.online else None
        return None

    # nodes

    def nodes(self) -> tuple[Node, ...]:
        ids = self.ids(names.NODE, "node", MAX_NODE)
        if not ids:
            # a kernel without NUMA: one node, as libvirt makes of it (virCapabilitiesHostNUMAInitFake)
            memory = self.memory("proc/meminfo", r"MemTotal")
            return (Node(0, self.online, memory, {}, self.page_sizes("sys/kernel/mm/hugepages")),)
        order = self.distance_order(ids)
        dax = self.dax()
        nodes: list[Node] = []
        for id in ids:
            folder = f"{names.NODE}/node{id}"
            cpus = self.node_cpus(id)
            nodes.append(
                Node(
                    id,
                    cpus,
                    self.memory(f"{folder}/meminfo", rf"Node {id} MemTotal"),
                    self.distances(folder, ids, order),
                    self.page_sizes(f"{folder}/hugepages"),
                    None if cpus else dax.get(id),
                )
            )
        return tuple(nodes)

    def node_cpus(self, id: int) -> CpuSet:
        return (self.cpus_of(f"{names.NODE}/node{id}", "cpulist", "cpumap") or CpuSet()) & self.online

    def dax(self) -> dict[int, Memory]:
        """What the memory behind each DAX device's node is, by the bus that the device hangs on."""
        found: dict[int, Memory] = {}
        for path, target in self.dump.links.items():
            node = self.dump.integer(f"{path}/target_node", -1, MAX_NODE) if path.startswith(names.DAX_BUS) else None
            if node is None or node < 0:
                continue
            parts = target.split("/")
            if any(part.startswith("ndbus") for part in parts):
                found[node] = Memory.NVM
            elif any(part.startswith(("ACPI0017", "decoder", "region")) for part in parts):
                found[node] = Memory.CXL
            elif any(part.startswith("hmem") for part in parts):
                found[node] = Memory.SPECIAL
        return found

    def memory(self, path: str, label: str) -> int | None:
        match = re.search(rf"^\s*{label}:\s*([0-9]{{1,15}}) kB", self.dump.text(path) or "", re.MULTILINE)
        kib = int(match[1]) if match else None
        if kib is not None and kib > MAX_KIB:
            raise ReadFailure(codes.TOPOLOGY_VALUE, f"{quoted(path)} tells of {kib} KiB, above {MAX_KIB}")
        return kib

    def page_sizes(self, folder: str) -> tuple[int, ...]:
        start = f"{folder}/hugepages-"
        found = [name[len(start) : -2] for name in self.dump.folders if name.startswith(start) and name.endswith("kB")]
        return tuple(sorted(int(text) for text in found if re.fullmatch(r"[1-9][0-9]{0,11}", text)))

    def distance_order(self, ids: list[int]) -> list[int]:
        """Whose distance each column is: the kernel writes one for each online node, ascending."""
        told = self.dump.text(f"{names.NODE}/online")
        if told is None:
            return ids
        cpus = self.cpu_list(f"{names.NODE}/online")
        return list(cpus) if cpus else ids

    def distances(self, folder: str, ids: list[int], order: list[int]) -> dict[int, int]:
        text = self.dump.text(f"{folder}/distance")
        if text is None:
            return {}
        values = text.split()
        if not all(re.fullmatch(r"[0-9]{1,5}", value) and 0 < int(value) <= MAX_DISTANCE for value in values):
            raise ReadFailure(
                codes.TOPOLOGY_VALUE, f"`{folder}/distance` holds {quoted(text)}, which is not a row of numbers"
            )
        columns: Iterable[int] | None = next((row for row in (order, ids) if len(row) == len(values)), None)
        if columns is None:
            self.bag.error(
                codes.DISTANCES_UNUSABLE,
                f"{quoted(self.shown)}: `{folder}/distance` has {counted(len(values), 'value')} for {counted(len(ids), 'node')}",
                notes=("the distances of this node are left out",),
            )
            return {}
        known = frozenset(ids)
        return {id: int(value) for id, value in zip(columns, values, strict=True) if id in known}
