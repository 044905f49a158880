"""Where interrupts go: to housekeeping CPUs of their device's node."""

from __future__ import annotations

from collections.abc import Sequence

from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig import owned
from kvmc.hostconfig.guest_gates import Gate
from kvmc.hostconfig.plan import Carrier
from kvmc.hostconfig.settings import Settings
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import Host, IrqAffinity
from kvmc.resolver.placement import GuestPlacement, HostPools
from kvmc.topology import Topology
from kvmc.topology.model import Node

REST = "place-irqs.rest"
"""Of every other interrupt, and of those to come until they are placed."""
NODE = "place-irqs.node"
"""With the node's number: of the interrupts of its devices."""
IRQBALANCE = "irqbalance.ConditionPathExists"

_BUSY = (0x01, 0x02)
"""Base classes of PCI devices with many interrupts: storage and network controllers."""


def place_irqs(host: Host, topology: Topology, pools: HostPools, settings: Settings) -> None:
    """The CPUs of each node's interrupts, and irqbalance out of the way."""
    blocks = settings.blocks("irq_affinity", "housekeeping")
    why = "interrupts that no node's device has, and new ones"
    settings.add(Carrier.SYSTEMD, REST, str(pools.housekeeping), blocks, why)
    for node in topology.nodes:
        cpus, near = _cpus(node, topology, pools.housekeeping)
        if near is not None:
            _tell_bare(host, node, near, topology, settings)
        if cpus:
            text = f"interrupts of devices of node {node.id}"
            settings.add(Carrier.SYSTEMD, f"{NODE}{node.id}", str(cpus), blocks, text)
    off = "kvmc places interrupts, and irqbalance would move them again"
    settings.add(Carrier.SYSTEMD, IRQBALANCE, f"!/{owned.IRQS_SCRIPT}", blocks, off)


def _cpus(node: Node, topology: Topology, housekeeping: CpuSet) -> tuple[CpuSet, tuple[int, ...] | None]:
    """The node's housekeeping CPUs; where it has none those of the nearest nodes that have some, and these nodes. Empty where no
    distances tell which these are: then its interrupts are of the rest."""
    own = node.cpus & housekeeping
    if own:
        return own, None
    others = {one.id: one.cpus & housekeeping for one in topology.nodes if one.cpus & housekeeping}
    least = min((node.distances[id] for id in others if id in node.distances), default=None)
    near = tuple(id for id in others if least is not None and node.distances.get(id) == least)
    return union(others[id] for id in near), near


def _tell_bare(host: Host, node: Node, near: Sequence[int], topology: Topology, settings: Settings) -> None:
    """A warning where devices have to do with another node's CPUs."""
    offered = {address for pool in host.devices.values() for address in (*pool.addresses, pool.parent)}
    devices = [
        device.address
        for device in (topology.pci or {}).values()
        if device.node == node.id
        and (device.address in offered or (device.class_id is not None and device.class_id >> 16 in _BUSY))
    ]
    if devices:
        where = f"of node {', '.join(map(str, near))}" if near else "of any node"
        named = ", ".join(map(str, devices[:8])) + (f" and {len(devices) - 8} more" if len(devices) > 8 else "")
        settings.bag.error(
            codes.IRQ_NODE_BARE,
            f"node {node.id} of host `{host.name}` has 0 housekeeping CPUs: interrupts of {named} go to those {where}",
            settings.origins.label(("host", host.name, "irq_affinity")),
        )


def asked_irqs(gate: Gate, placed: GuestPlacement, topology: Topology, housekeeping: CpuSet) -> CpuSet:
    """Where the interrupts of a guest's passed devices go by its own wish; empty where it leaves that to the device's node."""
    if gate.vm.irq_affinity is not IrqAffinity.VCPUS or not placed.devices:
        return CpuSet()
    if gate.host.irq_affinity is not IrqAffinity.NODE:
        gate.tell(
            codes.IRQ_NOT_PLACED,
            f"guest `{gate.vm.name}` has `irq_affinity = vcpus`, and host `{gate.host.name}` has `irq_affinity = none`",
            gate.path("irq_affinity"),
            secondary=[gate.origins.label(("host", gate.host.name, "irq_affinity"), "the host's")],
            help=["have them placed there, with `irq_affinity = node` of the host or its pool"],
        )
        return CpuSet()
    nodes = [topology.node(cell.node) for cell in placed.cells]
    return housekeeping & union(node.cpus for node in nodes if node is not None)
