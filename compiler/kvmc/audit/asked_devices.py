"""The disks, NICs and PCI functions of a guest against what the site asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kvmc.audit.context import Context
from kvmc.audit.difference import Difference
from kvmc.audit.domain import Domain
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import DevicePool, Host, Iothread, Locality, Near, Nic, Site, Vm
from kvmc.model.values import PciAddress


def disks(site: Site, vm: Vm, domain: Domain) -> Iterator[Difference]:
    found = {disk.value.source: disk for disk in domain.disks}
    asked: set[str] = set()
    for name, disk in vm.disks.items():
        storage = site.storages.get(disk.storage)
        if storage is None:
            continue
        source = storage.source.replace("{vm}", vm.name).replace("{disk}", name)
        asked.add(source)
        if source not in found:
            yield Difference(domain.head, f"asks for disk `{name}` on {source} and has no such")
            continue
        at = found[source]
        if at.value.kind != storage.type:
            yield Difference(at.span, f"asks for a {storage.type} as disk `{name}` and has a {at.value.kind}")
        driver = at.value.driver
        wanted = {"type": disk.format, "cache": disk.cache, "io": disk.io, "discard": disk.discard}
        wanted["queues"] = str(disk.queues) if disk.queues is not None and disk.bus == "virtio" else "default"
        for key, value in wanted.items():
            if driver.get(key, "default") != value:
                yield Difference(
                    at.span, f"asks for `{key} = {value}` of disk `{name}` and has `{driver.get(key, 'default')}`"
                )
        if at.value.bus != disk.bus:
            yield Difference(at.span, f"asks for disk `{name}` on bus `{disk.bus}` and has it on `{at.value.bus}`")
        threads = at.value.iothreads
        if disk.iothread is Iothread.NONE and threads and disk.bus == "virtio":
            yield Difference(at.span, f"asks for no I/O thread for disk `{name}` and has {threads[0]}")
        elif disk.iothread is not Iothread.NONE:
            if not threads:
                yield Difference(at.span, f"asks for an I/O thread for disk `{name}` and has none")
                continue
            others = [other for other in domain.disks if set(other.value.iothreads) & set(threads) and other is not at]
            if disk.iothread is Iothread.OWN and others:
                yield Difference(
                    at.span,
                    f"asks for an I/O thread of its own for disk `{name}`, and {others[0].value.source} shares it",
                )
    for source, at in found.items():
        if source not in asked:
            yield Difference(at.span, f"has disk {source[:100]}, for which it does not ask")


def iothread_nodes(context: Context, vm: Vm, domain: Domain) -> dict[int, CpuSet]:
    """For each I/O thread whose disks all have a known controller the nodes of these."""
    site, pci = context.site, context.topology.pci or {}
    found: dict[int, list[CpuSet]] = {}
    for name, disk in vm.disks.items():
        storage = site.storages.get(disk.storage) if site else None
        if storage is None:
            continue
        source = storage.source.replace("{vm}", vm.name).replace("{disk}", name)
        devices = [pci[address] for address in storage.controller or () if address in pci]
        nodes = CpuSet.of(device.node for device in devices if device.node is not None)
        for at in domain.disks:
            for id in at.value.iothreads if at.value.source == source else ():
                found.setdefault(id, []).append(nodes)
    return {id: union(nodes) for id, nodes in found.items() if all(nodes)}


def nics(site: Site, vm: Vm, domain: Domain) -> Iterator[Difference]:
    wanted = Counter(end for nic in vm.nics.values() if (end := other_end(site, vm, nic)) is not None)
    has = Counter(nic.value.source for nic in domain.nics if nic.value.device is None)
    count = Counter(source for _, source, _ in wanted.elements())
    for source in count | has:
        asked = f"asks for {counted(count[source], 'NIC')} on `{source}` and has {has[source]}"
        if count[source] > has[source]:
            yield Difference(domain.head, asked)
        elif has[source] > count[source]:
            yield Difference([nic for nic in domain.nics if nic.value.source == source][-1].span, asked)
    for at in domain.nics:
        if at.value.mac is None:
            yield Difference(at.span, "has a NIC without a MAC address, and libvirt would make one up")
        ends = sorted((kind, model) for kind, source, model in wanted if source == at.value.source)
        if at.value.device is None and ends and (at.value.kind, at.value.model) not in ends:
            kind, model = ends[0]
            where = f"on a {kind}" if kind == "bridge" else f"on `{kind}`"
            yield Difference(at.span, f"asks for {model} {where} and has `{at.value.model}` on `{at.value.kind}`")
    queues = Counter(str(nic.queues or "") for nic in vm.nics.values() if nic.device is None)
    found = Counter(nic.value.queues for nic in domain.nics if nic.value.device is None)
    if queues != found and queues.total() == found.total():
        last = next(
            nic
            for nic in domain.nics
            if nic.value.device is None and found[nic.value.queues] > queues[nic.value.queues]
        )
        yield Difference(last.span, f"has a NIC with {last.value.queues or 'no'} queues, for which it does not ask")
    macs = {nic.value.mac.value for nic in domain.nics if nic.value.mac is not None}
    for name, nic in vm.nics.items():
        if nic.mac is not None and nic.mac.lower() not in macs:
            yield Difference(domain.head, f"asks for the MAC address {nic.mac} on NIC `{name}` and has no such")


def other_end(site: Site, vm: Vm, nic: Nic) -> tuple[str, str, str] | None:
    """(libvirt's type, the source's name, the model) of a NIC that is no function of the host."""
    if nic.socket is not None:
        return "vhostuser", nic.socket.replace("{vm}", vm.name).replace("{nic}", nic.name), "virtio"
    network = site.networks.get(nic.network or "")
    if network is None:
        return None
    for kind, name in (("network", network.network), ("direct", network.direct), ("bridge", network.bridge)):
        if name is not None:
            return kind, name, nic.model
    return None


def pool_of(context: Context, host: Host, address: PciAddress) -> DevicePool | None:
    """The device pool of the host that a function belongs to."""
    device = context.device(address)
    for pool in host.devices.values():
        if address in pool.addresses or (device is not None and device.parent_pf in pool.parents):
            return pool
    return None


def may_be_far(context: Context, domain: Domain, address: PciAddress, nodes: CpuSet) -> bool:
    """Whether the site lets the function be on another node than its guest, which is on `nodes`."""
    vm, site = context.vm(domain), context.site
    host = site.hosts.get(context.files.host) if site else None
    pool = pool_of(context, host, address) if host else None
    if vm is None or pool is None:
        return False
    asked = [(nic.near, nic.within) for nic in vm.nics.values() if nic.device == pool.name]
    asked += [(one.near, one.within) for one in vm.hostdevs.values() if one.device == pool.name]
    device = context.device(address)
    beside = device is not None and device.node is not None and same_package(context, device.node, nodes)
    return any(near is not Near.REQUIRE or (within is Locality.PACKAGE and beside) for near, within in asked)


def same_package(context: Context, node: int, nodes: CpuSet) -> bool:
    """Whether a node has CPUs in a package that one of the nodes has CPUs in too."""
    there, here = context.cpus_of([node]), context.cpus_of(nodes)
    return any(package & there and package & here for package in context.topology.packages or ())


def _beside(context: Context, host: Host, vm: Vm, domain: Domain) -> Iterator[Difference]:
    """For each device that is to be beside another a function of its pool on a root complex with one of the other's pool."""
    passed = [("nic", nic.name, nic.device, nic.beside) for nic in vm.nics.values() if nic.device is not None]
    passed += [("hostdev", one.name, one.device, one.beside) for one in vm.hostdevs.values()]
    roots: dict[str, list[str]] = {}
    for function in domain.functions:
        pool = pool_of(context, host, function.value)
        root = root_of(context, function.value)
        if pool is not None and root is not None:
            roots.setdefault(pool.name, []).append(root)
    for kind, name, device, beside in passed:
        other = next((one for of, label, one, _ in passed if label == beside and (of, label) != (kind, name)), None)
        if beside is None or other is None:
            continue
        if not set(roots.get(device, ())) & set(roots.get(other, ())):
            text = f"asks for {kind} `{name}` beside `{beside}` and has them on no common root complex"
            yield Difference(domain.head, text)


