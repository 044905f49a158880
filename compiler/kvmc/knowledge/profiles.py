"""What each profile of a pool sets: knobs and values, each with its reason in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from kvmc.knowledge.model import CarrierName
from kvmc.model.site import Profile


class When(Enum):
    """What a host must have for a choice to apply."""

    ALWAYS = auto()
    NUMA = auto()
    """More than one node."""
    ISOLATED = auto()
    """A boot-time isolated set that is not empty."""
    UNSHARED = auto()
    """No shared pool: no vCPU ever waits for another's CPU."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A knob set to a value."""

    carrier: CarrierName
    key: str
    value: str
    why: str
    when: When = When.ALWAYS


_COMMON = (
    Choice("sysctl", "kernel.numa_balancing", "0", "guests are bound to their nodes", When.NUMA),
    Choice("sysctl", "vm.swappiness", "10", "page cache goes before processes"),
    Choice("tuned", "cpu.governor", "performance", "no ramp-up of the clock"),
    Choice("tuned", "cpu.energy_perf_bias", "performance", "no ramp-up of the clock"),
)

_QUIET = (
    Choice("cmdline", "nmi_watchdog", "0", "no periodic NMI"),
    Choice("sysctl", "vm.compaction_proactiveness", "0", "no background compaction"),
    Choice("sysctl", "vm.stat_interval", "10", "fewer counter updates"),
    Choice("tuned", "cpu.min_perf_pct", "100", "no lower clock"),
    Choice("tuned", "cpu.force_latency", "3", "no idle state deeper than C1"),
    Choice("tuned", "vm.transparent_hugepages", "never", "no compaction, no khugepaged"),
    Choice("tuned", "sysfs./sys/kernel/mm/ksm/run", "2", "no page merging"),
)

PROFILES: Mapping[Profile, tuple[Choice, ...]] = {
    Profile.THROUGHPUT: (
        *_COMMON,
        Choice("tuned", "cpu.force_latency", "70", "no deep idle states"),
        Choice("tuned", "vm.transparent_hugepages", "madvise", "QEMU asks for its guests alone"),
    ),
    Profile.LATENCY: (*_COMMON, *_QUIET),
    Profile.REALTIME: (
        *_COMMON,
        *_QUIET,
        Choice("cmdline", "skew_tick", "1", "ticks do not meet"),
        Choice(
            "cmdline", "rcutree.nohz_full_patience_delay", "1000", "grace periods wait for quiet CPUs", When.ISOLATED
        ),
        Choice("sysctl", "kernel.sched_rt_runtime_us", "-1", "FIFO vCPUs are not throttled", When.ISOLATED),
        Choice("modprobe", "kvm.kvmclock_periodic_sync", "N", "no periodic clock updates"),
        Choice("modprobe", "kvm.nx_huge_pages_recovery_ratio", "0", "no merging of split pages"),
        Choice("modprobe", "kvm_intel.ple_gap", "0", "no exit for a spinning vCPU", When.UNSHARED),
        Choice("modprobe", "kvm_amd.pause_filter_count", "0", "no exit for a spinning vCPU", When.UNSHARED),
    ),
}
