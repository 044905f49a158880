"""Every knob of a host that kvmc writes: nothing else is ever written, and each of these is, on some host.

Versions: a kernel knob without `since` is in 5.10, 6.1, 6.12 and 7.2 alike, whose trees and documents were compared. Where a
release between two of these brought it, the later of the two stands here unless the commit is named.

Left out on purpose, though guides list them:

- `kernel.timer_migration=0`: on nohz_full CPUs it keeps timers where they were armed, on the CPU that is to be kept quiet.
- `tsc=reliable`: newer kernels stop watching a TSC by themselves where it is safe; elsewhere a wrong clock is worse than jitter.
- `nosoftlockup`: with nohz_full the watchdog stays on the other CPUs by itself.
- a fair server of zero: see `kernel.sched_rt_runtime_us`.
- `idle=poll`, C-state and P-state driver switches on the command line: `/dev/cpu_dma_latency`, which tuned holds, is enough.
- `vfio-pci.ids`: it takes every device of that id, the host's own too.
"""

from __future__ import annotations

from kvmc.knowledge.model import AMD, INTEL, Kind, Knob
from kvmc.model.values import Version

_PARAMETERS = "Documentation/admin-guide/kernel-parameters.txt"
_VM = "Documentation/admin-guide/sysctl/vm.rst"
_KERNEL = "Documentation/admin-guide/sysctl/kernel.rst"

CMDLINE: tuple[Knob, ...] = (
    Knob(
        "cmdline",
        "isolcpus",
        Kind.ISOLCPUS,
        "reboot",
        use="guests pinned one vCPU a CPU that must not be disturbed",
        harm="no balancing there: a thread with a mask of several CPUs stays on one; a CPU out of range drops the whole list",
        source=f"{_PARAMETERS}; the flag managed_irq since 5.6 (kernel/sched/isolation.c)",
        since=Version(5, 6),
    ),
    Knob(
        "cmdline",
        "nohz_full",
        Kind.CPUS,
        "reboot",
        use="with isolcpus, the same set: kernels with one housekeeping mask drop the second of two that differ",
        harm="each entry into the kernel costs more; never holds the boot CPU",
        source=f"{_PARAMETERS}; kernel/sched/isolation.c",
    ),
    Knob(
        "cmdline",
        "rcu_nocbs",
        Kind.CPUS,
        "reboot",
        use="with isolcpus: said on its own for kernels that are built without nohz_full",
        harm="callback threads need room on the other CPUs",
        source=_PARAMETERS,
    ),
    Knob(
        "cmdline",
        "irqaffinity",
        Kind.CPUS,
        "reboot",
        use="with isolcpus: interrupts go to the CPUs that are not isolated",
        harm="too few CPUs for the interrupt rate",
        source=_PARAMETERS,
    ),
    Knob(
        "cmdline",
        "skew_tick",
        Kind.INTEGER,
        "reboot",
        use="realtime: ticks of the CPUs do not meet on one lock",
        harm="more power",
        source=_PARAMETERS,
        low=0,
        high=1,
    ),
    Knob(
        "cmdline",
        "rcutree.nohz_full_patience_delay",
        Kind.INTEGER,
        "reboot",
        use="realtime: young grace periods leave nohz_full CPUs alone (ms)",
        harm="later callbacks",
        source=f"{_PARAMETERS}; absent in 6.1, present in 6.12",
        low=0,
        high=5000,
        since=Version(6, 12),
        optional=True,
    ),
    Knob(
        "cmdline",
        "nmi_watchdog",
        Kind.INTEGER,
        "reboot",
        use="0: no periodic NMI, and one more counter for guests' PMUs; the soft lockup detector stays",
        harm="a CPU that hangs with interrupts off is not reported",
        source=f"{_PARAMETERS}; the sysctl of that name refuses a write where the kernel has no such watchdog, so that its file "
        "would not load cleanly",
        low=0,
        high=1,
        arch=("x86_64",),
    ),
    Knob(
        "cmdline",
        "default_hugepagesz",
        Kind.PAGE_SIZE,
        "reboot",
        use="the size of /dev/hugepages, where libvirt looks for a mount",
        harm="programs that ask for huge pages without a size get this one",
        source=f"{_PARAMETERS}; mm/hugetlbpage.rst",
    ),
    Knob(
        "cmdline",
        "hugepagesz",
        Kind.PAGE_SIZE,
        "reboot",
        use="the size that the next hugepages= counts",
        harm="without its hugepages= it does nothing",
        source=f"{_PARAMETERS}; mm/hugetlbpage.rst",
    ),
    Knob(
        "cmdline",
        "hugepages",
        Kind.NODE_COUNTS,
        "reboot",
        use="pages by node, taken before memory is fragmented",
        harm="one bad entry loses the list; what is reserved is lost to everything else",
        source="commit b5389086ad7b (5.16): node form",
        since=Version(5, 16),
    ),
    Knob(
        "cmdline",
        "intel_iommu",
        Kind.WORD,
        "reboot",
        use="device passthrough on Intel, where the kernel's default may be off",
        harm="none on other vendors: not read there",
        source=_PARAMETERS,
        words=("on",),
        arch=("x86_64",),
        vendors=INTEL,
    ),
    Knob(
        "cmdline",
        "iommu",
        Kind.WORD,
        "reboot",
        use="passthrough hosts: the host's own devices skip translation, guests' devices keep it",
        harm="the host's drivers are less contained",
        source=_PARAMETERS,
        words=("pt",),
        arch=("x86_64",),
    ),
    Knob(
        "cmdline",
        "iommu.passthrough",
        Kind.INTEGER,
        "reboot",
        use="the same on arm64, which has no iommu=pt",
        harm="the host's drivers are less contained",
        source=_PARAMETERS,
        low=0,
        high=1,
        arch=("aarch64",),
    ),
)

