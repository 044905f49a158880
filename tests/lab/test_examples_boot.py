"""A host of the examples, booted with what was generated for it; a guest of the smallest example, started where it was planned."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from kvmc.model.cpuset import CpuSet
from kvmc.model.load import load_site
from kvmc.model.site import Host as SiteHost
from kvmc.topology.model import Topology
from kvmc.topology.read import read_topology
from lab.examples import EXAMPLES, Host, hosts
from lab.libvirtd import Libvirtd
from lab.machine import MEMORY_LIMIT_KIB, Booted, boot, scaled, shape_of, sysctl_lines
from lab.needs import needs


@dataclass(frozen=True)
class Case:
    """A host with what it was compiled from."""

    host: Host
    site: SiteHost
    topology: Topology

    def __str__(self) -> str:
        return str(self.host)

    @property
    def memory_kib(self) -> int:
        return sum(node.memory_kib or 0 for node in self.topology.nodes)

    @property
    def pages(self) -> dict[tuple[int, int], int]:
        """Huge pages by (node as the machine numbers it, size in KiB): what the pool offers and what it keeps for others."""
        wanted: dict[tuple[int, int], int] = {}
        for index, node in enumerate(self.topology.nodes):
            if node.cpus and node.memory_kib:
                for count in (*self.site.pages, *self.site.reserve_pages):
                    key = (index, count.size_kib)
                    wanted[key] = wanted.get(key, 0) + count.number
        return wanted

    def cpus(self, key: str) -> CpuSet:
        """The CPU list of a word of the boot line, without its flags (`managed_irq,domain,2-3`)."""
        value = self.host.value(key) or ""
        return CpuSet.parse(",".join(part for part in value.split(",") if re.fullmatch(r"[\d-]+", part)))


def cases() -> list[Case]:
    found: list[Case] = []
    for host in hosts():
        folder = EXAMPLES / host.example
        site = load_site(folder / "site.kvmt").site
        assert site is not None, host
        topology, _ = read_topology(folder / site.hosts[host.name].topology, str(host))
        assert topology is not None, host
        found.append(Case(host, site.hosts[host.name], topology))
    return found


def _boot(case: Case, *, limit: float, factor: int = 1) -> Booted:
    script = case.host.files.get("etc/kvmc/reserve-hugepages", "")
    assert not script or factor == 1, "the script's counts can't be divided"
    shape, line = scaled(shape_of(case.topology), case.host.line, factor)
    return boot(
        shape,
        line,
        case.host.sysctl_text,
        script_text=script,
        limit=limit,
        memory_limit_kib=case.memory_kib + (1 << 20),
    )


def _same(case: Case, booted: Booted, factor: int = 1) -> None:
    assert booted.isolated == case.cpus("isolcpus")
    assert booted.nohz_full == case.cpus("nohz_full")
    affinity = case.cpus("irqaffinity")
    if affinity:
        assert booted.irq_affinity == affinity
    for index, node in enumerate(case.topology.nodes):
        assert booted.node_cpus[index] == node.cpus
    pages = {key: count // factor for key, count in case.pages.items()}
    assert {key: count for key, count in booted.pages.items() if count} == {
        key: count for key, count in pages.items() if count
    }
    for key, value in sysctl_lines(case.host.sysctl_text).items():
        assert booted.sysctls[key.replace(".", "/")] == value, key
    assert booted.unknown == ()
    thp = case.host.value("transparent_hugepage")
    assert thp is None or booted.thp == thp


def _smallest() -> Case | None:
    """The least memory among the hosts that isolate CPUs on the boot line: those have the most to read back."""
    isolating = [case for case in cases() if case.cpus("isolcpus")]
    return min(isolating, key=lambda case: (case.memory_kib, str(case)), default=None)


@needs("qemu", "kernel", "initramfs")
def test_the_smallest_isolating_host_boots_as_compiled() -> None:
    """With its CPUs and nodes as they are; where it has more memory than the lab takes, memory and pages are divided by one number.

    The proof runs divide nothing.
    """
    case = _smallest()
    assert case is not None, "no host of the examples isolates CPUs"
    factor = -(-case.memory_kib // MEMORY_LIMIT_KIB)
    _same(case, _boot(case, limit=300, factor=factor), factor)


@pytest.mark.proof
@needs("qemu", "kernel", "initramfs")
@pytest.mark.parametrize("case", cases(), ids=str)
def test_every_host_boots_as_compiled(case: Case, record_property: Callable[[str, object], None]) -> None:
    """The kernel writes 64 bytes for each page of 4 KiB, and those are real memory here."""
    wanted = case.memory_kib // 64 + (2 << 20)
    here = int(re.findall(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())[0])
    if wanted > here:
        pytest.skip(f"takes {wanted >> 20} GiB of memory, and {here >> 20} GiB are free")
    booted = _boot(case, limit=900)
    record_property("CPUs", len(case.topology.online))
    record_property("GiB", case.memory_kib >> 20)
    record_property("isolated", str(booted.isolated) or "none")
    record_property("boot seconds", f"{booted.seconds:.0f}")
    _same(case, booted)


@needs("libvirtd", "qemu")
def test_a_guest_of_the_smallest_example_runs_where_it_was_planned(libvirtd: Libvirtd) -> None:
    """Its disks are files made here; its bridges are made in the copy of the machine; nothing else of the domain is touched."""
    tiny = [host for host in hosts() if host.example == "tiny" and host.domains]
    assert tiny, "no example `tiny` with a guest"
    xml = next(iter(tiny[0].domains.values()))
    root = etree.fromstring(xml.encode())
    assert root.get("type") == "qemu", "the guest is to run without KVM here"
    for source in root.iter("source"):
        if bridge := source.get("bridge"):
            libvirtd.run("ip", "link", "add", bridge, "type", "bridge")
            libvirtd.run("ip", "link", "set", bridge, "up")
        if path := source.get("file") or source.get("dev"):
            libvirtd.run("mkdir", "-p", path.rpartition("/")[0])
            libvirtd.run("truncate", "-s", "64M", path)
    name = root.findtext("name")
    assert name is not None
    assert libvirtd.define_validate(xml) is None
    try:
        assert libvirtd.start(name) is None
        threads = libvirtd.threads(name)
        tune = root.find("cputune")
        assert tune is not None
        pins = {pin.get("vcpu"): CpuSet.parse(pin.get("cpuset", "")) for pin in tune.iter("vcpupin")}
        assert len(pins) == int(root.findtext("vcpu", "0")) > 0
        for vcpu, cpus in pins.items():
            assert threads[f"CPU {vcpu}/TCG"].cpus == cpus
        emulator = tune.find("emulatorpin")
        assert emulator is not None
        assert threads["emulator"].cpus == CpuSet.parse(emulator.get("cpuset", ""))
        for pin in tune.iter("iothreadpin"):
            assert threads[f"IO iothread{pin.get('iothread')}"].cpus == CpuSet.parse(pin.get("cpuset", ""))
        for sched in tune.iter("vcpusched"):
            for number in CpuSet.parse(sched.get("vcpus", "")):
                thread = threads[f"CPU {number}/TCG"]
                assert (thread.policy, str(thread.priority)) == (sched.get("scheduler"), sched.get("priority"))
        libvirtd.destroy(name)
    finally:
        libvirtd.undefine(name)
