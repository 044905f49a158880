"""What a guest's disks, NICs and machine ask of the platform beside CPUs and memory, and how its queues get their threads."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.guest_gates import Gate
from kvmc.model.site import Disk, Iothread, Nic, Vm

_PROTECTION = {
    "sev": {"libvirt": (9, 0), "qemu": (6, 0), "kernel": (5, 13)},
    "sev-es": {"libvirt": (9, 0), "qemu": (6, 0), "kernel": (5, 13)},
    "sev-snp": {"libvirt": (11, 8), "qemu": (9, 1), "kernel": (6, 11)},
    "tdx": {"libvirt": (11, 10), "qemu": (10, 1), "kernel": (6, 16)},
}
"""libvirt has sev since 4.5, and from some release before 9.0 on fills in the C-bit itself. QEMU 6.0 has SEV-ES, and makes virtio
devices of such guests go through shared memory by itself. Kernels before 5.13 have `kvm_amd.sev` off. libvirt has sev-snp since
10.5, and picks the firmware that it needs since 11.8; tdx came between 11.3 and 11.10, whose notes mend it."""


def check_machine_parts(gate: Gate) -> None:
    """What its machine has, against the platform's releases."""
    vm = gate.vm
    if vm.maxphysaddr == "passthrough":
        gate.need("`maxphysaddr = passthrough`", gate.path("maxphysaddr"), libvirt=(8, 7))
    if vm.tpm:
        gate.need("`tpm = true`", gate.path("tpm"), libvirt=(4, 5), qemu=(2, 12))
    if vm.hyperv:
        gate.need("`hyperv = true`", gate.path("hyperv"), libvirt=(5, 7), qemu=(4, 1))
    if vm.launch_security != "none":
        what = f"`launch_security = {vm.launch_security}`"
        gate.need(what, gate.path("launch_security"), **_PROTECTION[vm.launch_security])
    for nic in vm.nics.values():
        _check_rings(gate, nic)
    for disk in vm.disks.values():
        if disk.queue_size is not None:
            gate.need(
                "`queue_size` of a disk", gate.path("disk", disk.name, "queue_size"), libvirt=(7, 8), qemu=(2, 10)
            )


def _check_rings(gate: Gate, nic: Nic) -> None:
    path = gate.path("nic", nic.name)
    if nic.rx_queue_size is not None:
        gate.need("`rx_queue_size`", (*path, "rx_queue_size"), libvirt=(2, 3), qemu=(2, 7))
    if nic.tx_queue_size is not None:
        gate.need("`tx_queue_size`", (*path, "tx_queue_size"), libvirt=(3, 7), qemu=(2, 10))


def disk_threads(gate: Gate) -> dict[str, tuple[int, ...]]:
    """The I/O threads of each disk that has any: ids from 1 in the order of the disks, one for all that share, those of an `own`
    side by side. The SCSI controller has one where a disk on it asks, which then serves all of them. A disk whose queues the
    platform cannot spread has one, with a note."""
    mapped = gate.platform.libvirt.since(10, 0) and gate.platform.qemu.since(9, 0)
    found: dict[str, tuple[int, ...]] = {}
    shared: tuple[int, ...] | None = None
    count = 0
    scsi = any(disk.bus == "scsi" and disk.iothread is Iothread.SHARED for disk in gate.vm.disks.values())
    for disk in gate.vm.disks.values():
        wish = Iothread.SHARED if scsi and disk.bus == "scsi" else disk.iothread
        if wish is Iothread.NONE:
            continue
        if wish is Iothread.SHARED and shared is not None:
            found[disk.name] = shared
            continue
        number = disk.iothreads if mapped else 1
        if number < disk.iothreads:
            _tell_one(gate, disk)
        found[disk.name] = tuple(range(count + 1, count + number + 1))
        count += number
        if wish is Iothread.SHARED:
            shared = found[disk.name]
    return found


def _tell_one(gate: Gate, disk: Disk) -> None:
    platform = gate.platform
    old = "libvirt" if not platform.libvirt.since(10, 0) else "qemu"
    gate.tell(
        codes.IOTHREADS_ONE,
        f"disk `{disk.name}` of guest `{gate.vm.name}` has one I/O thread in place of {disk.iothreads}: queues are spread since "
        f"libvirt 10.0 and QEMU 9.0, platform `{platform.name}` has {platform.libvirt} and {platform.qemu}",
        gate.path("disk", disk.name, "iothreads"),
        secondary=[gate.version_label(old)],
    )


def fill(path: str, names: Mapping[str, str]) -> str:
    """A path with its placeholders filled, in one pass: a name that looks like a placeholder stays what it is."""
    return re.sub(r"\{([a-z]+)\}", lambda match: names.get(match[1], match[0]), path)


def needs_shared_memory(vm: Vm) -> bool:
    """Whether another process of the host has to map the guest's memory: the switch behind a vhost-user NIC, or whom the
    site has in mind."""
    return vm.shared_memory or any(nic.socket is not None for nic in vm.nics.values())
