"""A digest of what placement depends on, so that a firmware change is noticed at the next build."""

from __future__ import annotations

import hashlib
import json

from kvmc.topology.model import Topology


def fingerprint(topology: Topology) -> str:
    """sha256, 64 hexadecimal digits.

    In it: CPUs online and allowed, nodes (CPUs, distances, page sizes), cores, packages, L3s, and the place of each PCI function.
    Not in it: names and features of the CPU, offline CPUs, virtual functions, which come and go with a setting, and memory sizes:
    a kernel update moves them by some MiB, and the memory equation of a build finds what no longer fits.
    """
    groups = {"packages": topology.packages, "cores": topology.cores, "l3": topology.l3}
    told = {
        "online": str(topology.online),
        "allowed": None if topology.allowed is None else str(topology.allowed),
        "nodes": [
            [node.id, str(node.cpus), sorted(node.distances.items()), list(node.page_sizes_kib)]
            for node in topology.nodes
        ],
        **{name: None if sets is None else [str(cpus) for cpus in sets] for name, sets in groups.items()},
        "pci": [
            [
                str(device.address),
                device.node,
                device.iommu_group,
                None if device.sriov is None else [device.sriov.total_vfs, device.sriov.offset, device.sriov.stride],
            ]
            for _, device in sorted((topology.pci or {}).items())
            if device.parent_pf is None
        ],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
