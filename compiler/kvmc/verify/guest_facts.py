"""A domain as named facts that can be compared one by one, whoever wrote the XML: kvmc, or libvirt from what it has."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.audit.domain import DEFAULT_PAGE, Domain
from kvmc.diagnostics import Span
from kvmc.model.values import size_text
from kvmc.verify.canonical import Holds


@dataclass(frozen=True, slots=True)
class Fact:
    """value: what is compared. live: the command that changes it while the guest runs, where there is one, with `{name}` for the
    guest. loose: libvirt may add it, so that only its absence or another value counts."""

    value: object
    text: str
    span: Span
    live: str = ""
    loose: bool = False

    def same(self, other: Fact | None) -> bool:
        if other is None:
            return False
        if isinstance(self.value, dict) and isinstance(other.value, dict):  # what libvirt adds is no difference
            return all(other.value.get(key) == value for key, value in self.value.items())
        if isinstance(self.value, Holds):
            return self.value.within(other.value)
        return self.value == other.value


def facts(domain: Domain, *, live: bool = False) -> dict[str, Fact]:
    """By name. live: of a running guest, whose current memory may be less than it was given."""
    found: dict[str, Fact] = {"the name": Fact(domain.name, domain.name, domain.head)}
    if domain.uuid is not None:
        found["the UUID"] = Fact(domain.uuid.value, domain.uuid.value, domain.uuid.span)
    if domain.memory is not None:
        found["the memory"] = Fact(domain.memory.value, size_text(domain.memory.value), domain.memory.span)
    if domain.vcpus is not None:
        found["the number of vCPUs"] = Fact(domain.vcpus.value, str(domain.vcpus.value), domain.vcpus.span)
    _pins(domain, found)
    _memory(domain, found)
    if domain.machine is not None:
        found["the machine type"] = Fact(domain.machine.value, domain.machine.value, domain.machine.span)
    if domain.cpu is not None and domain.cpu.value != "host-model":  # a running guest has the model that it became
        found["the CPU model"] = Fact(domain.cpu.value, domain.cpu.value, domain.cpu.span, loose=True)
    _topology(domain, found)
    _devices(domain, found, live=live)
    switches = {"lock of its memory": domain.locked, "PMU": domain.pmu, "UEFI": domain.uefi}
    for name, on in switches.items():
        found[f"the {name}"] = Fact(on, "on" if on else "off", domain.head)
    return found


def _pins(domain: Domain, found: dict[str, Fact]) -> None:
    for vcpu, pin in sorted(domain.pins.items()):
        command = f"run `virsh vcpupin {{name}} {vcpu} {pin.value} --live`"
        found[f"the pin of vCPU {vcpu}"] = Fact(pin.value, str(pin.value), pin.span, command)
    if domain.mask is not None and not domain.pins:
        found["the mask of vCPUs"] = Fact(domain.mask.value, str(domain.mask.value), domain.mask.span)
    if domain.emulator is not None:
        command = f"run `virsh emulatorpin {{name}} {domain.emulator.value} --live`"
        found["the pin of the emulator"] = Fact(
            domain.emulator.value, str(domain.emulator.value), domain.emulator.span, command
        )
    if domain.iothreads is not None:
        ids = domain.iothreads.value
        found["the I/O threads"] = Fact(ids, ", ".join(map(str, sorted(ids))), domain.iothreads.span)
    for id, pin in sorted(domain.iothread_pins.items()):
        command = f"run `virsh iothreadpin {{name}} {id} {pin.value} --live`"
        found[f"the pin of I/O thread {id}"] = Fact(pin.value, str(pin.value), pin.span, command)
    for at in domain.scheds:
        for vcpu in at.value.vcpus:
            value = (at.value.policy, at.value.priority or 0)
            found[f"the scheduler of vCPU {vcpu}"] = Fact(value, " ".join(map(str, value)), at.span)


def _memory(domain: Domain, found: dict[str, Fact]) -> None:
    for at in domain.numa:
        where = "guest" if at.value.cell is None else f"cell {at.value.cell}"
        value = (at.value.mode, at.value.nodes)
        found[f"the memory node of the {where}"] = Fact(value, f"{at.value.mode} {at.value.nodes}", at.span)
    for page in domain.pages:
        size = page.value.size_kib
        cells = page.value.cells
        where = "the guest" if cells is None or len(cells) == len(domain.cells) else f"cells {cells}"
        text = "of the default size" if size == DEFAULT_PAGE else size_text(size)
        found[f"the huge pages of {where}"] = Fact(size, text, page.span)


def _topology(domain: Domain, found: dict[str, Fact]) -> None:
    if domain.topology is not None:
        one = domain.topology.value
        parts = {"sockets": one.sockets, "dies": one.dies, "cores": one.cores, "threads": one.threads}
        text = ", ".join(f"{count} {name}" for name, count in parts.items())
        found["the CPU topology"] = Fact(one, text, domain.topology.span)
    for at in domain.cells:
        cell = at.value
        distances = frozenset((id, distance.value) for id, distance in cell.distances)
        text = f"{size_text(cell.memory_kib)} with vCPUs {cell.vcpus}"
        found[f"cell {cell.id}"] = Fact((cell.vcpus, cell.memory_kib, distances), text, at.span)


def _devices(domain: Domain, found: dict[str, Fact], *, live: bool) -> None:
    for at in domain.disks:
        disk = at.value
        value = {
            "source": disk.source,
            "bus": disk.bus,
            "iothread": disk.iothread if len(disk.iothreads) < 2 else disk.iothreads,
            "shared": disk.shared,
            **disk.driver,
        }
        text = ", ".join(f"{key}={one}" for key, one in value.items() if one)
        found[f"disk {disk.target}"] = Fact(value, text, at.span)
    for index, one in enumerate(domain.nics):
        nic = one.value
        who = nic.mac.value if nic.mac else str(index)
        traits = {"kind": nic.kind, "model": nic.model, "queues": nic.queues}
        if nic.kind != "network" or not live:  # a running one names the bridge behind the network
            traits["source"] = nic.source
        if nic.device is not None:
            traits["device"] = str(nic.device.value)
        told = {key: trait for key, trait in traits.items() if trait}
        text = ", ".join(f"{key}={trait}" for key, trait in told.items())
        found[f"NIC {who}"] = Fact(told, text, one.span)
    for device in domain.hostdevs:
        found[f"PCI function {device.value}"] = Fact(device.value, "given to it", device.span)
