"""The scheduler's knobs, which moved from sysctl to debugfs; other files of sysfs and debugfs, and those of cgroups."""

from __future__ import annotations

from functools import partial

from kvmc.knowledge.model import Kind, Knob, Status
from kvmc.model.values import Version

_SCHED = "kernel/sched/{debug,fair,core}.c and kernel/sysctl.c of 5.10, 6.1, 6.12 and 7.2"
_DEBUG = "/sys/kernel/debug/sched"
_BLOCK = "Documentation/ABI/stable/sysfs-block"

_sysctl = partial(Knob, "sysctl", effect="live")
_moved = partial(_sysctl, kind=Kind.INTEGER, source=_SCHED, until=Version(5, 12), low=0, status=Status.MOVED)
_file = partial(Knob, "sysfs", effect="live", status=Status.RAW)
_debug = partial(Knob, "debugfs", effect="live", status=Status.RAW, source=_SCHED, kind=Kind.INTEGER, low=0)
_cgroup = partial(Knob, "cgroup", effect="live", status=Status.KNOWN, source="Documentation/admin-guide/cgroup-v2.rst")

SCHEDULER_MOVED: tuple[Knob, ...] = (
    _moved(
        "kernel.sched_latency_ns",
        use="the period in which each thread runs once",
        harm="latency",
        instead=f"`{_DEBUG}/latency_ns` up to 6.5; EEVDF, from 6.6, has no such period: `base_slice_ns`",
    ),
    _moved(
        "kernel.sched_wakeup_granularity_ns",
        use="how far ahead a thread must be to take the CPU on waking",
        harm="latency",
        instead=f"`{_DEBUG}/wakeup_granularity_ns` up to 6.5; EEVDF, from 6.6, has no such thing: `base_slice_ns`",
    ),
    _moved("kernel.sched_nr_migrate", use="threads moved at once", harm="latency", instead=f"`{_DEBUG}/nr_migrate`"),
    _moved(
        "kernel.sched_tunable_scaling",
        use="whether slices grow with the number of CPUs",
        harm="none",
        instead=f"`{_DEBUG}/tunable_scaling`",
    ),
    *(
        _moved(
            f"kernel.numa_balancing_{name}",
            use="how fast NUMA balancing looks for pages to move",
            harm="faults",
            instead=f"`{_DEBUG}/numa_balancing/{name}`; kvmc turns the balancing off",
        )
        for name in ("scan_delay_ms", "scan_period_min_ms", "scan_period_max_ms", "scan_size_mb")
    ),
    _sysctl(
        "kernel.sched_child_runs_first",
        Kind.BOOL,
        source="kernel/sched/fair.c: in 6.1, absent in 6.12",
        until=Version(6, 5),
        status=Status.REMOVED,
        use="a forked child runs before its parent",
        harm="none",
        instead="nothing: EEVDF, from 6.6, has no such choice",
    ),
    _debug(
        f"{_DEBUG}/latency_ns",
        since=Version(5, 13),
        until=Version(6, 5),
        status=Status.REMOVED,
        use="the period in which each thread runs once",
        harm="latency",
        instead=f"`{_DEBUG}/base_slice_ns`, which is a slice and no period",
    ),
    _debug(
        f"{_DEBUG}/wakeup_granularity_ns",
        since=Version(5, 13),
        until=Version(6, 5),
        status=Status.REMOVED,
        use="how far ahead a thread must be to take the CPU on waking",
        harm="latency",
        instead=f"`{_DEBUG}/base_slice_ns`: a shorter slice is taken sooner",
    ),
)