def root_of(context: Context, address: PciAddress) -> str | None:
    """A virtual function's is that of its parent."""
    device = context.device(address)
    parent = (context.topology.pci or {}).get(device.parent_pf) if device and device.parent_pf else None
    return parent.root if parent is not None else device.root if device is not None else None


def functions(context: Context, host: Host, vm: Vm, domain: Domain) -> Iterator[Difference]:
    if context.topology.pci is None:
        return
    yield from _beside(context, host, vm, domain)
    wanted = Counter(nic.device for nic in vm.nics.values() if nic.device is not None)
    wanted += Counter(hostdev.device for hostdev in vm.hostdevs.values())
    has: Counter[str] = Counter()
    for function in domain.functions:
        pool = pool_of(context, host, function.value)
        if pool is None:
            yield Difference(function.span, f"has {function.value}, which is in no device pool of host `{host.name}`")
            continue
        has[pool.name] += 1
        if has[pool.name] > wanted[pool.name]:
            asked = wanted[pool.name]
            yield Difference(
                function.span, f"has {function.value} of device pool `{pool.name}`, from which it asks for {asked}"
            )
    for name in wanted:
        if name is not None and has[name] < wanted[name]:
            yield Difference(
                domain.head, f"asks for {counted(wanted[name], 'function')} of device pool `{name}` and has {has[name]}"
            )
