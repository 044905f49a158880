"""PCI functions from sysfs (Documentation/ABI/testing/sysfs-bus-pci)."""

from __future__ import annotations

import re
from collections.abc import Callable

from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology.dump import Dump
from kvmc.topology.failure import ReadFailure
from kvmc.topology.groups import MAX_NODE
from kvmc.topology.model import PciDevice, Sriov

MAX_DEVICES = 65536


def read_pci(dump: Dump, cpus_of: Callable[[str, str, str], CpuSet | None]) -> dict[PciAddress, PciDevice] | None:
    """All functions by address, ascending; None where the dump has none (it may not have gathered them).

    cpus_of: reads a CPU list or mask: (folder, name of the list, name of the mask).
    """
    if not dump.pci:
        return None
    if len(dump.pci) > MAX_DEVICES:
        raise ReadFailure(codes.TOPOLOGY_TOO_LARGE, f"{len(dump.pci)} PCI functions, more than {MAX_DEVICES}")
    found: dict[PciAddress, PciDevice] = {}
    for address, folder in sorted((PciAddress.parse(text), folder) for text, folder in dump.pci.items()):
        node = dump.integer(f"{folder}/numa_node", -1, MAX_NODE)
        found[address] = PciDevice(
            address=address,
            node=None if node is None or node < 0 else node,
            local_cpus=cpus_of(folder, "local_cpulist", "local_cpus"),
            class_id=dump.integer(f"{folder}/class", 0, 0xFFFFFF),
            vendor_id=dump.integer(f"{folder}/vendor", 0, 0xFFFF),
            device_id=dump.integer(f"{folder}/device", 0, 0xFFFF),
            iommu_group=_group(dump.links.get(f"{folder}/iommu_group")),
            sriov=_sriov(dump, folder),
            parent_pf=_address(dump.links.get(f"{folder}/physfn")),
            root=_root(folder) or _root(dump.links.get(folder, "")),
        )
    return found


def _sriov(dump: Dump, folder: str) -> Sriov | None:
    names = ("totalvfs", "offset", "stride")
    total, offset, stride = (dump.integer(f"{folder}/sriov_{name}", 0, 0xFFFF) for name in names)
    if not total or offset is None or stride is None:
        return None
    return Sriov(total, offset, stride)


def _root(path: str) -> str | None:
    """The host bridge's folder in the path of a function: `pci0000:3a`."""
    match = re.search(r"(?:^|/)pci([0-9a-f]{4,8}:[0-9a-f]{2})/", path)
    return match[1] if match else None


def _group(link: str | None) -> int | None:
    match = re.search(r"(?:^|/)([0-9]{1,9})$", link or "")
    return int(match[1]) if match else None


def _address(link: str | None) -> PciAddress | None:
    try:
        return PciAddress.parse((link or "").rpartition("/")[2])
    except ValueError:
        return None
