"""A picture of a fleet for a terminal: one row a host, then each host's CPUs as letters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import product
from string import ascii_lowercase, ascii_uppercase
from textwrap import wrap

from kvmc.diagnostics.text import visible
from kvmc.model.values import PageCount
from kvmc.view.model import CacheView, DeviceView, FleetView, HostView, NodeView, Thread, Use
from kvmc.view.words import amount, cpu_range, share

MOST_DRAWN = 8
"""Hosts of a fleet that are drawn unasked; of more, those that change."""
_WIDTH = 100
_CORES = 16
"""Cores in a row."""
_LETTERS = ascii_uppercase + ascii_lowercase
_MARKS = {
    Use.HOUSEKEEPING: "#",
    Use.SHARED: "~",
    Use.VSWITCH: "=",
    Use.SPARE: ".",
    Use.UNUSED: "x",
    Use.IDLE: "-",
    Use.EMULATOR: "+",
}
_COLOURS = (36, 33, 35, 32, 34, 31)
"""ANSI foregrounds; the letters tell guests apart without them."""


def drawn_hosts(fleet: FleetView, named: Collection[str]) -> tuple[HostView, ...]:
    """The hosts to draw: those named, else all of a small fleet, else those that change."""
    if named:
        return tuple(host for host in fleet.hosts if host.name in named)
    if len(fleet.hosts) <= MOST_DRAWN:
        return fleet.hosts
    changed = {name for guest in fleet.guests if guest.change for name in (guest.host, guest.before)}
    return tuple(host for host in fleet.hosts if host.name in changed)[:MOST_DRAWN]


def overview_rows(fleet: FleetView) -> list[list[str]]:
    """One row a host, the head first: guests, and of CPUs, pages, memory, shared vCPUs and devices those in use of all."""
    rows = [["host", "rack", "guests", "dedicated", "pages", "normal memory", "shared vCPUs", "devices", "stranded"]]
    for host in fleet.hosts:
        used, all = share(host)
        pages: dict[int, list[int]] = {}
        for node in host.nodes:
            for one in node.pages:
                total = pages.setdefault(one.size_kib, [0, 0])
                total[0] += one.used
                total[1] += one.offered
        devices = [device for node in host.nodes for device in node.devices] + list(host.loose)
        rows.append(
            [
                host.name,
                host.rack or "-",
                str(len(host.guests)),
                f"{used} of {all} CPUs",
                ", ".join(f"{used} of {PageCount(all, size)}" for size, (used, all) in pages.items()) or "-",
                f"{amount(sum(n.normal_used_kib for n in host.nodes))} of {amount(sum(n.normal_kib for n in host.nodes))}",
                f"{sum(n.shared_vcpus for n in host.nodes)} of {sum(n.shared_most for n in host.nodes)}",
                f"{sum(device.guest is not None for device in devices)} of {len(devices)}",
                str(len(host.stranded)) if host.stranded else "-",
            ]
        )
    return rows


def draw_host(host: HostView, *, colour: bool) -> str:
    """The host, node by node and L3 by L3: a letter a CPU, siblings side by side."""
    letters = _letters(host)
    return "".join(f"{line}\n" for line in _host(host, letters, colour=colour))


def _letters(host: HostView) -> dict[str, str]:
    """A letter for each guest that has CPUs of its own, two where there are too many for one."""
    owners = list(dict.fromkeys(thread.guest for thread in host.threads() if thread.guest is not None))
    if len(owners) <= len(_LETTERS):
        return dict(zip(owners, _LETTERS, strict=False))
    pairs = ("".join(pair) for pair in product(_LETTERS, repeat=2))
    return dict(zip(owners, pairs, strict=False))


def _host(host: HostView, letters: Mapping[str, str], *, colour: bool) -> Iterator[str]:
    where = [f"pool {host.pool}"] if host.pool else []
    where += [f"rack {host.rack}"] if host.rack else []
    yield f"{host.name}: {visible(', '.join([host.model, *where]))}"
    width = max(map(len, letters.values()), default=1)
    paint = _Paint(letters, colour)
    for node in host.nodes:
        yield f"  node {node.id}: {', '.join(_amounts(node))}"
        for cache in node.caches:
            yield from _cores(cache, paint, width)
        yield from (f"    {line}" for line in device_lines(node.devices))
    yield from (f"  of no node: {line}" for line in device_lines(host.loose))
    yield from _key(host, paint, width)
    floating = [
        f"{guest} (in part)" if guest in host.mixed else guest
        for guest in host.guests
        if guest not in letters or guest in host.mixed
    ]
    if floating:
        yield from wrap("on shared CPUs: " + ", ".join(floating), _WIDTH, initial_indent="  ", subsequent_indent="    ")
    yield from (f"  stranded: {line}" for line in host.stranded)


class _Paint:
    """The mark of a thread, in its guest's colour on a terminal."""

    def __init__(self, letters: Mapping[str, str], colour: bool) -> None:
        self.letters = letters
        self.index = {guest: position for position, guest in enumerate(letters)}
        self.colour = colour

    def mark(self, thread: Thread, width: int) -> str:
        text = self.letters[thread.guest or ""] if thread.use is Use.GUEST else _MARKS[thread.use]
        return self.tint(thread.guest, text.ljust(width, text if len(text) == 1 else " "))

    def tint(self, guest: str | None, text: str) -> str:
        if not self.colour or guest is None:
            return text
        return f"\x1b[{_COLOURS[self.index[guest] % len(_COLOURS)]}m{text}\x1b[0m"


