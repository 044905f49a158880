"""Parameters of KVM's modules and of those beside it that kvmc knows and does not write by itself."""

from __future__ import annotations

from functools import partial

from kvmc.knowledge.model import AMD, INTEL, Kind, Knob, Status
from kvmc.model.values import Version

_row = partial(Knob, "modprobe", effect="reboot", status=Status.RAW)
_kvm = partial(_row, source="virt/kvm/kvm_main.c; Documentation/virt/kvm/halt-polling.rst")
_x86 = partial(_row, source="arch/x86/kvm; Documentation/admin-guide/kernel-parameters.txt", arch=("x86_64",))
_intel = partial(_x86, vendors=INTEL)
_amd = partial(_x86, vendors=AMD)
_UINT = 4294967295

MODULE_KNOWN: tuple[Knob, ...] = (
    _kvm(
        "kvm.halt_poll_ns",
        Kind.INTEGER,
        low=0,
        high=_UINT,
        use="how long the host polls for a vCPU that halts (ns), before it sleeps",
        harm="shared CPUs: a host that is almost idle looks busy, and polling takes from other guests",
    ),
    _kvm(
        "kvm.halt_poll_ns_grow", Kind.INTEGER, low=0, high=_UINT, use="how fast the time grows", harm="as halt_poll_ns"
    ),
    _kvm(
        "kvm.halt_poll_ns_grow_start",
        Kind.INTEGER,
        low=0,
        high=_UINT,
        use="where it starts (ns)",
        harm="as halt_poll_ns",
    ),
    _kvm("kvm.halt_poll_ns_shrink", Kind.INTEGER, low=0, high=_UINT, use="how fast it shrinks", harm="as halt_poll_ns"),
    _x86(
        "kvm.nx_huge_pages",
        Kind.WORD,
        words=("auto", "off", "force", "0", "1", "on", "never"),
        use="huge pages of guests are split where the CPU has the iTLB multihit erratum; auto tells by itself",
        harm="off on such a CPU: a guest can halt the host",
    ),
    _x86(
        "kvm.nx_huge_pages_recovery_period_ms",
        Kind.INTEGER,
        low=0,
        high=_UINT,
        use="how often split pages are merged again",
        harm="jitter",
        since=Version(5, 16),
    ),
    _x86(
        "kvm.enable_pmu",
        Kind.BOOL,
        use="performance counters for guests; `pmu = false` of a guest does it for one",
        harm="N: none for any guest",
        since=Version(5, 17),
    ),
    _x86(
        "kvm.eager_page_split",
        Kind.BOOL,
        use="huge pages are split at the start of a migration",
        harm="N: slower migrations",
        since=Version(5, 18),
    ),
    _x86(
        "kvm.min_timer_period_us",
        Kind.INTEGER,
        low=0,
        high=_UINT,
        use="the shortest period of a guest's timer",
        harm="exits",
    ),
    _x86(
        "kvm.ignore_msrs", Kind.BOOL, use="accesses to unknown MSRs are ignored", harm="guests go on with wrong values"
    ),
    _x86("kvm.report_ignored_msrs", Kind.BOOL, use="whether that is logged", harm="none"),
    _x86("kvm.tdp_mmu", Kind.BOOL, use="the MMU for two-dimensional paging", harm="N: the older, slower one"),
    _x86(
        "kvm.mmio_caching",
        Kind.BOOL,
        use="MMIO exits are cached",
        harm="N: slow; SEV-ES and TDX need it",
        since=Version(5, 19),
    ),
    _x86(
        "kvm.lapic_timer_advance_ns",
        Kind.INTEGER,
        low=-1,
        high=_UINT,
        status=Status.MOVED,
        until=Version(6, 8),
        use="how much earlier the timer fires",
        harm="-1 tunes itself; a fixed value fits one CPU alone",
        instead="`kvm.lapic_timer_advance`, which is on or off; leave it alone",
    ),
    _x86(
        "kvm.lapic_timer_advance",
        Kind.BOOL,
        since=Version(6, 9),
        use="the timer fires earlier, tuned by itself",
        harm="N: later timers",
    ),
    _intel("kvm_intel.ept", Kind.BOOL, use="two-dimensional paging, on by itself", harm="N: shadow paging, very slow"),
    _intel("kvm_intel.vpid", Kind.BOOL, use="tags in the TLB, on by itself", harm="N: a flush at each exit"),
    _intel("kvm_intel.unrestricted_guest", Kind.BOOL, use="real mode without emulation", harm="N: slow boots"),
    _intel(
        "kvm_intel.enable_apicv",
        Kind.BOOL,
        use="the APIC in hardware, posted interrupts; on by itself",
        harm="N: exits",
    ),
    _intel(
        "kvm_intel.enable_ipiv",
        Kind.BOOL,
        use="interrupts between vCPUs without exits; on by itself",
        harm="N: exits",
        since=Version(5, 19),
    ),
    _intel(
        "kvm_intel.enable_device_posted_irqs",
        Kind.BOOL,
        since=Version(6, 16),
        use="interrupts of passed devices straight into vCPUs; on by itself",
        harm="N: exits",
    ),
    _intel("kvm_intel.nested", Kind.BOOL, use="guests of guests", harm="more of KVM that a guest can reach"),
    _intel(
        "kvm_intel.ple_window",
        Kind.INTEGER,
        low=0,
        high=_UINT,
        use="how long a vCPU may spin before an exit",
        harm="exits",
    ),
    _intel("kvm_intel.ple_window_grow", Kind.INTEGER, low=0, high=_UINT, use="how that window grows", harm="exits"),
    _intel("kvm_intel.ple_window_shrink", Kind.INTEGER, low=0, high=_UINT, use="how that window shrinks", harm="exits"),
    _intel("kvm_intel.ple_window_max", Kind.INTEGER, low=0, high=_UINT, use="how large that window gets", harm="exits"),
    _intel("kvm_intel.preemption_timer", Kind.BOOL, use="guests' timers without a host timer", harm="N: slower timers"),
    _intel(
        "kvm_intel.vmentry_l1d_flush",
        Kind.WORD,
        words=("never", "cond", "always"),
        use="the mitigation of L1TF",
        harm="never on such a CPU: a guest reads what is in its core's L1 cache",
    ),
    _intel(
        "kvm_intel.tdx",
        Kind.BOOL,
        since=Version(6, 16),
        use="confidential guests (TDX)",
        harm="memory and speed; no speed knob",
    ),
    _intel(
        "kvm_intel.cet",
        Kind.BOOL,
        since=Version(6, 18),
        use="control-flow enforcement for guests",
        harm="no speed knob",
    ),
    _intel("kvm_intel.pml", Kind.BOOL, use="dirty pages logged by the CPU", harm="N: slower migrations"),
    _intel("kvm_intel.sgx", Kind.BOOL, use="SGX for guests", harm="none", since=Version(5, 13)),
    _amd(
        "kvm_amd.npt",
        Kind.BOOL,
        use="two-dimensional paging, on by itself (once called RVI)",
        harm="N: shadow paging, very slow",
    ),
    _amd(
        "kvm_amd.avic",
        Kind.TEXT,
        use="the APIC in hardware; yes or no, and auto in 7.2",
        harm="turned off again by features of a guest; before 6.x not for large guests",
    ),
    _amd(
        "kvm_amd.enable_device_posted_irqs",
        Kind.BOOL,
        since=Version(6, 16),
        use="interrupts of passed devices straight into vCPUs",
        harm="N: exits",
    ),
    _amd("kvm_amd.nested", Kind.BOOL, use="guests of guests", harm="more of KVM that a guest can reach"),
    _amd("kvm_amd.pause_filter_thresh", Kind.INTEGER, low=0, high=65535, use="what counts as one loop", harm="exits"),
    _amd("kvm_amd.pause_filter_count_grow", Kind.INTEGER, low=0, high=65535, use="how the count grows", harm="exits"),
    _amd(
        "kvm_amd.pause_filter_count_shrink", Kind.INTEGER, low=0, high=65535, use="how the count shrinks", harm="exits"
    ),
    _amd(
        "kvm_amd.pause_filter_count_max", Kind.INTEGER, low=0, high=65535, use="how large the count gets", harm="exits"
    ),
    _amd("kvm_amd.sev", Kind.BOOL, use="confidential guests", harm="speed and features"),
    _amd("kvm_amd.sev_es", Kind.BOOL, use="with encrypted registers", harm="speed and features", since=Version(5, 11)),
    _amd("kvm_amd.sev_snp", Kind.BOOL, use="with integrity", harm="speed and features", since=Version(6, 11)),
    _amd("kvm_amd.vls", Kind.BOOL, use="nested state in hardware", harm="none"),
    _amd("kvm_amd.vgif", Kind.BOOL, use="a nested guest's interrupts in hardware", harm="none"),
    _row(
        "vhost_net.experimental_zcopytx",
        Kind.BOOL,
        source="drivers/vhost/net.c",
        use="sends without a copy",
        harm="latency, and a guest that is slow holds memory",
    ),
    _row(
        "vhost.max_mem_regions",
        Kind.INTEGER,
        low=1,
        high=65535,
        source="drivers/vhost/vhost.c",
        use="regions of memory of a guest, for memory that is plugged in",
        harm="memory",
    ),
    _row(
        "nvme.poll_queues",
        Kind.INTEGER,
        low=0,
        high=4096,
        source="drivers/nvme/host/pci.c",
        use="queues of the host's NVMe drives that are polled",
        harm="taken from those with interrupts",
    ),
    _row(
        "nvme.write_queues",
        Kind.INTEGER,
        low=0,
        high=4096,
        source="drivers/nvme/host/pci.c",
        use="queues for writes alone",
        harm="fewer for reads",
    ),
    _row(
        "nvme.io_queue_depth",
        Kind.INTEGER,
        low=2,
        high=65535,
        source="drivers/nvme/host/pci.c",
        use="entries of a queue of the host's NVMe drives",
        harm="memory",
    ),
    _row(
        "virtio_blk.queue_depth",
        Kind.INTEGER,
        low=0,
        high=65535,
        source="drivers/block/virtio_blk.c",
        use="in a guest: entries of a virtio disk's queue",
        harm="no effect on a host",
    ),
    _row(
        "virtio_scsi.virtscsi_poll_queues",
        Kind.INTEGER,
        low=0,
        high=4096,
        source="drivers/scsi/virtio_scsi.c",
        use="in a guest: queues that are polled",
        harm="no effect on a host",
    ),
    _row(
        "vfio_pci.ids",
        Kind.TEXT,
        source="drivers/vfio/pci/vfio_pci.c",
        use="devices of these ids are VFIO's",
        harm="every device of that id, the host's own too; kvmc binds by address",
    ),
    _row(
        "vfio_pci.disable_idle_d3",
        Kind.BOOL,
        source="drivers/vfio/pci/vfio_pci.c",
        use="devices are not put to sleep",
        harm="power",
    ),
    _row(
        "vfio_iommu_type1.allow_unsafe_interrupts",
        Kind.BOOL,
        source="drivers/vfio/vfio_iommu_type1.c",
        use="passthrough without interrupt remapping",
        harm="a guest can inject interrupts into the host",
    ),
)