FILES_KNOWN: tuple[Knob, ...] = (
    _debug(f"{_DEBUG}/nr_migrate", since=Version(5, 13), use="threads moved at once", harm="latency"),
    _debug(f"{_DEBUG}/tunable_scaling", since=Version(5, 13), use="whether slices grow with the CPUs", harm="none"),
    _debug(
        f"{_DEBUG}/fair_server/cpu*/runtime",
        since=Version(6, 12),
        use="time for normal threads below realtime ones (ns)",
        harm="0: a FIFO vCPU starves the kernel's threads on its CPU",
    ),
    _debug(
        f"{_DEBUG}/fair_server/cpu*/period", since=Version(6, 12), use="the period of that time (ns)", harm="starvation"
    ),
    *(
        _debug(
            f"{_DEBUG}/numa_balancing/{name}",
            since=Version(5, 13),
            use="how NUMA balancing looks for pages",
            harm="faults",
        )
        for name in ("scan_delay_ms", "scan_period_min_ms", "scan_period_max_ms", "scan_size_mb", "hot_threshold_ms")
    ),
    Knob(
        "debugfs",
        f"{_DEBUG}/preempt",
        Kind.WORD,
        "live",
        words=("none", "voluntary", "full", "lazy"),
        source=_SCHED,
        use="the preemption model while the host runs",
        harm="no substitute for PREEMPT_RT",
        since=Version(5, 12),
        config="PREEMPT_DYNAMIC",
        status=Status.RAW,
    ),
    _file(
        "/sys/kernel/mm/ksm/run",
        Kind.INTEGER,
        low=0,
        high=2,
        source="Documentation/admin-guide/mm/ksm.rst",
        use="page merging",
        harm="a side channel between guests",
    ),
    _file(
        "/sys/kernel/mm/ksm/sleep_millisecs",
        Kind.INTEGER,
        low=0,
        source="Documentation/admin-guide/mm/ksm.rst",
        use="how often pages are compared",
        harm="jitter",
    ),
    _file(
        "/sys/kernel/mm/ksm/merge_across_nodes",
        Kind.BOOL,
        source="Documentation/admin-guide/mm/ksm.rst",
        use="0: pages are merged within a node alone",
        harm="1: memory of another node",
    ),
    _file(
        "/sys/kernel/mm/transparent_hugepage/enabled",
        Kind.WORD,
        words=("always", "madvise", "never"),
        source="Documentation/admin-guide/mm/transhuge.rst",
        use="who gets huge pages",
        harm="always: compaction",
    ),
    _file(
        "/sys/kernel/mm/transparent_hugepage/defrag",
        Kind.WORD,
        words=("always", "defer", "defer+madvise", "madvise", "never"),
        source="Documentation/admin-guide/mm/transhuge.rst",
        use="who waits for them",
        harm="always: stalls",
    ),
    _file(
        "/sys/kernel/mm/transparent_hugepage/khugepaged/defrag",
        Kind.BOOL,
        source="Documentation/admin-guide/mm/transhuge.rst",
        use="whether khugepaged compacts",
        harm="jitter",
    ),
    _file(
        "/sys/devices/system/cpu/smt/control",
        Kind.WORD,
        words=("on", "off", "forceoff"),
        source="Documentation/ABI/testing/sysfs-devices-system-cpu",
        use="sibling threads while the host runs",
        harm="the topology changes below the guests",
    ),
    _file(
        "/sys/module/kvm/parameters/halt_poll_ns",
        Kind.INTEGER,
        low=0,
        source="Documentation/virt/kvm/halt-polling.rst",
        use="the module's parameter while it is loaded",
        harm="as kvm.halt_poll_ns",
    ),
    _file(
        "/sys/block/*/queue/nr_requests",
        Kind.INTEGER,
        low=1,
        source=_BLOCK,
        use="requests of a block device",
        harm="latency",
    ),
    _file("/sys/block/*/queue/scheduler", Kind.TEXT, source=_BLOCK, use="the I/O scheduler", harm="none"),
    _file(
        "/sys/block/*/device/queue_depth",
        Kind.INTEGER,
        low=1,
        source=_BLOCK,
        use="requests of a SCSI disk of the host",
        harm="latency",
    ),
    _cgroup(
        "cpuset.cpus",
        Kind.CPUS,
        use="CPUs of a group; libvirt sets them from pins",
        harm="by hand: libvirt writes over it",
    ),
    _cgroup(
        "cpuset.mems",
        Kind.CPUS,
        use="nodes of a group; libvirt sets them from `<numatune>`",
        harm="by hand: memory moves",
    ),
    _cgroup(
        "cpuset.cpus.partition",
        Kind.WORD,
        words=("member", "root", "isolated"),
        since=Version(5, 15),
        use="isolated: no balancing, without a reboot",
        harm="all threads of a guest are in it",
    ),
    _cgroup(
        "cpuset.cpus.exclusive",
        Kind.CPUS,
        since=Version(6, 7),
        use="CPUs of a partition that its parent does not have",
        harm="none",
    ),
    _cgroup(
        "cpu.weight", Kind.INTEGER, low=1, high=10000, use="a share of CPU time; libvirt's `<shares>`", harm="none"
    ),
    _cgroup("cpu.max", Kind.TEXT, use="a limit of CPU time; libvirt's `<quota>`", harm="stalls"),
    Knob(
        "sysfs",
        "/sys/fs/resctrl",
        Kind.TEXT,
        "live",
        source="Documentation/filesystems/resctrl.rst",
        status=Status.KNOWN,
        use="cache ways and memory bandwidth; libvirt's `<cachetune>`, `<memorytune>`",
        harm="too few ways: misses",
    ),
)
