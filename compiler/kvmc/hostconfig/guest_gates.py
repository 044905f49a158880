"""What only a platform can decide of a guest: whether its versions have what the guest asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from kvmc.diagnostics import Bag, Code, Label
from kvmc.diagnostics.codes import host as codes
from kvmc.diagnostics.text import counted
from kvmc.model.origins import Origins, Path
from kvmc.model.site import Host, Platform, Vm

HOST_CPU_MODES = ("host-passthrough", "host-model")

_MACHINE = re.compile(r"(?:pc-q35|virt)-([0-9]+)\.([0-9]+)(?:\.[0-9]+)?")
"""QEMU's own names; every other that the schema pass takes is a vendor's."""
_MAX_VCPUS = (((9, 0), 4096), ((8, 1), 1024))
"""max_cpus of q35 by the machine type's version (QEMU, hw/i386/pc_q35.c), newest first."""
_FIRST_MAX_VCPUS = 288
"""Before these."""
_MAX_ARM_VCPUS = 512
"""max_cpus of virt with a GICv3 (QEMU, hw/arm/virt.c)."""


@dataclass(slots=True)
class Gate:
    """A guest on its host and platform, and what is wrong with it so far."""

    vm: Vm
    host: Host
    platform: Platform
    origins: Origins
    bag: Bag = field(default_factory=Bag)

    def path(self, *path: str) -> Path:
        return ("vm", self.vm.name, *path)

    def tell(
        self,
        code: Code,
        message: str,
        path: Path,
        *,
        secondary: Iterable[Label | None] = (),
        notes: Iterable[str] = (),
        help: Iterable[str] = (),
    ) -> None:
        """A diagnostic at a setting of the guest; where a class set it, the guest that has it by inheritance is named too."""
        origin = self.origins.find(*path)
        inherits = [Label(origin.use, f"`{self.vm.name}` has it by inheritance")] if origin and origin.use else []
        labels = [label for label in secondary if label is not None]
        self.bag.error(code, message, self.origins.label(path), secondary=inherits + labels, notes=notes, help=help)

    def need(
        self,
        what: str,
        path: Path,
        *,
        libvirt: tuple[int, int] | None = None,
        qemu: tuple[int, int] | None = None,
        kernel: tuple[int, int] | None = None,
    ) -> None:
        """An error unless the whole range of the platform's versions has it."""
        for name, least, have in (
            ("libvirt", libvirt, self.platform.libvirt),
            ("QEMU", qemu, self.platform.qemu),
            ("kernel", kernel, self.platform.kernel),
        ):
            if least is not None and not have.since(*least):
                self.tell(
                    codes.PLATFORM_LACKS,
                    f"{what} needs {name} {least[0]}.{least[1]}, platform `{self.platform.name}` of host `{self.host.name}` "
                    f"has {have}",
                    path,
                    secondary=[self.version_label(name.lower())],
                )

    def version_label(self, name: str) -> Label | None:
        return self.origins.label(("platform", self.platform.name, name), "the platform's version")


def is_arm(vm: Vm) -> bool:
    """Whether the guest's machine is Arm's `virt`."""
    return vm.machine.startswith("virt-")


def check_machine(gate: Gate, arch: str) -> None:
    vm, path = gate.vm, gate.path("machine")
    arm = is_arm(vm)
    own = "aarch64" if arm else "x86_64"
    if arch != own:
        gate.tell(
            codes.FOREIGN_ARCH,
            f"guest `{vm.name}` is an {own} machine, host `{gate.host.name}` is {arch}",
            path,
            help=[f"keep it to {own} hosts with `pool` or `host`"],
        )
    match = _MACHINE.fullmatch(vm.machine)
    if match is None:
        gate.tell(
            codes.MACHINE_UNCHECKED,
            f"machine `{vm.machine}` of guest `{vm.name}` is a vendor's, so whether QEMU {gate.platform.qemu} of platform "
            f"`{gate.platform.name}` has it is not checked",
            path,
        )
        return
    version = (int(match[1]), int(match[2]))
    if not gate.platform.qemu.since(*version):
        gate.tell(
            codes.MACHINE_TOO_NEW,
            f"machine `{vm.machine}` needs QEMU {version[0]}.{version[1]}, platform `{gate.platform.name}` of host "
            f"`{gate.host.name}` has {gate.platform.qemu}",
            path,
            secondary=[gate.version_label("qemu")],
            help=[f"write `machine = {'virt' if arm else 'pc-q35'}-{gate.platform.qemu.low}`"],
        )
    limit = _MAX_ARM_VCPUS if arm else next((most for since, most in _MAX_VCPUS if version >= since), _FIRST_MAX_VCPUS)
    if vm.vcpus > limit:
        gate.tell(
            codes.TOO_MANY_VCPUS,
            f"guest `{vm.name}` has {counted(vm.vcpus, 'vCPU')}, machine `{vm.machine}` takes {limit}",
            gate.path("vcpus"),
            secondary=[gate.origins.label(path, "its machine")],
            help=[f"set `vcpus = {limit}`"],
        )


def check_cpu(gate: Gate) -> None:
    vm, path = gate.vm, gate.path("cpu")
    assert vm.type == "kvm" or vm.cpu not in HOST_CPU_MODES, "the schema pass refuses it"
    if vm.cpu == "maximum":
        gate.need("`cpu = maximum`", path, libvirt=(7, 1))
    if vm.firmware == "uefi":
        # Firmware is chosen by its features (no secure boot), which libvirt's XML has since then.
        gate.need("`firmware = uefi`", gate.path("firmware"), libvirt=(7, 2))
