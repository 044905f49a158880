"""Expander buses of a guest: where each passed device is shown to be, and which buses of the guest they take.

An expander is a root complex on a node of the guest (QEMU, docs/pcie.txt and docs/pci_expander_bridge.txt). Its buses are its own
number and one more for each port behind it, and the first root complex has what is below the lowest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kvmc.audit import xml
from kvmc.audit.context import Context, nodes_for
from kvmc.audit.difference import Difference
from kvmc.audit.domain import Domain
from kvmc.diagnostics import Label, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Vm
from kvmc.model.values import PciAddress

_BUSES = 256


@dataclass(frozen=True, slots=True)
class Expander:
    """bus: libvirt's index, which addresses name. number: its bus in the guest. node: None where it is on none."""

    bus: int
    number: int
    node: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class _Buses:
    """expanders by libvirt's index; parents: the bus that each controller sits on, None where libvirt is to choose."""

    expanders: dict[int, Expander]
    parents: dict[int, int | None]

    def over(self, bus: int | None) -> Expander | None:
        """The expander above a bus, itself among them; None for the first root complex and where nothing tells."""
        seen: set[int] = set()
        while bus is not None and bus not in seen:
            if bus in self.expanders:
                return self.expanders[bus]
            seen.add(bus)
            bus = self.parents.get(bus)
        return None


def read(domain: Domain) -> _Buses:
    found: dict[int, Expander] = {}
    parents: dict[int, int | None] = {}
    for controller in domain.root.all("devices", "controller"):
        index = _number(controller.get("index"))
        if controller.get("type") != "pci" or index is None or controller.get("model") in ("pcie-root", "pci-root"):
            continue
        parents[index] = _bus(controller)
        target = controller.child("target")
        number = _number(target.get("busNr")) if target is not None else None
        if controller.get("model") in ("pcie-expander-bus", "pci-expander-bus") and target is not None:
            node = target.child("node")
            on = _number(node.text().value) if node is not None else None
            found[index] = Expander(index, number or 0, on, controller.span)
    return _Buses(found, parents)


def check(context: Context) -> None:
    for domain in context.files.domains:
        buses = read(domain)
        if buses.expanders:
            _ranges(context, domain, buses)
            _shown(context, domain, buses)


def _ranges(context: Context, domain: Domain, buses: _Buses) -> None:
    """Each expander's buses end before the next one's begin; those of the first root complex are below all."""
    held = dict.fromkeys(buses.expanders, 0)
    first = 0
    for index in buses.parents:
        over = buses.over(index)
        if over is None:
            first += 1
        elif over.bus != index:
            held[over.bus] += 1
    order = sorted((one for one in buses.expanders.values() if one.number), key=lambda one: one.number)
    ends = [*(one.number for one in order[1:]), _BUSES]
    for index, (one, end) in enumerate(zip(order, ends, strict=True)):
        if one.number + held[one.bus] >= end:
            what = f"bus {end} is the next expander's" if end < _BUSES else f"{_BUSES - 1} is the last"
            context.bag.error(
                codes.BUS_NUMBERS,
                f"the expander bus {one.number} of `{domain.name}` has {counted(held[one.bus], 'port')} behind it, and {what}",
                one.span,
                secondary=[Label(order[index + 1].span, "the next")] if end < _BUSES else [],
            )
    if order and first >= order[0].number:
        context.bag.error(
            codes.BUS_NUMBERS,
            f"the expander bus {order[0].number} of `{domain.name}` is one of the buses of its first root complex, which has "
            f"{counted(first, 'port')}",
            order[0].span,
        )


def _shown(context: Context, domain: Domain, buses: _Buses) -> None:
    """No device is shown on a guest node whose memory is on another node of the host than the device."""
    blamed = context.blamed()
    for address, span, expander in _functions(domain, buses):
        device = context.device(address)
        if expander is None or expander.node is None or device is None or device.node is None or span in blamed:
            continue
        where = nodes_for(domain, expander.node)
        if expander.node not in [cell.value.id for cell in domain.cells]:
            context.bag.error(
                codes.STRAY,
                f"an expander bus is on node {expander.node} of `{domain.name}`, which is not there",
                expander.span,
            )
        elif where is not None and where.span not in blamed and device.node not in where.value:
            context.bag.error(
                codes.SHOWN_ELSEWHERE,
                f"`{domain.name}` sees {address} on its node {expander.node}, which is on node {where.value} of the host; "
                f"the device is on node {device.node}",
                span,
                secondary=[Label(expander.span, "its expander bus")],
            )


def asked(context: Context, vm: Vm, domain: Domain) -> Iterator[Difference]:
    """Each passed device is shown on the guest node of its own node where that is asked for, and on none where not."""
    buses = read(domain)
    for address, span, expander in _functions(domain, buses):
        device = context.device(address)
        node = device.node if device is not None else None
        homes = [
            cell.value.id
            for cell in domain.cells
            if (where := nodes_for(domain, cell.value.id)) is not None
            and node is not None
            and where.value == CpuSet.of([node])
        ]
        has = expander.node if expander is not None else None
        if vm.expander and (has not in homes if homes else has is not None):
            there = f"on its node {homes[0]}" if homes else "on none of its nodes"
            shown = f"on node {has}" if has is not None else "on none"
            yield Difference(span, f"asks to see {address} {there} and sees it {shown}")
        elif not vm.expander and has is not None:
            yield Difference(span, f"asks for no expander bus and sees {address} behind one")


def _functions(domain: Domain, buses: _Buses) -> Iterator[tuple[PciAddress, Span, Expander | None]]:
    """Each passed function, with the expander that it is behind."""
    spans = {one.span: one for one in domain.functions}
    for tag in ("hostdev", "interface"):
        for node in domain.root.all("devices", tag):
            source = node.child("source", "address")
            if source is not None and source.span in spans:
                yield spans[source.span].value, source.span, buses.over(_bus(node))


def _bus(node: xml.Node) -> int | None:
    """The bus of an element's own address."""
    address = node.child("address")
    return _number(address.get("bus")) if address is not None and address.get("type") == "pci" else None


def _number(text: str) -> int | None:
    try:
        value = int(text, 0)
    except ValueError:
        return None
    return value if 0 <= value < _BUSES else None
