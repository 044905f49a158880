"""Kernel parameters that kvmc knows and does not write by itself. Without a range: in 5.10, 6.1, 6.12 and 7.2."""

from __future__ import annotations

from functools import partial

from kvmc.knowledge.model import AMD, INTEL, Kind, Knob, Status
from kvmc.model.values import Version

_row = partial(
    Knob,
    "cmdline",
    effect="reboot",
    source="Documentation/admin-guide/kernel-parameters.txt",
    status=Status.RAW,
)
_x86 = partial(_row, arch=("x86_64",))
_arm = partial(_row, arch=("aarch64",))

_QUIET: tuple[Knob, ...] = (
    _row("rcu_nocb_poll", Kind.FLAG, use="callback threads poll instead of being woken", harm="they burn a CPU each"),
    _row(
        "rcupdate.rcu_normal_after_boot",
        Kind.BOOL,
        use="1: no expedited grace periods, so none of their interrupts; a PREEMPT_RT kernel has it on",
        harm="whoever waits for RCU waits longer",
    ),
    _row(
        "workqueue.unbound_cpus",
        Kind.CPUS,
        use="unbound kernel work stays on these CPUs from boot on; kvmc sets the same while the host runs",
        harm="too few CPUs for the work",
        since=Version(6, 12),
    ),
    _row("threadirqs", Kind.FLAG, use="interrupt handlers run as threads", harm="throughput; PREEMPT_RT has it anyway"),
    _row("nosoftlockup", Kind.FLAG, use="no soft lockup detector", harm="a CPU that hangs is not reported"),
    _row("nowatchdog", Kind.FLAG, use="neither lockup detector", harm="a CPU that hangs is not reported"),
    _row("nohz", Kind.BOOL, use="off: ticks on idle CPUs too", harm="power"),
    _row(
        "preempt",
        Kind.WORD,
        words=("none", "voluntary", "full", "lazy"),
        use="the preemption model of a PREEMPT_DYNAMIC kernel; `lazy` in 7.2",
        harm="no substitute for PREEMPT_RT",
        since=Version(5, 12),
        config="PREEMPT_DYNAMIC",
    ),
    _row(
        "tsc",
        Kind.WORD,
        words=("reliable", "nowatchdog", "noirqtime", "unstable", "recalibrate", "watchdog"),
        use="reliable, nowatchdog: the clock is not checked",
        harm="where the TSC is not synchronised, time goes wrong in silence; newer kernels trust a good TSC by themselves",
        arch=("x86_64",),
    ),
    _row("clocksource", Kind.TEXT, use="the clock source", harm="another than the TSC costs every reader of time"),
    _row("psi", Kind.BOOL, use="1: pressure stall information, for measuring", harm="a little time in the scheduler"),
    _row("audit", Kind.TEXT, use="0: no audit of system calls", harm="no audit"),
)

_MEMORY: tuple[Knob, ...] = (
    _row(
        "transparent_hugepage",
        Kind.WORD,
        words=("always", "madvise", "never"),
        use="from boot on; kvmc sets it through tuned",
        harm="tuned stands back where the boot line has it",
    ),
    _row(
        "hugetlb_free_vmemmap",
        Kind.BOOL,
        use="frees the page structures of huge pages",
        harm="slower reservation at run time",
        since=Version(5, 14),
    ),
    _row(
        "numa_balancing",
        Kind.WORD,
        words=("enable", "disable"),
        use="automatic NUMA balancing",
        harm="as the sysctl of that name",
    ),
    _row(
        "numa",
        Kind.TEXT,
        use="off: the kernel sees one node",
        harm="kvmc places guests by nodes that the host then hides",
    ),
    _row(
        "hugetlb_cma",
        Kind.TEXT,
        use="contiguous memory for huge pages at run time",
        harm="memory that only movable pages may use",
    ),
    _row(
        "slab_max_order",
        Kind.INTEGER,
        low=0,
        high=10,
        use="the slab allocator's block size",
        harm="no knob for guests",
        since=Version(6, 12),
    ),
    _row("slab_nomerge", Kind.FLAG, use="caches of one size stay apart", harm="more memory"),
    _row("slab_debug", Kind.TEXT, use="checks of the slab allocator", harm="slow", since=Version(6, 12)),
    _row(
        "slub_max_order",
        Kind.INTEGER,
        low=0,
        high=10,
        use="the slab allocator's block size, under its old name",
        harm="no knob for guests",
        status=Status.MOVED,
        until=Version(6, 11),
        instead="`slab_max_order`; later kernels still read the old name",
    ),
    _row(
        "slub_debug",
        Kind.TEXT,
        use="checks of the slab allocator, under their old name",
        harm="slow",
        status=Status.MOVED,
        until=Version(6, 11),
        instead="`slab_debug`; later kernels still read the old name",
    ),
    _row("memmap", Kind.TEXT, use="a map of memory by hand", harm="nodes get smaller than the topology says"),
    _row("mem", Kind.TEXT, use="less memory than there is", harm="nodes get smaller than the topology says"),
    _row("crashkernel", Kind.TEXT, use="memory for a crash dump's kernel", harm="that memory is gone from its node"),
)

