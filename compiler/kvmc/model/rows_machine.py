"""The settings of a guest's CPU features, of what its machine has beside CPUs and memory, and of its protection from the host."""

from __future__ import annotations

from kvmc.model.cpu_kinds import CpuFeature
from kvmc.model.kinds import Choice, Flag, ListOf
from kvmc.model.site import IrqAffinity
from kvmc.model.table import Row
from kvmc.model.texts import Text, Uuid

MACHINE_ROWS: tuple[Row, ...] = (
    Row(
        "class",
        "require",
        ListOf(CpuFeature()),
        "CPU features that it must have, as libvirt names them: each host that it may go to is checked for them.",
        "[avx512vnni, amx-tile]",
        "[]",
    ),
    Row("class", "disable", ListOf(CpuFeature()), "CPU features that are hidden from it.", "[avx512f]", "[]"),
    Row(
        "class",
        "migratable",
        Flag(),
        "With `cpu = host-passthrough`: features that block live migration are left out.",
        "false",
        "true",
    ),
    Row(
        "class",
        "reason",
        Text(),
        "Why it asks for what costs speed or safety; it stands in the guest's definition.",
        '"ticket 4711: the vendor supports no AVX2"',
    ),
    Row(
        "class",
        "maxphysaddr",
        Choice(["passthrough", "none"]),
        "`passthrough`: as many bits of physical address as the host has, which a GPU's large BAR needs.",
        "passthrough",
        "none",
    ),
    Row(
        "class",
        "irq_affinity",
        Choice(IrqAffinity, ["none", "node"]),
        "Where the interrupts of its passed devices go, on a host with `irq_affinity = node`: to housekeeping CPUs of the device's "
        "node, or of the nodes of its vCPUs, which is another where the device is not `near`.",
        "vcpus",
        "device",
    ),
    Row("class", "clock", Choice(["utc", "localtime"]), "What its real-time clock shows.", "localtime", "utc"),
    Row(
        "class",
        "hyperv",
        Flag(),
        "The Hyper-V interfaces that Windows uses in place of slow hardware.",
        "true",
        "false",
    ),
    Row("class", "tpm", Flag(), "An emulated TPM 2.0 (swtpm on the host).", "true", "false"),
    Row("class", "usb", Choice(["none", "xhci"]), "A USB controller, which raw USB devices need.", "xhci", "none"),
    Row(
        "class",
        "shared_memory",
        Flag(),
        "Other processes of the host can map its memory, as virtiofs needs; always so with a vhost-user NIC.",
        "true",
        "false",
    ),
    Row("class", "secure_boot", Flag(), "UEFI with the vendor's keys, which boots signed code alone.", "true", "false"),
    Row(
        "class",
        "launch_security",
        Choice(["none", "sev", "sev-es", "sev-snp", "tdx"]),
        "Memory that the host cannot read: AMD's SEV-SNP or Intel's TDX. On older AMD CPUs SEV, which leaves the registers to "
        "the host and its memory without integrity, or SEV-ES, which hides the registers too.",
        "sev-snp",
        "none",
    ),
    Row(
        "mdev",
        "uuid",
        Uuid(),
        "The mediated device on the guest's host.",
        '"c2177883-f1bb-47f0-914d-32a22e3a8804"',
        required=True,
    ),
)
