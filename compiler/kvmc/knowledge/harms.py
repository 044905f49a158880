"""Values of real knobs that cost more than they give: what a guide that names them leaves out.

A site may have them with a reason; files that people wrote are warned of. What only harms where vCPUs wait for each other says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.knowledge.model import LayerName
from kvmc.knowledge.names import canonical

_OFF = ("0", "n", "no", "off", "false", "never")
_ON = ("1", "y", "yes", "on", "true")


@dataclass(frozen=True, slots=True)
class Harm:
    """values: in lower case; an empty one is a word without a value. shared: only where vCPUs share CPUs. why: what it does."""

    layer: LayerName
    key: str
    values: tuple[str, ...]
    why: str
    shared: bool = False


HARMS: tuple[Harm, ...] = (
    Harm("cmdline", "mitigations", ("off",), "a guest can read the memory of others and of the host through the CPU"),
    Harm("cmdline", "pti", ("off",), "on a CPU with Meltdown every process reads the kernel's memory"),
    Harm("cmdline", "nopti", ("",), "on a CPU with Meltdown every process reads the kernel's memory"),
    Harm("cmdline", "l1tf", ("off",), "on a CPU with L1TF a guest reads what is in its core's L1 cache"),
    Harm("cmdline", "mds", ("off",), "on a CPU with MDS one thread of a core reads what the other does"),
    Harm("cmdline", "tsx_async_abort", ("off",), "on a CPU with TAA one thread of a core reads what the other does"),
    Harm("cmdline", "spectre_v2", ("off",), "a guest steers the host's speculation"),
    Harm("cmdline", "nospectre_v2", ("",), "a guest steers the host's speculation"),
    Harm("cmdline", "nospectre_v1", ("",), "a guest can read the host's memory through speculation"),
    Harm("cmdline", "retbleed", ("off",), "on a CPU with Retbleed a guest reads the host's memory"),
    Harm("cmdline", "spec_store_bypass_disable", ("off",), "code in a sandbox reads what is around it"),
    Harm("cmdline", "idle", ("poll",), "no CPU ever sleeps: siblings get slower, turbo is gone, and power is burnt for nothing"),
    Harm("cmdline", "cpuidle.off", _ON, "no CPU sleeps well: turbo is gone, and power is burnt"),
    Harm("cmdline", "tsc", ("reliable",), "where the TSCs of the host are not in step, time goes wrong and nothing tells"),
    Harm("cmdline", "split_lock_detect", ("off",), "one guest can lock the bus and slow all others"),
    Harm("cmdline", "selinux", _OFF, "guests are no longer confined to their own disks"),
    Harm("cmdline", "apparmor", _OFF, "guests are no longer confined to their own disks"),
    Harm("cmdline", "cgroup_disable", ("cpuset",), "memory of guests is bound by a hint alone"),
    Harm("modprobe", "kvm.nx_huge_pages", _OFF, "on a CPU with the iTLB multihit erratum a guest can halt the host"),
    Harm("modprobe", "kvm_intel.vmentry_l1d_flush", _OFF, "on a CPU with L1TF a guest reads what is in its core's L1 cache"),
    Harm("modprobe", "kvm_intel.ept", _OFF, "shadow paging: each change of a guest's page tables is an exit"),
    Harm("modprobe", "kvm_amd.npt", _OFF, "shadow paging: each change of a guest's page tables is an exit"),
    Harm("modprobe", "kvm.ignore_msrs", _ON, "guests go on with values that are wrong"),
    Harm("modprobe", "vfio_iommu_type1.allow_unsafe_interrupts", _ON, "a guest with a device can inject interrupts into the host"),
    Harm("modprobe", "kvm_intel.ple_gap", ("0",), "a vCPU spins for a lock whose holder waits for the same CPU", True),
    Harm("modprobe", "kvm_amd.pause_filter_count", ("0",), "a vCPU spins for a lock whose holder waits for the same CPU", True),
    Harm("sysctl", "kernel.split_lock_mitigate", ("0",), "one guest can lock the bus and slow all others"),
    Harm("sysctl", "kernel.randomize_va_space", ("0",), "attacks on QEMU find every address where it always is"),
    Harm("sysctl", "vm.zone_reclaim_mode", tuple("1234567"), "allocations wait for reclaim while other nodes have room"),
    Harm("sysctl", "kernel.hung_task_panic", ("1",), "one stuck task ends the host and all guests"),
    Harm("sysctl", "kernel.softlockup_panic", ("1",), "one stuck CPU ends the host and all guests"),
    Harm("libvirt", "features/kvm/hint-dedicated", ("on",), "the guest spins for a lock whose holder waits for the same CPU", True),
    Harm("libvirt", "features/kvm/hidden", ("on",), "no paravirtual clock for the guest; no data centre's GPU needs it"),
    Harm("libvirt", "devices/disk/driver@cache", ("unsafe",), "flushes are ignored: the disk is lost with the host's power"),
    *(
        Harm("libvirt", f"cpu/feature {name}", ("disable", "forbid"), f"databases use {name}; programs built for it die")
        for name in ("avx2", "sse4.1", "sse4.2")
    ),
)  # fmt: skip


def harm(layer: str, key: str, value: str, *, shared: bool) -> Harm | None:
    """What the value of a knob harms; None for nothing. shared: whether vCPUs share CPUs there."""
    name = canonical(layer, key)
    plain = value.strip("\"' ").casefold()
    for one in HARMS:
        same = canonical(one.layer, one.key) == name
        # A word that stands for another's value has its own row.
        if same and (one.layer == layer or layer != "libvirt") and plain in one.values and (shared or not one.shared):
            if one.layer == layer == "cmdline" and one.key != key.replace("-", "_"):
                continue
            return one
    return None
