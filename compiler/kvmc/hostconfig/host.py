"""What a host itself is told, from its pools and settings alone: never from its guests, so that adding one changes nothing here."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.available import Available
from kvmc.hostconfig.pages import node_pages, page_settings
from kvmc.hostconfig.plan import Carrier, Effect, HostSetting, NodePages, SriovPlan
from kvmc.hostconfig.settings import Settings
from kvmc.knowledge.model import AMD, INTEL
from kvmc.knowledge.profiles import PROFILES, When
from kvmc.knowledge.scheduler import MECHANISMS
from kvmc.model.cpuset import CpuSet
from kvmc.model.origins import Origins
from kvmc.model.site import Host, IrqAffinity, Isolation, Platform, Profile
from kvmc.resolver.placement import HostPools
from kvmc.topology import Topology


@dataclass(frozen=True, slots=True)
class HostSettings:
    """settings: by carrier, in the order they are to be written. isolated: empty without boot-time isolation."""

    settings: tuple[HostSetting, ...]
    pages: tuple[NodePages, ...]
    sriov: tuple[SriovPlan, ...]
    isolated: CpuSet


def derive_host_settings(
    host: Host, topology: Topology, pools: HostPools, platform: Platform, origins: Origins
) -> tuple[HostSettings, Bag]:
    """All settings of a host, each with one carrier."""
    settings = Settings(host, topology, platform, origins)
    bag = settings.bag
    isolated = _isolation(host, topology, pools, settings)
    pages = node_pages(host, topology)
    bag.extend(page_settings(host, platform, pages, origins, settings))
    _profile(host, topology, pools, isolated, settings)
    _passthrough(host, topology, settings)
    _gicv4(host, topology, settings)
    _kept_free(host, topology, pools, settings)
    if host.irq_affinity is not IrqAffinity.NONE:
        from kvmc.hostconfig.irqs import place_irqs

        place_irqs(host, topology, pools, settings)
    _scheduler(host, settings)
    _raws(host, settings)
    sriov = _sriov(host, origins)
    order = list(Carrier)
    items = sorted(settings.items, key=lambda setting: order.index(setting.carrier))
    return HostSettings(tuple(items), pages, sriov, isolated), bag


def _isolation(host: Host, topology: Topology, pools: HostPools, settings: Settings) -> CpuSet:
    """The isolated set: all that is dedicated or the vswitch's. One list for all three parameters (see the knobs' table)."""
    label = settings.origins.label(("host", host.name, "isolation"))
    if host.isolation is not Isolation.BOOT:
        assert host.profile is not Profile.REALTIME, "the schema pass refuses it"
        return CpuSet()
    isolated = pools.dedicated | pools.vswitch
    if not isolated:
        settings.bag.error(
            codes.NOTHING_TO_ISOLATE,
            f"host `{host.name}` has `isolation = boot` and 0 dedicated and 0 vswitch CPUs",
            label,
        )
        return isolated
    others = pools.housekeeping | pools.shared
    # The resolver keeps at least one whole core a node in housekeeping, the boot CPU's unless the site gives it away; a list with
    # a CPU that is not online would be dropped whole by the kernel.
    assert isolated.issubset(topology.online) and others.issubset(topology.online)
    given = topology.online.first in isolated
    assert others and not (given and host.boot_cpu)
    blocks = settings.blocks("isolation")
    asked = ("host", host.name, "isolation")
    why = "dedicated and vswitch CPUs" if pools.vswitch else "dedicated CPUs"
    said = f"; {_given(host, topology)}" if given else ""
    domain = f"managed_irq,domain,{isolated}"
    settings.add(Carrier.CMDLINE, "isolcpus", domain, blocks, f"no balancing on {why}{said}", asked)
    tick = f"no tick while one thread runs{said}"
    settings.add(Carrier.CMDLINE, "nohz_full", str(isolated), blocks, tick, asked)
    settings.add(Carrier.CMDLINE, "rcu_nocbs", str(isolated), blocks, "RCU callbacks run elsewhere", asked)
    settings.add(Carrier.CMDLINE, "irqaffinity", str(others), blocks, "interrupts stay on the other CPUs", asked)
    return isolated


def _given(host: Host, topology: Topology) -> str:
    """What the files say of a boot CPU that guests have: the audit looks for these words."""
    return f"CPU {topology.online.first}, which boots, is the guests' by choice: {host.boot_cpu_reason}"


def _profile(host: Host, topology: Topology, pools: HostPools, isolated: CpuSet, settings: Settings) -> None:
    assert host.profile is not Profile.REALTIME or settings.platform.realtime, "the schema pass refuses it"
    applies = {
        When.ALWAYS: True,
        When.NUMA: len(topology.nodes) > 1,
        When.ISOLATED: bool(isolated),
        When.UNSHARED: not pools.shared,
    }
    blocks = settings.blocks("profile")
    for choice in PROFILES[host.profile]:
        if applies[choice.when]:
            settings.add(
                Carrier(choice.carrier), choice.key, choice.value, blocks, choice.why, ("host", host.name, "profile")
            )
    reserved = pools.dedicated | pools.vswitch
    if host.profile is not Profile.THROUGHPUT and reserved:
        mask = hex_mask(topology.online - reserved)
        key = "sysfs./sys/devices/virtual/workqueue/cpumask"
        settings.add(Carrier.TUNED, key, mask, blocks, "unbound kernel work stays off dedicated CPUs")


def _passthrough(host: Host, topology: Topology, settings: Settings) -> None:
    if not host.devices:
        return
    vendor = topology.cpu.vendor
    if topology.arch == "x86_64" and vendor not in INTEL + AMD:
        says = f"says `{vendor}`" if vendor else "does not say"
        settings.bag.error(
            codes.VENDOR_UNKNOWN,
            f"host `{host.name}` passes devices to guests, and its topology {says} which IOMMU the CPU has",
            settings.origins.label(("host", host.name, "devices", next(iter(host.devices)))),
            notes=("Intel needs `intel_iommu=on`; AMD's IOMMU is on by itself",),
            help=(
                "take the topology with `virsh capabilities` or `kvmc topology scan` on the host: both name the vendor",
            ),
        )
        return
    asked = [settings.origins.block("host", host.name, "devices", name) for name in host.devices]
    blocks = tuple(dict.fromkeys([*asked, *settings.blocks()]))
    settings.add(Carrier.CMDLINE, "intel_iommu", "on", blocks, "passthrough needs the IOMMU")
    settings.add(Carrier.CMDLINE, "iommu", "pt", blocks, "the host's own devices skip translation")
    settings.add(Carrier.CMDLINE, "iommu.passthrough", "1", blocks, "the host's own devices skip translation")


def _gicv4(host: Host, topology: Topology, settings: Settings) -> None:
    if not host.gicv4:
        return
    asked = ("host", host.name, "gicv4")
    if topology.arch != "aarch64":
        settings.bag.error(
            codes.NOT_ITS_ARCH,
            f"`gicv4 = true` of host `{host.name}`, which is {topology.arch}: the GIC is the interrupt controller of Arm",
            settings.origins.label(asked),
            help=("drop it: KVM uses posted interrupts and AVIC by itself",),
        )
        return
    why = "passed devices' interrupts go straight into guests"
    settings.add(Carrier.CMDLINE, "kvm_arm.vgic_v4_enable", "1", settings.blocks("gicv4"), why, asked)


def _kept_free(host: Host, topology: Topology, pools: HostPools, settings: Settings) -> None:
    """Services and interrupts stay off the guests' CPUs, isolated or not."""
    if pools.housekeeping and pools.housekeeping != topology.usable:
        blocks = settings.blocks("housekeeping")
        why = "services run on the housekeeping CPUs"
        if topology.online.first not in pools.housekeeping and not host.boot_cpu:
            why += f"; {_given(host, topology)}"
        settings.add(Carrier.SYSTEMD, "Manager.CPUAffinity", str(pools.housekeeping), blocks, why)
    reserved = pools.dedicated | pools.vswitch
    if reserved:
        key = "irqbalance.IRQBALANCE_BANNED_CPULIST"
        settings.add(
            Carrier.SYSTEMD, key, str(reserved), settings.blocks("isolation"), "no interrupt on dedicated CPUs"
        )


