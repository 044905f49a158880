"""Sysctls that kvmc knows and does not write by itself."""

from __future__ import annotations

from functools import partial

from kvmc.knowledge.model import Kind, Knob, Status
from kvmc.model.values import Version

_KERNEL = "Documentation/admin-guide/sysctl/kernel.rst"
_VM = "Documentation/admin-guide/sysctl/vm.rst"
_NET = "Documentation/admin-guide/sysctl/net.rst"
_MAX = 2**31 - 1

_row = partial(Knob, "sysctl", effect="live", status=Status.RAW)
_kernel = partial(_row, source=_KERNEL)
_vm = partial(_row, source=_VM)
_net = partial(_row, source=_NET)

SYSCTL_KNOWN: tuple[Knob, ...] = (
    _kernel(
        "kernel.timer_migration", Kind.BOOL, use="0: timers stay on their CPU", harm="on quiet CPUs they stay there too"
    ),
    _kernel(
        "kernel.sched_autogroup_enabled", Kind.BOOL, use="0: no groups by session", harm="none for guests in cgroups"
    ),
    _kernel(
        "kernel.sched_cfs_bandwidth_slice_us", Kind.INTEGER, low=1, use="the slice of a quota", harm="uneven throttling"
    ),
    _kernel(
        "kernel.sched_rt_period_us", Kind.INTEGER, low=1, use="the period of the realtime limit", harm="starvation"
    ),
    _kernel("kernel.sched_schedstats", Kind.BOOL, use="1: the scheduler counts, for measuring", harm="time"),
    _kernel("kernel.sched_energy_aware", Kind.BOOL, use="placement by energy", harm="none on servers"),
    _kernel(
        "kernel.nmi_watchdog",
        Kind.BOOL,
        use="0: frees a counter; kvmc writes it on the boot line",
        harm="no hard lockup detector",
    ),
    _kernel("kernel.watchdog", Kind.BOOL, use="0: neither lockup detector", harm="a CPU that hangs is not reported"),
    _kernel(
        "kernel.soft_watchdog", Kind.BOOL, use="0: no soft lockup detector", harm="a CPU that hangs is not reported"
    ),
    _kernel(
        "kernel.watchdog_thresh",
        Kind.INTEGER,
        low=0,
        high=60,
        use="seconds until a lockup is told",
        harm="later reports",
    ),
    _kernel(
        "kernel.watchdog_cpumask",
        Kind.CPUS,
        use="CPUs that are watched; without nohz_full ones by itself",
        harm="blind spots",
    ),
    _kernel(
        "kernel.hung_task_timeout_secs",
        Kind.INTEGER,
        low=0,
        high=_MAX,
        use="when a hung task is told; 0 never",
        harm="none",
    ),
    _kernel("kernel.hung_task_panic", Kind.BOOL, use="1: a hung task ends the host", harm="all guests end with it"),
    _kernel("kernel.softlockup_panic", Kind.BOOL, use="1: a soft lockup ends the host", harm="all guests end with it"),
    _kernel("kernel.panic", Kind.INTEGER, low=-1, high=_MAX, use="seconds until a reboot after a panic", harm="none"),
    _kernel(
        "kernel.split_lock_mitigate",
        Kind.BOOL,
        since=Version(5, 19),
        use="0: users of split locks are not slowed",
        harm="one guest slows all by locking the bus",
    ),
    _kernel(
        "kernel.io_uring_disabled",
        Kind.INTEGER,
        low=0,
        high=2,
        since=Version(6, 6),
        use="1, 2: no io_uring",
        harm="disks with `io = io_uring` fail",
    ),
    _kernel("kernel.perf_event_paranoid", Kind.INTEGER, low=-1, high=4, use="who may measure", harm="-1: everybody"),
    _kernel(
        "kernel.perf_cpu_time_max_percent", Kind.INTEGER, low=0, high=100, use="the limit of measuring", harm="jitter"
    ),
    _kernel("kernel.pid_max", Kind.INTEGER, low=301, high=4194304, use="the highest process id", harm="none"),
    _kernel("kernel.threads-max", Kind.INTEGER, low=1, high=_MAX, use="threads at most", harm="none"),
    _kernel(
        "kernel.randomize_va_space", Kind.INTEGER, low=0, high=2, use="random addresses", harm="0: attacks are easier"
    ),
    _kernel(
        "kernel.printk", Kind.TEXT, use="which messages reach the console", harm="a slow console holds up what prints"
    ),
    _kernel(
        "kernel.sched_util_clamp_min",
        Kind.INTEGER,
        low=0,
        high=1024,
        use="the clock that realtime threads ask for",
        harm="power",
    ),
    _vm(
        "vm.nr_hugepages",
        Kind.INTEGER,
        low=0,
        use="huge pages of the default size, spread evenly",
        harm="not by node, and fragmented; kvmc reserves them by `pages`",
    ),
    _vm(
        "vm.nr_overcommit_hugepages",
        Kind.INTEGER,
        low=0,
        use="huge pages beyond the pool",
        harm="they may not be found",
    ),
    _vm("vm.hugetlb_shm_group", Kind.INTEGER, low=0, use="the group that may use them", harm="none"),
    _vm(
        "vm.min_free_kbytes",
        Kind.INTEGER,
        low=0,
        high=_MAX,
        use="a reserve for bursts of the network",
        harm="too large: memory that no one gets, or an OOM",
    ),
    _vm(
        "vm.watermark_scale_factor",
        Kind.INTEGER,
        low=1,
        high=3000,
        use="how early memory is reclaimed",
        harm="too large: waste",
    ),
    _vm(
        "vm.watermark_boost_factor", Kind.INTEGER, low=0, high=_MAX, use="0: no boost after fragmentation", harm="none"
    ),
    _vm(
        "vm.zone_reclaim_mode",
        Kind.INTEGER,
        low=0,
        high=7,
        use="reclaim on the node before another node is asked",
        harm="stalls; guests are bound by `<numatune>` anyway",
    ),
    _vm("vm.extfrag_threshold", Kind.INTEGER, low=0, high=1000, use="when memory is compacted", harm="stalls"),
    _vm("vm.compact_unevictable_allowed", Kind.BOOL, use="0: locked pages are not moved", harm="more fragmentation"),
    _vm("vm.dirty_ratio", Kind.INTEGER, low=0, high=100, use="dirty memory at most (%)", harm="long flushes"),
    _vm("vm.dirty_background_ratio", Kind.INTEGER, low=0, high=100, use="when writing begins (%)", harm="long flushes"),
    _vm("vm.dirty_bytes", Kind.INTEGER, low=0, use="dirty memory at most", harm="excludes dirty_ratio"),
    _vm(
        "vm.dirty_background_bytes",
        Kind.INTEGER,
        low=0,
        use="when writing begins",
        harm="excludes dirty_background_ratio",
    ),
    _vm(
        "vm.dirty_expire_centisecs",
        Kind.INTEGER,
        low=0,
        high=_MAX,
        use="when data is old enough",
        harm="loss at a crash",
    ),
    _vm(
        "vm.dirty_writeback_centisecs",
        Kind.INTEGER,
        low=0,
        high=_MAX,
        use="how often the flusher wakes",
        harm="loss at a crash",
    ),
    _vm(
        "vm.overcommit_memory",
        Kind.INTEGER,
        low=0,
        high=2,
        use="how promises of memory are counted",
        harm="2: QEMU may fail to start",
    ),
    _vm(
        "vm.overcommit_ratio",
        Kind.INTEGER,
        low=0,
        high=_MAX,
        use="with 2: the share of memory",
        harm="QEMU may fail to start",
    ),
    _vm("vm.max_map_count", Kind.INTEGER, low=0, high=_MAX, use="mappings a process", harm="none"),
    _vm("vm.vfs_cache_pressure", Kind.INTEGER, low=0, high=_MAX, use="how soon inodes are dropped", harm="0: an OOM"),
    _vm(
        "vm.memory_failure_early_kill",
        Kind.BOOL,
        use="1: all users of a bad page are told at once",
        harm="guests end early",
    ),
    _vm("vm.memory_failure_recovery", Kind.BOOL, use="1: a bad page does not end the host", harm="0: it does"),
    _vm("vm.page-cluster", Kind.INTEGER, low=0, high=10, use="pages read at once from swap", harm="latency"),
    _vm(
        "vm.panic_on_oom", Kind.INTEGER, low=0, high=2, use="1, 2: an OOM ends the host", harm="all guests end with it"
    ),
    _vm("vm.numa_stat", Kind.BOOL, use="0: no counters by node", harm="blind"),
    _vm(
        "vm.unprivileged_userfaultfd",
        Kind.BOOL,
        use="1: for post-copy migration",
        harm="attacks are easier",
        since=Version(5, 2),
    ),
    _net("net.core.busy_read", Kind.INTEGER, low=0, high=_MAX, use="sockets poll (us)", harm="CPU; no use to vhost"),
    _net("net.core.busy_poll", Kind.INTEGER, low=0, high=_MAX, use="poll(2) polls (us)", harm="CPU; no use to vhost"),
    _net(
        "net.core.somaxconn",
        Kind.INTEGER,
        low=0,
        high=_MAX,
        use="the accept queue",
        harm="no effect on guests from the host",
    ),
    _net(
        "net.core.netdev_max_backlog", Kind.INTEGER, low=0, high=_MAX, use="packets that wait for a CPU", harm="latency"
    ),
    _net("net.core.netdev_budget", Kind.INTEGER, low=0, high=_MAX, use="packets in one run", harm="latency of others"),
    _net(
        "net.core.netdev_budget_usecs", Kind.INTEGER, low=0, high=_MAX, use="time of one run", harm="latency of others"
    ),
    _net("net.core.rmem_max", Kind.INTEGER, low=0, high=_MAX, use="receive buffers at most", harm="memory"),
    _net("net.core.wmem_max", Kind.INTEGER, low=0, high=_MAX, use="send buffers at most", harm="memory"),
    _net("net.core.rmem_default", Kind.INTEGER, low=0, high=_MAX, use="receive buffers", harm="memory"),
    _net("net.core.wmem_default", Kind.INTEGER, low=0, high=_MAX, use="send buffers", harm="memory"),
    _net("net.core.default_qdisc", Kind.TEXT, use="the queueing discipline", harm="none"),
    _net("net.ipv4.ip_forward", Kind.BOOL, use="the host routes", harm="guests reach what they should not"),
    _net("net.ipv4.tcp_fastopen", Kind.INTEGER, low=0, high=_MAX, use="data with the first packet", harm="none"),
    _net(
        "net.bridge.bridge-nf-call-iptables",
        Kind.BOOL,
        use="0: bridged packets pass the firewall by",
        harm="filters of guests",
    ),
    _net(
        "net.bridge.bridge-nf-call-ip6tables",
        Kind.BOOL,
        use="0: bridged packets pass the firewall by",
        harm="filters of guests",
    ),
    _row(
        "fs.aio-max-nr",
        Kind.INTEGER,
        low=0,
        source="Documentation/admin-guide/sysctl/fs.rst",
        use="requests of native I/O on the whole host",
        harm="too few: disks fall back or fail",
    ),
    _row(
        "fs.file-max",
        Kind.INTEGER,
        low=0,
        source="Documentation/admin-guide/sysctl/fs.rst",
        use="open files",
        harm="none",
    ),
    _row(
        "fs.inotify.max_user_instances", Kind.INTEGER, low=0, source="inotify(7)", use="watchers a user", harm="memory"
    ),
)
