"""Where interrupts are put against what the host, its devices' nodes and its guests ask for."""

from __future__ import annotations

from collections.abc import Mapping

from kvmc.audit.context import Context
from kvmc.audit.irq_places import ASKED, SCRIPT, Places
from kvmc.audit.source import At, File
from kvmc.diagnostics import Label, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import Host, IrqAffinity
from kvmc.model.values import PciAddress
from kvmc.topology.model import Node

_UNITS = "etc/systemd/system/"
PARTS = (
    SCRIPT,
    f"{_UNITS}kvmc-irqs.service",
    f"{_UNITS}kvmc-irqs.timer",
    f"{_UNITS}irqbalance.service.d/91-kvmc-irqs.conf",
)
"""What is there together: what places them, what runs that, and what keeps irqbalance from moving them again."""


def check_kept(context: Context) -> None:
    """Wherever a script puts interrupts, it is on no CPU that is kept for guests."""
    kept = context.narrow
    for one in context.files.irqs.all() if context.files.irqs is not None else ():
        both = one.value & kept
        if both:
            context.bag.error(
                codes.IRQS_DIFFER,
                f"interrupts are put on CPU {both}, which {'is' if len(both) == 1 else 'are'} kept for guests",
                one.span,
            )


def check(context: Context, files: Mapping[str, File]) -> None:
    """Against what the site asks for. files: of the host's tree, by path."""
    host = context.site.hosts.get(context.files.host) if context.site else None
    if host is None:
        return
    asked = host.irq_affinity is IrqAffinity.NODE
    if not asked:
        for path in (*PARTS, ASKED):
            if path in files:
                text = f"`{path}` is there, and host `{host.name}` leaves interrupts alone"
                context.bag.error(codes.IRQS_DIFFER, text, files[path].head)
        return
    there = next((files[path].head for path in PARTS if path in files), None)
    for path in PARTS:
        if path not in files:
            text = f"host `{host.name}` is to have its interrupts placed by node, and `{path}` is missing"
            context.bag.error(codes.IRQS_DIFFER, text, there)
    if context.files.irqs is not None and context.services:
        _check_nodes(context, host, context.files.irqs, files[SCRIPT].head)
        _check_guests(context, context.files.irqs, files)


def _check_nodes(context: Context, host: Host, places: Places, head: Span) -> None:
    wanted = {node.id: cpus for node in context.topology.nodes if (cpus := _nearest(context, node))}
    for node in sorted(wanted.keys() | places.nodes.keys()):
        has = places.nodes.get(node)
        if has is None:
            text = (
                f"interrupts of node {node} of host `{host.name}` are placed nowhere, and are to be on {wanted[node]}"
            )
            context.bag.error(codes.IRQS_DIFFER, text, head)
        elif has.value != wanted.get(node):
            _differs(context, f"interrupts of node {node} of host `{host.name}`", has, wanted.get(node))
    for what, one in (("all other interrupts", places.rest), ("new interrupts", places.default)):
        if one is None:
            context.bag.error(codes.IRQS_DIFFER, f"{what} of host `{host.name}` are placed nowhere", head)
        elif one.value != context.services:
            _differs(context, f"{what} of host `{host.name}`", one, context.services)


def _differs(context: Context, what: str, has: At[CpuSet], wanted: CpuSet | None) -> None:
    if has.span not in context.blamed():
        text = f"{what} are put on {has.value}, and are to be on {wanted or 'no CPU of their own'}"
        context.bag.error(codes.IRQS_DIFFER, text, has.label())


def _nearest(context: Context, node: Node) -> CpuSet:
    """The services' CPUs on the node, else on those at the least distance."""
    mine = {one.id: one.cpus & context.services for one in context.topology.nodes}
    if mine[node.id]:
        return mine[node.id]
    known = [(node.distances[id], cpus) for id, cpus in mine.items() if cpus and id in node.distances]
    least = min((distance for distance, _ in known), default=0)
    return union(cpus for distance, cpus in known if distance == least)


def _check_guests(context: Context, places: Places, files: Mapping[str, File]) -> None:
    """Each function of a guest that asks is there with the housekeeping CPUs of the guest's nodes, and none else is."""
    wanted: dict[PciAddress, tuple[str, CpuSet, Label]] = {}
    for domain in context.files.domains:
        vm = context.vm(domain)
        if vm is None or vm.irq_affinity is not IrqAffinity.VCPUS:
            continue
        nodes = context.nodes_of(union(pin.value for pin in domain.pins.values()))
        cpus = context.cpus_of(nodes) & context.services
        for function in domain.functions:
            wanted[function.value] = (domain.name, cpus, function.label("the function"))
    head = files[ASKED].head if ASKED in files else files[SCRIPT].head
    for address, (name, cpus, label) in wanted.items():
        has = places.devices.get(address)
        if has is None:
            text = f"interrupts of {address} are to be on {cpus} for guest `{name}`, and no line says so"
            context.bag.error(codes.IRQS_DIFFER, text, head, secondary=[label])
        elif has.value != cpus:
            text = f"interrupts of {address} are put on {has.value}, and are to be on {cpus} for guest `{name}`"
            context.bag.error(codes.IRQS_DIFFER, text, has.span, secondary=[label])
    for address, has in places.devices.items():
        if address not in wanted:
            text = f"interrupts of {address} are put on {has.value}, for which no guest asks"
            context.bag.error(codes.IRQS_DIFFER, text, has.span)
