"""Names that guides pass on and that no kernel, KVM, QEMU, libvirt or tuned has; and real things under a name, at a place or with
a value that they do not have. Each with what its authors are after, and what does it.

Absence was checked in Linux 5.10, 6.1, 6.12 and 7.2 (scheduler, KVM, mm, Documentation) and against QEMU 7.2 and 11.1, which
refuse the options; `fio`'s word against fio 3.41.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kvmc.knowledge.model import Status

_KERNELS = "searched in Linux 5.10, 6.1, 6.12 and 7.2: not there"
_QEMU = "QEMU 7.2 and 11.1: invalid option"


@dataclass(frozen=True, slots=True)
class Folklore:
    """A name that does not exist, or not so.

    name: as guides write it. meant: what its authors are after. real: the mechanism that does it. instead: what to write.
    spellings: other forms, matched as `name` is (see `plain`). exact: words that are told by their letter case. value: the name
    is real and this value of it is not. modules: for a name that some modules have as an option, those that have not.
    """

    name: str
    status: Status
    meant: str
    real: str
    instead: str
    source: str
    spellings: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    value: str = ""
    modules: tuple[str, ...] = ()

    @property
    def plain(self) -> tuple[str, ...]:
        """Its spellings as `plain` gives them; none for what only letter case tells."""
        return () if self.exact else tuple(dict.fromkeys(plain(one) for one in (self.name, *self.spellings)))


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """A name without what guides vary: letter case, leading dashes, the suffix of a module's file, and what joins its words."""
    bare = text.strip().casefold().lstrip("-").removesuffix(".ko")
    return re.sub(r"[\s.:/_-]+", "_", bare).strip("_") if not bare.startswith("__") else bare


_WHOLE_GPU = "write `hostdev NAME { device = POOL }`, with the GPU's address in a `devices` block of the host"
_STRICT = "nothing to write: kvmc binds each guest's memory to its nodes with `<numatune>`"

