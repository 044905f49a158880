"""A node's memory as an equation, in KiB, and the parts of it that a guest takes.

total - huge pages (offered and reserved) - reserve >= memory of normal-page guests + overhead of every guest there
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import placement as codes
from kvmc.model.origins import Origins
from kvmc.model.site import Host, Iothread, Vm
from kvmc.model.values import KIB_PER_UNIT, PageCount, size_text
from kvmc.topology.model import Node

_MIB = KIB_PER_UNIT["MiB"]

PAGE_TABLE_DIVISOR = 512
"""Guest memory to its second-level page tables: 8 bytes an entry, 4096 a page. KubeVirt documents 0.002 of memory."""
QEMU_KIB = 218 * _MIB
"""A QEMU process with its management process, whatever its size (KubeVirt's documented constant: virtual machine overhead,
`virt-cluster-resource-requirements` of OpenShift Virtualization: 218 MiB + 8 MiB a vCPU + 16 MiB a graphics device)."""
VCPU_KIB = 8 * _MIB
"""A vCPU's thread (same source)."""
VIDEO_KIB = 16 * _MIB
"""Video memory of the one display (same source)."""
ARCH_SIZES = {"x86_64": (2048, 1024**2)}
"""Sizes of huge pages in KiB that an architecture has at most, for topologies that tell none. Others' depend on how the kernel is
built."""
IOTHREAD_KIB = 8 * _MIB
"""An I/O thread: a thread like a vCPU's, counted alike."""


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """What a node offers: huge pages by size, and normal pages in KiB after every reserve."""

    pages: Mapping[int, int]
    normal_kib: int


def split_even(total: int, parts: int) -> tuple[int, ...]:
    """`total` in `parts`, the remainder one each to the first."""
    each, rest = divmod(total, parts)
    return tuple(each + (index < rest) for index in range(parts))


def split_vcpus(vm: Vm) -> tuple[int, ...]:
    """How many vCPUs each of the guest's nodes has."""
    return tuple(cell.vcpus for cell in vm.cells.values()) or split_even(vm.vcpus, vm.nodes)


def split_memory(vm: Vm) -> tuple[int, ...]:
    """The guest's memory for each of its nodes in KiB: as its nodes say, else in whole pages (whole MiB on normal pages); what is
    no whole unit goes to the first."""
    if vm.cells:
        return tuple(cell.memory_kib for cell in vm.cells.values())
    unit = vm.pages_kib or _MIB
    units, odd = divmod(vm.memory_kib, unit)
    first, *others = (part * unit for part in split_even(units, vm.nodes))
    return (first + odd, *others)


def iothreads(vm: Vm) -> int:
    """The I/O threads of a guest: those of each disk that has its own, and one that the others share."""
    disks = vm.disks.values()
    own = sum(disk.iothreads for disk in disks if disk.iothread is Iothread.OWN)
    return own + any(disk.iothread is Iothread.SHARED for disk in disks)


