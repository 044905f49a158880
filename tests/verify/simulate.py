"""A host that runs as it was compiled, as the texts of a capture: made from the artifacts by the audit's readers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kvmc.audit.context import cells_of, nodes_for
from kvmc.audit.domain import Domain
from kvmc.audit.hostfiles import HostFiles, Role
from kvmc.audit.reading import read_host
from kvmc.audit.tree import read_tree
from kvmc.diagnostics import Bag
from kvmc.driver.build import build_site
from kvmc.model.cpuset import CpuSet
from kvmc.topology import Topology
from kvmc.topology.read import read_topology
from kvmc_targets import BUILTIN

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SIZES = (2048, 1048576)


@dataclass(frozen=True)
class Built:
    """An example, built: the artifacts and the topology of each host."""

    folder: Path
    trees: Mapping[str, Mapping[str, str]]
    topologies: Mapping[str, Topology]


def build_example(name: str, folder: Path) -> Built:
    """Build a copy of the example below `folder`."""
    site = folder / name
    shutil.copytree(EXAMPLES / name, site)
    return built(site)


def built(site: Path) -> Built:
    outcome = build_site(site / "site.kvmt", BUILTIN)
    assert outcome.ok, [item.message for item in outcome.bag]
    return Built(site, read_tree(site / "generated"), outcome.topologies)


def shape(path: Path) -> Topology:
    topology, bag = read_topology(path, path.name)
    assert topology is not None and not bag.has_errors
    return topology


def mask(cpus: CpuSet, last: int) -> str:
    """As the kernel prints a mask: groups of 32 bits for all CPUs, with leading zeros."""
    groups = last // 32 + 1
    return ",".join(f"{cpus.mask >> 32 * (groups - 1 - index) & 0xFFFFFFFF:08x}" for index in range(groups))


def simulate(host: str, texts: Mapping[str, str], topology: Topology, *, running: bool = True) -> dict[str, str]:
    """A capture of the host after a boot and after everything was applied; with all guests running, or none."""
    files = read_host(host, texts, topology, Bag())
    root: dict[str, str] = {}
    last = max(topology.online)
    words = [f"{one.value.key}={one.value.value}" if one.value.value else one.value.key for one in files.options]
    line = " ".join(["BOOT_IMAGE=/vmlinuz-6.1", "root=UUID=0-1", "ro", *words])
    root["proc/cmdline"] = line + "\n"
    root["kvmc/bootlines"] = f"root=UUID=0-1 ro single\n{line.partition(' ')[2]}\n"
    root["kvmc/capture.json"] = json.dumps({"format": 1, "guests": True})
    cpu = "sys/devices/system/cpu"
    root[f"{cpu}/online"] = root[f"{cpu}/possible"] = f"0-{last}\n"
    root[f"{cpu}/isolated"] = f"{files.isolated}\n"
    root[f"{cpu}/nohz_full"] = f"{files.cpus(Role.NOHZ_FULL) or '(null)'}\n"
    spare = topology.online - files.cpus(Role.BANNED, Role.ISOLATED)
    default = files.cpus(Role.IRQ) or topology.online
    if files.irqs is not None and files.irqs.default is not None:
        spare = default = files.irqs.default.value
    _interrupts(root, default, spare, last)
    _settings(root, files, topology)
    services = files.cpus(Role.SERVICES) or topology.online
    root["proc/1/status"] = f"Name:\tsystemd\nCpus_allowed_list:\t{services}\nMems_allowed_list:\t0\n"
    for supply in files.vfs:
        root[f"sys/bus/pci/devices/{supply.parent}/sriov_numvfs"] = f"{supply.count}\n"
    if files.shares:
        resources = sorted({share.resource for share in files.shares})
        each = {
            name: ";".join(f"{one.id}={one.mask:x}" for one in files.shares if one.resource == name)
            for name in resources
        }
        root["sys/fs/resctrl/schemata"] = "".join(f"{name:>10}:{masks}\n" for name, masks in each.items())
    for file in json.loads(texts["apply.json"])["files"]:
        root[file["path"].lstrip("/")] = texts[file["from"]]
    for number, domain in enumerate(files.domains):
        _guest(root, domain, texts, 4000 + 100 * number, running=running)
    _pages(root, files, topology, running=running)
    return root


def _interrupts(root: dict[str, str], default: CpuSet, spare: CpuSet, last: int) -> None:
    root["proc/irq/default_smp_affinity"] = mask(default, last) + "\n"
    names = ["timer", "acpi", "", "eth0-TxRx-0", "ahci[0000:00:17.0]", "vfio-msix[0](0000:3b:01.0)"]
    for number, name in enumerate(names):
        cpus = CpuSet.of([list(spare)[number % len(spare)]]) if name else CpuSet.of(range(last + 1))
        root[f"proc/irq/{number}/smp_affinity_list"] = f"{spare if name else cpus}\n"
        root[f"proc/irq/{number}/effective_affinity_list"] = f"{cpus}\n"
        root[f"sys/kernel/irq/{number}/actions"] = f"{name}\n"


def _settings(root: dict[str, str], files: HostFiles, topology: Topology) -> None:
    last = max(topology.online)
    root["sys/kernel/mm/transparent_hugepage/enabled"] = "always [madvise] never\n"
    root["kvmc/cpu_dma_latency"] = "2000000000\n"
    for knob in files.knobs:
        if knob.name.startswith("sysctl:") and knob.owner == "sysctl.d":
            for part in ("all", "eth0") if "*" in knob.name else ("",):
                key = knob.name.removeprefix("sysctl:").replace("*", part)
                root["proc/sys/" + key.replace(".", "/")] = f"{knob.value}\n"
        elif knob.name.startswith("module:") and knob.owner == "modprobe.d":
            name, _, parameter = knob.name.removeprefix("module:").partition(".")
            root[f"sys/module/{name}/parameters/{parameter}"] = f"{knob.value}\n"
            root[f"sys/module/{name}/parameters/halt_poll_ns"] = "200000\n"
        elif knob.name == "transparent huge pages":
            words = " ".join(f"[{one}]" if one == knob.value else one for one in ("always", "madvise", "never"))
            root["sys/kernel/mm/transparent_hugepage/enabled"] = f"{words}\n"
        elif knob.name.startswith("file:/sys/"):
            root[knob.name.removeprefix("file:/")] = f"{knob.value}\n"
        elif knob.name == "tuned:cpu.governor":
            for one in topology.online:
                root[f"sys/devices/system/cpu/cpufreq/policy{one}/scaling_governor"] = f"{knob.value}\n"
        elif knob.name == "tuned:cpu.energy_perf_bias":
            for one in topology.online:
                root[f"sys/devices/system/cpu/cpu{one}/power/energy_perf_bias"] = "0\n"
        elif knob.name == "tuned:cpu.min_perf_pct":
            root["sys/devices/system/cpu/intel_pstate/min_perf_pct"] = f"{knob.value}\n"
        elif knob.name == "tuned:cpu.force_latency":
            root["kvmc/cpu_dma_latency"] = f"{knob.value}\n"
    work = files.cpus(Role.WORKQUEUE) or topology.online
    root["sys/devices/virtual/workqueue/cpumask"] = mask(work, last) + "\n"
    root["etc/tuned/active_profile"] = "kvmc\n"


def _pages(root: dict[str, str], files: HostFiles, topology: Topology, *, running: bool) -> None:
    for node in topology.nodes:
        for size in SIZES:
            kept = sum(one.count for one in files.pages if one.node == node.id and one.size_kib == size)
            used = 0
            for domain in files.domains if running else ():
                for cell in cells_of(domain):
                    nodes = nodes_for(domain, cell.value.id)
                    if (
                        nodes is not None
                        and node.id in nodes.value
                        and any(p.value.size_kib == size for p in domain.pages)
                    ):
                        used += cell.value.memory_kib // size
            base = f"sys/devices/system/node/node{node.id}/hugepages/hugepages-{size}kB"
            root[f"{base}/nr_hugepages"] = f"{kept}\n"
            root[f"{base}/free_hugepages"] = f"{kept - used}\n"


def libvirt_text(text: str, id: int | None) -> str:
    """As libvirt gives a domain back: no comments, single quotes, an id and aliases where it runs."""
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.S).replace('"', "'")
    text = text.replace("<controller type='pci' index='0'", "<controller type='pci' model='pcie-root' index='0'", 0)
    if id is not None:
        text = text.replace("<domain type='kvm'", f"<domain type='kvm' id='{id}'", 1)
        text = text.replace("</interface>", "<alias name='net0'/></interface>")
    return text


def status(comm: str, cpus: CpuSet) -> str:
    return f"Name:\t{comm}\nUmask:\t0022\nCpus_allowed:\tff\nCpus_allowed_list:\t{cpus}\nMems_allowed_list:\t0-1\n"


def stat(tid: int, comm: str, policy: int, priority: int) -> str:
    """proc(5): field 40 is the priority, 41 the policy."""
    fields = ["S", *["0"] * 36, str(priority), str(policy), *["0"] * 11]
    return f"{tid} ({comm}) {' '.join(fields)}\n"


def thread(
    root: dict[str, str], pid: int, tid: int, comm: str, cpus: CpuSet, policy: int = 0, priority: int = 0
) -> None:
    base = f"proc/{pid}/task/{tid}"
    root[f"{base}/comm"] = f"{comm}\n"
    root[f"{base}/status"] = status(comm, cpus)
    root[f"{base}/stat"] = stat(tid, comm, policy, priority)


def _guest(root: dict[str, str], domain: Domain, texts: Mapping[str, str], pid: int, *, running: bool) -> None:
    assert domain.uuid is not None and domain.emulator is not None
    raw = domain.uuid.value
    uuid = "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))
    text = texts[domain.file.path]
    root[f"kvmc/domains/{uuid}.defined.xml"] = libvirt_text(text, None)
    if not running:
        return
    root[f"kvmc/domains/{uuid}.live.xml"] = libvirt_text(text, pid)
    root[f"kvmc/domains/{uuid}.pid"] = f"{pid}\n"
    emulator = domain.emulator.value
    thread(root, pid, pid, "qemu-system-x86", emulator)
    thread(root, pid, pid + 1, f"vhost-{pid}", emulator)
    thread(root, pid, pid + 2, "kvm-nx-lpage-re", CpuSet.of([0]))
    for id, own in domain.iothread_pins.items():
        thread(root, pid, pid + 2 + id, f"IO iothread{id}", own.value)
    for vcpu in range(domain.count):
        sched = next((one.value for one in domain.scheds if vcpu in one.value.vcpus), None)
        pin = domain.pins.get(vcpu) or domain.mask
        assert pin is not None
        policy = {"fifo": 1, "rr": 2}[sched.policy] if sched else 0
        thread(root, pid, pid + 20 + vcpu, f"CPU {vcpu}/KVM", pin.value, policy, (sched.priority or 0) if sched else 0)
    lines = ["default 4 0 9000", "default 4 1 12"]
    for cell in cells_of(domain):
        nodes = nodes_for(domain, cell.value.id)
        if nodes is not None:
            size = domain.pages[0].value.size_kib if domain.pages else 4
            lines.append(f"bind:{nodes.value} {size} {nodes.value.first} {cell.value.memory_kib // size}")
    root[f"kvmc/domains/{uuid}.memory"] = "\n".join(lines) + "\n"
