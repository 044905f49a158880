"""PCI functions from sysfs (Documentation/ABI/testing/sysfs-bus-pci)."""

from __future__ import annotations

import re
from collections.abc import Callable

from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology.dump import Dump
from kvmc.topology.failure import ReadFailure, quoted
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
        node = dump.integer(f"{folder}/numa_node")
        found[address] = PciDevice(
            address=address,
            node=None if node is None or node < 0 else node,
            local_cpus=cpus_of(folder, "local_cpulist", "local_cpus"),
            class_id=dump.integer(f"{folder}/class"),
            vendor_id=dump.integer(f"{folder}/vendor"),
            device_id=dump.integer(f"{folder}/device"),
            iommu_group=_group(dump.links.get(f"{folder}/iommu_group")),
            sriov=_sriov(dump, folder),
            parent_pf=_address(dump.links.get(f"{folder}/physfn")),
        )
    return found


def _sriov(dump: Dump, folder: str) -> Sriov | None:
    total, offset, stride = (dump.integer(f"{folder}/sriov_{name}") for name in ("totalvfs", "offset", "stride"))
    if not total or offset is None or stride is None:
        return None
    for name, value in (("totalvfs", total), ("offset", offset), ("stride", stride)):
        if not 0 <= value <= 0xFFFF:
            raise ReadFailure(codes.TOPOLOGY_VALUE, f"{quoted(f'{folder}/sriov_{name}')} holds {value}, not 0 to 65535")
    return Sriov(total, offset, stride)


def _group(link: str | None) -> int | None:
    match = re.search(r"(?:^|/)([0-9]{1,9})$", link or "")
    return int(match[1]) if match else None


def _address(link: str | None) -> PciAddress | None:
    try:
        return PciAddress.parse((link or "").rpartition("/")[2])
    except ValueError:
        return None
