"""Guests as the XML wants them and as they run; and the least that the XML must be changed by to run without KVM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from kvmc.model.cpuset import CpuSet, union
from lab.threads import Memory, Thread

CHANGES = (
    "type kvm -> qemu",
    "cpu host-passthrough -> maximum",
    "kvm hints removed",
    "passed devices removed",
    "TCG's translation buffer 32 MiB",
)
"""All that `for_tcg` may change. The buffer: a locked guest has all of it in memory, by default 1 GiB each."""


def for_tcg(xml: str) -> tuple[str, tuple[str, ...]]:
    """The domain so that QEMU on TCG can create it, and which of CHANGES that took."""
    root = parse(xml)
    made: set[str] = set()
    if root.get("type") == "kvm":
        root.set("type", "qemu")
        made.add(CHANGES[0])
    cpu = root.find("cpu")
    if cpu is not None and cpu.get("mode") == "host-passthrough":
        cpu.set("mode", "maximum")
        for cache in cpu.findall("cache"):
            cpu.remove(cache)
        made.add(CHANGES[1])
    features = root.find("features")
    if features is None:
        features = etree.SubElement(root, "features")
    for kvm in features.findall("kvm"):
        features.remove(kvm)
        made.add(CHANGES[2])
    devices = root.find("devices")
    assert devices is not None
    for device in (*devices.findall("hostdev"), *devices.findall("interface[@type='hostdev']")):
        devices.remove(device)
        made.add(CHANGES[3])
    buffer = etree.SubElement(etree.SubElement(features, "tcg"), "tb-cache", unit="MiB")
    buffer.text = "32"
    made.add(CHANGES[4])
    return etree.tostring(root, encoding="unicode"), tuple(change for change in CHANGES if change in made)


@dataclass(frozen=True, slots=True)
class Expected:
    """From the XML. threads: vCPUs and I/O threads by the name that QEMU gives them. others: the mask of all other threads.
    nodes: where all memory comes from. huge: KiB by (node, page size in KiB). bound: the nodes of each cell."""

    threads: Mapping[str, Thread]
    others: CpuSet
    nodes: CpuSet
    huge: Mapping[tuple[int, int], int]
    bound: frozenset[CpuSet]


def parse(xml: str) -> etree._Element:
    return etree.fromstring(xml.encode(), etree.XMLParser(resolve_entities=False, remove_comments=True))


def _number(text: str | None) -> int:
    assert text is not None
    return int(text)


def expected(xml: str) -> Expected:
    """What the domain asks, in the forms that kvmc writes: a pin for each vCPU and I/O thread, sizes in KiB."""
    root = parse(xml)
    tune, numa = root.find("cputune"), root.find("numatune")
    assert tune is not None and numa is not None
    nodes = CpuSet.parse(numa.find("memory").get("nodeset", ""))  # type: ignore[union-attr]
    schedules: dict[int, tuple[str, int]] = {}
    for one in tune.iter("vcpusched"):
        for vcpu in CpuSet.parse(one.get("vcpus", "")):
            schedules[vcpu] = (one.get("scheduler", ""), _number(one.get("priority", "0")))
    threads: dict[str, Thread] = {}
    for pin in tune.iter("vcpupin"):
        policy, priority = schedules.get(_number(pin.get("vcpu")), ("other", 0))
        threads[f"CPU {pin.get('vcpu')}/TCG"] = Thread(CpuSet.parse(pin.get("cpuset", "")), policy, priority, nodes)
    assert len(threads) == _number(root.findtext("vcpu")) > 0
    for pin in tune.iter("iothreadpin"):
        threads[f"IO iothread{pin.get('iothread')}"] = Thread(CpuSet.parse(pin.get("cpuset", "")), "other", 0, nodes)
    emulator = tune.find("emulatorpin")
    assert emulator is not None
    cells = {cell.get("id"): _number(cell.get("memory")) for cell in root.iterfind("cpu/numa/cell")}
    places = {one.get("cellid"): CpuSet.parse(one.get("nodeset", "")) for one in numa.iter("memnode")}
    page = root.find("memoryBacking/hugepages/page")
    huge: dict[tuple[int, int], int] = {}
    for cell, memory in cells.items():
        (node,) = places[cell]
        if page is not None:
            key = (node, _number(page.get("size")))
            huge[key] = huge.get(key, 0) + memory
    return Expected(threads, CpuSet.parse(emulator.get("cpuset", "")), nodes, huge, frozenset(places.values()))


def deviations(wanted: Expected, threads: Mapping[str, Thread], memory: Memory, *, cgroups: bool) -> list[str]:
    """How a started guest differs from its XML. cgroups: without them nothing keeps a thread's own allocations to a node."""
    found: list[str] = []
    everywhere = union(thread.nodes for thread in threads.values())
    for name in sorted(wanted.threads.keys() - threads.keys()):
        found.append(f"{name}: no such thread")
    for name, thread in threads.items():
        others = wanted.others
        if name.startswith("TC tc-ram-node"):
            # QEMU's threads that preallocate a cell keep to the CPUs of that cell's node among those they are given.
            others = thread.cpus if thread.cpus and thread.cpus.issubset(others) else others
        want = wanted.threads.get(name, Thread(others, "other", 0, wanted.nodes))
        nodes = want.nodes if cgroups else everywhere
        if (thread.cpus, thread.policy, thread.priority, thread.nodes) != (
            want.cpus,
            want.policy,
            want.priority,
            nodes,
        ):
            found.append(f"{name}: {thread}, not {want}")
    if dict(memory.huge) != dict(wanted.huge):
        found.append(f"huge pages: {dict(memory.huge)} KiB, not {dict(wanted.huge)}")
    if memory.bound != wanted.bound:
        bound = [", ".join(sorted(str(one) for one in sets)) or "none" for sets in (memory.bound, wanted.bound)]
        found.append(f"memory is bound to {bound[0]}, not {bound[1]}")
    return found