_POWER: tuple[Knob, ...] = (
    _x86(
        "intel_idle.max_cstate",
        Kind.INTEGER,
        low=0,
        high=9,
        vendors=INTEL,
        use="the deepest idle state; 0 turns the driver off",
        harm="no single-core turbo, more power; kvmc bounds the wake-up time through tuned",
    ),
    _row(
        "processor.max_cstate",
        Kind.INTEGER,
        low=0,
        high=9,
        use="the same for the ACPI driver",
        harm="as intel_idle.max_cstate",
    ),
    _x86(
        "idle",
        Kind.WORD,
        words=("poll", "halt", "nomwait"),
        use="what an idle CPU does",
        harm="poll: no gain where MWAIT is, and siblings get slower",
    ),
    _row("cpuidle.off", Kind.BOOL, use="1: no idle states at all", harm="power, no turbo"),
    _x86(
        "intel_pstate",
        Kind.TEXT,
        vendors=INTEL,
        use="the frequency driver's mode",
        harm="tuned's options need the driver",
    ),
    _x86(
        "amd_pstate",
        Kind.TEXT,
        vendors=AMD,
        use="the frequency driver's mode",
        harm="tuned's options need a driver",
        since=Version(5, 17),
    ),
    _row(
        "cpufreq.default_governor",
        Kind.TEXT,
        use="the governor at boot",
        harm="tuned sets it again",
        since=Version(5, 9),
    ),
    _row("pcie_aspm", Kind.TEXT, use="off: no power saving on PCIe links", harm="power"),
    _row(
        "nosmt",
        Kind.WORD,
        words=("", "force"),
        use="no sibling threads",
        harm="half the threads; the topology file must be taken with it",
    ),
)

_SAFETY: tuple[Knob, ...] = (
    _row(
        "mitigations",
        Kind.WORD,
        words=("off", "auto", "auto,nosmt"),
        use="all mitigations of CPU errata at once",
        harm="off: a guest can read other guests' memory and the host's; it turns `kvm.nx_huge_pages` and `l1tf` off too",
    ),
    _x86(
        "pti",
        Kind.WORD,
        words=("on", "off", "auto"),
        use="page-table isolation, on where the CPU needs it",
        harm="off on such a CPU: any process reads the kernel's memory",
    ),
    _x86("nopti", Kind.FLAG, use="the same as pti=off", harm="as pti=off"),
    _x86(
        "l1tf",
        Kind.WORD,
        words=("full", "full,force", "flush", "flush,nosmt", "flush,nowarn", "off"),
        use="the mitigation of L1TF",
        harm="off on such a CPU: a guest reads what is in the L1 cache of its core",
    ),
    _x86(
        "mds",
        Kind.WORD,
        words=("full", "full,nosmt", "off"),
        use="the mitigation of MDS",
        harm="off: leaks between threads",
    ),
    _x86(
        "tsx_async_abort",
        Kind.WORD,
        words=("full", "full,nosmt", "off"),
        use="the mitigation of TAA",
        harm="off: leaks",
    ),
    _row(
        "spectre_v2",
        Kind.WORD,
        words=(
            "on",
            "off",
            "auto",
            "retpoline",
            "retpoline,generic",
            "retpoline,lfence",
            "retpoline,amd",
            "eibrs",
            "eibrs,retpoline",
            "eibrs,lfence",
            "ibrs",
        ),
        use="the mitigation of Spectre 2",
        harm="off: a guest steers the host's speculation",
    ),
    _x86("nospectre_v2", Kind.FLAG, use="the same as spectre_v2=off", harm="as spectre_v2=off"),
    _x86("nospectre_v1", Kind.FLAG, use="no mitigation of Spectre 1", harm="leaks"),
    _x86(
        "retbleed",
        Kind.WORD,
        words=("off", "auto", "auto,nosmt", "ibpb", "ibpb,nosmt", "unret", "unret,nosmt", "stuff"),
        use="the mitigation of Retbleed",
        harm="off: leaks",
        since=Version(5, 19),
    ),
    _row(
        "spec_store_bypass_disable",
        Kind.WORD,
        words=("on", "off", "auto", "prctl", "seccomp"),
        use="the mitigation of SSB",
        harm="off: leaks between threads of a process",
    ),
    _x86(
        "split_lock_detect",
        Kind.TEXT,
        use="what is done about a lock over two cache lines",
        harm="off: one guest slows all by locking the bus",
    ),
    _x86(
        "tsx",
        Kind.WORD,
        words=("on", "off", "auto"),
        vendors=INTEL,
        use="transactional memory",
        harm="on: side channels",
    ),
    _row(
        "efi",
        Kind.TEXT,
        use="runtime services of the firmware",
        harm="noruntime: no boot entries from the running system",
    ),
    _row("module_blacklist", Kind.TEXT, use="modules that are not loaded", harm="what needs them"),
)

