"""Reads a snapshot, which may be written by hand: all that is wrong is told at once, each with its place in the file."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import topology as codes
from kvmc.diagnostics.model import Code
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.values import PciAddress
from kvmc.topology.failure import MAX_NAME, ReadFailure, is_name, quoted
from kvmc.topology.groups import CACHE_TYPES, MAX_DISTANCE, MAX_KIB, MAX_NODE, distinct
from kvmc.topology.json_text import read_object
from kvmc.topology.model import CacheKind, CoreKind, Cpu, Facts, Memory, Node, PciDevice, Resctrl, Sriov, Topology
from kvmc.topology.snapshot_write import FACT_VERSIONS, FORMAT, RESCTRL_KEYS

_TOP = (
    *("kvmc_topology", "arch", "cpu", "online", "offline", "allowed", "nodes"),
    *(
        "packages",
        "dies",
        "clusters",
        "modules",
        "l3",
        "cores",
        "core_kinds",
        "caches",
        "l3_ids",
        "resctrl",
        "pci",
        "platform",
    ),
)
_NODE = ("id", "cpus", "memory_kib", "memory", "page_sizes_kib", "distances")
_DEVICE = ("numa_node", "local_cpus", "class", "vendor", "device", "iommu_group", "sriov", "physfn", "root")


def parse(text: str, shown: str, bag: Bag) -> Topology:
    """Read the text. What is wrong within it goes to the bag; the topology counts only if the bag has no error then.

    Raises ReadFailure where it is no snapshot at all.
    """
    top = read_object(text)
    return parse_object(top, shown, bag)


def parse_object(top: dict[str, Any], shown: str, bag: Bag) -> Topology:
    """The same, of the JSON's object."""
    version = top.get("kvmc_topology")
    if "kvmc_topology" not in top:
        raise ReadFailure(codes.TOPOLOGY_KIND, "a JSON file without `kvmc_topology`, so no snapshot of kvmc")
    if version != FORMAT or isinstance(version, bool):
        raise ReadFailure(
            codes.TOPOLOGY_KIND, f"`kvmc_topology` is {quoted(json.dumps(version))}; this kvmc reads version {FORMAT}"
        )
    return _Reader(shown, bag).topology(top)


