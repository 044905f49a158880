"""Where each guest of a plan is, in words: one row a guest."""

from __future__ import annotations

from kvmc.driver.outcome import Outcome
from kvmc.model.cpuset import union
from kvmc.model.site import Pinning, Site, Vm
from kvmc.model.values import PageCount, size_text
from kvmc.resolver.placement import CellPlacement, GuestPlacement

_NONE = "-"


def placement_rows(outcome: Outcome) -> list[dict[str, str]]:
    """One row a guest, by host and within it in the site's order. Guests of several cells have `+` between them."""
    assert outcome.placement is not None and outcome.site is not None
    rows = [_guest(outcome.site, guest) for guest in outcome.placement.guests.values()]
    order = list(outcome.placement.pools)
    return sorted(rows, key=lambda row: order.index(row["host"]))


def pool_rows(outcome: Outcome) -> list[dict[str, object]]:
    """One row a host, in the site's order: its pools as CPU lists, the isolated CPUs, and the huge pages of each node."""
    assert outcome.placement is not None
    isolated = {plan.host: str(plan.isolated) for plan in outcome.plans}
    pages = {plan.host: plan.pages for plan in outcome.plans}
    return [
        {
            "host": host,
            "housekeeping": str(pools.housekeeping),
            "shared": str(pools.shared),
            "dedicated": str(pools.dedicated),
            "vswitch": str(pools.vswitch),
            "isolated": isolated.get(host, ""),
            "pages": [{"node": one.node, "size_kib": one.size_kib, "count": one.count} for one in pages.get(host, ())],
        }
        for host, pools in outcome.placement.pools.items()
    ]


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
    cells = [cell for cell in guest.cells if cell.vcpus]
    cpus = " + ".join(_cpus(vm, cell) for cell in cells)
    if guest.idle:
        cpus += f" (idle {guest.idle})"
    paged = sum(cell.memory_kib for cell in cells)
    pages = str(PageCount(paged // vm.pages_kib, vm.pages_kib)) if vm.pages_kib else _NONE
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