SYSCTL: tuple[Knob, ...] = (
    Knob(
        "sysctl",
        "kernel.numa_balancing",
        Kind.INTEGER,
        "live",
        use="0 where guests are bound to nodes: nothing is left to move, and its faults are jitter",
        harm="0 on a host whose load floats over nodes",
        source=_KERNEL,
        low=0,
        high=3,
    ),
    Knob(
        "sysctl",
        "kernel.sched_rt_runtime_us",
        Kind.INTEGER,
        "live",
        use="-1: a FIFO vCPU is not throttled for 5 % of each second; only with isolated CPUs, where nothing else is to run",
        harm="a spinning FIFO thread starves its CPU. From 6.12 the fair server still gives waiting normal tasks 5 % there; it is "
        "left alone: it acts only when a kernel thread waits on that CPU, and without it that thread would wait for ever",
        source="kernel/sched/{rt,deadline,debug}.c; tuned's realtime profile",
        low=-1,
    ),
    Knob(
        "sysctl",
        "vm.compaction_proactiveness",
        Kind.INTEGER,
        "live",
        use="0: no background compaction",
        harm="fewer free huge pages for THP",
        source=f"{_VM}; mm/compaction.c (5.9)",
        low=0,
        high=100,
        since=Version(5, 9),
        optional=True,
    ),
    Knob(
        "sysctl",
        "vm.stat_interval",
        Kind.INTEGER,
        "live",
        use="10: the per-CPU counters are folded less often (s)",
        harm="stale counters",
        source=f"{_VM}; tuned's cpu-partitioning and realtime profiles",
        low=1,
    ),
    Knob(
        "sysctl",
        "vm.swappiness",
        Kind.INTEGER,
        "live",
        use="10: a host keeps its processes and drops page cache first",
        harm="0 can end in an earlier OOM",
        source=_VM,
        low=0,
        high=100,
    ),
)

TUNED: tuple[Knob, ...] = (
    Knob(
        "tuned",
        "cpu.governor",
        Kind.WORD,
        "live",
        use="performance: no ramp-up while a vCPU wakes",
        harm="power",
        source="tuned/plugins/plugin_cpu.py",
        tool="tuned",
        words=("performance",),
    ),
    Knob(
        "tuned",
        "cpu.energy_perf_bias",
        Kind.WORD,
        "live",
        use="performance, on Intel",
        harm="power",
        source="tuned/plugins/plugin_cpu.py",
        tool="tuned",
        words=("performance",),
        arch=("x86_64",),
        vendors=INTEL,
    ),
    Knob(
        "tuned",
        "cpu.min_perf_pct",
        Kind.INTEGER,
        "live",
        use="100: intel_pstate asks for no less than the base clock",
        harm="power",
        source="tuned/plugins/plugin_cpu.py",
        tool="tuned",
        low=0,
        high=100,
        arch=("x86_64",),
        vendors=INTEL,
    ),
    Knob(
        "tuned",
        "cpu.force_latency",
        Kind.INTEGER,
        "live",
        use="the longest wake-up from idle (us): 70 keeps out the deep states, 3 all but C1; without it the plugin moves the limit "
        "with the load",
        harm="less single-core turbo, more power, the lower it is",
        source="tuned/plugins/plugin_cpu.py; the fallbacks of tuned's virtual-host (70) and latency-performance (3)",
        tool="tuned",
        low=0,
    ),
    Knob(
        "tuned",
        "vm.transparent_hugepages",
        Kind.WORD,
        "live",
        use="madvise: QEMU asks for its guests' memory alone; never: no compaction, no khugepaged",
        harm="never costs TLB misses in guests on normal pages; the plugin stands back if the command line sets it too",
        source="tuned/plugins/plugin_vm.py; Documentation/admin-guide/mm/transhuge.rst",
        tool="tuned",
        words=("madvise", "never"),
    ),
    Knob(
        "tuned",
        "sysfs./sys/kernel/mm/ksm/run",
        Kind.INTEGER,
        "live",
        use="2: no page merging, and merged pages split again: no jitter, no side channel between guests",
        harm="hosts that live from merging",
        source="Documentation/admin-guide/mm/ksm.rst; tuned's realtime-virtual-host profile",
        low=0,
        high=2,
    ),
    Knob(
        "tuned",
        "sysfs./sys/devices/virtual/workqueue/cpumask",
        Kind.MASK,
        "live",
        use="unbound kernel work stays off the dedicated and vswitch CPUs",
        harm="too few CPUs for the work",
        source="Documentation/core-api/workqueue.rst; tuned's cpu-partitioning profile",
    ),
)

