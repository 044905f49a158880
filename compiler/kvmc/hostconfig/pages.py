"""Huge pages of a host: how many on which node, and what carries them."""

from __future__ import annotations

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.plan import Carrier, NodePages
from kvmc.hostconfig.settings import Settings
from kvmc.model.origins import Origins
from kvmc.model.site import Host, Platform
from kvmc.model.values import PageCount
from kvmc.topology import Node, Topology

NODE_FORM = (5, 16)
"""The first kernel whose `hugepages=` takes counts by node (commit b5389086ad7b)."""


def node_pages(host: Host, topology: Topology) -> tuple[NodePages, ...]:
    """Offered and reserved pages together, by size (largest first) and node. Of nodes without CPUs those of a kind that the host
    offers pages of have some."""
    counts: dict[tuple[int, int], int] = {}
    for node in topology.nodes:
        for count in _counts(host, topology, node):
            key = (count.size_kib, node.id)
            counts[key] = counts.get(key, 0) + count.number
    order = sorted(counts, key=lambda key: -key[0])
    return tuple(NodePages(node, size, counts[size, node]) for size, node in order if counts[size, node] > 0)


def _counts(host: Host, topology: Topology, node: Node) -> tuple[PageCount, ...]:
    """What a node keeps; nothing without memory."""
    if node.memory_kib == 0:
        return ()
    if node.cpus & topology.usable:
        return (*host.pages, *host.reserve_pages)
    offer = host.memories.get(node.memory or "") if not node.cpus and node.memory_kib else None
    return offer.pages if offer is not None else ()


def page_settings(
    host: Host, platform: Platform, pages: tuple[NodePages, ...], origins: Origins, settings: Settings
) -> Bag:
    """Add what reserves the pages: kernel parameters where every release has the node form, else a unit.

    The default size is the largest in both; every other size gets a hugetlbfs mount of its own.
    """
    bag = Bag()
    if not pages:
        return bag
    sizes = sorted({page.size_kib for page in pages}, reverse=True)
    given = (("pages", host.pages), ("reserve", host.reserve_pages), ("memory", host.memories))
    blocks = settings.blocks(*(path for path, has in given if has))
    at_boot = platform.kernel.since(*NODE_FORM)
    settings.add(Carrier.CMDLINE, "default_hugepagesz", kernel_size(sizes[0]), blocks, "the size of /dev/hugepages")
    for size in sizes:
        here = [page for page in pages if page.size_kib == size]
        if at_boot:
            counts = ",".join(f"{page.node}:{page.count}" for page in here)
            settings.add(Carrier.CMDLINE, "hugepagesz", kernel_size(size), blocks, "the size counted next")
            settings.add(Carrier.CMDLINE, "hugepages", counts, blocks, "offered and reserved pages by node")
        for page in here if not at_boot else ():
            key = f"/sys/devices/system/node/node{page.node}/hugepages/hugepages-{size}kB/nr_hugepages"
            settings.add(Carrier.SYSTEMD, key, str(page.count), blocks, "offered and reserved pages")
        if size != sizes[0]:
            text = kernel_size(size)
            settings.add(Carrier.SYSTEMD, f"/dev/hugepages{text}", text, blocks, "a mount for libvirt to find")
    if not at_boot:
        bag.error(
            codes.PAGES_AT_RUN_TIME,
            f"host `{host.name}` reserves its huge pages by a unit early in the boot: kernel {platform.kernel} has no counts by "
            f"node on its command line, which came with {'.'.join(map(str, NODE_FORM))}",
            origins.label(("platform", platform.name, "kernel")),
            notes=("the unit `kvmc-hugepages.service` fails where a node gives fewer pages than asked for",),
        )
    return bag


def kernel_size(kib: int) -> str:
    """A page size as the kernel's command line has it: `2M`, `1G`."""
    for unit, factor in (("G", 1024**2), ("M", 1024)):
        if kib % factor == 0:
            return f"{kib // factor}{unit}"
    return f"{kib}K"
