"""A host's own files as a pool: isolation, pages, how many cores are kept, and what may become raw settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kvmc.adopt.guest import Adopted
from kvmc.audit.hostfiles import HostFiles
from kvmc.diagnostics import Span
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.values import size_text
from kvmc.resolver.pools import ordered_cores
from kvmc.topology.model import Topology

_BOOTING = frozenset(
    (
        *("root", "ro", "rw", "quiet", "splash", "rhgb", "BOOT_IMAGE", "initrd"),
        *("crashkernel", "console", "resume", "rootflags", "rootfstype"),
    )
)
"""How the machine boots, which the boot line of its own goes on saying: kvmc adds to it."""
_MODELLED = frozenset(
    ["isolcpus", "nohz_full", "rcu_nocbs", "irqaffinity", "hugepages", "hugepagesz", "default_hugepagesz"]
)


@dataclass(frozen=True, slots=True)
class RawSetting:
    """A setting of a host that may become raw."""

    carrier: str
    key: str
    value: str | None
    span: Span

    @property
    def name(self) -> str:
        return f"{self.carrier} {self.key}"


@dataclass(frozen=True, slots=True)
class Pool:
    """What the site says of the host. notes: what the files say otherwise than it can be said here."""

    isolated: bool
    housekeeping: int
    threads: int
    shared: int
    overcommit: int
    pages: tuple[tuple[int, int], ...]
    reserve_kib: int
    notes: tuple[str, ...]


def candidates(files: HostFiles) -> list[RawSetting]:
    """Every setting of the files that no setting of the language is made of, each once, the last one as the kernel has it."""
    found: dict[str, RawSetting] = {}
    for word in files.options:
        key = word.value.key
        if key not in _BOOTING and key not in _MODELLED and not key.startswith(("rd.", "systemd.")):
            found[f"cmdline {key}"] = RawSetting("cmdline", key, word.value.value, word.span)
    for knob in files.knobs:
        if knob.owner == "sysctl.d":
            one = RawSetting("sysctl", knob.setting.replace("/", ".").lstrip("-"), knob.value, knob.span)
        elif knob.owner == "modprobe.d" and " " in knob.setting:
            one = RawSetting("modprobe", knob.setting.replace(" ", "."), knob.value, knob.span)
        else:
            continue
        found[one.name] = one
    return list(found.values())


def pool_of(files: HostFiles, guests: Sequence[Adopted], topology: Topology) -> Pool:
    """How many cores each node keeps, so that pinned guests stay on their CPUs where a pool can be so."""
    notes: list[str] = []
    isolated = files.isolated
    cells = [cell for guest in guests if guest.owns and guest.placement for cell in guest.placement.cells]
    pinned = union(pin for cell in cells for pin in cell.pins if len(pin) == 1)
    floating = sum(int(guest.settings["vcpus"]) - len(guest.owns) for guest in guests)
    rows = [(node, ordered_cores(topology, node.cpus & topology.usable)) for node in topology.nodes]
    rows = [(node, cores) for node, cores in rows if cores]
    boot = topology.online.first
    before: list[int] = []
    kept: list[int] = []
    for _, cores in rows:
        order = sorted((core for core, _ in cores), key=lambda core: boot not in core)
        before.append(_before(order, pinned))
        kept.append(_before(order, isolated))
    fewest = min((len(cores) for _, cores in rows), default=1)
    room = min([*before, fewest])
    housekeeping = max(1, min(kept)) if isolated else 1
    if isolated and len({*kept}) > 1:
        notes.append(
            f"the isolated CPUs {isolated} leave another number of cores on each node; kvmc keeps {housekeeping}"
        )
    shared = 0
    if floating:
        shared = max(1, room - housekeeping - (0 if pinned else 1 if room > 2 else 0))
    elif pinned and not isolated:
        housekeeping = max(1, room)
    width = max((len(core) for _, cores in rows for core, _ in cores), default=1)
    places = max(1, shared * width * len(rows))
    most = max((int(guest.settings["vcpus"]) - len(guest.owns) for guest in guests), default=1)
    overcommit = min(256, max(4, -(-floating // places) * 2, -(-most // max(1, shared * width))))
    threads = max(16, -(-(len(guests) * 8) // max(1, housekeeping * width)))
    return Pool(
        bool(isolated),
        housekeeping,
        min(1024, threads),
        shared,
        overcommit,
        _pages(files, guests, [node.id for node, _ in rows], notes),
        min([4 << 20, *((node.memory_kib or 0) // 16 for node, _ in rows)]),
        tuple(notes),
    )


def _before(cores: Iterable[CpuSet], taken: CpuSet) -> int:
    """Cores before the first one of the set; all of them where none is of it."""
    count = 0
    for core in cores:
        if core & taken:
            return count
        count += 1
    return count


def _pages(
    files: HostFiles, guests: Sequence[Adopted], nodes: list[int], notes: list[str]
) -> tuple[tuple[int, int], ...]:
    """(size, pages in each node): those of the boot line, or as many as the guests have."""
    found: dict[int, dict[int, int]] = {}
    for one in files.pages:
        per = found.setdefault(one.size_kib, {})
        for node in nodes if one.node is None else [one.node]:
            per[node] = per.get(node, 0) + (one.count // max(1, len(nodes)) if one.node is None else one.count)
    needed: dict[int, dict[int, int]] = {}
    for guest in guests:
        size = _size(guest.settings.get("pages", ""))
        for cell in guest.placement.cells if size and guest.placement else ():
            per = needed.setdefault(size, {})
            per[cell.node] = per.get(cell.node, 0) + -(-cell.memory_kib // size)
    rows: list[tuple[int, int]] = []
    for size in sorted({*found, *needed}, reverse=True):
        given, want = found.get(size, {}), needed.get(size, {})
        short = [node for node, count in want.items() if count > given.get(node, 0)]
        if short and files.pages:
            parts = ", ".join(f"node {n}: {given.get(n, 0)} there, {want[n]} wanted" for n in sorted(short))
            notes.append(f"guests have more pages of {size_text(size)} than the boot line gives ({parts})")
        most = max([*given.values(), *want.values()])
        if len({given.get(node, 0) for node in nodes}) > 1:
            notes.append(
                f"the boot line gives nodes different numbers of {size_text(size)} pages; kvmc gives each {most}"
            )
        if most:
            rows.append((size, most))
    return tuple(rows)


def _size(text: str) -> int:
    units = {"KiB": 1, "MiB": 1024, "GiB": 1 << 20, "TiB": 1 << 30}
    match = re.fullmatch(r"([0-9]+)([KMGT]iB)", text)
    return int(match[1]) * units[match[2]] if match else 0
