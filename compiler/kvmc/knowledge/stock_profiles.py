"""The stock profiles of tuned that KVM hosts and guests are given, key by key, and what each includes.

kvmc includes none of them: what a host is told stands in its files. They are known so that a profile that people wrote can be
judged, and to tell what `include=` brings along. Assertions, what scripts do and the profiles' own variables are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kvmc.knowledge.stock_releases import RELEASES

READ = "2.20"
"""The release whose profiles these are; what others have is in `stock_releases`."""
_OWN = (2, 20)


@dataclass(frozen=True, slots=True)
class StockProfile:
    """name: as `include=` has it. settings: section, key and value of its own, in order; `=>` only raises, `+` appends."""

    name: str
    include: str | None
    settings: tuple[tuple[str, str, str], ...]


_PROFILES: tuple[StockProfile, ...] = (
    StockProfile(
        "throughput-performance",
        None,
        (
            ("cpu", "governor", "performance"),
            ("cpu", "energy_perf_bias", "performance"),
            ("cpu", "min_perf_pct", "100"),
            ("disk", "readahead", ">4096"),
            ("sysctl", "vm.dirty_ratio", "40"),
            ("sysctl", "vm.dirty_background_ratio", "10"),
            ("sysctl", "vm.swappiness", "10"),
            ("sysctl", "net.core.somaxconn", ">2048"),
            ("vm.thunderx", "transparent_hugepages", "never"),
            ("sysctl.thunderx", "kernel.numa_balancing", "0"),
        ),
    ),
    StockProfile(
        "latency-performance",
        None,
        (
            ("cpu", "force_latency", "cstate.id_no_zero:1|3"),
            ("cpu", "governor", "performance"),
            ("cpu", "energy_perf_bias", "performance"),
            ("cpu", "min_perf_pct", "100"),
            ("sysctl", "vm.dirty_ratio", "10"),
            ("sysctl", "vm.dirty_background_ratio", "3"),
            ("sysctl", "vm.swappiness", "10"),
        ),
    ),
    StockProfile(
        "network-latency",
        "latency-performance",
        (
            ("vm", "transparent_hugepages", "never"),
            ("sysctl", "net.core.busy_read", "50"),
            ("sysctl", "net.core.busy_poll", "50"),
            ("sysctl", "net.ipv4.tcp_fastopen", "3"),
            ("sysctl", "kernel.numa_balancing", "0"),
            ("bootloader", "cmdline_network_latency", "skew_tick=1"),
        ),
    ),
    StockProfile(
        "network-throughput",
        "throughput-performance",
        (
            ("sysctl", "net.ipv4.tcp_rmem", '"4096 87380 16777216"'),
            ("sysctl", "net.ipv4.tcp_wmem", '"4096 16384 16777216"'),
        ),
    ),
    StockProfile(
        "balanced",
        None,
        (
            ("modules", "cpufreq_conservative", "+r"),
            ("cpu", "governor", "conservative|powersave"),
            ("cpu", "energy_perf_bias", "normal"),
            ("audio", "timeout", "10"),
            ("video", "radeon_powersave", "dpm-balanced, auto"),
            ("scsi_host", "alpm", "medium_power"),
        ),
    ),
    StockProfile(
        "virtual-host",
        "throughput-performance",
        (
            ("sysctl", "vm.dirty_background_ratio", "5"),
            ("cpu", "force_latency", "cstate.id_no_zero:3|70"),
        ),
    ),
    StockProfile(
        "virtual-guest",
        "throughput-performance",
        (
            ("sysctl", "vm.dirty_ratio", "30"),
            ("sysctl", "vm.swappiness", "30"),
        ),
    ),
    StockProfile(
        "realtime",
        "network-latency",
        (
            ("net", "channels", "combined ${f:check_net_queue_count:${netdev_queue_count}}"),
            ("sysctl", "kernel.hung_task_timeout_secs", "600"),
            ("sysctl", "kernel.nmi_watchdog", "0"),
            ("sysctl", "kernel.sched_rt_runtime_us", "-1"),
            ("sysctl", "vm.stat_interval", "10"),
            ("sysctl", "kernel.timer_migration", "0"),
            ("sysfs", "/sys/bus/workqueue/devices/writeback/cpumask", "${not_isolated_cpumask}"),
            ("sysfs", "/sys/devices/virtual/workqueue/cpumask", "${not_isolated_cpumask}"),
            ("sysfs", "/sys/devices/virtual/workqueue/*/cpumask", "${not_isolated_cpumask}"),
            ("sysfs", "/sys/devices/system/machinecheck/machinecheck*/ignore_ce", "1"),
            (
                "bootloader",
                "cmdline_realtime",
                "+isolcpus=${managed_irq}${isolated_cores} intel_pstate=disable nosoftlockup tsc=reliable",
            ),
            ("irqbalance", "banned_cpus", "${isolated_cores}"),
            ("script", "script", "${i:PROFILE_DIR}/script.sh"),
            ("scheduler", "isolated_cores", "${isolated_cores}"),
        ),
    ),
    StockProfile(
        "realtime-virtual-host",
        "realtime",
        (
            ("scheduler", "group.ksoftirqd", "0:f:2:*:^\\[ksoftirqd"),
            ("scheduler", "group.ktimers", "0:f:2:*:^\\[ktimers"),
            ("scheduler", "group.rcuc", "0:f:4:*:^\\[rcuc"),
            ("scheduler", "group.rcub", "0:f:4:*:^\\[rcub"),
            ("scheduler", "group.ktimersoftd", "0:f:3:*:^\\[ktimersoftd"),
            (
                "scheduler",
                "ps_blacklist",
                "^\\[ksoftirqd;^\\[ktimers;^\\[rcuc;^\\[rcub;^\\[ktimersoftd;pmd;PMD;^DPDK;qemu-kvm",
            ),
            ("sysfs", "/sys/kernel/mm/ksm/run", "2"),
            ("sysfs", "/sys/kernel/ktimer_lockless_check", "1"),
            ("script", "script", "${i:PROFILE_DIR}/script.sh"),
            (
                "bootloader",
                "cmdline_rvh",
                "+nohz=on nohz_full=${isolated_cores} rcu_nocbs=${isolated_cores} irqaffinity=${non_isolated_cores}",
            ),
        ),
    ),
    StockProfile(
        "realtime-virtual-guest",
        "realtime",
        (
            ("scheduler", "group.ksoftirqd", "0:f:2:*:^\\[ksoftirqd"),
            ("scheduler", "group.ktimers", "0:f:2:*:^\\[ktimers"),
            ("scheduler", "group.rcuc", "0:f:4:*:^\\[rcuc"),
            ("scheduler", "group.rcub", "0:f:4:*:^\\[rcub"),
            ("scheduler", "group.ktimersoftd", "0:f:3:*:^\\[ktimersoftd"),
            ("scheduler", "ps_blacklist", "^\\[ksoftirqd;^\\[ktimers;^\\[rcuc;^\\[rcub;^\\[ktimersoftd"),
            ("sysfs", "/sys/kernel/ktimer_lockless_check", "1"),
            ("script", "script", "${i:PROFILE_DIR}/script.sh"),
            (
                "bootloader",
                "cmdline_rvg",
                "+nohz=on nohz_full=${isolated_cores} rcu_nocbs=${isolated_cores} irqaffinity=${non_isolated_cores}",
            ),
        ),
    ),
    StockProfile(
        "cpu-partitioning",
        "network-latency",
        (
            ("sysctl", "kernel.hung_task_timeout_secs", "600"),
            ("sysctl", "kernel.nmi_watchdog", "0"),
            ("sysctl", "vm.stat_interval", "10"),
            ("sysctl", "kernel.timer_migration", "0"),
            ("sysfs", "/sys/bus/workqueue/devices/writeback/cpumask", "${not_isolated_cpumask}"),
            ("sysfs", "/sys/devices/virtual/workqueue/cpumask", "${not_isolated_cpumask}"),
            ("sysfs", "/sys/devices/virtual/workqueue/*/cpumask", "${not_isolated_cpumask}"),
            ("sysfs", "/sys/devices/system/machinecheck/machinecheck*/ignore_ce", "1"),
            ("systemd", "cpu_affinity", "${not_isolated_cores_expanded}"),
            ("irqbalance", "banned_cpus", "${isolated_cores}"),
            ("script", "script", "${i:PROFILE_DIR}/script.sh"),
            ("scheduler", "isolated_cores", "${isolated_cores}"),
            (
                "scheduler",
                "ps_blacklist",
                ".*pmd.*;.*PMD.*;^DPDK;.*qemu-kvm.*;^contrail-vroute$;^lcore-slave-.*;^rte_mp_handle$;^rte_mp_async$;^eal-intr-thread$",
            ),
            ("bootloader", "initrd_remove_dir", "True"),
            ("bootloader", "initrd_dst_img", "tuned-initrd.img"),
            ("bootloader", "initrd_add_dir", "${tmpdir}"),
            (
                "bootloader",
                "cmdline_cpu_part",
                "+nohz=on${cmd_isolcpus} nohz_full=${isolated_cores} rcu_nocbs=${isolated_cores} "
                "tuned.non_isolcpus=${not_isolated_cpumask} intel_pstate=disable nosoftlockup",
            ),
        ),
    ),
    StockProfile(
        "hpc-compute",
        "latency-performance",
        (
            ("vm", "transparent_hugepages", "always"),
            ("disk", "readahead", ">4096"),
            ("sysctl", "vm.min_free_kbytes", "135168"),
            ("sysctl", "vm.zone_reclaim_mode", "1"),
            ("sysctl", "kernel.numa_balancing", "0"),
            ("sysctl", "net.core.busy_read", "50"),
            ("sysctl", "net.core.busy_poll", "50"),
            ("sysctl", "net.ipv4.tcp_fastopen", "3"),
        ),
    ),
    StockProfile(
        "postgresql",
        "throughput-performance",
        (
            ("cpu", "force_latency", "1"),
            ("vm", "transparent_hugepages", "never"),
            ("sysctl", "vm.dirty_background_ratio", "0"),
            ("sysctl", "vm.dirty_ratio", "0"),
            ("sysctl", "vm.dirty_background_bytes", "67108864"),
            ("sysctl", "vm.dirty_bytes", "536870912"),
            ("sysctl", "vm.swappiness", "3"),
            ("sysctl", "kernel.sched_autogroup_enabled", "0"),
            ("scheduler", "sched_min_granularity_ns", "10000000"),
            ("scheduler", "sched_migration_cost_ns", "50000000"),
        ),
    ),
    StockProfile(
        "mssql",
        "throughput-performance",
        (
            ("cpu", "force_latency", "5"),
            ("vm", "transparent_hugepages", "always"),
            ("sysctl", "vm.swappiness", "1"),
            ("sysctl", "vm.dirty_background_ratio", "3"),
            ("sysctl", "vm.dirty_ratio", "80"),
            ("sysctl", "vm.dirty_expire_centisecs", "500"),
            ("sysctl", "vm.dirty_writeback_centisecs", "100"),
            ("sysctl", "vm.max_map_count", "1600000"),
            ("sysctl", "net.core.rmem_default", "262144"),
            ("sysctl", "net.core.rmem_max", "4194304"),
            ("sysctl", "net.core.wmem_default", "262144"),
            ("sysctl", "net.core.wmem_max", "1048576"),
            ("sysctl", "kernel.numa_balancing", "0"),
            ("scheduler", "sched_latency_ns", "60000000"),
            ("scheduler", "sched_migration_cost_ns", "500000"),
            ("scheduler", "sched_min_granularity_ns", "15000000"),
            ("scheduler", "sched_wakeup_granularity_ns", "2000000"),
        ),
    ),
    StockProfile(
        "oracle",
        "throughput-performance",
        (
            ("sysctl", "vm.swappiness", "10"),
            ("sysctl", "vm.dirty_background_ratio", "3"),
            ("sysctl", "vm.dirty_ratio", "40"),
            ("sysctl", "vm.dirty_expire_centisecs", "500"),
            ("sysctl", "vm.dirty_writeback_centisecs", "100"),
            ("sysctl", "kernel.shmmax", "4398046511104"),
            ("sysctl", "kernel.shmall", "1073741824"),
            ("sysctl", "kernel.shmmni", "4096"),
            ("sysctl", "kernel.sem", "250 32000 100 128"),
            ("sysctl", "fs.file-max", "6815744"),
            ("sysctl", "fs.aio-max-nr", "1048576"),
            ("sysctl", "net.ipv4.ip_local_port_range", "9000 65499"),
            ("sysctl", "net.core.rmem_default", "262144"),
            ("sysctl", "net.core.rmem_max", "4194304"),
            ("sysctl", "net.core.wmem_default", "262144"),
            ("sysctl", "net.core.wmem_max", "1048576"),
            ("sysctl", "kernel.panic_on_oops", "1"),
            ("sysctl", "kernel.numa_balancing", "0"),
            ("vm", "transparent_hugepages", "never"),
        ),
    ),
)

PROFILES = {profile.name: profile for profile in _PROFILES}


def in_release(profile: StockProfile, release: tuple[int, int] | None) -> StockProfile:
    """The profile as that release has it: as the newest that was read and is not newer. None: as the profiles here are."""
    read = max((one for one in (*RELEASES, _OWN) if release is not None and one <= release), default=None)
    if read is None:
        read = min(RELEASES) if release is not None else _OWN
    change = RELEASES.get(read, {}).get(profile.name)
    if change is None:
        return profile
    new = {(section, key): value for section, key, value in change.put}
    kept = [
        (section, key, new.pop((section, key), value))
        for section, key, value in profile.settings
        if (section, key) not in change.gone
    ]
    return replace(profile, settings=(*kept, *((*key, value) for key, value in new.items())))


def chain(name: str, release: tuple[int, int] | None = None) -> tuple[StockProfile, ...]:
    """The profile and what it includes, nearest first; nothing for one that is not known. release: of tuned."""
    found: list[StockProfile] = []
    profile = PROFILES.get(name)
    while profile is not None and profile not in found:
        found.append(profile)
        profile = PROFILES.get(profile.include or "")
    return tuple(in_release(one, release) for one in found)


def boot_words(name: str, release: tuple[int, int] | None = None) -> tuple[tuple[str, str], ...]:
    """What the profile and those that it includes put on the boot line: each profile's name with its words, the farthest first."""
    return tuple(
        (profile.name, value.removeprefix("+"))
        for profile in reversed(chain(name, release))
        for section, key, value in profile.settings
        if section == "bootloader" and key.startswith("cmdline")
    )
