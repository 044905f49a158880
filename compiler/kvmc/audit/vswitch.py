"""The cores and the memory that Open vSwitch is told of: nobody else's, and what the site offers it.

other_config of the table Open_vSwitch: ovs-vswitchd.conf.db(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kvmc.audit import shell
from kvmc.audit.context import Context
from kvmc.audit.source import At, File
from kvmc.diagnostics import Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import CpuSet, named
from kvmc.model.site import Host

SCRIPT = "etc/kvmc/set-vswitch"
UNIT = "etc/systemd/system/kvmc-vswitch.service"
_KEY = re.compile(r"other_config:(pmd-cpu-mask|dpdk-lcore-mask|dpdk-socket-mem)=\"?([0-9a-fA-Fx,]{1,4096})")


@dataclass(frozen=True, slots=True)
class Vswitch:
    """What a script tells the switch. memory: MiB of each node."""

    pmd: CpuSet
    lcore: CpuSet
    memory: tuple[int, ...]
    span: Span


def read(file: File) -> Vswitch | None:
    """The first command that tells it."""
    line = next((line for line in shell.lines(file) if "pmd-cpu-mask" in line.value), None)
    if line is None:
        return None
    told = {match[1]: match[2] for match in _KEY.finditer(line.value)}
    try:
        masks = [CpuSet(int(told.get(name, "0"), 16)) for name in ("pmd-cpu-mask", "dpdk-lcore-mask")]
        memory = tuple(int(part) for part in told.get("dpdk-socket-mem", "").split(",") if part)
    except ValueError:
        return None
    return Vswitch(masks[0], masks[1], memory, line.span)


def check(context: Context) -> None:
    """Cores that poll are no guest's; they are whole, and isolated where the boot line isolates any."""
    switch = context.files.vswitch
    if switch is None:
        return
    absent = (switch.pmd | switch.lcore) - context.topology.online
    if absent:
        context.bag.error(
            codes.CPU_OUT_OF_RANGE,
            f"the switch is put on CPU {absent}; host `{context.files.host}` has {context.topology.online} online",
            switch.span,
        )
    masks = [
        (f"vCPU {vcpu}", domain, pin) for domain in context.files.domains for vcpu, pin in sorted(domain.pins.items())
    ]
    masks += [
        ("the emulator", domain, domain.emulator) for domain in context.files.domains if domain.emulator is not None
    ]
    masks += [
        (f"I/O thread {id}", domain, pin)
        for domain in context.files.domains
        for id, pin in sorted(domain.iothread_pins.items())
    ]
    for who, domain, pin in masks:
        both = pin.value & switch.pmd
        if both:
            context.bag.error(
                codes.PMD_SHARED,
                f"{who} of `{domain.name}` may run on {named(both)}, where PMD threads of the switch poll",
                pin.span,
                secondary=[At(switch.pmd, switch.span).label(f"PMD threads on {switch.pmd}")],
            )
            return
    if context.files.handwritten:
        return  # a sibling that idles is its owner's choice, and so is a mask that is made elsewhere
    for cpu in switch.pmd:
        core = context.core(cpu)
        if not core.issubset(switch.pmd):
            context.bag.error(
                codes.PMD_SHARED,
                f"PMD threads of the switch poll on CPU {cpu}, and not on the rest of its core, CPUs {core}",
                switch.span,
            )
            return
    pool = context.firm
    if pool and switch.pmd - pool:
        context.bag.error(
            codes.PMD_SHARED,
            f"PMD threads of the switch poll on {named(switch.pmd - pool)}, which the boot line does not isolate",
            switch.span,
        )
    if switch.lcore & (pool | switch.pmd):
        context.bag.error(
            codes.PMD_SHARED,
            f"main threads of the switch run on {named(switch.lcore & (pool | switch.pmd))}, isolated or a PMD thread's",
            switch.span,
        )


def offered(context: Context, host: Host) -> None:
    """As many cores of each node as the site offers the switch, and the pages kept for it."""
    if not context.files.has_host_half:
        return
    asks = host.vswitch_type != "none"
    for path in (SCRIPT, UNIT):
        if asks and path not in context.files.heads:
            context.bag.error(
                codes.OFFER_BROKEN, f"host `{host.name}` is to tell its switch its cores, and has no `{path}`"
            )
        elif not asks and path in context.files.heads:
            text = f"host `{host.name}` has no switch that kvmc tells its cores, and has `{path}`"
            context.bag.error(codes.OFFER_BROKEN, text, context.files.heads[path])
    switch = context.files.vswitch
    if switch is None or not asks:
        return
    mib = sum(count.number * count.size_kib for count in host.vswitch_pages) // 1024
    usable = context.topology.usable
    for node in context.topology.nodes:
        cores = [core & usable for core in context.topology.cores or () if core & node.cpus & usable]
        has = sum(core.issubset(switch.pmd) for core in cores)
        if cores and has != host.vswitch_cores:
            context.bag.error(
                codes.OFFER_BROKEN,
                f"host `{host.name}` is to give its switch {host.vswitch_cores} cores of node {node.id}; its files give {has}",
                switch.span,
            )
        wanted = mib if cores and node.memory_kib else 0
        memory = switch.memory[node.id] if node.id < len(switch.memory) else 0
        if memory != wanted:
            context.bag.error(
                codes.OFFER_BROKEN,
                f"host `{host.name}` keeps {wanted} MiB of node {node.id} for its switch; its files give {memory}",
                switch.span,
            )
    if len(switch.lcore) != 1:
        text = f"main threads of the switch of host `{host.name}` are to have one CPU and have {switch.lcore or 'none'}"
        context.bag.error(codes.OFFER_BROKEN, text, switch.span)
