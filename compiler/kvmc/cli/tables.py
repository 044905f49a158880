"""Results as plain tables."""

from __future__ import annotations

from collections.abc import Sequence

from kvmc.diagnostics.text import visible
from kvmc.driver.changes import change_rows, stranded_rows
from kvmc.driver.outcome import Outcome
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import Pinning, Site, Vm
from kvmc.model.values import PageCount, size_text
from kvmc.resolver.placement import CellPlacement, GuestPlacement

_NONE = "-"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart; the first row is the head."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*shown, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in shown)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def placement_text(outcome: Outcome) -> str:
    """The hosts' pools, then each guest with its place, in the site's order."""
    assert outcome.placement is not None
    hosts = [["host", "housekeeping", "shared", "dedicated", "vswitch", "isolated", "pages"]]
    isolated = {plan.host: plan.isolated for plan in outcome.plans}
    pages = {plan.host: plan.pages for plan in outcome.plans}
    for host, pools in outcome.placement.pools.items():
        sets = (pools.housekeeping, pools.shared, pools.dedicated, pools.vswitch, isolated.get(host, CpuSet()))
        kept = ", ".join(f"node {one.node}: {PageCount(one.count, one.size_kib)}" for one in pages.get(host, ()))
        hosts.append([host, *(str(cpus) or _NONE for cpus in sets), kept or _NONE])
    guests = [["host", "guest", "node", "cpus", "emulator", "memory", "pages", "devices"]]
    for row in placement_rows(outcome):
        guests.append([row[name] for name in guests[0]])
    return table(hosts) + "\n" + table(guests)


def plan_text(outcome: Outcome) -> str:
    """The placement, what changes against the locks, and what is stranded."""
    rows = stranded_rows(outcome)
    wasted = "\n" + table([list(rows[0]), *(list(row.values()) for row in rows)]) if rows else ""
    return f"{placement_text(outcome)}\n{changes_text(outcome)}{wasted}"


def changes_text(outcome: Outcome) -> str:
    """The guests that are new, move or are gone; one line where none does."""
    rows = change_rows(outcome)
    if not rows:
        return "no guest moves\n"
    return table([list(rows[0]), *(list(row.values()) for row in rows)])


def placement_rows(outcome: Outcome) -> list[dict[str, str]]:
    """One row a guest, by host and within it in the site's order. Guests of several cells have `+` between them."""
    assert outcome.placement is not None and outcome.site is not None
    rows = [_guest(outcome.site, guest) for guest in outcome.placement.guests.values()]
    order = list(outcome.placement.pools)
    return sorted(rows, key=lambda row: order.index(row["host"]))


def _cpus(vm: Vm, cell: CellPlacement) -> str:
    """The CPUs of a cell; of a mixed guest those of its own, then how many vCPUs float over which."""
    over = [pin for vcpu, pin in zip(cell.vcpus, cell.pins, strict=True) if vcpu in vm.floating]
    own = union(pin for vcpu, pin in zip(cell.vcpus, cell.pins, strict=True) if vcpu not in vm.floating)
    if vm.pinning is not Pinning.MIXED or not over:
        return str(union(cell.pins))
    return f"{own or _NONE} ({len(over)} on {union(over)})"


def _guest(site: Site, guest: GuestPlacement) -> dict[str, str]:
    vm = site.vms[guest.vm]
    floats = vm.pinning is Pinning.SHARED
    cpus = " + ".join(_cpus(vm, cell) for cell in guest.cells)
    if guest.idle:
        cpus += f" (idle {guest.idle})"
    pages = str(PageCount(vm.memory_kib // vm.pages_kib, vm.pages_kib)) if vm.pages_kib else _NONE
    return {
        "host": guest.host,
        "guest": guest.vm,
        "node": " + ".join(str(cell.node) for cell in guest.cells),
        "cpus": f"{vm.vcpus} on {cpus}" if floats else cpus,
        "emulator": str(guest.emulator) or _NONE,
        "memory": size_text(vm.memory_kib),
        "pages": pages,
        "devices": ", ".join(f"{label} {address}" for (_, label), address in guest.devices.items()) or _NONE,
    }
