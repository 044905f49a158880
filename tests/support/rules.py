"""What must hold of every placement, said without the resolver's own code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import L3, Domain, Emulator, Host, MemoryMode, Pinning, Place, Site, Strength, Threads, Vm
from kvmc.resolver.memory import overhead
from kvmc.resolver.placement import CellPlacement, GuestPlacement, HostPools, Placement
from kvmc.topology.model import Topology


def broken_rules(site: Site, topologies: Mapping[str, Topology], placement: Placement) -> list[str]:
    """Every rule that the placement breaks, in words; empty for a sound one."""
    broken: list[str] = []
    if list(placement.guests) != list(site.vms):
        broken.append("not every guest is placed, in source order")
    for name, host in site.hosts.items():
        broken += _pools(host, topologies[name], placement.pools[name])
        guests = [guest for guest in placement.guests.values() if guest.host == name]
        broken += _owners(site, topologies[name], placement.pools[name], guests)
        broken += _memory(site, host, topologies[name], guests)
        broken += _shared(site, host, topologies[name], placement.pools[name], guests)
    for guest in placement.guests.values():
        broken += _guest(site, topologies[guest.host], placement.pools[guest.host], guest)
    for place in site.places.values():
        if place.strength is Strength.REQUIRE:
            broken += _relation(site, topologies, placement, place)
    return broken


def _relation(site: Site, topologies: Mapping[str, Topology], placement: Placement, place: Place) -> list[str]:
    inside: dict[str, set[object]] = {}
    for vm in place.vms:
        guest = placement.guests[vm]
        topology = topologies[guest.host]
        pins = union(pin for cell in guest.cells for pin in cell.pins)
        groups = {
            Domain.HOST: [topology.online],
            Domain.PACKAGE: topology.packages or (),
            Domain.NODE: [node.cpus for node in topology.nodes],
            Domain.L3: topology.l3 or (),
        }
        if place.domain is Domain.RACK:
            inside[vm] = {site.hosts[guest.host].rack}
        else:
            inside[vm] = {(guest.host, index) for index, cpus in enumerate(groups[place.domain]) if cpus & pins}
    if place.relation == "together":
        every = set().union(*inside.values())
        return [f"{place.name}: in {len(every)} domains, not 1"] if len(every) != 1 else []
    count = Counter(domain for domains in inside.values() for domain in domains)
    return [f"{place.name}: {number} guests in {domain}" for domain, number in count.items() if number > 1]


def _cores(topology: Topology) -> list[CpuSet]:
    return [core & topology.usable for core in topology.cores or () if core & topology.usable]


def _pools(host: Host, topology: Topology, pools: HostPools) -> list[str]:
    parts = [pools.housekeeping, pools.shared, pools.dedicated, pools.vswitch]
    broken = []
    if union(parts) != topology.usable or sum(map(len, parts)) != len(topology.usable):
        broken.append(f"{host.name}: pools are not a partition of the usable CPUs")
    for core in _cores(topology):
        if sum(bool(core & part) for part in parts) != 1:
            broken.append(f"{host.name}: core {core} is in two pools")
    if topology.online.first in topology.usable and topology.online.first not in pools.housekeeping:
        broken.append(f"{host.name}: the boot CPU is not housekeeping")
    for node in topology.nodes:
        cores = [core for core in _cores(topology) if core & node.cpus]
        for part, number in (
            (pools.housekeeping, host.housekeeping_cores),
            (pools.shared, host.shared_cores),
            (pools.vswitch, host.vswitch_cores),
        ):
            have = sum(core.issubset(part) for core in cores)
            if cores and have != number:
                broken.append(f"{host.name} node {node.id}: {have} cores in a pool of {number}")
    return broken


def _whole(topology: Topology, cpus: CpuSet) -> CpuSet:
    return union(core for core in _cores(topology) if core & cpus)


def _owned(site: Site, topology: Topology, guest: GuestPlacement) -> CpuSet:
    vm = site.vms[guest.vm]
    own = guest.emulator if vm.emulator is Emulator.OWN else CpuSet()
    return _whole(topology, union(pin for cell in guest.cells for pin in _own_pins(vm, cell)) | own)


def _own_pins(vm: Vm, cell: CellPlacement) -> tuple[CpuSet, ...]:
    """The pins of the vCPUs that are to have a CPU each."""
    if vm.pinning is Pinning.DEDICATED:
        return cell.pins
    return tuple(pin for vcpu, pin in zip(cell.vcpus, cell.pins, strict=True) if vcpu in vm.dedicated)


def _owners(site: Site, topology: Topology, pools: HostPools, guests: list[GuestPlacement]) -> list[str]:
    broken = []
    taken = CpuSet()
    devices: Counter[object] = Counter()
    for guest in guests:
        mine = _owned(site, topology, guest)
        if mine & taken:
            broken.append(f"{guest.vm}: CPUs {mine & taken} are another guest's too")
        if not mine.issubset(pools.dedicated):
            broken.append(f"{guest.vm}: CPUs {mine - pools.dedicated} are not dedicated")
        taken |= mine
        devices.update(guest.devices.values())
    broken += [f"device {address} is given {count} times" for address, count in devices.items() if count > 1]
    return broken


def _memory(site: Site, host: Host, topology: Topology, guests: list[GuestPlacement]) -> list[str]:
    broken = []
    offered = {count.size_kib: count.number for count in host.pages}
    for node in topology.nodes:
        pages: Counter[int] = Counter()
        normal = 0
        for guest in guests:
            vm = site.vms[guest.vm]
            extra = overhead(vm, [cell.memory_kib for cell in guest.cells], [len(cell.vcpus) for cell in guest.cells])
            for cell, more in zip(guest.cells, extra, strict=True):
                normal += more if cell.node == node.id else 0
                here = dict(cell.memory or ((cell.node, cell.memory_kib),)).get(node.id, 0)
                if vm.pages_kib is None:
                    normal += here
                else:
                    pages[vm.pages_kib] += -(-here // vm.pages_kib)
        for size, number in pages.items():
            if number > offered.get(size, 0):
                broken.append(
                    f"{host.name} node {node.id}: {number} pages of {size} KiB, {offered.get(size, 0)} offered"
                )
        kept = sum(count.kib for count in (*host.pages, *host.reserve_pages)) + host.reserve_memory_kib
        kept = kept if node.cpus else 0
        if guests and normal and normal > (node.memory_kib or 0) - kept:
            broken.append(
                f"{host.name} node {node.id}: {normal} KiB of normal memory, {(node.memory_kib or 0) - kept} left"
            )
    return broken


def _shared(site: Site, host: Host, topology: Topology, pools: HostPools, guests: list[GuestPlacement]) -> list[str]:
    broken = []
    for node in topology.nodes:
        cpus = node.cpus & pools.shared
        vcpus = 0
        for guest in guests:
            vm = site.vms[guest.vm]
            for cell in guest.cells if vm.pinning is not Pinning.DEDICATED else ():
                if cell.node == node.id:
                    float_on = [
                        pin for vcpu, pin in zip(cell.vcpus, cell.pins, strict=True) if vcpu not in vm.dedicated
                    ]
                    vcpus += len(float_on)
                    if any(pin != cpus for pin in float_on):
                        broken.append(f"{guest.vm}: pins are not the shared CPUs of node {node.id}")
        with_cpus = [one.id for one in topology.nodes if one.cpus & topology.usable]
        ratios = dict(zip(with_cpus, host.shared_overcommits, strict=False))
        if vcpus > len(cpus) * ratios.get(node.id, host.shared_overcommit):
            broken.append(f"{host.name} node {node.id}: {vcpus} shared vCPUs on {len(cpus)} CPUs")
    return broken


def _guest(site: Site, topology: Topology, pools: HostPools, guest: GuestPlacement) -> list[str]:
    vm = site.vms[guest.vm]
    broken = []
    nodes = [cell.node for cell in guest.cells]
    even = not vm.cells
    if len(nodes) != vm.nodes or len(set(nodes)) != len(nodes):
        broken.append(f"nodes are {nodes}, {vm.nodes} asked for")
    if [id for cell in guest.cells for id in cell.vcpus] != list(range(vm.vcpus)):
        broken.append("vCPU ids are not 0 to the last, in order")
    if sum(cell.memory_kib for cell in guest.cells) != vm.memory_kib:
        broken.append("the cells' memory is not the guest's")
    sizes = [(len(cell.vcpus), cell.memory_kib) for cell in guest.cells]
    if even and max(number for number, _ in sizes) - min(number for number, _ in sizes) > 1:
        broken.append("vCPUs are unevenly split")
    if not even and sizes != [(cell.vcpus, cell.memory_kib) for cell in vm.cells.values()]:
        broken.append("its nodes are not those asked for")
    own = CpuSet()
    for cell in guest.cells:
        node = topology.node(cell.node)
        assert node is not None
        if vm.pages_kib and cell.memory_kib % vm.pages_kib:
            broken.append("a cell has a part of a page")
        broken += _parts(vm, topology, cell)
        own_pins = _own_pins(vm, cell)
        kinds = {str(kind): cpus for kind, cpus in (topology.core_kinds or {}).items()}
        if vm.cores != "any" and not union(own_pins).issubset(kinds.get(str(vm.cores), CpuSet())):
            broken.append(f"CPUs {union(own_pins)} are not all {vm.cores} cores")
        if own_pins:
            broken += _dedicated(vm.threads, vm.l3, topology, own_pins, node.cpus)
        here = guest.emulator & node.cpus
        if vm.emulator is Emulator.OWN:
            if here not in _cores(topology) or here & union(cell.pins):
                broken.append(f"emulator CPUs {here} on node {cell.node} are no core of its own")
            own |= here
        elif here != pools.housekeeping & node.cpus:
            broken.append(f"the emulator lacks housekeeping CPUs of node {cell.node}")
        own |= here
    if own != guest.emulator:
        broken.append(f"emulator CPUs {guest.emulator - own} are on no node of the guest")
    pins = union(pin for cell in guest.cells for pin in _own_pins(vm, cell))
    if guest.idle != _whole(topology, pins) - pins:
        broken.append(f"idle is {guest.idle}, not the empty siblings")
    wanted = {("nic", nic.name) for nic in vm.nics.values() if nic.device} | {
        ("hostdev", one.name) for one in vm.hostdevs.values()
    }
    if set(guest.devices) != wanted:
        broken.append("devices are not those asked for")
    return [f"{guest.vm}: {one}" for one in broken]


def _parts(vm: Vm, topology: Topology, cell: CellPlacement) -> list[str]:
    """Memory that is not bound to its node: all of it, in equal shares where it goes round."""
    if vm.memory_kind is not None:
        kinds = {node.id: node.memory for node in topology.nodes}
        on = [str(kinds[node]) for node, kib in cell.memory if kib == cell.memory_kib]
        return [] if on == [vm.memory_kind.value] and len(cell.memory) == 1 else ["its memory is not of its kind"]
    if vm.numatune is MemoryMode.STRICT:
        return ["its memory is not on its node"] if cell.memory else []
    if vm.numatune is MemoryMode.PREFERRED:
        return [] if sum(kib for _, kib in cell.memory) == cell.memory_kib else ["its memory is not all counted"]
    shares = {kib for _, kib in cell.memory}
    nodes = [node.id for node in topology.nodes if node.cpus & topology.usable and node.memory_kib]
    held = [node for node, _ in cell.memory]
    return (
        [] if held == nodes and len(shares) == 1 and shares.pop() * len(nodes) >= cell.memory_kib else ["uneven shares"]
    )


def _dedicated(threads: Threads, l3: L3, topology: Topology, pins: tuple[CpuSet, ...], node: CpuSet) -> list[str]:
    broken = []
    cpus = union(pins)
    if any(len(pin) != 1 for pin in pins) or len(cpus) != len(pins):
        broken.append("not one CPU a vCPU")
    if not cpus.issubset(node):
        broken.append("pins are off the node")
    used = [core for core in _cores(topology) if core & cpus]
    partial = [core for core in used if not core.issubset(cpus)]
    if threads is Threads.ISOLATE and any(len(core & cpus) != 1 for core in used):
        broken.append("two vCPUs on an isolated core")
    if threads is Threads.REQUIRE and partial:
        broken.append("a core is not full")
    if threads is Threads.PREFER and len(partial) > 1:
        broken.append("more than one core is used in part")
    if threads is not Threads.ISOLATE:
        order = [next(core for core in used if pin.issubset(core)) for pin in pins]
        if sum(a != b for a, b in pairwise(order)) != len(used) - 1:
            broken.append("siblings are not side by side")
    if l3 is L3.REQUIRE and not any(cpus.issubset(one) for one in topology.l3 or ()):
        broken.append("spread over L3s")
    return broken
