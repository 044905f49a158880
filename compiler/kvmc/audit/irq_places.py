"""Where a host's script puts interrupts, read from its calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kvmc.audit import cpulists, shell
from kvmc.audit.source import At, File
from kvmc.diagnostics import Bag, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import MAX_CPU, CpuSet
from kvmc.model.values import PciAddress

SCRIPT = "etc/kvmc/place-irqs"
ASKED = "etc/kvmc/irqs-of-guests"
NODE_CALL = re.compile(r"place_node ([0-9]{1,6}) ([0-9,-]+)")
REST_CALL = re.compile(r"place_rest ([0-9,-]+) ([0-9a-f,]+)")
_ASKED_LINE = re.compile(r"([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]) ([0-9,-]+)")


@dataclass(frozen=True, slots=True)
class Places:
    """What the files say. nodes: by node. rest: of all other interrupts. default: of new ones. devices: by what guests ask."""

    nodes: Mapping[int, At[CpuSet]]
    rest: At[CpuSet] | None
    default: At[CpuSet] | None
    devices: Mapping[PciAddress, At[CpuSet]]

    def all(self) -> Iterator[At[CpuSet]]:
        yield from self.nodes.values()
        yield from self.devices.values()
        if self.rest is not None:
            yield self.rest


def read(script: File | None, asked: File | None, bag: Bag) -> Places | None:
    """None where no script places anything. A line that can't be read is a finding."""
    if script is None:
        return None
    nodes: dict[int, At[CpuSet]] = {}
    devices: dict[PciAddress, At[CpuSet]] = {}
    rest: At[CpuSet] | None = None
    default: At[CpuSet] | None = None
    for line in shell.lines(script):
        if (match := NODE_CALL.fullmatch(line.value)) is not None:
            cpus = _cpus(match[2], line.span, bag)
            if int(match[1]) in nodes:
                bag.error(codes.REPEATED, f"interrupts of node {match[1]} are placed twice", line.span)
            elif cpus is not None:
                nodes[int(match[1])] = At(cpus, line.span)
        elif (match := REST_CALL.fullmatch(line.value)) is not None:
            cpus = _cpus(match[1], line.span, bag)
            rest = At(cpus, line.span) if cpus is not None else None
            default = _mask(match[2], line.span, bag)
    for offset, text in asked.lines() if asked is not None else ():
        if not text or text.startswith("#"):
            continue
        place = asked.trimmed(offset, text).span if asked is not None else script.head
        match = _ASKED_LINE.fullmatch(text)
        cpus = _cpus(match[2], place, bag) if match is not None else None
        if match is None:
            bag.error(codes.SCRIPT_DIFFERS, f"`{text[:60]}` in `{ASKED}` is not a PCI address and CPUs", place)
        elif PciAddress.parse(match[1]) in devices:
            bag.error(codes.REPEATED, f"interrupts of {match[1]} are placed twice", place)
        elif cpus is not None:
            devices[PciAddress.parse(match[1])] = At(cpus, place)
    return Places(nodes, rest, default, devices)


def _cpus(text: str, place: Span, bag: Bag) -> CpuSet | None:
    try:
        return cpulists.kernel_list(text, MAX_CPU)
    except ValueError as problem:
        bag.error(codes.VALUE_UNREADABLE, f"CPUs of interrupts cannot be read: {problem}", place)
        return None


def _mask(text: str, place: Span, bag: Bag) -> At[CpuSet] | None:
    try:
        return At(cpulists.hex_mask(text), place)
    except ValueError as problem:
        bag.error(codes.VALUE_UNREADABLE, f"the default affinity of interrupts cannot be read: {problem}", place)
        return None
