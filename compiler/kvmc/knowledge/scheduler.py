"""Intents of a pool that each kernel meets in a place of its own: the scheduler's slice, and how long a thread counts as hot.

5.13 moved these from sysctl to debugfs; 6.6 (EEVDF) gave the slice a new name. No release has two of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from kvmc.knowledge.model import Kind, Knob
from kvmc.model.values import Version

_SOURCE = "kernel/sched/{debug,fair}.c and kernel/sysctl.c of 5.10, 6.1, 6.12 and 7.2; 5.13 moved them, 6.6 has EEVDF"
_SYSCTL_LAST = Version(5, 12)
_DEBUGFS_FIRST = Version(5, 13)
_CFS_LAST = Version(6, 5)
_EEVDF_FIRST = Version(6, 6)

_slice = partial(
    Knob,
    kind=Kind.INTEGER,
    effect="live",
    use="the slice that a thread runs before another of its CPU may (ns)",
    harm="longer: others wait longer; shorter: more switches. Nothing on a CPU with one thread. debugfs is closed by lockdown",
    source=_SOURCE,
    low=100_000,
    high=1_000_000_000,
    by="base_slice_ns",
)
_cost = partial(
    Knob,
    kind=Kind.INTEGER,
    effect="live",
    use="how long after it ran a thread counts as cache-hot and is left where it is (ns)",
    harm="too high: idle CPUs beside a queue. debugfs is closed by lockdown",
    source=_SOURCE,
    low=0,
    high=1_000_000_000,
    by="migration_cost_ns",
)

_BASE_SLICE = "`base_slice_ns` in `/sys/kernel/debug/sched`; in kvmc `base_slice_ns` of the pool"
_COST = "`/sys/kernel/debug/sched/migration_cost_ns`; in kvmc `migration_cost_ns` of the pool"

MECHANISMS: Mapping[str, tuple[Knob, ...]] = {
    "base_slice_ns": (
        _slice("sysctl", "kernel.sched_min_granularity_ns", until=_SYSCTL_LAST, instead=_BASE_SLICE),
        _slice(
            "tuned",
            "sysfs./sys/kernel/debug/sched/min_granularity_ns",
            since=_DEBUGFS_FIRST,
            until=_CFS_LAST,
            instead=_BASE_SLICE,
        ),
        _slice("tuned", "sysfs./sys/kernel/debug/sched/base_slice_ns", since=_EEVDF_FIRST),
    ),
    "migration_cost_ns": (
        _cost("sysctl", "kernel.sched_migration_cost_ns", until=_SYSCTL_LAST, instead=_COST),
        _cost("tuned", "sysfs./sys/kernel/debug/sched/migration_cost_ns", since=_DEBUGFS_FIRST),
    ),
}
"""By the setting of the pool: its knobs, by release."""

SCHEDULER: tuple[Knob, ...] = tuple(knob for knobs in MECHANISMS.values() for knob in knobs)
