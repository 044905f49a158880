"""Every host as guests find it empty, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kvmc.diagnostics import Bag
from kvmc.model.cpuset import CpuSet
from kvmc.model.origins import Origins
from kvmc.model.site import Cores, Host, Site
from kvmc.resolver.devices import derive_devices
from kvmc.resolver.memory import kind_memory, node_memory
from kvmc.resolver.pools import NodeCpus, check_topology, derive_pools
from kvmc.resolver.state import Machine, Store
from kvmc.topology.model import Topology


def derive_machines(
    site: Site, topologies: Mapping[str, Topology], origins: Origins
) -> tuple[dict[str, Machine] | None, Bag]:
    """All hosts of the site, in source order; None where the bag holds an error."""
    bag = Bag()
    machines: dict[str, Machine] = {}
    for host in site.hosts.values():
        machine, found = derive_machine(host, topologies[host.name], origins)
        bag.extend(found)
        if machine is not None:
            machines[host.name] = machine
    return (None if bag.has_errors else machines), bag


def most_threads(nodes: Sequence[NodeCpus], kind: Cores) -> int:
    """The most threads of a dedicated core of the kind; 0 without any."""
    slots = (slot for cpus in nodes for slot in cpus.slots if kind is Cores.ANY or slot.kind is kind)
    return max((slot.threads for slot in slots), default=0)


def derive_machine(host: Host, topology: Topology, origins: Origins) -> tuple[Machine | None, Bag]:
    """One host: its pools, the memory of its nodes and its devices."""
    bag = Bag()
    check_topology(host, topology, origins, bag)
    if bag.has_errors:
        return None, bag
    pooled = derive_pools(host, topology, origins, bag)
    devices = derive_devices(host, topology, origins, bag)
    by_id = {node.id: node for node in topology.nodes}
    with_cpus = [node for node in topology.nodes if node.cpus & topology.usable]
    memory = {node.id: node_memory(host, node, topology.arch, origins, bag) for node in with_cpus}
    alone = {
        node.id: kind_memory(host, node, topology.arch, origins, bag)
        for node in topology.nodes
        if not node.cpus and node.memory_kib
    }
    if pooled is None or bag.has_errors:
        return None, bag
    offer = None
    if host.resctrl_l3_kib is not None or host.resctrl_bandwidth:
        from kvmc.resolver.resctrl import derive_offer  # few hosts offer any

        offer = derive_offer(host, topology, pooled.nodes, origins, bag)
        if bag.has_errors:
            return None, bag
    return (
        Machine(
            host=host,
            pools=pooled.pools,
            nodes=pooled.nodes,
            memory=tuple(memory[cpus.node] for cpus in pooled.nodes),
            functions=devices,
            distances={cpus.node: by_id[cpus.node].distances for cpus in pooled.nodes},
            smt=most_threads(pooled.nodes, Cores.ANY),
            stores=(
                *(Store(cpus.node, by_id[cpus.node].memory, memory[cpus.node]) for cpus in pooled.nodes),
                *(Store(id, by_id[id].memory, offered) for id, offered in alone.items()),
            ),
            kinds={kind: most for kind in Cores if (most := most_threads(pooled.nodes, kind))},
            resctrl=offer,
            packages=tuple(_packages(topology, by_id[cpus.node].cpus & topology.usable) for cpus in pooled.nodes),
            pci=topology.pci or {},
        ),
        bag,
    )


def _packages(topology: Topology, cpus: CpuSet) -> tuple[int, ...]:
    """The packages of a node's CPUs, by their place in the topology; none where it does not tell them."""
    return tuple(index for index, package in enumerate(topology.packages or ()) if package & cpus)
