"""What a host is made of, and one reader a format."""

from kvmc.topology.model import Cpu, Node, PciDevice, Sriov, Topology

__all__ = ["Cpu", "Node", "PciDevice", "Sriov", "Topology"]
