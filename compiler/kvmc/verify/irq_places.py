"""Interrupts of devices against the CPUs that the host's script puts them on."""

from __future__ import annotations

from collections.abc import Iterator

from kvmc.audit.irq_places import SCRIPT, Places
from kvmc.audit.source import At
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.verify.boot import read_list
from kvmc.verify.case import Case
from kvmc.verify.difference import Effect, Kind, shown
from kvmc.verify.kernels_own import is_managed

_DEVICES = "sys/bus/pci/devices/"
_STEPS = ("run `systemctl start kvmc-irqs.service`", "`systemctl status kvmc-irqs.timer irqbalance` tells what runs")
_CAUSES = (
    "its driver set it up in the last 30 seconds, irqbalance runs beside the script, or no vector of these CPUs was left",
)


def served(case: Case, number: str) -> CpuSet:
    """The CPUs that an interrupt is served on, or may be where it is not told; empty for one that nothing uses."""
    if case.value(f"sys/kernel/irq/{number}/actions") == "":
        return CpuSet()
    return (
        read_list(case, f"proc/irq/{number}/effective_affinity_list")
        or read_list(case, f"proc/irq/{number}/smp_affinity_list")
        or CpuSet()
    )


def check(case: Case, places: Places, kept: CpuSet) -> None:
    """kept: CPUs for guests alone; what is there is told already, whatever its device."""
    seen: set[str] = set()
    for subject, wanted, addresses in _groups(case, places):
        wrong: list[str] = []
        for address in addresses:
            for number in _numbers(case, address):
                cpus = served(case, number) if number not in seen else CpuSet()
                seen.add(number)
                action = case.value(f"sys/kernel/irq/{number}/actions") or "unknown"
                if cpus and not cpus.issubset(wanted.value) and not cpus & kept and not is_managed(action):
                    wrong.append(f"IRQ {number} of {address} ({shown(action)}) on {cpus}")
        if wrong:
            more = f" and {len(wrong) - 12} more" if len(wrong) > 12 else ""
            text = ", ".join(wrong[:12]) + more
            case.add(
                Kind.INTERRUPT,
                subject,
                text,
                str(wanted.value),
                wanted.span,
                Effect.LIVE,
                _STEPS if SCRIPT not in case.stale else case.apply.step("kvmc-irqs.timer"),
                _CAUSES,
            )


def _groups(case: Case, places: Places) -> Iterator[tuple[str, At[CpuSet], list[PciAddress]]]:
    """What is placed together: the devices that guests ask for, then those of each node."""
    for address, cpus in places.devices.items():
        yield f"interrupts of {address}", cpus, [address]
    nodes: dict[int, list[PciAddress]] = {}
    for path in case.root.find(f"{_DEVICES}*/numa_node"):
        text = case.value(path) or ""
        try:
            address = PciAddress.parse(path.split("/")[4])
        except ValueError:
            continue
        if text.isdecimal():
            nodes.setdefault(int(text), []).append(address)
    for node, cpus in places.nodes.items():
        yield f"interrupts of the devices of node {node}", cpus, nodes.get(node, [])


def _numbers(case: Case, address: PciAddress) -> list[str]:
    """Those of message-signalled interrupts where the device has any, else of its line."""
    found = [path.rpartition("/")[2] for path in case.root.find(f"{_DEVICES}{address}/msi_irqs/*")]
    line = case.value(f"{_DEVICES}{address}/irq") or "0"
    numbers = found or [line]
    return sorted((one for one in numbers if one.isdecimal() and int(one)), key=int)
