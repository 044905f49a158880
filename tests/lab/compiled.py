"""A host with its files and with the plan that they were written from; what a booted machine shows against that plan."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kvmc.driver.build import build_site
from kvmc.driver.stages import plan_site
from kvmc.hostconfig.plan import Carrier, HostPlan
from kvmc.model.cpuset import CpuSet
from kvmc.topology.model import Topology
from kvmc_targets import BUILTIN
from lab.examples import Host, hosts_of, sites
from lab.machine import Booted, sysctl_lines

SITES = Path(__file__).parent / "sites"
"""Sites of the lab's own, with the examples' classes on hosts that it can boot and start guests on."""


@dataclass(frozen=True)
class Compiled:
    """host: the files on disk. plan, topology: what they were written from, compiled once more."""

    host: Host
    plan: HostPlan
    topology: Topology

    def __str__(self) -> str:
        return str(self.host)

    @property
    def memory_kib(self) -> int:
        return sum(node.memory_kib or 0 for node in self.topology.nodes)

    @property
    def guests(self) -> dict[str, str]:
        """The domains' XML by the guest's name."""
        return {Path(path).stem: text for path, text in self.host.domains.items()}

    @property
    def script(self) -> str:
        """What a unit of the host runs at boot to reserve huge pages; empty where the boot line does."""
        return self.host.files.get("etc/kvmc/reserve-hugepages", "")

    @property
    def shape(self) -> tuple[object, ...]:
        """What a boot depends on: hosts that are equal in it are booted once."""
        nodes = tuple((node.id, node.cpus, (node.memory_kib or 0) >> 20) for node in self.topology.nodes)
        # Comments name the host.
        script = [line for line in self.script.splitlines() if not line.startswith("#")]
        sysctls = sysctl_lines(self.host.sysctl_text)
        return self.topology.online, nodes, self.host.line, tuple(sysctls.items()), tuple(script)


def compiled(folder: Path) -> list[Compiled]:
    """The hosts of a built site."""
    outcome = plan_site(folder / "site.kvmt")
    assert outcome.ok, [item.message for item in outcome.bag.items]
    plans = {plan.host: plan for plan in outcome.plans}
    return [Compiled(host, plans[host.name], outcome.topologies[host.name]) for host in hosts_of(folder)]


def build(name: str, folder: Path, changes: Mapping[str, str] | None = None) -> list[Compiled]:
    """Build a copy of one of the lab's sites below `folder`. changes: text of the site to what stands in its place."""
    copy = folder / name
    shutil.copytree(SITES / name, copy)
    text = (copy / "site.kvmt").read_text()
    for old, new in (changes or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    (copy / "site.kvmt").write_text(text)
    outcome = build_site(copy / "site.kvmt", BUILTIN)
    assert outcome.ok, [item.message for item in outcome.bag.items]
    return compiled(copy)


def examples() -> list[Compiled]:
    """Hosts of the lab's own architecture: its kernel and its QEMU are x86's."""
    return [host for site in sites() for host in compiled(site) if host.topology.arch == "x86_64"]


def distinct(hosts: list[Compiled]) -> list[list[Compiled]]:
    """Hosts that boot alike, together, in order."""
    alike: dict[tuple[object, ...], list[Compiled]] = {}
    for host in hosts:
        alike.setdefault(host.shape, []).append(host)
    return list(alike.values())


READ_BACK = frozenset(
    {"isolcpus", "nohz_full", "rcu_nocbs", "irqaffinity", "transparent_hugepage", "hugepages", "hugepagesz"}
    | {"default_hugepagesz", "intel_iommu", "iommu"}
)
"""Words of the boot line whose effect is read; of any other it is only known that the kernel knows it."""


def _cpus(value: str) -> CpuSet:
    """A CPU list without its flags (`managed_irq,domain,2-3`)."""
    return CpuSet.parse(",".join(part for part in value.split(",") if re.fullmatch(r"[\d-]+", part)))


def differences(host: Compiled, booted: Booted, *, factor: int = 1) -> list[str]:
    """What the machine shows otherwise than the plan says, each as `SUBJECT: what`. factor: pages were divided by it."""
    plan = host.plan
    words = {one.key: one.value for one in plan.settings if one.carrier is Carrier.CMDLINE}
    found: list[str] = []

    def same(subject: str, is_: object, wanted: object) -> None:
        if is_ != wanted:
            found.append(f"{subject}: {is_}, not {wanted}")

    same("isolated", booted.isolated, plan.isolated)
    same("nohz_full", booted.nohz_full, _cpus(words.get("nohz_full", "")))
    same("rcu_nocbs", booted.rcu_nocbs, _cpus(words.get("rcu_nocbs", words.get("nohz_full", ""))))
    # Without the word the mask also has the CPUs that are offline.
    affinity = _cpus(words.get("irqaffinity", ""))
    same("IRQ affinity", booted.irq_affinity & host.topology.online, affinity or host.topology.online)
    if "transparent_hugepage" in words:
        same("THP", booted.thp, words["transparent_hugepage"])
    for index, node in enumerate(host.topology.nodes):
        same(f"CPUs of node {node.id}", booted.node_cpus.get(index), node.cpus)
    numbers = {node.id: number for number, node in enumerate(host.topology.nodes)}
    wanted = {(numbers[one.node], one.size_kib): one.count // factor for one in plan.pages}
    for node_size in sorted(booted.pages.keys() | wanted.keys()):
        subject = f"pages of {node_size[1]} KiB on node {node_size[0]}"
        same(subject, booted.pages.get(node_size, 0), wanted.get(node_size, 0))
    sizes = {"1G": 1 << 20, "2M": 2048}
    same("default page size", booted.default_page_kib, sizes[words.get("default_hugepagesz", "2M")])
    for key, value in _sysctls(plan).items():
        same(f"sysctl {key}", booted.sysctls.get(key.replace(".", "/")), value)
    same("sysctls of the file", sysctl_lines(host.host.sysctl_text), _sysctls(plan))
    if words.get("intel_iommu") == "on":
        same("DMA domains", set(booted.iommu), {"identity" if words.get("iommu") == "pt" else "DMA-FQ"})
    same("unknown words", booted.unknown, ())
    return found


def _sysctls(plan: HostPlan) -> dict[str, str]:
    return {one.key: " ".join(one.value.split()) for one in plan.settings if one.carrier is Carrier.SYSCTL}
