"""The knobs of a host against its profile and its platform: each that is due, with its value, and none beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kvmc.audit import boot, knobs
from kvmc.audit.context import Context
from kvmc.audit.hostfiles import Knob, Role, RoleSet
from kvmc.audit.offers import dedicated_cores
from kvmc.diagnostics import Label, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.knowledge.knobs import find
from kvmc.knowledge.model import CarrierName
from kvmc.knowledge.model import Knob as Row
from kvmc.knowledge.profiles import PROFILES, When
from kvmc.knowledge.scheduler import MECHANISMS
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Host, Isolation, Platform, Profile
from kvmc.topology.model import Facts

NODE_FORM = (5, 16)
"""The first kernel that takes pages by node on its boot line (commit b5389086ad7b)."""

_OWNERS = {"sysctl": "sysctl.d", "modprobe": "modprobe.d"}
_FREE = None
_CARRIERS: tuple[CarrierName, ...] = ("cmdline", "sysctl", "tuned", "modprobe", "systemd")
_NO = frozenset({"0", "n", "no", "off", "f", "false"})
_YES = frozenset({"1", "y", "yes", "on", "t", "true"})


@dataclass(frozen=True, slots=True)
class Due:
    """A knob that the host is to have. `value` None: another check judges it."""

    carrier: CarrierName
    key: str
    name: str
    value: str | None


def check(context: Context) -> None:
    host = context.site.hosts.get(context.files.host) if context.site else None
    platform = context.site.platforms.get(host.platform) if context.site and host else None
    if host is None or platform is None:
        return
    due = [one for one in _due(context, host) if _exists(context, platform, one)]
    due += _raw(host)
    _values(context, host, due)
    _words(context, host)
    _missing(context, host, due)
    _extra(context, host, platform, due)
    _flags(context, host)
    _sets(context, host)


def name_of(carrier: CarrierName, key: str) -> str:
    """The one name of a knob, from the way its carrier spells it."""
    if carrier == "cmdline":
        return knobs.boot(key.replace("-", "_"))
    if carrier == "sysctl":
        return f"sysctl:{key}"
    if carrier == "tuned":
        plugin, _, option = key.partition(".")
        return knobs.tuned(plugin, option)
    module, _, option = key.partition(".")
    return knobs.module(module, option)


def _due(context: Context, host: Host) -> Iterable[Due]:
    reserved = bool(context.pool) or any(dedicated_cores(context, host).values())
    isolated = host.isolation is Isolation.BOOT and reserved
    shared = context.topology.usable - context.pool - context.services
    if isolated:
        for key in ("isolcpus", "nohz_full", "rcu_nocbs", "irqaffinity"):
            yield Due("cmdline", key, name_of("cmdline", key), _FREE)
    applies = {
        When.ALWAYS: True,
        When.NUMA: len(context.topology.nodes) > 1,
        When.ISOLATED: isolated,
        When.UNSHARED: not host.shared_cores or not shared,
    }
    for choice in PROFILES[host.profile]:
        if applies[choice.when]:
            yield Due(choice.carrier, choice.key, name_of(choice.carrier, choice.key), choice.value)
    if host.profile is not Profile.THROUGHPUT and reserved:
        key = "sysfs./sys/devices/virtual/workqueue/cpumask"
        yield Due("tuned", key, name_of("tuned", key), _FREE)
    kinds = {str(node.memory) for node in context.topology.nodes if not node.cpus and node.memory_kib}
    special = (count for kind, offer in host.memories.items() if kind in kinds for count in offer.pages)
    sizes = {count.size_kib for count in (*host.pages, *host.reserve_pages, *special) if count.number}
    if sizes:
        yield Due("cmdline", "default_hugepagesz", "boot:default_hugepagesz", f"{max(sizes)}KiB")
    for setting, choices in MECHANISMS.items():
        value = getattr(host, setting)
        for one in choices if value is not None else ():
            yield Due(_carrier(one.carrier), one.key, name_of(_carrier(one.carrier), one.key), str(value))
    if host.devices:
        yield Due("cmdline", "intel_iommu", "boot:intel_iommu", "on")
        yield Due("cmdline", "iommu", "boot:iommu", "pt")
        yield Due("cmdline", "iommu.passthrough", name_of("cmdline", "iommu.passthrough"), "1")
    if host.gicv4:
        yield Due("cmdline", "kvm_arm.vgic_v4_enable", name_of("cmdline", "kvm_arm.vgic_v4_enable"), "1")
    services = context.topology.usable - context.pool if not context.services else context.services
    if services != context.topology.usable:
        yield Due("systemd", "Manager.CPUAffinity", knobs.SERVICE_AFFINITY, _FREE)
    if reserved:
        yield Due("systemd", "irqbalance.IRQBALANCE_BANNED_CPULIST", knobs.IRQBALANCE_BAN, _FREE)


def _carrier(name: str) -> CarrierName:
    for known in _CARRIERS:
        if known == name:
            return known
    raise ValueError(name)


def _raw(host: Host) -> Iterable[Due]:
    """What the site has in so many words. A kernel parameter without a value is a word alone."""
    for raw in host.raws.values():
        carrier = _carrier(raw.carrier)
        key = raw.key.replace("-", "_") if carrier == "cmdline" else raw.key
        yield Due(carrier, key, name_of(carrier, key), raw.value or "")


def _exists(context: Context, platform: Platform, due: Due) -> bool:
    knob = find(due.carrier, due.key)
    if knob is None:
        return True
    if not knob.runs_on(context.topology.arch, context.topology.cpu.vendor):
        return False
    told = _told(platform.known, knob) if platform.known is not None and knob.tool == "kernel" else None
    if told is not None:
        return told
    return knob.exists_in(platform.kernel if knob.tool == "kernel" else platform.tuned)


def _told(facts: Facts, knob: Row) -> bool | None:
    """Whether what was seen on such a host has the knob; None where that cannot tell."""
    if knob.config and facts.kernel_config and knob.config not in facts.kernel_config:
        return False
    if knob.carrier == "sysctl":
        return knob.key in facts.sysctls if facts.sysctls else None
    module, dot, option = knob.key.partition(".")
    if knob.carrier in ("cmdline", "modprobe") and dot:
        return option in facts.modules[module] if module in facts.modules else None
    folder, slash, name = knob.key.removeprefix("sysfs./sys/kernel/debug/").rpartition("/")
    if "/sys/kernel/debug/" in knob.key and slash and folder in facts.debugfs:
        return name in facts.debugfs[folder]
    return None


def _values(context: Context, host: Host, due: Iterable[Due]) -> None:
    wanted = {one.name: one for one in due}
    for knob in context.files.knobs:
        one = wanted.get(knob.name)
        if one is None or (knob.value.strip("\"' ") if one.value is None else _same(knob.value, one.value)):
            continue
        has = f"`{knob.setting}` of host `{host.name}` is `{knob.value[:60]}`"
        text = f"{has}; profile `{host.profile}` and platform say `{one.value}`"
        if one.value is None:
            text = f"`{knob.setting}` of host `{host.name}` is empty, and is to be a list of CPUs"
        context.bag.error(codes.KNOB_DIFFERS, text, knob.span)


def _words(context: Context, host: Host) -> None:
    """Raw words of the boot line that may stand several times, or have no value: they are no knobs of the files."""
    named = {knob.name for knob in context.files.knobs}
    wanted = {one.name: one for one in _raw(host) if one.carrier == "cmdline" and one.name not in named}
    for option in context.files.options:
        one = wanted.get(knobs.boot(option.value.key))
        if one is not None and (option.value.value or "") != (one.value or ""):
            text = (
                f"`{one.key}` of host `{host.name}` is `{(option.value.value or '')[:60]}`; the site says `{one.value}`"
            )
            context.bag.error(codes.KNOB_DIFFERS, text, option.span)


def _same(has: str, wanted: str) -> bool:
    has = has.strip().strip("\"'")
    if wanted.endswith("KiB"):
        kib = boot.size_kib(has)
        return kib is not None and f"{kib}KiB" == wanted
    for words in (_NO, _YES):
        if wanted.lower() in words:
            return has.lower() in words
    try:
        return int(has, 0) == int(wanted, 0)
    except ValueError:
        return has == wanted


def _beside(context: Context, due: Iterable[Due], one: Due) -> Span | None:
    """The place where a knob is missed: behind the one that comes before it on its carrier, else at the first of them."""
    spans = {knob.name: knob.span for knob in context.files.knobs}
    before: Span | None = None
    for other in due:
        if other is one:
            break
        if other.carrier == one.carrier and other.name in spans:
            before = spans[other.name]
    if before is None and one.carrier == "cmdline":
        before = context.files.boot_place
    owners = [knob.span for knob in context.files.knobs if _carried_by(knob, one.carrier)]
    heads = [head for path, head in context.files.heads.items() if path.startswith(_FOLDERS[one.carrier])]
    return before or next(iter(owners + heads), None)


def _carried_by(knob: Knob, carrier: CarrierName) -> bool:
    return knob.owner == _OWNERS.get(carrier) or (carrier == "tuned" and knob.owner.startswith("tuned ("))


_FOLDERS: dict[CarrierName, tuple[str, ...]] = {
    "cmdline": ("etc/default/grub", "etc/kvmc/cmdline", "etc/kernel/", "usr/lib/bootc/"),
    "sysctl": ("etc/sysctl",),
    "tuned": ("etc/tuned/",),
    "modprobe": ("etc/modprobe.d/",),
    "systemd": ("etc/systemd/",),
}


def _missing(context: Context, host: Host, due: list[Due]) -> None:
    there = {knob.name for knob in context.files.knobs} | {knobs.boot(one.value.key) for one in context.files.options}
    broken = {span.file.removeprefix(f"{context.files.host}/") for span in context.blamed()}
    for one in due:
        faulty = any(path.startswith(_FOLDERS[one.carrier]) for path in broken)
        if one.name not in there and not faulty:
            context.bag.error(
                codes.KNOB_DIFFERS,
                f"host `{host.name}` is to have `{one.key}{'=' + one.value if one.value else ''}`; no file sets it",
                _beside(context, due, one),
            )


def _extra(context: Context, host: Host, platform: Platform, due: list[Due]) -> None:
    names = {one.name for one in due}
    blamed = context.blamed()
    for knob in context.files.knobs:
        if knob.name not in names and not knob.name.startswith("huge pages of ") and knob.span not in blamed:
            context.bag.error(
                codes.KNOB_DIFFERS,
                f"`{knob.setting}` of host `{host.name}` is set, which nothing asks for",
                knob.span,
                secondary=[Label(knob.head, "its section")] if knob.head else [],
            )
    pages = ("hugepages", "hugepagesz")
    by_line = platform.kernel.since(*NODE_FORM)
    for option in context.files.options:
        key = option.value.key
        if option.span in blamed or (key in pages and by_line) or knobs.boot(key) in names:
            continue
        context.bag.error(
            codes.KNOB_DIFFERS,
            f"`{key[:40]}` is on the boot line of host `{host.name}`, which nothing asks for",
            option.span,
        )


def _flags(context: Context, host: Host) -> None:
    """`isolcpus` keeps off balancing and managed interrupts, both."""
    if host.isolation is not Isolation.BOOT:
        return
    lists = [one for one in context.files.sets if one.setting == "isolcpus"]
    roles = {one.role for one in lists}
    if lists and roles != {Role.ISOLATED, Role.MANAGED_IRQ} and lists[0].span not in context.blamed():
        flags = "`managed_irq` and `domain`"
        context.bag.error(
            codes.KNOB_DIFFERS,
            f"`isolcpus` of host `{host.name}` is to have the flags {flags}, and those alone",
            lists[0].span,
        )


_INSIDE = (Role.ISOLATED, Role.MANAGED_IRQ, Role.NOHZ_FULL, Role.RCU_NOCBS, Role.BANNED, Role.TUNED_ISOLATED)
_OUTSIDE = (Role.IRQ, Role.WORKQUEUE)


def _sets(context: Context, host: Host) -> None:
    """All lists of the CPUs that are kept for guests, and of the others, come from one set: the one that most of them say."""
    topology = context.topology

    def kept(one: RoleSet) -> CpuSet:
        whole = topology.online if one.role is Role.WORKQUEUE else topology.usable
        return one.cpus if one.role in _INSIDE else whole - one.cpus

    lists = context.files.of(*_INSIDE, *_OUTSIDE)
    votes = Counter({one.span: kept(one) for one in lists}.values())
    if not votes:
        return
    most = votes.most_common(1)[0][0]
    blamed = context.blamed()
    for one in lists:
        if kept(one) != most and one.span not in blamed:
            right = most if one.role in _INSIDE else topology.usable - most
            other = next(other for other in lists if kept(other) == most)
            context.bag.error(
                codes.KNOB_DIFFERS,
                f"`{one.setting}` of host `{host.name}` is {one.cpus}, and is to be {right}, as the other lists say",
                Label(one.span),
                secondary=[other.label()],
            )
            return