def overhead(vm: Vm, memory: Sequence[int], vcpus: Sequence[int]) -> tuple[int, ...]:
    """Normal memory that the guest takes beside its own, for each of its nodes in KiB; what is no node's lies on the first.

    A guest with a device of the host has its memory mapped twice: for the CPU and, by VFIO, for the IOMMU.
    """
    maps = 2 if vm.hostdevs or vm.mdevs or any(nic.device for nic in vm.nics.values()) else 1
    fixed = QEMU_KIB + VIDEO_KIB + IOTHREAD_KIB * iothreads(vm)
    return tuple(
        maps * -(-kib // PAGE_TABLE_DIVISOR) + VCPU_KIB * number + (fixed if index == 0 else 0)
        for index, (kib, number) in enumerate(zip(memory, vcpus, strict=True))
    )


def node_memory(host: Host, node: Node, arch: str, origins: Origins, bag: Bag) -> NodeMemory:
    """What a node with CPUs offers. A node without memory offers nothing, and no page is kept there."""
    total = node.memory_kib or 0
    if total == 0:
        return NodeMemory({}, 0)
    for name, counts in (("pages", host.pages), ("reserve", host.reserve_pages)):
        path = ("host", host.name, "pages") if name == "pages" else ("host", host.name, "reserve", "pages")
        _check_sizes(host, node, arch, counts, path, origins, bag)
    offered, kept = _kib(host.pages), _kib(host.reserve_pages)
    normal = total - offered - kept - host.reserve_memory_kib
    if normal < 0:
        need = " + ".join(
            text
            for kib, text in (
                (offered, f"{size_text(offered)} of pages"),
                (kept, f"{size_text(kept)} of reserved pages"),
                (host.reserve_memory_kib, f"{size_text(host.reserve_memory_kib)} of reserve"),
            )
            if kib
        )
        _exceeded(host, node.id, need, total, normal, origins, bag)
        return NodeMemory({}, 0)
    pages: dict[int, int] = {}
    for count in host.pages:
        pages[count.size_kib] = pages.get(count.size_kib, 0) + count.number
    return NodeMemory(pages, normal)


def kind_memory(host: Host, node: Node, arch: str, origins: Origins, bag: Bag) -> NodeMemory:
    """What a node without CPUs offers: the pages of its kind, and all that is left of its memory."""
    total = node.memory_kib or 0
    offer = host.memories.get(node.memory or "")
    if offer is None or node.memory is None:
        return NodeMemory({}, total)
    path = ("host", host.name, "memory", str(node.memory), "pages")
    _check_sizes(host, node, arch, offer.pages, path, origins, bag)
    if _kib(offer.pages) > total:
        bag.error(
            codes.MEMORY_EXCEEDED,
            f"`{host.name}` node {node.id} keeps {size_text(_kib(offer.pages))} of pages, it has {size_text(total)}",
            origins.label(path),
            help=(f"offer fewer pages of {node.memory} memory",),
        )
        return NodeMemory({}, 0)
    pages: dict[int, int] = {}
    for count in offer.pages:
        pages[count.size_kib] = pages.get(count.size_kib, 0) + count.number
    return NodeMemory(pages, total - _kib(offer.pages))


def _check_sizes(
    host: Host, node: Node, arch: str, counts: Sequence[PageCount], path: tuple[str, ...], origins: Origins, bag: Bag
) -> None:
    """Huge pages of a size that the node does not have."""
    sizes = node.page_sizes_kib or ARCH_SIZES.get(arch, ())
    for count in counts:
        if count.number and sizes and count.size_kib not in sizes:
            has = " and ".join(size_text(size) for size in sizes)
            bag.error(
                codes.PAGE_SIZE_ABSENT,
                f"`{host.name}` node {node.id} has no huge pages of {size_text(count.size_kib)}, it has {has}",
                origins.label(path),
                help=(f"ask for pages of {has.replace(' and ', ' or ')}",),
            )


def _exceeded(host: Host, node: int, need: str, total: int, normal: int, origins: Origins, bag: Bag) -> None:
    largest = max((*host.pages, PageCount(0, 1)), key=lambda count: count.kib)
    fewer = largest.number - -(normal // largest.size_kib) if largest.number else 0
    path = ("pages",) if fewer > 0 else ("reserve", "memory")
    reserve = ("host", host.name, "reserve", "memory")
    by_default = "" if reserve in origins.table else f"has {size_text(host.reserve_memory_kib)} of reserve by default"
    secondary = origins.label(reserve, by_default or "the reserve")
    found = origins.find("host", host.name, *path)
    bag.error(
        codes.MEMORY_EXCEEDED,
        f"`{host.name}` node {node} keeps {need}, it has {size_text(total)}",
        Label(found.span) if found else None,
        secondary=(secondary,) if secondary and found and secondary.span != found.span else (),
        help=(_fewer(host, largest.size_kib, fewer),) if fewer > 0 else ("reserve less",),
    )


def _fewer(host: Host, size_kib: int, number: int) -> str:
    most = f"{number} * {size_text(size_kib)}"
    return f"set `pages = {most}`" if len(host.pages) == 1 else f"offer at most {most}"


def _kib(counts: Sequence[PageCount]) -> int:
    return sum(count.kib for count in counts)