MODPROBE: tuple[Knob, ...] = (
    Knob(
        "modprobe",
        "kvm.kvmclock_periodic_sync",
        Kind.WORD,
        "reboot",
        use="N: no periodic clock update into running vCPUs",
        harm="a dead option on later kernels",
        source="arch/x86/kvm/x86.c: in 5.10 to 6.12, absent in 7.2",
        words=("N",),
        until=Version(6, 12),
        optional=True,
        arch=("x86_64",),
    ),
    Knob(
        "modprobe",
        "kvm.nx_huge_pages_recovery_ratio",
        Kind.INTEGER,
        "reboot",
        use="0: on CPUs with the iTLB multihit erratum, split pages are not merged again behind the guest's back",
        harm="memory stays split there; nothing on other CPUs",
        source=f"arch/x86/kvm/mmu/mmu.c; {_PARAMETERS}",
        low=0,
        arch=("x86_64",),
    ),
    Knob(
        "modprobe",
        "kvm_intel.ple_gap",
        Kind.INTEGER,
        "reboot",
        use="0: no exit for a spinning vCPU that has its CPU for itself",
        harm="shared CPUs: a vCPU spins for a lock whose holder waits for the same CPU",
        source="arch/x86/kvm/vmx/vmx.c; tuned's realtime-virtual-host profile",
        low=0,
        arch=("x86_64",),
        vendors=INTEL,
    ),
    Knob(
        "modprobe",
        "kvm_amd.pause_filter_count",
        Kind.INTEGER,
        "reboot",
        use="0: AMD's twin of ple_gap=0",
        harm="shared CPUs, as ple_gap=0",
        source="arch/x86/kvm/svm/svm.c",
        low=0,
        high=65535,
        arch=("x86_64",),
        vendors=AMD,
    ),
)

SYSTEMD: tuple[Knob, ...] = (
    Knob(
        "systemd",
        "Manager.CPUAffinity",
        Kind.CPUS,
        "reboot",
        use="the host's services run on the housekeeping CPUs",
        harm="too few CPUs for the services",
        source="systemd-system.conf(5)",
    ),
    Knob(
        "systemd",
        "irqbalance.IRQBALANCE_BANNED_CPULIST",
        Kind.CPUS,
        "live",
        use="irqbalance puts no interrupt on dedicated and vswitch CPUs",
        harm="too few CPUs for the interrupt rate; an older irqbalance does not read it and leaves out isolated CPUs by itself",
        source="irqbalance(1)",
    ),
    Knob(
        "systemd",
        "/sys/devices/system/node/node*/hugepages/hugepages-*kB/nr_hugepages",
        Kind.INTEGER,
        "live",
        use="pages by node where the kernel's command line has no node form (before 5.16)",
        harm="1 GiB pages may no longer be found whole, however early the unit runs",
        source="Documentation/admin-guide/mm/hugetlbpage.rst",
        low=1,
    ),
    Knob(
        "systemd",
        "/dev/hugepages*",
        Kind.PAGE_SIZE,
        "live",
        use="a hugetlbfs mount for a page size other than the default: without one libvirt can't start a guest on that size",
        harm="none",
        source="libvirt's search for mounts of type hugetlbfs; seen in a start that failed without",
    ),
)

KNOBS: tuple[Knob, ...] = CMDLINE + SYSCTL + TUNED + MODPROBE + SYSTEMD


def find(carrier: str, key: str) -> Knob | None:
    """The knob's row; None for what kvmc never writes."""
    return next((knob for knob in KNOBS if knob.matches(carrier, key)), None)