def _cores(cache: CacheView, paint: _Paint, width: int) -> Iterator[str]:
    """Rows of at most 16 cores; the CPUs behind the first."""
    head = "    cores " if cache.l3 is None else f"    L3 {cache.l3}".ljust(10)
    wide = max(width * len(core) + 1 for core in cache.cores)
    each = max(min(_CORES, (_WIDTH - len(head)) // wide), 1)
    cpus = cpu_range(thread.cpu for core in cache.cores for thread in core)
    for first in range(0, len(cache.cores), each):
        row = cache.cores[first : first + each]
        marks = " ".join("".join(paint.mark(thread, width) for thread in core) for core in row)
        shares = f"; {cache.shares}" if cache.shares else ""
        yield f"{head}{marks}  (CPUs {cpus}{shares})" if first == 0 else f"{' ' * len(head)}{marks}"


def _amounts(node: NodeView) -> Iterator[str]:
    yield f"{node.kind} node of {amount(node.memory_kib)}" if node.kind != "normal" else amount(node.memory_kib)
    for one in node.pages:
        yield f"pages {one.used} of {PageCount(one.offered, one.size_kib)} used"
    if node.normal_kib:
        yield f"normal memory {amount(node.normal_used_kib)} of {amount(node.normal_kib)} used"
    if node.shared_most:
        yield f"shared {node.shared_vcpus} of {node.shared_most} vCPUs"


def device_lines(devices: tuple[DeviceView, ...]) -> list[str]:
    """Pool by pool: how many functions guests have, and which."""
    return list(_device_lines(devices))


def _device_lines(devices: tuple[DeviceView, ...]) -> Iterator[str]:
    pools: dict[str, list[DeviceView]] = {}
    for device in devices:
        pools.setdefault(device.pool, []).append(device)
    for pool, members in pools.items():
        taken = [device for device in members if device.guest is not None]
        who = ", ".join(f"{device.address} {device.guest}" for device in taken)
        yield f"devices {pool}: {len(taken)} of {len(members)} used{': ' if who else ''}{who}"


def _key(host: HostView, paint: _Paint, width: int) -> Iterator[str]:
    there = {thread.use for thread in host.threads()}
    words = [f"{paint.tint(guest, letter.ljust(width))} {guest}" for guest, letter in paint.letters.items()]
    words += [f"{mark} {use}" for use, mark in _MARKS.items() if use in there]
    plain = [f"{letter.ljust(width)} {guest}" for guest, letter in paint.letters.items()]
    plain += words[len(plain) :]
    line, length = "  key:", 6
    for word, bare in zip(words, plain, strict=True):
        if length + len(bare) + 3 > _WIDTH and length > 6:
            yield line
            line, length = "      ", 6
        line += f"  {word}"
        length += len(bare) + 2
    if words:
        yield line
