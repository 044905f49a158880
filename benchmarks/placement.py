"""Place the guests of an instance file with the resolver and write the result for a scorer.

    python benchmarks/placement.py INSTANCE.json RESULT.json

The instance lists CPUs with their core, L3 and node; it keeps some for housekeeping and gives each node pages and NICs of its own
number. It becomes a site of values: hosts whose reserved CPUs are not there, with one more CPU a node, outside every L3, that is
the housekeeping core that every node of a host has here. All guests are optional. An emulator thread on a CPU of its own counts as
one more vCPU of the first node, the last one there. Guests that arrive together are one build; each build locks the places of the
guests that stay.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kvmc.diagnostics import Bag
from kvmc.model.cpuset import CpuSet
from kvmc.model.origins import Origins
from kvmc.model.site import (
    L3,
    Boot,
    DevicePool,
    Domain,
    Emulator,
    Host,
    Isolation,
    Nic,
    Pinning,
    Place,
    Platform,
    Profile,
    Scheduler,
    Site,
    Threads,
    Vm,
)
from kvmc.model.values import PageCount, PciAddress, Version, VersionRange
from kvmc.resolver.keep import keep
from kvmc.resolver.locks import GuestLock, HostLock, Identity
from kvmc.resolver.memory import NodeMemory
from kvmc.resolver.placement import Placement
from kvmc.resolver.solve import solve
from kvmc.resolver.state import Machine
from kvmc.topology.fingerprint import fingerprint
from kvmc.topology.model import Node, PciDevice, Topology

Instance = dict[str, Any]
Topologies = dict[str, Topology]

_MIB = 1024
_BASE = 1 << 40
"""Normal memory of a node in KiB: more than all overheads together, which instances do not count."""


def copies(instance: Instance) -> dict[str, dict[str, Any]]:
    """The instance's hosts by name, each as often as it says."""
    found: dict[str, dict[str, Any]] = {}
    for host in instance["hosts"]:
        number = host.get("copies")
        for index in range(number or 1):
            found[f"{host['id']}.{index}" if number else host["id"]] = host
    return found


def topology_of(host: Mapping[str, Any]) -> Topology:
    """The host without its reserved CPUs; CPU n of the instance is n + the number of nodes, those below are the nodes' own."""
    first = len(host["nodes"])
    reserved = set(host["reserved"])
    cores: dict[int, list[int]] = {}
    l3: dict[int, list[int]] = {}
    nodes: dict[int, list[int]] = {node["id"]: [index] for index, node in enumerate(host["nodes"])}
    for cpu, core, cache, node, _ in host["cpus"]:
        if cpu not in reserved:
            cores.setdefault(core, []).append(cpu + first)
            l3.setdefault(cache, []).append(cpu + first)
            nodes[node].append(cpu + first)
    sockets = {node: socket for *_, node, socket in host["cpus"]}
    packages: dict[int, list[int]] = {}
    for node, cpus in nodes.items():
        packages.setdefault(sockets.get(node, 0), []).extend(cpus)
    pages = max(_kib(node) for node in host["nodes"])
    return Topology(
        arch="x86_64",
        online=CpuSet.of(cpu for cpus in nodes.values() for cpu in cpus),
        nodes=tuple(
            Node(
                id=node["id"],
                cpus=CpuSet.of(nodes[node["id"]]),
                memory_kib=_BASE + pages,
                distances={
                    other["id"]: 10
                    if other is node
                    else 12
                    if sockets.get(other["id"]) == sockets.get(node["id"])
                    else 32
                    for other in host["nodes"]
                },
                page_sizes_kib=(2048, 1048576),
            )
            for node in sorted(host["nodes"], key=lambda node: int(node["id"]))
        ),
        packages=_groups(packages),
        cores=_groups({-1 - index: [index] for index in range(first)} | cores),
        l3=_groups(l3),
        pci={
            address: PciDevice(address=address, node=node["id"])
            for node in host["nodes"]
            for nic, number in node.get("pci", {}).items()
            for address in _functions(host, node["id"], nic, number)
        },
    )


def _kib(node: Mapping[str, Any]) -> int:
    return sum(int(size) * number for size, number in node["pages"].items())


