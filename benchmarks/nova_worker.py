"""Nova's own fit function on instances, one guest after the other: run by `peers.py` in a venv that has nova.

Reads a list of instances as JSON and writes for each the result in the scorer's terms and the CPU seconds within the function, with
how often it was called. A guest near a NIC is offered the nodes that have it, since PCI trackers need a database.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from nova import conf, objects
from nova.virt import hardware


def host_topology(host: dict[str, Any]) -> Any:
    reserved = set(host["reserved"])
    cells = []
    for node in host["nodes"]:
        cores: dict[int, set[int]] = {}
        socket = 0
        for cpu, core, _, at, package in host["cpus"]:
            if at == node["id"]:
                socket = package
                if cpu not in reserved:
                    cores.setdefault(core, set()).add(cpu)
        cpus = {cpu for core in cores.values() for cpu in core}
        cells.append(
            objects.NUMACell(
                id=node["id"],
                cpuset=set(),
                pcpuset=cpus,
                memory=sum(int(size) * number for size, number in node["pages"].items()) // 1024,
                cpu_usage=0,
                memory_usage=0,
                pinned_cpus=set(),
                siblings=list(cores.values()),
                mempages=[
                    objects.NUMAPagesTopology(size_kb=int(size), total=number, used=0, reserved=0)
                    for size, number in node["pages"].items()
                ],
                network_metadata=objects.NetworkMetadata(physnets=set(), tunneled=False),
                socket=socket,
            )
        )
    return objects.NUMATopology(cells=cells)


def guest_topology(vm: dict[str, Any]) -> Any:
    cells = []
    for index in range(vm["nodes"]):
        cpus = {cpu for cpu in range(vm["vcpus"]) if cpu * vm["nodes"] // vm["vcpus"] == index}
        cells.append(
            objects.InstanceNUMACell(
                id=index,
                cpuset=set(),
                pcpuset=cpus,
                memory=vm["mem_mib"] // vm["nodes"],
                pagesize=vm["page_kib"],
                cpu_policy="dedicated",
                cpu_thread_policy=vm["smt"],
            )
        )
    policy = "isolate" if vm["emulator"] else None
    return objects.InstanceNUMATopology(cells=cells, emulator_threads_policy=policy)


def place(instance: dict[str, Any]) -> dict[str, Any]:
    hosts: dict[str, Any] = {}
    near: dict[str, dict[str, set[int]]] = {}
    for one in instance["hosts"]:
        number = one.get("copies")
        for index in range(number or 1):
            name = f"{one['id']}.{index}" if number else one["id"]
            hosts[name] = host_topology(one)
            near[name] = {}
            for node in one["nodes"]:
                for nic in node.get("pci", {}):
                    near[name].setdefault(nic, set()).add(node["id"])
    result: list[dict[str, Any]] = []
    groups: set[tuple[str, str]] = set()
    spent, calls = 0.0, 0
    for vm in instance["vms"]:
        for name, topology in hosts.items():
            if vm["group"] and (vm["group"], name) in groups:
                continue
            offered = topology
            if vm["near"] and vm["nodes"] == 1:
                cells = [cell for cell in topology.cells if cell.id in near[name].get(vm["near"], ())]
                if not cells:
                    continue
                offered = objects.NUMATopology(cells=cells)
            wanted = guest_topology(vm)
            start = time.process_time()
            found = hardware.numa_fit_instance_to_host(offered, wanted, None)
            spent += time.process_time() - start
            calls += 1
            if not found:
                continue
            hosts[name] = hardware.numa_usage_from_instance_numa(topology, found)
            groups.add((vm["group"], name))
            pins = {str(cpu): pin for cell in found.cells for cpu, pin in cell.cpu_pinning.items()}
            emulator = [cpu for cell in found.cells for cpu in (cell.cpuset_reserved or ())]
            result.append(
                {
                    "vm": vm["id"],
                    "host": name,
                    "nodes": [cell.id for cell in found.cells],
                    "pins": pins,
                    "emulator": emulator,
                }
            )
            break
    return {"result": result, "seconds": spent, "calls": calls}


if __name__ == "__main__":
    conf.CONF([], project="nova", default_config_files=[])
    objects.register_all()
    asked = json.load(sys.stdin)
    runs = [[place(instance) for _ in range(asked["runs"])] for instance in asked["instances"]]
    json.dump([min(some, key=lambda one: one["seconds"]) for some in runs], sys.stdout)