_DEVICES: tuple[Knob, ...] = (
    _x86(
        "amd_iommu",
        Kind.WORD,
        words=("off", "fullflush", "force_isolation", "force_enable", "pgtbl_v1", "pgtbl_v2"),
        vendors=AMD,
        use="AMD's IOMMU, on by itself",
        harm="off: no passthrough",
    ),
    _x86(
        "amd_iommu_intr",
        Kind.WORD,
        words=("legacy", "vapic"),
        vendors=AMD,
        use="how interrupts are remapped",
        harm="none known",
    ),
    _row(
        "vfio_pci.ids",
        Kind.TEXT,
        use="devices of these ids are VFIO's from boot on",
        harm="every device of that id, the host's own too; kvmc binds by address",
        config="VFIO_PCI",
    ),
    _row(
        "vfio_iommu_type1.allow_unsafe_interrupts",
        Kind.BOOL,
        use="passthrough without interrupt remapping",
        harm="a guest can inject interrupts into the host",
    ),
    _row("pci", Kind.TEXT, use="options of the PCI core, as `realloc`", harm="addresses of devices may change"),
    _x86("rdt", Kind.TEXT, use="features of resctrl that are forced on or off", harm="a feature with an erratum"),
    _row(
        "nvme.poll_queues",
        Kind.INTEGER,
        low=0,
        high=4096,
        use="queues of the host's NVMe drives that are polled",
        harm="taken from those with interrupts",
    ),
    _row("nvme.write_queues", Kind.INTEGER, low=0, high=4096, use="queues for writes alone", harm="fewer for reads"),
    _row(
        "nvme.io_queue_depth",
        Kind.INTEGER,
        low=2,
        high=65535,
        use="entries of a queue of the host's NVMe drives",
        harm="memory",
    ),
    _row(
        "nvme_core.default_ps_max_latency_us",
        Kind.INTEGER,
        low=0,
        use="0: drives stay in their fastest power state",
        harm="power",
    ),
    _arm(
        "kvm_arm.mode",
        Kind.WORD,
        words=("none", "nvhe", "protected", "nested"),
        use="how KVM runs on arm64",
        harm="protected: no kexec, no hibernation",
        since=Version(5, 12),
    ),
)

_SYSTEM: tuple[Knob, ...] = (
    _row("console", Kind.TEXT, use="where the kernel writes", harm="a slow serial line holds up what prints"),
    _row("quiet", Kind.FLAG, use="fewer messages at boot", harm="none"),
    _row("loglevel", Kind.INTEGER, low=0, high=8, use="which messages reach the console", harm="none"),
    _row("panic", Kind.INTEGER, low=-1, use="seconds until a reboot after a panic", harm="none"),
    _row("selinux", Kind.BOOL, use="0: no SELinux", harm="guests are no longer confined by sVirt"),
    _row("apparmor", Kind.BOOL, use="0: no AppArmor", harm="guests are no longer confined by sVirt"),
    _row("systemd.unified_cgroup_hierarchy", Kind.BOOL, use="0: cgroup v1", harm="cpuset partitions are v2's"),
    _row("cgroup_disable", Kind.TEXT, use="controllers that are left out", harm="cpuset: libvirt cannot bind memory"),
)

BOOT_KNOWN: tuple[Knob, ...] = (*_QUIET, *_MEMORY, *_POWER, *_SAFETY, *_DEVICES, *_SYSTEM)
