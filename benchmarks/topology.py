"""How long a large host takes to read: hwloc XML and a sysfs archive of 2048 CPUs, 32 nodes and 2000 PCI devices, and half of it.

`PYTHONPATH=compiler python benchmarks/topology.py` prints seconds of CPU, the best of three runs. It fails above the budget, or
where twice the host takes much more than twice the time.
"""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from kvmc.topology.read import read_topology

BUDGET = 1.0
"""Seconds of CPU for the large host."""
GROWTH = 1.3
"""How much more of the time than of the bytes twice the host may take: masks of CPUs make a file grow by more than 2."""

CPU = "sys/devices/system/cpu"


def cpu_list(first: int, count: int, all_cores: int) -> str:
    return f"{first}-{first + count - 1},{first + all_cores}-{first + all_cores + count - 1}"


def mask(first: int, count: int, all_cores: int) -> str:
    bits = ((1 << count) - 1) << first | ((1 << count) - 1) << (first + all_cores)
    groups = [f"0x{bits >> 32 * index & 0xFFFFFFFF:08x}" for index in range(bits.bit_length() // 32 + 1)]
    return ",".join(reversed(groups))


def archive(path: Path, nodes: int, devices: int) -> None:
    """32 cores of 2 threads a node, 4 caches a CPU, one package a node; with files of no use among them, as in real dumps."""
    cores = nodes * 32
    files: dict[str, str] = {f"{CPU}/online": f"0-{2 * cores - 1}", f"{CPU}/present": f"0-{2 * cores - 1}"}
    for cpu in range(2 * cores):
        core = cpu % cores
        base, own, near = f"{CPU}/cpu{cpu}", f"{core},{core + cores}", cpu_list(core // 32 * 32, 32, cores)
        files[f"{base}/topology/core_cpus_list"] = files[f"{base}/topology/thread_siblings_list"] = own
        files[f"{base}/topology/package_cpus_list"] = files[f"{base}/topology/die_cpus_list"] = near
        files[f"{base}/topology/physical_package_id"] = str(core // 32)
        files[f"{base}/topology/die_id"] = "0"
        files[f"{base}/topology/core_id"] = str(core % 32)
        for index, (level, kind) in enumerate(
            (("1", "Data"), ("1", "Instruction"), ("2", "Unified"), ("3", "Unified"))
        ):
            cache = f"{base}/cache/index{index}"
            files |= {
                f"{cache}/level": level,
                f"{cache}/type": kind,
                f"{cache}/size": "32K",
                f"{cache}/ways_of_associativity": "8",
            }
            files[f"{cache}/shared_cpu_list"] = near if level == "3" else own
        for name in (
            "cpufreq/scaling_governor",
            "cpuidle/state0/name",
            "power/control",
            "crash_notes",
            "thermal_throttle/count",
        ):
            files[f"{base}/{name}"] = "x" * 20
    for node in range(nodes):
        base = f"sys/devices/system/node/node{node}"
        files[f"{base}/cpulist"] = cpu_list(node * 32, 32, cores)
        files[f"{base}/meminfo"] = f"Node {node} MemTotal: 536870912 kB"
        files[f"{base}/distance"] = " ".join("10" if other == node else "32" for other in range(nodes))
        files[f"{base}/hugepages/hugepages-2048kB/nr_hugepages"] = "0"
    for device in range(devices):
        address = f"{device // 4096:04x}:{device >> 4 & 0xFF:02x}:{device >> 1 & 7:02x}.{device & 1}"
        base = f"sys/devices/pci{address[:7]}/{address}"
        node = device % nodes
        files |= {f"{base}/numa_node": str(node), f"{base}/local_cpulist": cpu_list(node * 32, 32, cores)}
        files |= {f"{base}/class": "0x020000", f"{base}/vendor": "0x8086", f"{base}/device": "0x1572"}
        files |= {f"{base}/{name}": "1" for name in ("enable", "irq", "subsystem_vendor", "revision", "msi_bus")}
    with tarfile.open(path, "w:gz", compresslevel=1) as packed:
        for name, value in files.items():
            member = tarfile.TarInfo(name)
            data = f"{value}\n".encode()
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))


def hwloc(path: Path, nodes: int, devices: int) -> None:
    cores = nodes * 32
    whole = mask(0, cores, cores)
    lines = [
        '<topology version="2.0">',
        f'<object type="Machine" os_index="0" cpuset="{whole}" complete_cpuset="{whole}">',
    ]
    for node in range(nodes):
        own = mask(node * 32, 32, cores)
        sets = f'cpuset="{own}" complete_cpuset="{own}" nodeset="0x1" complete_nodeset="0x1" gp_index="1"'
        lines += [f'<object type="Package" os_index="{node}" {sets}>']
        lines += [f'<object type="NUMANode" os_index="{node}" {sets} local_memory="549755813888"/>']
        lines += [f'<object type="L3Cache" {sets} cache_size="33554432" depth="3" cache_type="0">']
        for core in range(node * 32, node * 32 + 32):
            mine = mask(core, 1, cores)
            part = f'cpuset="{mine}" complete_cpuset="{mine}" nodeset="0x1" complete_nodeset="0x1" gp_index="1"'
            for name, size in (("L2Cache", 1048576), ("L1Cache", 32768), ("L1iCache", 32768)):
                lines.append(
                    f'<object type="{name}" {part} cache_size="{size}" depth="1" cache_linesize="64" cache_type="0">'
                )
            lines.append(f'<object type="Core" os_index="{core}" {part}>')
            for cpu in (core, core + cores):
                one = ",".join(["0x%08x" % (1 << cpu % 32), *["0x0"] * (cpu // 32)])
                lines.append(
                    f'<object type="PU" os_index="{cpu}" cpuset="{one}" complete_cpuset="{one}" nodeset="0x1"/>'
                )
            lines.append("</object>" * 4)
        lines += ["</object>", '<object type="Bridge" bridge_type="0-1" bridge_pci="0000:[00-ff]">']
        for device in range(node, devices, nodes):
            address = f"{device // 4096:04x}:{device >> 4 & 0xFF:02x}:{device >> 1 & 7:02x}.{device & 1}"
            lines.append(f'<object type="PCIDev" pci_busid="{address}" pci_type="0200 [8086:1572] [8086:0000] 02"/>')
        lines += ["</object>", "</object>"]
    values = " ".join("10" if row == column else "32" for row in range(nodes) for column in range(nodes))
    indexes = " ".join(map(str, range(nodes)))
    lines += ["</object>", f'<distances2 type="NUMANode" nbobjs="{nodes}" kind="5" name="NUMALatency" indexing="os">']
    lines += [f"<indexes>{indexes}</indexes><u64values>{values}</u64values></distances2></topology>"]
    path.write_text("\n".join(lines))


def seconds(path: Path, nodes: int, devices: int) -> float:
    """Of CPU, the best of three; the result is checked, so that nothing is measured that reads nothing."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        topology, bag = read_topology(path, path.name)
        best = min(best, time.process_time() - start)
        assert topology is not None and not len(bag), [item.message for item in bag]
        assert len(topology.online) == nodes * 64 and topology.cores is not None and len(topology.cores) == nodes * 32
        assert len(topology.nodes) == nodes and topology.pci is not None and len(topology.pci) == devices
        assert len(topology.nodes[0].distances) == nodes
    return best


def main() -> int:
    ok = True
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("hwloc.xml", hwloc), ("sysfs.tar.gz", archive)):
            found: list[float] = []
            sizes: list[float] = []
            for nodes, devices in ((16, 1000), (32, 2000)):
                path = Path(folder, f"{nodes}-{name}")
                make(path, nodes, devices)
                found.append(seconds(path, nodes, devices))
                sizes.append(path.stat().st_size / 1024**2)
                what = f"{nodes * 64} CPUs, {nodes} nodes, {devices} PCI devices, {sizes[-1]:.1f} MiB"
                print(f"{name}: {what}: {found[-1]:.2f} s")
            growth, linear = found[1] / found[0], max(2.0, sizes[1] / sizes[0])
            print(f"{name}: {linear:.1f} times the bytes take {growth:.1f} times as long")
            ok = ok and found[1] < BUDGET and growth < GROWTH * linear
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
