"""A libvirt domain as far as the audit judges it. Sizes in KiB. Facts on elements: libvirt's formatdomain page."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.audit import cpulists, devices, xml
from kvmc.audit.devices import Disk, Nic
from kvmc.audit.elements import Reader
from kvmc.audit.source import At, File, unreadable
from kvmc.diagnostics import Bag, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import MAX_CPU, CpuSet
from kvmc.model.values import PciAddress

DEFAULT_PAGE = 0
"""The page size of a `<hugepages/>` that names none."""


@dataclass(frozen=True, slots=True)
class Sched:
    """A scheduler policy of some vCPUs."""

    vcpus: CpuSet
    policy: str
    priority: int | None


@dataclass(frozen=True, slots=True)
class MemNode:
    """Where the memory of a cell comes from; `cell` None for the whole guest."""

    cell: int | None
    mode: str
    nodes: CpuSet


@dataclass(frozen=True, slots=True)
class Page:
    """A size of huge pages for some cells; `cells` None for all others."""

    size_kib: int
    cells: CpuSet | None


@dataclass(frozen=True, slots=True)
class Cell:
    """`distances`: to other cells, where told."""

    id: int
    vcpus: CpuSet
    memory_kib: int
    distances: tuple[tuple[int, At[int]], ...] = ()


@dataclass(frozen=True, slots=True)
class Module:
    """A memory device (a DIMM and its like) that the guest starts with, in a cell; None where it names none."""

    cell: int | None
    memory_kib: int


@dataclass(frozen=True, slots=True)
class GuestTopology:
    sockets: int
    dies: int
    clusters: int
    cores: int
    threads: int

    @property
    def product(self) -> int:
        return self.sockets * self.dies * self.clusters * self.cores * self.threads


@dataclass(frozen=True, slots=True)
class Domain:
    """One guest. `head`: the place for what is not there. `unplugged`: vCPUs that it does not start with.
    Pins by vCPU or I/O thread id; of a repeated id, the first."""

    root: xml.Node
    file: File
    head: Span
    name: str
    uuid: At[str] | None
    type: str
    memory: At[int] | None
    current: At[int] | None
    binary: At[str] | None
    vcpus: At[int] | None
    unplugged: CpuSet
    mask: At[CpuSet] | None
    pins: dict[int, At[CpuSet]]
    emulator: At[CpuSet] | None
    iothreads: At[frozenset[int]] | None
    iothread_pins: dict[int, At[CpuSet]]
    scheds: tuple[At[Sched], ...]
    numa: tuple[At[MemNode], ...]
    pages: tuple[At[Page], ...]
    locked: bool
    machine: At[str] | None
    cpu: At[str] | None
    pmu: bool
    uefi: bool
    cells: tuple[At[Cell], ...]
    modules: tuple[At[Module], ...]
    topology: At[GuestTopology] | None
    disks: tuple[At[Disk], ...]
    nics: tuple[At[Nic], ...]
    hostdevs: tuple[At[PciAddress], ...]

    @property
    def count(self) -> int:
        return self.vcpus.value if self.vcpus else 0

    @property
    def functions(self) -> tuple[At[PciAddress], ...]:
        """All PCI functions of the host that it is given."""
        return self.hostdevs + tuple(nic.value.device for nic in self.nics if nic.value.device)


class _Reader(Reader):
    def iothreads(self, root: xml.Node) -> At[frozenset[int]] | None:
        """The ids of the I/O threads: from 1, unless `<iothreadids>` names them."""
        node = root.child("iothreads")
        named = {self.number(self.needed(one, "id")) for one in root.all("iothreadids", "iothread")} - {None}
        count = self.threads(node.text()) if node else None
        if count is None and not named:
            return None
        ids = {id for id in named if id is not None}
        free = (id for id in range(1, MAX_CPU + 2 + len(ids)) if id not in ids)
        while len(ids) < (count or 0):
            ids.add(next(free))
        place = node or root.child("iothreadids")
        return At(frozenset(ids), place.text().span) if place else None

    def unplugged(self, root: xml.Node, count: int) -> CpuSet:
        """vCPUs that `<vcpu current=>` or `<vcpus>` keep for later."""
        node = root.child("vcpu")
        current = self.number(node.attribute("current")) if node else None
        each = root.all("vcpus", "vcpu")
        off = {self.number(one.attribute("id")) for one in each if one.get("enabled") == "no"} - {None}
        if off:
            return CpuSet.of(id for id in off if id is not None and id < count)
        return CpuSet.of(range(current, count)) if current is not None and current < count else CpuSet()

    def pins(self, root: xml.Node, tag: str, key: str) -> dict[int, At[CpuSet]]:
        found: dict[int, At[CpuSet]] = {}
        for node in root.all("cputune", tag):
            id = self.number(self.needed(node, key))
            cpus = self.cpus(self.needed(node, "cpuset"), cpulists.libvirt_list, "the pin")
            if id is None or cpus is None:
                continue
            if id in found:
                self.bag.error(
                    codes.REPEATED,
                    f"`{tag}` says twice where {key} {id} runs: `{found[id].value}` and `{cpus.value}`",
                    cpus.span,
                    secondary=[found[id].label("first here")],
                )
                continue
            found[id] = cpus
        return found

    def numa(self, root: xml.Node) -> tuple[At[MemNode], ...]:
        found: list[At[MemNode]] = []
        for tag in ("memory", "memnode"):
            for node in root.all("numatune", tag):
                where = node.attribute("nodeset")
                if where is None and node.get("placement") == "auto":
                    continue
                nodes = self.cpus(self.needed(node, "nodeset"), cpulists.libvirt_list, "the nodeset")
                cell = self.number(self.needed(node, "cellid")) if tag == "memnode" else None
                if cell is not None and any(one.value.cell == cell for one in found):
                    self.bag.error(codes.REPEATED, f"`memnode` of cell {cell} is there twice", node.span)
                    continue
                if nodes is not None and (tag == "memory" or cell is not None):
                    found.append(At(MemNode(cell, node.get("mode", "strict"), nodes.value), nodes.span))
        return tuple(found)

    def pages(self, root: xml.Node) -> tuple[At[Page], ...]:
        backing = root.child("memoryBacking", "hugepages")
        if backing is None:
            return ()
        found = []
        for node in backing.children("page"):
            text = self.needed(node, "size")
            size = self.kib(text, node.get("unit", "KiB")) if text else None
            cells = self.cpus(node.attribute("nodeset"), cpulists.libvirt_list, "the nodeset")
            if size is not None and size.value == DEFAULT_PAGE:
                unreadable(self.bag, size.span, "a size of pages", "0")
            elif size is not None:
                found.append(At(Page(size.value, cells.value if cells else None), size.span))
        return tuple(found) or (At(Page(DEFAULT_PAGE, None), backing.span),)

    def cells(self, root: xml.Node) -> tuple[At[Cell], ...]:
        found = []
        for index, node in enumerate(root.all("cpu", "numa", "cell")):
            id = self.number(node.attribute("id")) if node.attribute("id") else index
            cpus = self.cpus(node.attribute("cpus"), cpulists.libvirt_list, "the cell's list of vCPUs")
            text = self.needed(node, "memory")
            memory = self.kib(text, node.get("unit", "KiB")) if text else None
            if id is not None and memory is not None:
                found.append(
                    At(Cell(id, cpus.value if cpus else CpuSet(), memory.value, self.distances(node)), node.span)
                )
        return tuple(found)

    def modules(self, root: xml.Node) -> tuple[At[Module], ...]:
        found = []
        for node in root.all("devices", "memory", "target"):
            size, cell = node.child("size"), node.child("node")
            kib = self.kib(size.text(), size.get("unit", "KiB")) if size else None
            if kib is not None:
                found.append(At(Module(self.number(cell.text()) if cell else None, kib.value), kib.span))
        return tuple(found)

    def distances(self, cell: xml.Node) -> tuple[tuple[int, At[int]], ...]:
        found = []
        for node in cell.all("distances", "sibling"):
            id, text = self.number(self.needed(node, "id")), self.needed(node, "value")
            value = self.number(text)
            if id is not None and text is not None and value is not None:
                found.append((id, At(value, text.span)))
        return tuple(found)

    def topology(self, root: xml.Node) -> At[GuestTopology] | None:
        node = root.child("cpu", "topology")
        if node is None:
            return None
        parts: list[int] = []
        for name in ("sockets", "dies", "clusters", "cores", "threads"):
            at = node.attribute(name)
            value = self.number(at) if at else 1
            if value is None:
                return None
            parts.append(value)
        return At(GuestTopology(*parts), node.span)

    def scheds(self, root: xml.Node) -> tuple[At[Sched], ...]:
        found = []
        for node in root.all("cputune", "vcpusched"):
            vcpus = self.cpus(self.needed(node, "vcpus"), cpulists.libvirt_list, "the list of vCPUs")
            priority = self.number(node.attribute("priority"))
            if vcpus is not None:
                found.append(At(Sched(vcpus.value, node.get("scheduler"), priority), node.span))
        return tuple(found)


def read_domain(file: File, bag: Bag) -> Domain | None:
    """The domain, or None with a finding. What it holds and we cannot read is a finding and is left out of the value."""
    root = xml.parse(file, bag)
    if root is None:
        return None
    if root.tag != "domain":
        bag.error(codes.FILE_UNREADABLE, f"`{file.path}` is no domain: its root is `<{root.tag[:40]}>`", root.span)
        return None
    reader = _Reader(bag)
    title = root.child("name")
    name = title.text() if title else At("", root.span)
    if not name.value:
        bag.error(codes.FILE_UNREADABLE, f"`{file.path}` is a domain without a name", root.span)
        return None
    vcpu, memory, uuid = root.child("vcpu"), root.child("memory"), root.child("uuid")
    for tag, node in (("vcpu", vcpu), ("memory", memory)):
        if node is None:
            bag.error(codes.FILE_UNREADABLE, f"domain `{name.value}` has no `<{tag}>`", name.span)
    cpu, kind, loader = root.child("cpu"), root.child("os", "type"), root.child("os")
    mode = cpu.attribute("mode") if cpu else None
    model = cpu.child("model") if cpu else None
    if model is not None and (mode is None or mode.value == "custom"):
        mode = model.text()
    pmu = root.child("features", "pmu")
    devices.told_twice(root, reader)
    pinned = root.child("cputune", "emulatorpin")
    emulator = reader.needed(pinned, "cpuset") if pinned else None
    current, binary = root.child("currentMemory"), root.child("devices", "emulator")
    count = reader.threads(vcpu.text()) if vcpu else None
    return Domain(
        root=root,
        file=file,
        head=name.span,
        name=name.value,
        uuid=At(uuid.text().value.lower().replace("-", ""), uuid.text().span) if uuid else None,
        type=root.get("type"),
        memory=reader.kib(memory.text(), memory.get("unit", "KiB")) if memory else None,
        current=reader.kib(current.text(), current.get("unit", "KiB")) if current else None,
        binary=binary.text() if binary else None,
        vcpus=At(count, vcpu.text().span) if vcpu and count is not None else None,
        unplugged=reader.unplugged(root, count or 0),
        mask=reader.cpus(vcpu.attribute("cpuset"), cpulists.libvirt_list, "the mask of vCPUs") if vcpu else None,
        pins=reader.pins(root, "vcpupin", "vcpu"),
        emulator=reader.cpus(emulator, cpulists.libvirt_list, "the emulator's mask"),
        iothreads=reader.iothreads(root),
        iothread_pins=reader.pins(root, "iothreadpin", "iothread"),
        scheds=reader.scheds(root),
        numa=reader.numa(root),
        pages=reader.pages(root),
        locked=root.child("memoryBacking", "locked") is not None,
        machine=kind.attribute("machine") if kind else None,
        cpu=mode,
        pmu=pmu is None or pmu.get("state", "on") != "off",
        uefi=loader is not None and (loader.get("firmware") == "efi" or loader.child("loader") is not None),
        cells=reader.cells(root),
        modules=reader.modules(root),
        topology=reader.topology(root),
        disks=devices.disks(root, reader),
        nics=devices.nics(root, reader),
        hostdevs=devices.hostdevs(root, reader),
    )