class _Reader:
    def __init__(self, shown: str, bag: Bag) -> None:
        self.shown = quoted(shown)
        self.bag = bag

    def wrong(self, where: str, message: str, code: Code = codes.TOPOLOGY_VALUE, *help: str) -> None:
        self.bag.error(code, f"{self.shown}: {quoted(where)} {message}", help=help)

    # shapes

    def keys(self, value: Any, where: str, known: tuple[str, ...]) -> dict[str, Any]:
        """An object whose keys are known; empty where it is none."""
        if not isinstance(value, dict):
            self.wrong(where, "is not an object")
            return {}
        for key in value:
            if key not in known:
                near = difflib.get_close_matches(key[:60], known, 1)
                help = (
                    f"the nearest key is `{near[0]}`"
                    if near
                    else f"known are {', '.join(f'`{name}`' for name in known)}"
                )
                self.wrong(
                    f"{where}.{key}".removeprefix("."), "is no key of a snapshot", codes.TOPOLOGY_UNKNOWN_KEY, help
                )
        return value

    def items(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            self.wrong(where, "is not a list")
            return []
        return value

    def text(self, value: Any, where: str) -> str:
        if is_name(value):
            return str(value)
        self.wrong(where, f"is not a text of 1 to {MAX_NAME} printable characters")
        return "unknown"

    def integer(self, value: Any, where: str, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(where, "is not a whole number")
        elif not low <= value <= high:
            told = str(value) if abs(value) < 10**20 else "a number of more than 20 digits"
            self.wrong(where, f"is {told}, outside {low} to {high}")
        else:
            return value
        return low

    def word(self, value: Any, where: str, known: Sequence[str]) -> str:
        if isinstance(value, str) and value in known:
            return value
        self.wrong(where, f"is none of {', '.join(f'`{one}`' for one in known)}")
        return known[0]

    def hexadecimal(self, value: Any, where: str, digits: int) -> int:
        if isinstance(value, str) and re.fullmatch(rf"0x[0-9a-fA-F]{{1,{digits}}}", value):
            return int(value, 16)
        self.wrong(where, f"is not a text of `0x` and at most {digits} hexadecimal digits")
        return 0

    def cpus(self, value: Any, where: str) -> CpuSet:
        """`"0-3,8"`, or a list of such texts."""
        texts = value if isinstance(value, list) else [value]
        cpus = CpuSet()
        for text in texts:
            if not isinstance(text, str):
                self.wrong(where, 'is not a list of CPUs such as `"0-3,8"`')
                return CpuSet()
            try:
                cpus = cpus | CpuSet.parse(text)
            except ValueError as error:
                reason = str(error) if str(error).isprintable() else quoted(text)
                self.wrong(where, f"is no list of CPUs: {reason}")
        return cpus

    def address(self, value: Any, where: str) -> PciAddress | None:
        try:
            return PciAddress.parse(value if isinstance(value, str) else "")
        except ValueError:
            self.wrong(where, f"is not a PCI address such as `0000:3b:00.0`: {quoted(str(value))}")
            return None

    def root(self, value: Any, where: str) -> str | None:
        if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{4,8}:[0-9a-f]{2}", value):
            return value
        self.wrong(where, "is not the domain and bus of a root complex such as `0000:3a`")
        return None

    # parts

    def topology(self, top: dict[str, Any]) -> Topology:
        self.keys(top, "", _TOP)
        for key in ("online", "nodes"):
            if key not in top:
                self.bag.error(codes.TOPOLOGY_INCOMPLETE, f"{self.shown}: `{key}` is missing")
        before = len(self.bag)
        online = self.cpus(top.get("online", ""), "online")
        if "online" in top and not online and len(self.bag) == before:
            self.bag.error(codes.TOPOLOGY_INCOMPLETE, f"{self.shown}: `online` names no CPU")
        offline = self.cpus(top["offline"], "offline") if "offline" in top else None
        if offline is not None and offline & online:
            self.wrong("offline", f"holds `{offline & online}`, which `online` holds too")
        allowed = self.cpus(top["allowed"], "allowed") if "allowed" in top else None
        if allowed is not None:
            self.within(allowed, online, "allowed")
        return Topology(
            arch=self.text(top.get("arch", "unknown"), "arch"),
            online=online,
            nodes=self.nodes(self.items(top.get("nodes", []), "nodes"), online),
            packages=self.groups(top, "packages", online),
            cores=self.groups(top, "cores", online),
            l3=self.groups(top, "l3", online),
            dies=self.groups(top, "dies", online),
            clusters=self.groups(top, "clusters", online),
            offline=offline,
            allowed=allowed,
            pci=self.pci(top["pci"]) if "pci" in top else None,
            cpu=self.cpu(top.get("cpu", {})),
            modules=self.groups(top, "modules", online),
            core_kinds=self.core_kinds(top["core_kinds"], online) if "core_kinds" in top else None,
            caches=self.caches(top["caches"], online) if "caches" in top else None,
            resctrl=self.resctrl(top["resctrl"]) if "resctrl" in top else None,
            facts=self.facts(top["platform"]) if "platform" in top else None,
            l3_ids=self.l3_ids(top) if "l3_ids" in top else None,
        )

    def within(self, cpus: CpuSet, online: CpuSet, where: str) -> None:
        if online and not cpus.issubset(online):
            self.wrong(where, f"holds `{cpus - online}`, which `online` does not")

    def groups(self, top: dict[str, Any], key: str, online: CpuSet) -> tuple[CpuSet, ...] | None:
        if key not in top:
            return None
        found: list[CpuSet] = []
        for index, item in enumerate(self.items(top[key], key)):
            cpus = self.cpus(item, f"{key}[{index}]")
            self.within(cpus, online, f"{key}[{index}]")
            if cpus in found[-1:]:
                self.wrong(f"{key}[{index}]", "is the same as the one before")
            found.append(cpus)
        return distinct(found)

    def l3_ids(self, top: dict[str, Any]) -> tuple[int, ...]:
        """A number for each L3 cache, in the order in which `l3` names them."""
        caches = [self.cpus(item, f"l3[{index}]") for index, item in enumerate(self.items(top.get("l3", []), "l3"))]
        items = self.items(top["l3_ids"], "l3_ids")
        ids = [self.integer(item, f"l3_ids[{index}]", 0, 0xFFFFFFFF) for index, item in enumerate(items)]
        if len(ids) != len(caches) or len(set(ids)) != len(ids):
            self.wrong("l3_ids", f"has {counted(len(set(ids)), 'number')} for {counted(len(caches), 'L3 cache')}")
            return ()
        number = dict(zip(caches, ids, strict=True))
        return tuple(number[cpus] for cpus in distinct(caches) if cpus in number)

    def nodes(self, items: list[Any], online: CpuSet) -> tuple[Node, ...]:
        shapeless = [index for index, item in enumerate(items) if not isinstance(item, dict)]
        for index in shapeless:
            self.wrong(f"nodes[{index}]", "is not an object")
        if shapeless:
            return ()
        before = len(self.bag)
        ids = [self.integer(item.get("id"), f"nodes[{index}].id", 0, MAX_NODE) for index, item in enumerate(items)]
        if len(self.bag) > before:
            return ()
        for index, id in enumerate(ids):
            if id in ids[:index]:
                self.wrong(f"nodes[{index}].id", f"is {id}, which another node has")
        found = [self.node(item, f"nodes[{index}]", ids, ids[index], online) for index, item in enumerate(items)]
        return tuple(sorted(found, key=lambda node: node.id))

    def node(self, item: Any, where: str, ids: list[int], id: int, online: CpuSet) -> Node:
        told = self.keys(item, where, _NODE)
        if "cpus" not in told:
            self.wrong(f"{where}.cpus", 'is missing; a node of memory alone has `""`')
        cpus = self.cpus(told.get("cpus", ""), f"{where}.cpus")
        self.within(cpus, online, f"{where}.cpus")
        memory = told.get("memory_kib")
        sizes = [
            self.integer(size, f"{where}.page_sizes_kib[{index}]", 1, MAX_KIB)
            for index, size in enumerate(self.items(told.get("page_sizes_kib", []), f"{where}.page_sizes_kib"))
        ]
        return Node(
            id,
            cpus,
            self.integer(memory, f"{where}.memory_kib", 0, MAX_KIB) if "memory_kib" in told else None,
            self.distances(told["distances"], f"{where}.distances", ids) if "distances" in told else {},
            tuple(sorted(set(sizes))),
            Memory(self.word(told["memory"], f"{where}.memory", list(Memory))) if "memory" in told else None,
        )

    def distances(self, value: Any, where: str, ids: list[int]) -> dict[int, int]:
        """A list in the order of the node ids, ascending, or an object by node id."""
        if isinstance(value, dict):
            pairs = [(key, number) for key, number in value.items() if self.is_node(key, where, ids)]
            return {int(key): self.integer(number, f"{where}.{key}", 1, MAX_DISTANCE) for key, number in pairs}
        numbers = self.items(value, where)
        if len(numbers) != len(ids):
            self.wrong(where, f"has {counted(len(numbers), 'value')} for {counted(len(ids), 'node')}")
            return {}
        pairs = list(zip(sorted(ids), numbers, strict=True))
        return {
            id: self.integer(number, f"{where}[{index}]", 1, MAX_DISTANCE) for index, (id, number) in enumerate(pairs)
        }

    def is_node(self, key: str, where: str, ids: list[int]) -> bool:
        if re.fullmatch(r"[0-9]{1,4}", key) and int(key) in ids:
            return True
        self.wrong(where, f"names {quoted(key)}, which is no node")
        return False

    def cpu(self, value: Any) -> Cpu:
        told = self.keys(value, "cpu", ("vendor", "model", "features"))
        return Cpu(
            self.text(told["vendor"], "cpu.vendor") if "vendor" in told else None,
            self.text(told["model"], "cpu.model") if "model" in told else None,
            frozenset(
                self.text(item, f"cpu.features[{index}]")
                for index, item in enumerate(self.items(told.get("features", []), "cpu.features"))
            ),
        )

    def core_kinds(self, value: Any, online: CpuSet) -> dict[CoreKind, CpuSet]:
        found: dict[CoreKind, CpuSet] = {}
        for kind, item in self.keys(value, "core_kinds", tuple(CoreKind)).items():
            cpus = self.cpus(item, f"core_kinds.{kind}")
            self.within(cpus, online, f"core_kinds.{kind}")
            both = cpus & union(found.values())
            if both:
                self.wrong(f"core_kinds.{kind}", f"holds `{both}`, which another kind holds too")
            if kind in tuple(CoreKind):
                found[CoreKind(kind)] = cpus
        return dict(sorted(found.items()))

    def caches(self, value: Any, online: CpuSet) -> tuple[CacheKind, ...]:
        found: list[CacheKind] = []
        for index, item in enumerate(self.items(value, "caches")):
            where = f"caches[{index}]"
            told = self.keys(item, where, ("level", "type", "size_kib", "cpus"))
            cpus = self.cpus(told.get("cpus"), f"{where}.cpus")
            self.within(cpus, online, f"{where}.cpus")
            found.append(
                CacheKind(
                    self.integer(told.get("level"), f"{where}.level", 1, 4),
                    self.word(told.get("type"), f"{where}.type", CACHE_TYPES),
                    self.integer(told.get("size_kib"), f"{where}.size_kib", 0, MAX_KIB),
                    cpus,
                )
            )
        return tuple(sorted(found, key=lambda one: (one.level, one.type, one.size_kib)))

    def resctrl(self, value: Any) -> tuple[Resctrl, ...]:
        found: list[Resctrl] = []
        for index, item in enumerate(self.items(value, "resctrl")):
            where = f"resctrl[{index}]"
            told = self.keys(item, where, ("resource", "closids", *RESCTRL_KEYS))
            rest = {key: self.integer(told[key], f"{where}.{key}", 0, MAX_KIB) for key in RESCTRL_KEYS if key in told}
            closids = self.integer(told.get("closids"), f"{where}.closids", 1, 0xFFFF)
            found.append(Resctrl(self.text(told.get("resource"), f"{where}.resource"), closids, **rest))
        return tuple(sorted(found, key=lambda one: one.resource))

    def facts(self, value: Any) -> Facts:
        lists = ("sysctls", "domcapabilities")
        told = self.keys(value, "platform", (*FACT_VERSIONS, "kernel_config", "modules", "debugfs", *lists))

        def table(key: str) -> dict[str, Any]:
            found = told.get(key, {})
            if isinstance(found, dict):
                return found
            self.wrong(f"platform.{key}", "is not an object")
            return {}

        def texts(items: Any, where: str) -> tuple[str, ...]:
            return tuple(self.text(item, f"{where}[{index}]") for index, item in enumerate(self.items(items, where)))

        config, modules, debugfs = table("kernel_config"), table("modules"), table("debugfs")
        kernel, libvirt, qemu, tuned = (
            self.text(told[key], f"platform.{key}") if key in told else None for key in FACT_VERSIONS
        )
        sysctls, domcapabilities = (texts(told.get(key, []), f"platform.{key}") for key in lists)
        return Facts(
            kernel,
            libvirt,
            qemu,
            tuned,
            {name: self.text(item, f"platform.kernel_config.{name}") for name, item in config.items()},
            sysctls,
            {name: texts(item, f"platform.modules.{name}") for name, item in modules.items()},
            domcapabilities,
            {folder: texts(item, f"platform.debugfs.{folder}") for folder, item in debugfs.items()},
        )

    def pci(self, value: Any) -> dict[PciAddress, PciDevice]:
        if not isinstance(value, dict):
            self.wrong("pci", "is not an object")
            return {}
        found: dict[PciAddress, PciDevice] = {}
        for key, item in value.items():
            address = self.address(key, f"pci.{key}")
            if address is None:
                continue
            if address in found:
                self.wrong(f"pci.{key}", "stands twice, in different forms")
            found[address] = self.device(address, item, f"pci.{key}")
        return dict(sorted(found.items()))

    def device(self, address: PciAddress, item: Any, where: str) -> PciDevice:
        told = self.keys(item, where, _DEVICE)
        node = self.integer(told.get("numa_node", -1), f"{where}.numa_node", -1, MAX_NODE)

        def number(key: str, digits: int) -> int | None:
            return self.hexadecimal(told[key], f"{where}.{key}", digits) if key in told else None

        return PciDevice(
            address,
            None if node < 0 else node,
            self.cpus(told["local_cpus"], f"{where}.local_cpus") if "local_cpus" in told else None,
            number("class", 6),
            number("vendor", 4),
            number("device", 4),
            self.integer(told["iommu_group"], f"{where}.iommu_group", 0, 10**9) if "iommu_group" in told else None,
            self.sriov(told["sriov"], f"{where}.sriov") if "sriov" in told else None,
            self.address(told["physfn"], f"{where}.physfn") if "physfn" in told else None,
            self.root(told["root"], f"{where}.root") if "root" in told else None,
        )

    def sriov(self, value: Any, where: str) -> Sriov:
        names = ("total_vfs", "offset", "stride")
        told = self.keys(value, where, names)
        total, offset, stride = (
            self.integer(told.get(name), f"{where}.{name}", low, 0xFFFF)
            for name, low in zip(names, (1, 0, 0), strict=True)
        )
        return Sriov(total, offset, stride)
