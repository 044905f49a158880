"""PCIe expander buses: a passed device on the guest node that is on the device's node of the host.

QEMU's `pxb-pcie` is a second root complex with a node of its own (ACPI _PXM), which is all that q35 has to say where a device is.
Guest buses come in runs of eight: bus 8k + 1 to 8k + 8 of libvirt's numbering are either eight root ports of the first root complex
(identity.py), or an expander bus and seven root ports behind it. So an expander sits alone in a slot of bus 0, and no run changes
when another grows.

In the guest the run's expander is bus 256 - 8 (k + 1) and its ports lead to the seven above it. The first root complex has what is
below the lowest expander (QEMU, docs/pci_expander_bridge.txt: bus ranges must not overlap), so a guest with one has 16 runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from kvmc.hostconfig.plan import ExpanderPlan
from kvmc.model.site import Host, Vm
from kvmc.model.values import PciAddress
from kvmc.resolver.placement import GuestPlacement
from kvmc.topology.model import Topology
from kvmc.topology.pci import vf_address

RUN = 8
MOST_RUNS = 16
KEY = "expander "
"""What begins the name of an expander in `Identity.addresses`: `expander 1` is the first of guest node 1, `expander 1 2` the
second."""


def device_cells(vm: Vm, guest: GuestPlacement, host: Host, topology: Topology) -> dict[str, int]:
    """The guest node of each passed device that is on a node of the guest's, by its key in `Identity.addresses`."""
    if not vm.expander:
        return {}
    cells = {cell.node: index for index, cell in enumerate(guest.cells)}
    pci = topology.pci or {}
    made = {
        vf_address(pci[parent], index): pci[parent].node
        for pool in host.devices.values()
        for parent in pool.parents
        for index in range(pool.vfs)
    }
    found: dict[str, int] = {}
    for (kind, label), address in guest.devices.items():
        node = pci[address].node if address in pci else made.get(address)
        if node in cells:
            found[f"{kind} {label}"] = cells[node]
    return found


def lay(
    keys: Sequence[str], cells: Mapping[str, int], kept: Mapping[str, PciAddress], locked: Mapping[str, PciAddress]
) -> dict[str, PciAddress] | None:
    """The guest addresses of all devices and of the expanders that they need; None where there are more than fit.

    kept: locked addresses that are some port's, of these keys. locked: all, those of expanders among them. What can stay, stays.
    """
    runs = dict(_kept_runs(cells, locked))
    found = {
        key: address
        for key, address in kept.items()
        if runs.get(_run(address.bus)) == cells.get(key) and (key not in cells or (address.bus - 1) % RUN)
    }
    taken = {address.bus for address in found.values()}
    for key in (key for key in keys if key not in found and key not in cells):
        bus = next(bus for bus in count(1) if bus not in taken and _run(bus) not in runs)
        found[key] = PciAddress(0, bus, 0, 0)
        taken.add(bus)
    for key in (key for key in keys if key not in found):
        mine = [run for run, cell in runs.items() if cell == cells[key]]
        free = [bus for run in mine for bus in range(RUN * run + 2, RUN * run + RUN + 1) if bus not in taken]
        if not free:
            run = next(run for run in count() if run not in runs and not any(_run(bus) == run for bus in taken))
            runs[run] = cells[key]
            free = [RUN * run + 2]
        found[key] = PciAddress(0, free[0], 0, 0)
        taken.add(free[0])
    used = {_run(found[key].bus) for key in cells}
    runs = {run: cell for run, cell in runs.items() if run in used}
    if runs and max(map(_run, taken)) >= MOST_RUNS:
        return None
    return {key: found[key] for key in keys} | dict(_named(runs))


def _run(bus: int) -> int:
    return (bus - 1) // RUN


def _kept_runs(cells: Mapping[str, int], locked: Mapping[str, PciAddress]) -> Iterator[tuple[int, int]]:
    """The runs of locked expanders whose guest node still has devices, each with that node."""
    for key, address in locked.items():
        cell, _, number = key.removeprefix(KEY).partition(" ")
        known = key.startswith(KEY) and cell.isdecimal() and (not number or number.isdecimal())
        begins = address == PciAddress(0, address.bus, 0, 0) and (address.bus - 1) % RUN == 0
        if known and begins and int(cell) in cells.values() and 0 <= _run(address.bus) < MOST_RUNS:
            yield _run(address.bus), int(cell)


def _named(runs: Mapping[int, int]) -> Iterator[tuple[str, PciAddress]]:
    numbers: dict[int, int] = {}
    for run, cell in sorted(runs.items()):
        numbers[cell] = numbers.get(cell, 0) + 1
        more = f" {numbers[cell]}" if numbers[cell] > 1 else ""
        yield f"{KEY}{cell}{more}", PciAddress(0, RUN * run + 1, 0, 0)


def expanders(addresses: Mapping[str, PciAddress]) -> tuple[ExpanderPlan, ...]:
    """The expanders of an identity, in the order of their buses."""
    found = [
        ExpanderPlan(address.bus, int(key.split(" ")[1]), 256 - RUN * (_run(address.bus) + 1))
        for key, address in addresses.items()
        if key.startswith(KEY)
    ]
    return tuple(sorted(found, key=lambda one: one.index))


def port_address(number: int, on: Sequence[ExpanderPlan]) -> PciAddress | None:
    """Where the root port that leads to a bus is, if it is behind an expander."""
    expander = next((one for one in on if one.index < number < one.index + RUN), None)
    return PciAddress(0, expander.index, number - expander.index - 1, 0) if expander is not None else None
