"""In what the stock profiles of other releases of tuned differ from those of 2.20: Debian 11 and Ubuntu 22.04 have 2.15, Debian 12
has 2.20, Debian 13 has 2.25, RHEL 9.6 and 10 too. Read from Debian's packages, as the profiles themselves.

The includes are the same in all three. 2.25 sets `vm.dirty_*` through the plugin `vm`, and moved what realtime and cpu-partitioning
both had into network-latency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """gone: section and key. put: section, key and value, in place of the value of the same key or beside the others."""

    gone: tuple[tuple[str, str], ...] = ()
    put: tuple[tuple[str, str, str], ...] = ()


RELEASES: Mapping[tuple[int, int], Mapping[str, Difference]] = {
    (2, 15): {
        "throughput-performance": Difference(
            gone=(("sysctl", "net.core.somaxconn"),),
            put=(
                ("sysctl", "kernel.sched_min_granularity_ns", "10000000"),
                ("sysctl", "kernel.sched_wakeup_granularity_ns", "15000000"),
                ("sysctl.amd", "kernel.sched_migration_cost_ns", "5000000"),
            ),
        ),
        "latency-performance": Difference(
            put=(
                ("cpu", "force_latency", "cstate.id:1|3"),
                ("sysctl", "kernel.sched_min_granularity_ns", "3000000"),
                ("sysctl", "kernel.sched_wakeup_granularity_ns", "4000000"),
                ("sysctl", "kernel.sched_migration_cost_ns", "5000000"),
            ),
        ),
        "network-throughput": Difference(
            put=(("sysctl", "net.ipv4.udp_mem", '"3145728 4194304 16777216"'),),
        ),
        "virtual-host": Difference(
            put=(("sysctl", "kernel.sched_migration_cost_ns", "5000000"), ("cpu", "force_latency", "cstate.id:3|70")),
        ),
        "realtime": Difference(
            gone=(("net", "channels"), ("sysfs", "/sys/devices/virtual/workqueue/*/cpumask")),
            put=(
                (
                    "bootloader",
                    "cmdline_realtime",
                    "+isolcpus=${managed_irq}${isolated_cores} intel_pstate=disable nosoftlockup tsc=nowatchdog",
                ),
            ),
        ),
        "realtime-virtual-host": Difference(
            gone=(
                ("scheduler", "group.ktimers"),
                ("sysfs", "/sys/kernel/mm/ksm/run"),
                ("sysfs", "/sys/kernel/ktimer_lockless_check"),
            ),
            put=(
                ("scheduler", "group.ksoftirqd", "0:f:2:*:ksoftirqd.*"),
                ("scheduler", "group.rcuc", "0:f:4:*:rcuc.*"),
                ("scheduler", "group.rcub", "0:f:4:*:rcub.*"),
                ("scheduler", "group.ktimersoftd", "0:f:3:*:ktimersoftd.*"),
                (
                    "scheduler",
                    "ps_blacklist",
                    "ksoftirqd.*;rcuc.*;rcub.*;ktimersoftd.*;.*pmd.*;.*PMD.*;^DPDK;.*qemu-kvm.*",
                ),
                ("bootloader", "cmdline_rvh", "+nohz=on nohz_full=${isolated_cores} rcu_nocbs=${isolated_cores}"),
            ),
        ),
        "realtime-virtual-guest": Difference(
            gone=(("scheduler", "group.ktimers"), ("sysfs", "/sys/kernel/ktimer_lockless_check")),
            put=(
                ("scheduler", "group.ksoftirqd", "0:f:2:*:ksoftirqd.*"),
                ("scheduler", "group.rcuc", "0:f:4:*:rcuc.*"),
                ("scheduler", "group.rcub", "0:f:4:*:rcub.*"),
                ("scheduler", "group.ktimersoftd", "0:f:3:*:ktimersoftd.*"),
                ("scheduler", "ps_blacklist", "ksoftirqd.*;rcuc.*;rcub.*;ktimersoftd.*"),
                ("bootloader", "cmdline_rvg", "+nohz=on nohz_full=${isolated_cores} rcu_nocbs=${isolated_cores}"),
            ),
        ),
        "cpu-partitioning": Difference(
            gone=(("sysfs", "/sys/devices/virtual/workqueue/*/cpumask"),),
            put=(
                (
                    "bootloader",
                    "cmdline_cpu_part",
                    "+nohz=on nohz_full=${isolated_cores} rcu_nocbs=${isolated_cores} "
                    "tuned.non_isolcpus=${not_isolated_cpumask} intel_pstate=disable nosoftlockup",
                ),
            ),
        ),
        "hpc-compute": Difference(
            put=(("sysctl", "vm.hugepages_treat_as_movable", "0"),),
        ),
        "postgresql": Difference(
            gone=(("scheduler", "sched_min_granularity_ns"), ("scheduler", "sched_migration_cost_ns")),
            put=(
                ("sysctl", "kernel.sched_min_granularity_ns", "10000000"),
                ("sysctl", "kernel.sched_migration_cost_ns", "50000000"),
            ),
        ),
        "mssql": Difference(
            gone=(
                ("cpu", "force_latency"),
                ("vm", "transparent_hugepages"),
                ("sysctl", "vm.swappiness"),
                ("sysctl", "vm.dirty_background_ratio"),
                ("sysctl", "vm.dirty_ratio"),
                ("sysctl", "vm.dirty_expire_centisecs"),
                ("sysctl", "vm.dirty_writeback_centisecs"),
                ("sysctl", "net.core.rmem_default"),
                ("sysctl", "net.core.rmem_max"),
                ("sysctl", "net.core.wmem_default"),
                ("sysctl", "net.core.wmem_max"),
                ("scheduler", "sched_latency_ns"),
                ("scheduler", "sched_migration_cost_ns"),
                ("scheduler", "sched_min_granularity_ns"),
                ("scheduler", "sched_wakeup_granularity_ns"),
            ),
            put=(
                ("vm", "transparent_hugepage.defrag", "always"),
                ("sysctl", "vm.max_map_count", "800000"),
                ("sysctl", "kernel.sched_latency_ns", "60000000"),
                ("sysctl", "kernel.sched_min_granularity_ns", "15000000"),
                ("sysctl", "kernel.sched_wakeup_granularity_ns", "2000000"),
            ),
        ),
    },
    (2, 25): {
        "throughput-performance": Difference(
            gone=(("sysctl", "vm.dirty_ratio"), ("sysctl", "vm.dirty_background_ratio")),
            put=(
                ("cpu", "energy_performance_preference", "performance"),
                ("acpi", "platform_profile", "performance"),
                ("vm", "dirty_ratio", "40"),
                ("vm", "dirty_background_ratio", "10"),
                ("video", "panel_power_savings", "0"),
            ),
        ),
        "latency-performance": Difference(
            gone=(("sysctl", "vm.dirty_ratio"), ("sysctl", "vm.dirty_background_ratio")),
            put=(
                ("acpi", "platform_profile", "performance"),
                ("vm", "dirty_ratio", "10"),
                ("vm", "dirty_background_ratio", "3"),
                ("video", "panel_power_savings", "0"),
            ),
        ),
        "network-latency": Difference(
            put=(
                ("sysctl", "kernel.hung_task_timeout_secs", "600"),
                ("sysctl", "kernel.nmi_watchdog", "0"),
                ("sysctl", "vm.stat_interval", "10"),
                ("sysctl", "kernel.timer_migration", "0"),
                ("bootloader", "cmdline_network_latency", "skew_tick=1 tsc=reliable rcupdate.rcu_normal_after_boot=1"),
            ),
        ),
        "network-throughput": Difference(
            put=(("sysctl", "net.ipv4.tcp_rmem", '"4096 131072 16777216"'),),
        ),
        "balanced": Difference(
            put=(
                ("cpu", "governor", "schedutil|ondemand|powersave"),
                ("cpu", "energy_performance_preference", "balance_performance"),
                ("cpu", "boost", "1"),
                ("acpi", "platform_profile", "balanced"),
                ("video", "panel_power_savings", "0"),
            ),
        ),
        "virtual-host": Difference(
            gone=(("sysctl", "vm.dirty_background_ratio"),),
            put=(("vm", "dirty_background_ratio", "5"),),
        ),
        "virtual-guest": Difference(
            gone=(("sysctl", "vm.dirty_ratio"),),
            put=(("vm", "dirty_ratio", "30"),),
        ),
        "realtime": Difference(
            gone=(
                ("sysctl", "kernel.hung_task_timeout_secs"),
                ("sysctl", "kernel.nmi_watchdog"),
                ("sysctl", "vm.stat_interval"),
                ("sysctl", "kernel.timer_migration"),
                ("script", "script"),
            ),
            put=(
                (
                    "bootloader",
                    "cmdline_realtime",
                    "+isolcpus=${managed_irq}${isolated_cores} intel_pstate=disable nosoftlockup",
                ),
            ),
        ),
        "realtime-virtual-host": Difference(
            gone=(("sysfs", "/sys/kernel/ktimer_lockless_check"),),
        ),
        "realtime-virtual-guest": Difference(
            gone=(("sysfs", "/sys/kernel/ktimer_lockless_check"), ("script", "script")),
        ),
        "cpu-partitioning": Difference(
            gone=(
                ("sysctl", "kernel.hung_task_timeout_secs"),
                ("sysctl", "kernel.nmi_watchdog"),
                ("sysctl", "vm.stat_interval"),
                ("sysctl", "kernel.timer_migration"),
            ),
        ),
        "postgresql": Difference(
            gone=(
                ("sysctl", "vm.dirty_background_ratio"),
                ("sysctl", "vm.dirty_ratio"),
                ("sysctl", "vm.dirty_background_bytes"),
                ("sysctl", "vm.dirty_bytes"),
            ),
            put=(("vm", "dirty_background_bytes", "67108864"), ("vm", "dirty_bytes", "536870912")),
        ),
        "mssql": Difference(
            gone=(("sysctl", "vm.dirty_background_ratio"), ("sysctl", "vm.dirty_ratio")),
            put=(("vm", "dirty_background_ratio", "3"), ("vm", "dirty_ratio", "80")),
        ),
        "oracle": Difference(
            gone=(("sysctl", "vm.dirty_background_ratio"), ("sysctl", "vm.dirty_ratio")),
            put=(("vm", "dirty_background_ratio", "3"), ("vm", "dirty_ratio", "40")),
        ),
    },
}