def _scheduler(host: Host, settings: Settings) -> None:
    """What the pool asks of the scheduler, through the one place that every release of the platform has."""
    for setting, knobs in MECHANISMS.items():
        value = getattr(host, setting)
        if value is None:
            continue
        available = Available(settings.platform, settings.topology)
        knob = next((knob for knob in knobs if available.has(knob)), None)
        if knob is None:
            settings.bag.error(
                codes.NO_MECHANISM,
                f"host `{host.name}` cannot be told `{setting}`: no one mechanism is in all of kernel {settings.platform.kernel}",
                settings.origins.label(("host", host.name, setting)),
                notes=[f"`{one.key.removeprefix('sysfs.')}`: {available.why_not(one)}" for one in knobs],
                help=["make a platform of its own for the hosts of each kernel"],
            )
            continue
        blocks = settings.blocks(setting)
        settings.add(Carrier(knob.carrier), knob.key, str(value), blocks, f"{setting} = {value}")


def _raws(host: Host, settings: Settings) -> None:
    """Raw settings, which were judged when the site was read (raw.py)."""
    for raw in host.raws.values():
        carrier = Carrier(raw.carrier)
        key = raw.key.replace("-", "_") if carrier in (Carrier.CMDLINE, Carrier.MODPROBE) else raw.key
        effect = Effect.REBOOT if carrier in (Carrier.CMDLINE, Carrier.MODPROBE) else Effect.LIVE
        blocks = (settings.origins.block("host", host.name, "raw", raw.name), *settings.blocks())
        why = f"raw: {raw.reason}" if raw.reason is not None else "raw"
        settings.items.append(HostSetting(carrier, key, raw.value or "", effect, tuple(dict.fromkeys(blocks)), why))


def _sriov(host: Host, origins: Origins) -> tuple[SriovPlan, ...]:
    """All functions that the host offers, used or spare. That the parents can make them is the resolver's to check."""
    plans: list[SriovPlan] = []
    for pool in host.devices.values():
        for parent in pool.parents:
            blocks = dict.fromkeys((origins.block("host", host.name, "devices", pool.name), f"host {host.name}"))
            plans.append(SriovPlan(parent, pool.vfs, f"{', '.join(blocks)}: devices {pool.name}"))
    return tuple(plans)


def hex_mask(cpus: CpuSet) -> str:
    """The kernel's bitmap form: hexadecimal words of 32 bits, the highest first, `ff,ffffffff`."""
    mask, words = cpus.mask, []
    while mask:
        words.append(mask & 0xFFFFFFFF)
        mask >>= 32
    first, *rest = reversed(words)
    return ",".join([f"{first:x}", *(f"{word:08x}" for word in rest)])