def _groups(groups: Mapping[int, list[int]]) -> tuple[CpuSet, ...]:
    return tuple(sorted((CpuSet.of(cpus) for cpus in groups.values()), key=lambda cpus: cpus.first))


def _functions(host: Mapping[str, Any], node: int, nic: str, number: int) -> list[PciAddress]:
    names = sorted({name for one in host["nodes"] for name in one.get("pci", {})})
    return [PciAddress(node, 1 + names.index(nic), index // 8, index % 8) for index in range(number)]


def host_of(name: str, host: Mapping[str, Any]) -> Host:
    pools: dict[str, list[PciAddress]] = {}
    for node in host["nodes"]:
        for nic, number in node.get("pci", {}).items():
            pools.setdefault(nic, []).extend(_functions(host, node["id"], nic, number))
    sizes = {int(size) for node in host["nodes"] for size in node["pages"]}
    return Host(
        name=name,
        pool=None,
        platform="any",
        topology=(f"{name}.json",),
        rack=None,
        isolation=Isolation.NONE,
        profile=Profile.THROUGHPUT,
        housekeeping_cores=1,
        housekeeping_threads=1 << 20,
        shared_cores=0,
        shared_overcommit=1,
        vswitch_cores=0,
        reserve_memory_kib=0,
        reserve_pages=(),
        pages=tuple(
            PageCount(max(node["pages"].get(str(size), 0) for node in host["nodes"]), size) for size in sorted(sizes)
        ),
        devices={nic: DevicePool(name=nic, parent=None, vfs=0, addresses=tuple(found)) for nic, found in pools.items()},
    )


def vm_of(vm: Mapping[str, Any]) -> Vm:
    """An odd vCPU, or the emulator thread in its place, makes `require` a `prefer`: that fills all cores but the last too."""
    threads = Threads(vm["smt"])
    if threads is Threads.REQUIRE and (vm["emulator"] or vm["vcpus"] // vm["nodes"] % 2):
        threads = Threads.PREFER
    near = vm["near"]
    return Vm(
        name=vm["id"],
        lineage=(),
        uuid=None,
        host=None,
        pool=None,
        type="kvm",
        vcpus=vm["vcpus"] + vm["emulator"],
        memory_kib=vm["mem_mib"] * _MIB,
        pages_kib=vm["page_kib"],
        pinning=Pinning.DEDICATED,
        threads=threads,
        nodes=vm["nodes"],
        l3=L3.PREFER,
        isolation=Isolation.ANY,
        emulator=Emulator.HOUSEKEEPING,
        scheduler=Scheduler.OTHER,
        priority=1,
        optional=True,
        weight=1,
        machine="pc-q35-7.2",
        firmware="bios",
        cpu="host-passthrough",
        locked=False,
        pmu=True,
        disks={},
        nics={near: Nic(name=near, network=None, device=near, mac=None, queues=None)} if near else {},
        hostdevs={},
    )


def site_of(instance: Instance, vms: list[str]) -> tuple[Site, Topologies]:
    """The instance with some of its guests, in the given order."""
    by_name = {vm["id"]: vm for vm in instance["vms"]}
    hosts = copies(instance)
    shapes = {id(host): topology_of(host) for host in hosts.values()}
    groups: dict[str, list[str]] = {}
    for vm in vms:
        if by_name[vm]["group"]:
            groups.setdefault(by_name[vm]["group"], []).append(vm)
    one = Version(10, 0)
    some = VersionRange(one, one)
    site = Site(
        name="instance",
        identity="instance.example.net",
        targets=(),
        platforms={
            "any": Platform(
                name="any", kernel=some, libvirt=some, qemu=some, tuned=some, boot=Boot.GRUB, realtime=False,
                emulator="/usr/bin/qemu-system-x86_64",
            )
        },
        hosts={name: host_of(name, host) for name, host in hosts.items()},
        networks={},
        storages={},
        vms={vm: vm_of(by_name[vm]) for vm in vms},
        places={
            name: Place(name=name, relation="apart", vms=tuple(members), across=Domain.HOST)
            for name, members in groups.items()
        },
    )  # fmt: skip
    return site, {name: shapes[id(host)] for name, host in hosts.items()}


def builds(instance: Instance) -> list[list[str]]:
    """The guests of each build: those that are there when a guest goes next, and at the end."""
    events = instance.get("events") or [["add", vm["id"]] for vm in instance["vms"]]
    live: dict[str, None] = {}
    found: list[list[str]] = []
    for index, (event, vm) in enumerate(events):
        if event == "add":
            live[vm] = None
            if index + 1 == len(events) or events[index + 1][0] != "add":
                found.append(list(live))
        else:
            live.pop(vm, None)
    if events and events[-1][0] != "add":
        found.append(list(live))
    return found


def place(instance: Instance) -> tuple[Placement, Site, Topologies]:
    """Run the resolver for every build in order; the last placement."""
    locks: dict[str, HostLock] = {}
    placement = Placement({}, {})
    site, topologies = site_of(instance, [])
    for vms in builds(instance):
        site, topologies = site_of(instance, vms)
        found, bag = resolve_instance(instance, site, topologies, locks)
        if found is None:
            sys.exit("\n".join(item.message for item in bag))
        placement = found
        guests: dict[str, dict[str, GuestLock]] = {name: {} for name in site.hosts}
        for vm, guest in placement.guests.items():
            guests[guest.host][vm] = GuestLock(guest, Identity("", {}, {}, {}))
        locks = {
            name: HostLock(host=name, fingerprint=fingerprint(topologies[name]), guests=held, retired={})
            for name, held in guests.items()
        }
    return placement, site, topologies


def resolve_instance(
    instance: Instance, site: Site, topologies: Topologies, locks: Mapping[str, HostLock]
) -> tuple[Placement | None, Bag]:
    """What `resolve` does, with the pages of each node as the instance has them: the language offers the same on every node."""
    origins = Origins({})
    kept, bag = keep(site, topologies, locks, origins)
    if kept is None:
        return None, bag
    machines = with_pages(instance, kept.machines)
    placement, found = solve(site, topologies, dataclasses.replace(kept, machines=machines), origins)
    bag.extend(found)
    return placement, bag


def with_pages(instance: Instance, machines: Mapping[str, Machine]) -> dict[str, Machine]:
    """The hosts with the pages of each node as the instance has them."""
    hosts = copies(instance)
    found: dict[str, Machine] = {}
    for name, machine in machines.items():
        pages = {node["id"]: {int(k): v for k, v in node["pages"].items()} for node in hosts[name]["nodes"]}
        memory = tuple(
            NodeMemory(pages[cpus.node], memory.normal_kib)
            for cpus, memory in zip(machine.nodes, machine.memory, strict=True)
        )
        found[name] = dataclasses.replace(machine, memory=memory)
    return found


def result_of(instance: Instance, placement: Placement) -> list[dict[str, Any]]:
    """The placement in the scorer's terms."""
    by_name = {vm["id"]: vm for vm in instance["vms"]}
    hosts = copies(instance)
    result = []
    for name, guest in placement.guests.items():
        vm = by_name[name]
        first = len(hosts[guest.host]["nodes"])
        cells = [[pin.first - first for pin in cell.pins] for cell in guest.cells]
        emulator = [cells[0].pop()] if vm["emulator"] else []
        cpus = [cpu for cell in cells for cpu in cell]
        result.append(
            {
                "vm": name,
                "host": guest.host,
                "nodes": [cell.node for cell in guest.cells],
                "pins": {str(index): cpu for index, cpu in enumerate(cpus)},
                "emulator": emulator,
            }
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="place the guests of an instance")
    parser.add_argument("instance", type=Path)
    parser.add_argument("result", type=Path)
    options = parser.parse_args()
    instance = json.loads(options.instance.read_text())
    start = time.process_time()
    placement, site, _ = place(instance)
    spent = time.process_time() - start
    options.result.write_text(json.dumps(result_of(instance, placement)) + "\n")
    print(f"{len(placement.guests)} of {len(site.vms)} guests placed in {spent:.3f} s of CPU time")


if __name__ == "__main__":
    main()
