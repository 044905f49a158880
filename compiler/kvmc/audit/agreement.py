"""The host half with itself: sets of CPUs that belong together, and one owner a knob."""

from __future__ import annotations

from kvmc.audit.boot import possible
from kvmc.audit.context import Context
from kvmc.audit.hostfiles import Knob, Role, RoleSet
from kvmc.diagnostics import Label
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import CpuSet, named

_DISJOINT = (
    (Role.IRQ, Role.ISOLATED),
    (Role.SERVICES, Role.ISOLATED),
    (Role.WORKQUEUE, Role.ISOLATED),
    (Role.IRQ, Role.NOHZ_FULL),
    (Role.SERVICES, Role.NOHZ_FULL),
    (Role.SERVICES, Role.BANNED),
    (Role.IRQ, Role.BANNED),
)
"""Roles that no CPU has together."""


def check(context: Context) -> None:
    _in_range(context)
    _boot_cpu(context)
    _disjoint(context)
    _equal(context)
    _knobs(context)


def _first(context: Context, role: Role) -> RoleSet | None:
    return next(iter(context.files.of(role)), None)


def _in_range(context: Context) -> None:
    topology = context.topology
    there = topology.online | (topology.offline or CpuSet())
    for one in context.files.sets:
        absent = one.cpus - there
        if absent:
            context.bag.error(
                codes.CPU_OUT_OF_RANGE,
                f"`{one.setting}` names CPU {absent}; host `{context.files.host}` has CPUs {there}",
                one.span,
                notes=["the kernel drops a whole list for one CPU out of range"]
                if possible(topology) < max(absent)
                else [],
            )


def _boot_cpu(context: Context) -> None:
    if not context.topology.online:
        return
    first = context.topology.online.first
    host = context.site.hosts.get(context.files.host) if context.site is not None else None
    if context.files.gives_boot_cpu if host is None else not host.boot_cpu:
        return
    for role in (Role.ISOLATED, Role.NOHZ_FULL):
        for one in context.files.of(role):
            if first in one.cpus:
                context.bag.error(
                    codes.BOOT_CPU_ISOLATED,
                    f"`{one.setting}` holds CPU {first}, on which the host boots and keeps its time",
                    one.span,
                )


def _equal(context: Context) -> None:
    """Sets that say one thing. One that goes beyond contradicts; one that falls short differs."""
    files, blamed = context.files, context.blamed()
    isolated = _first(context, Role.ISOLATED)
    nohz = _first(context, Role.NOHZ_FULL)
    if isolated and nohz and not {isolated.span, nohz.span} & blamed and isolated.span != nohz.span:
        beyond, lacking = files.cpus(Role.NOHZ_FULL) - files.isolated, files.isolated - files.cpus(Role.NOHZ_FULL)
        if beyond:
            _apart(context, nohz, isolated, f"no tick on {named(beyond)}, and no isolation")
        elif lacking:
            _unequal(context, nohz, isolated, lacking, "kernels before 5.18 drop the second of two that differ")
    base = isolated or nohz
    alike = {one.cpus for one in (isolated, nohz) if one}
    for role in (Role.RCU_NOCBS, Role.TUNED_ISOLATED, Role.MANAGED_IRQ):
        for one in files.of(role):
            if context.files.handwritten and role is Role.RCU_NOCBS and base and base.cpus.issubset(one.cpus):
                continue  # callbacks may be moved from more CPUs than those without a tick
            if base is None or {one.span, base.span} & (blamed | context.blamed()) or one.cpus in alike:
                continue
            if one.cpus - base.cpus:
                _unequal(context, one, base, one.cpus - base.cpus)
            elif base.cpus - one.cpus:
                _unequal(context, one, base, base.cpus - one.cpus)
    banned = _first(context, Role.BANNED)
    blamed = context.blamed()
    if isolated and banned and not {isolated.span, banned.span} & blamed and files.isolated - files.cpus(Role.BANNED):
        left = files.isolated - files.cpus(Role.BANNED)
        _apart(context, banned, isolated, f"irqbalance may put interrupts on isolated {named(left)}")


def _apart(context: Context, one: RoleSet, other: RoleSet, what: str) -> None:
    context.bag.error(
        codes.SETS_DISAGREE,
        f"{what}: `{one.setting}` is {one.cpus}, `{other.setting}` is {other.cpus}",
        one.label(),
        secondary=[other.label()],
    )


def _unequal(context: Context, one: RoleSet, other: RoleSet, cpus: CpuSet, note: str = "") -> None:
    context.bag.error(
        codes.SETS_UNEQUAL,
        f"`{one.setting}` is {one.cpus} and `{other.setting}` is {other.cpus}: they differ in {named(cpus)}",
        one.label(),
        secondary=[other.label()],
        notes=[note] if note else [],
    )


def _disjoint(context: Context) -> None:
    for left, right in _DISJOINT:
        for one in context.files.of(left):
            for other in context.files.of(right):
                both = one.cpus & other.cpus
                if both and not {one.span, other.span} & context.blamed():
                    context.bag.error(
                        codes.SETS_DISAGREE,
                        f"{named(both)}: {left.value} by `{one.setting}` and {right.value} by `{other.setting}`",
                        one.label(),
                        secondary=[other.label()],
                    )


def _same_owner(one: Knob, other: Knob) -> bool:
    """Two tuned profiles: a host runs one of them."""
    return one.owner != other.owner and one.owner.startswith("tuned (") and other.owner.startswith("tuned (")


_BOUNDS = (">", "<")
"""tuned sets such a value only where the one in force is lower, or higher."""
_WORDS = {"disable": "0", "off": "0", "no": "0", "n": "0", "enable": "1", "on": "1", "yes": "1", "y": "1", "": "0"}


def _same_value(one: Knob, other: Knob) -> bool:
    """Whether two that people wrote say the same, so that it is no matter which wins."""
    left, right = (" ".join(knob.value.strip("\"' ").lower().split()) for knob in (one, other))
    if left.startswith(_BOUNDS) or right.startswith(_BOUNDS):
        return True
    return _WORDS.get(left, left) == _WORDS.get(right, right) or _one_list(left, right)


def _one_list(left: str, right: str) -> bool:
    try:
        return CpuSet.parse(left) == CpuSet.parse(right)
    except ValueError:
        return False


def _later(one: Knob, other: Knob) -> bool:
    """Whether one is a later file of the same carrier, which is there to win."""
    return one.owner == other.owner and one.span.file != other.span.file


def _knobs(context: Context) -> None:
    first: dict[str, list[Knob]] = {}
    for knob in context.files.knobs:
        for other in first.setdefault(knob.name, []):
            if _same_owner(knob, other) or knob.span == other.span:
                continue
            if context.files.handwritten and (_same_value(knob, other) or _later(knob, other)):
                continue
            here = f"`{knob.setting}` in {knob.owner}"
            there = f"`{other.setting}` in {other.owner}"
            context.bag.error(
                codes.KNOB_TWICE,
                f"{_name(knob)} is set twice: {there} and {here}"
                if here != there
                else f"{_name(knob)} is set twice in {knob.owner}",
                Label(knob.span, f"`{knob.value}`"),
                secondary=[Label(other.span, f"`{other.value}`")],
            )
            break
        else:
            first[knob.name].append(knob)


def _name(knob: Knob) -> str:
    return f"`{knob.name.partition(':')[2]}`" if ":" in knob.name else knob.name