FOLKLORE: tuple[Folklore, ...] = (
    Folklore(
        "slub_max_numa",
        Status.NEVER,
        "keep allocations on one node",
        "SLUB prefers the local node by itself, and guest memory is no slab memory: `<numatune>` with `mode='strict'` binds it",
        _STRICT,
        _KERNELS,
    ),
    Folklore(
        "cfs_cgroup_root",
        Status.NEVER,
        "keep vCPUs from competing for CPUs",
        "the cpuset controller of cgroup v2: `cpuset.cpus`, `cpuset.cpus.partition`; libvirt sets it from `<vcpupin>`",
        "write `pinning = dedicated` in the class: each vCPU then has a CPU of its own",
        _KERNELS,
    ),
    Folklore(
        "cfs_max_credit",
        Status.NEVER,
        "give busy guests longer time slices",
        "credits are those of Xen's scheduler. Linux has weights (`cpu.weight`, libvirt's `<shares>`) and, since 6.6, "
        "`base_slice_ns` in `/sys/kernel/debug/sched`",
        "write `base_slice_ns` in the pool, where a longer slice was measured to help",
        _KERNELS,
        ("cfs_max credit",),
    ),
    Folklore(
        "cfs_v3",
        Status.NEVER,
        "a newer scheduler for mixed loads",
        "CFS had no versions: EEVDF took its place in 6.6, core scheduling came with 5.14, `sched_ext` with 6.12",
        "nothing to write: the kernel that the platform declares has the scheduler that it has",
        _KERNELS,
        ("cfsv3", "CFS v3 scheduler"),
    ),
    Folklore(
        "vmalloc_min",
        Status.NEVER,
        "less fragmentation of kernel memory",
        "`vmalloc=` exists on 32-bit machines alone. Huge pages that are taken at boot cannot be fragmented: `hugepages=`",
        "write `pages = N * 1GiB` in the pool",
        f"{_KERNELS}; an internal variable of 32-bit Arm had that name",
    ),
    Folklore(
        "numa_interleave",
        Status.NEVER,
        "turn interleaving of memory over nodes off",
        "three things have that name: Node Interleaving in the firmware, `numactl --interleave` and `<numatune>` with "
        "`mode='interleave'`; none is a sysctl or a kernel parameter",
        "turn Node Interleaving off in the firmware, so that the host shows its nodes; " + _STRICT,
        _KERNELS,
        ("numa interleave", "numainterleave"),
    ),
    Folklore(
        "kvm_max_vcpus",
        Status.NEVER,
        "limit how many vCPUs there are, or threads a core",
        "KVM's limit is fixed when the kernel is built (CONFIG_KVM_MAX_NR_VCPUS); a guest's number is libvirt's `<vcpu>`",
        "write `vcpus = N` in the class; `threads = isolate` leaves siblings idle",
        f"{_KERNELS} as a parameter: KVM_MAX_VCPUS is a constant of the source",
    ),
    Folklore(
        "kvm numatune",
        Status.NEVER,
        "bind a guest to nodes",
        "`virsh numatune DOMAIN`, which changes libvirt's `<numatune>`; no program `kvm` takes commands",
        _STRICT,
        "libvirt's virsh(1)",
    ),
    Folklore(
        "kvm_numactune",
        Status.NEVER,
        "bind a guest to nodes",
        "`virsh numatune DOMAIN` for memory and `virsh vcpupin` for vCPUs",
        _STRICT,
        "no hit in an index of public source",
        ("kvm_numactl",),
    ),
    Folklore(
        "kvm_numa_balance",
        Status.NEVER,
        "move guests' memory to the node that uses it",
        "automatic NUMA balancing is part of the kernel: the sysctl `kernel.numa_balancing`",
        "nothing to write: kvmc binds guests to nodes, and sets `kernel.numa_balancing = 0`",
        _KERNELS,
        ("kvm_numa_balance.ko", "kvm_numa_balancing"),
    ),
    Folklore(
        "mce_kvm",
        Status.NEVER,
        "tell guests of memory errors",
        "the kernel's `memory_failure` poisons the page, QEMU gets a signal and injects a machine check, without a setting; "
        "`vm.memory_failure_early_kill` decides when",
        "nothing to write",
        _KERNELS,
        ("kvm_mce", "mce_kvm_patch"),
    ),
    Folklore(
        "rcu_delay",
        Status.NEVER,
        "shorter critical sections of RCU",
        "RCU's work is moved, not shortened: `rcu_nocbs=`, `rcutree.nohz_full_patience_delay=`, `rcupdate.rcu_normal_after_boot=`",
        "write `isolation = boot` in the pool, with `profile = realtime` where grace periods must wait",
        _KERNELS,
        ("rcu_delay_optimisation", "rcu_delay_optimization"),
    ),
    Folklore(
        "__lock_text_pos",
        Status.NEVER,
        "the function in which locks cost time",
        "the section's marks are `__lock_text_start` and `__lock_text_end`; contention shows as "
        "`native_queued_spin_lock_slowpath` and in `perf lock contention`",
        "nothing to write: `perf kvm --host --guest top` shows where time goes",
        _KERNELS,
    ),
    Folklore(
        "load_balance_index",
        Status.NEVER,
        "a number for how even the load is",
        "`/proc/schedstat` and `/sys/kernel/debug/sched/domains` tell of balancing; there is no index",
        "nothing to write",
        _KERNELS,
        ("scheduler_load_balance_index", "sched_load_balance_index"),
    ),
    Folklore(
        "-enable-rvi",
        Status.NEVER,
        "nested page tables on AMD",
        "RVI is AMD's old name for them: the module parameter `kvm_amd.npt`, on by itself (Intel: `kvm_intel.ept`)",
        "nothing to write: it is on",
        _QEMU,
        ("rvi",),
    ),
    Folklore(
        "-enable-3d-vcache",
        Status.NEVER,
        "make use of a stacked L3 cache",
        "the cache needs no switch; what helps is to keep a guest within one L3",
        "write `l3 = require` in the class",
        _QEMU,
        ("3d-vcache", "enable-vcache"),
    ),
    Folklore(
        "-enable-gpu",
        Status.NEVER,
        "give a GPU to a guest",
        "a PCI device is passed with VFIO, libvirt's `<hostdev>`; virtio-gpu draws desktops and computes nothing",
        _WHOLE_GPU,
        _QEMU,
    ),
    Folklore(
        "-enable-pramem",
        Status.NEVER,
        "let a guest reach all of a GPU's memory",
        "large BARs need UEFI and a guest with enough address bits: libvirt's `<maxphysaddr mode='passthrough'/>` (8.7)",
        "write `firmware = uefi`; " + _WHOLE_GPU,
        _QEMU,
        ("pramem",),
    ),
    Folklore(
        "qemu-gpu",
        Status.NEVER,
        "a QEMU for GPUs",
        "there is no such program: a GPU is passed with VFIO, libvirt's `<hostdev>`",
        _WHOLE_GPU,
        "QEMU's list of programs",
    ),
    Folklore(
        "-use-cuda",
        Status.NEVER,
        "CUDA in a guest",
        "CUDA runs in the guest on a GPU that it was given whole, as a VF or as a mediated device; QEMU has no part in it",
        _WHOLE_GPU,
        _QEMU,
    ),
    Folklore(
        "-qpu",
        Status.NEVER,
        "a quantum processor for a guest",
        "QEMU has no such device: simulators of quantum circuits are programs that run in any guest",
        "give the guest the vCPUs and the memory that the simulator needs",
        _QEMU,
    ),
    Folklore(
        "cet-pt",
        Status.NEVER,
        "a protection mode of CET",
        "CET is control-flow enforcement, a security feature, and has two parts: shadow stacks and indirect branch tracking. "
        "QEMU's names are `cet-ss` and `cet-ibt`",
        "the features `cet-ss` and `cet-ibt`, where CPU, KVM and QEMU have them",
        "QEMU 11.1 and libvirt's cpu_map: not there",
    ),
    Folklore(
        "cet-pti",
        Status.NEVER,
        "translation of addresses by CET",
        "page-table isolation (PTI) is a mitigation of Meltdown and no part of CET: the kernel parameter `pti=`, on where needed",
        "nothing to write",
        "QEMU 11.1 and libvirt's cpu_map: not there",
    ),
    Folklore(
        "intel-rsc",
        Status.NEVER,
        "sharing of a CPU's resources between guests",
        "Intel's RDT is meant: resctrl, libvirt's `<cachetune>` and `<memorytune>`. elsewhere RSC is a network card's",
        "nothing to write by that name",
        f"{_KERNELS}; Intel's manuals have RDT",
        ("rsc_virtualization",),
    ),
    Folklore(
        "task_migration",
        Status.GARBLED,
        "keep threads from moving between nodes",
        "pins keep vCPUs where they are; `migration_cost_ns` in `/sys/kernel/debug/sched` (a sysctl before 5.13) only says how "
        "long a thread counts as cache-hot",
        "nothing to write: each vCPU is pinned within its node",
        _KERNELS,
        ("taskq_migration", "sched_task_migration"),
    ),
    Folklore(
        "-CPU",
        Status.GARBLED,
        "choose the guest's CPU model",
        "QEMU's option is lower case, `-cpu`; libvirt's element is `<cpu mode='host-passthrough'>`",
        "write `cpu = host-passthrough` in the class",
        _QEMU,
        exact=("-CPU", "CPU", "qemu-CPU"),
    ),
    Folklore(
        "queue_depth",
        Status.GARBLED,
        "more I/O in flight for a disk",
        "libvirt's attribute is `queue_size` of a virtio disk's `<driver>` (7.8), or `cmd_per_lun` of a virtio-scsi controller; "
        "the host's own are `nvme.io_queue_depth` and `/sys/block/sdX/device/queue_depth`",
        "write `queues = N` of the disk; QEMU's ring of 256 entries a queue is seldom the limit",
        "libvirt's domain schema refuses it; drivers/nvme/host/pci.c",
        modules=("nvme", "nvme_core", "kvm", "kvm_intel", "kvm_amd", "vhost", "vhost_scsi", "virtio_scsi", "vfio_pci"),
    ),
    Folklore(
        "amd_iommu",
        Status.GARBLED,
        "turn AMD's IOMMU on",
        "it is on where the firmware has it; `on` is no value of this parameter, and the kernel ignores it",
        "nothing to write; with `devices` in the pool kvmc writes `iommu=pt`",
        "Documentation/admin-guide/kernel-parameters.txt: values are off, fullflush, force_isolation, force_enable, pgtbl_*",
        value="on",
    ),
    Folklore(
        "randomwrite",
        Status.GARBLED,
        "random writes with fio",
        "fio's word is `randwrite`: `--rw=randwrite`",
        "write `--rw=randwrite`",
        "fio 3.41 refuses it",
        ("fio --rw=randomwrite", "rw=randomwrite"),
    ),
    Folklore(
        "numactl -i",
        Status.GARBLED,
        "memory of one node",
        "`-i` interleaves over nodes and falls back to others; one node is `numactl --membind=N --cpunodebind=N`",
        _STRICT,
        "numactl(8)",
        ("numactl_interleave", "numactl -i 1"),
    ),
)
