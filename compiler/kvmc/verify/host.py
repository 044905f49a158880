"""The host's settings that run: sysctls, modules, tuned and what it sets, services, virtual functions."""

from __future__ import annotations

import fnmatch
import re

from kvmc.audit import cpulists, knobs, settings
from kvmc.audit.hostfiles import Knob, Role
from kvmc.audit.reading import kind_of
from kvmc.audit.source import File
from kvmc.diagnostics import Bag
from kvmc.model.cpuset import CpuSet
from kvmc.verify import meaning
from kvmc.verify.boot import read_list
from kvmc.verify.capture import sysctl_path
from kvmc.verify.case import Case
from kvmc.verify.difference import Difference, Effect, Kind, shown

_ALLOWED = re.compile(r"^Cpus_allowed_list:\s*(\S*)\s*$", re.M)
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_PROFILE = re.compile(r"etc/tuned/(?:profiles/)?([^/]+)/tuned\.conf")
_BIAS = {"performance": "0", "balance-performance": "4", "normal": "6", "balance-power": "8", "powersave": "15"}
"""arch/x86/kernel/cpu/intel_epb.c: the kernel takes the names and shows the numbers."""

_PER_CPU = {
    "tuned:cpu.governor": ("the governor", "sys/devices/system/cpu/cpufreq/policy*/scaling_governor"),
    "tuned:cpu.energy_perf_bias": ("the energy bias", "sys/devices/system/cpu/cpu*/power/energy_perf_bias"),
    "tuned:cpu.min_perf_pct": ("the lowest performance", "sys/devices/system/cpu/intel_pstate/min_perf_pct"),
}
"""What the machine may not have (a guest has no governor): tuned passes over it, and so do we."""


def check_sysctls(case: Case) -> None:
    knobs = _last(case, "sysctl:")
    named = {sysctl_path(knob.name.removeprefix("sysctl:")) for knob in knobs}
    for knob in knobs:
        key = knob.name.removeprefix("sysctl:")
        if not knob.setting or knob.setting in case.boot_differs:
            continue
        path = sysctl_path(key)
        # A key of its own wins over a pattern, wherever they stand (sysctl.d(5)).
        paths = [one for one in case.root.find(path) if one not in named] if "*" in key else [path]
        values = {one: runs for one in paths if (runs := case.value(one)) is not None}
        from_boot = knob.owner.startswith("the boot line")
        if not values:
            if not from_boot:
                case.missing(f"sysctl `{key}`", knob.value, knob.span)
            continue
        if from_boot and not knob.value.strip().isdigit():
            continue
        wanted = meaning.setting(key, knob.value)
        other = {one: runs for one, runs in values.items() if meaning.setting(key, runs) != wanted}
        if other:
            first = next(iter(other.values()))
            shared = first if "*" not in key else ", ".join(f"{runs} in /{one}" for one, runs in other.items())
            case.add(
                Kind.SYSCTL,
                f"sysctl `{key}`",
                shared,
                knob.value,
                knob.span,
                Effect.LIVE,
                case.apply.step("sysctl") or (f"run `sysctl -w {key}={knob.value}`",),
                _sysctl_setters(case, key, first),
            )


def _last(case: Case, prefix: str) -> list[Knob]:
    """The knobs of a kind, each once: the last that sets it."""
    found = {knob.name: knob for knob in case.files.knobs if knob.name.startswith(prefix)}
    return list(found.values())


def _sysctl_setters(case: Case, key: str, runs: str) -> list[str]:
    """The sysctl files of the host that set the key otherwise than kvmc's, and tuned's profile where it is another's."""
    own = {str(file["path"]).lstrip("/") for file in case.apply.files}
    told = []
    for pattern in ("usr/lib/sysctl.d/*.conf", "run/sysctl.d/*.conf", "etc/sysctl.d/*.conf", "etc/sysctl.conf"):
        for path in case.root.find(pattern):
            text = case.root.read(path) if path not in own else None
            for entry in settings.read_sysctl(File(path, path, text or ""), Bag()):
                if fnmatch.fnmatchcase(entry.key, key) or fnmatch.fnmatchcase(key, entry.key):
                    word = "sets it so" if meaning.plain(entry.value.value) == meaning.plain(runs) else "sets it too"
                    told.append(f"`/{shown(path)}` {word}: `{shown(entry.value.value)}`")
    active = case.value("etc/tuned/active_profile") or ""
    if active and active != "kvmc":
        told.append(f"tuned's profile `{shown(active)}` is active and may set it")
    return told or ["no captured sysctl file sets it so: a program or a person did"]


def check_modules(case: Case) -> None:
    for knob in _last(case, "module:"):
        name, _, parameter = knob.name.removeprefix("module:").partition(".")
        if knob.name == "module:workqueue.unbound_cpus" or knob.setting in case.boot_differs:
            continue
        folder = f"sys/module/{name}/parameters"
        runs = case.value(f"{folder}/{parameter}")
        from_boot = knob.owner.startswith("the boot line")
        if runs is None and (from_boot or not case.root.find(f"{folder}/*")):
            continue  # not loaded: the options wait for it; many boot options with a dot are no parameters
        value = knob.value.rpartition("=")[2] if "tuned" in knob.owner else knob.value
        if runs is None or meaning.switch(runs) != meaning.switch(value):
            case.add(
                Kind.MODULE,
                f"parameter `{parameter}` of module `{name}`",
                runs or "",
                value,
                knob.span,
                Effect.REBOOT,
                ("reboot: a module takes its options when it is loaded",),
                () if case.source(knob.span) in case.stale else _pending_module(),
                pending=runs is not None and case.source(knob.span) not in case.stale,
            )


def _pending_module() -> tuple[str, ...]:
    return ("its file is in place: the module was loaded before it, or someone wrote the parameter",)


def check_tuned(case: Case) -> None:
    """The active profile, and what it sets; where another is active, what runs otherwise has that one cause."""
    profiles = {match[1]: path for path in case.texts if (match := _PROFILE.fullmatch(path))}
    before = len(case.found)
    _check_settings(case)
    if not profiles:
        return
    wanted = case.apply.profiles() or sorted(profiles)[:1]
    name = " ".join(wanted)
    path = profiles.get(wanted[-1]) or min(profiles.values())
    file = File(f"{case.host}/{path}", path, case.texts[path])
    active = case.value("etc/tuned/active_profile")
    if active is None:
        case.missing("the active profile of tuned", name, file.head)
        return
    if active.split() == wanted:
        return
    consequences = [one for one in case.found[before:] if case.source(one.place) in profiles.values()]
    case.found[before:] = [one for one in case.found[before:] if one not in consequences]
    case.add(
        Kind.TUNED_PROFILE,
        "the active profile of tuned",
        f"`{active}`" if active else "",
        f"`{name}`",
        file.head,
        Effect.LIVE,
        case.apply.step("tuned-adm"),
        tuple(_consequence(one) for one in consequences),
    )


def _consequence(one: Difference) -> str:
    return f"so {one.message}"


def _check_settings(case: Case) -> None:
    for knob in case.files.knobs:
        if knob.name in _PER_CPU:
            _per_cpu(case, knob)
        elif knob.name == knobs.THP and knob.setting not in case.boot_differs:
            text = case.value("sys/kernel/mm/transparent_hugepage/enabled")
            match = _BRACKETS.search(text or "")
            _compare(case, knob, "transparent huge pages", match[1] if match else None)
        elif knob.name.startswith("file:/") and knob.value:
            path = knob.name.removeprefix("file:/")
            _compare(case, knob, f"`/{path}`", case.value(path))
        elif knob.name == "tuned:cpu.force_latency" and knob.value.isdigit():
            held = case.value("kvmc/cpu_dma_latency")
            if held is not None and held.isdigit() and int(held) > int(knob.value):
                _compare(case, knob, "the longest wake-up from idle (us)", held)
    for one in case.files.of(Role.WORKQUEUE):
        if one.setting in case.boot_differs:
            continue
        text = case.value("sys/devices/virtual/workqueue/cpumask")
        try:
            cpus = cpulists.hex_mask(text) if text is not None else None
        except ValueError:
            cpus = None
        if cpus is None:
            case.missing("the mask of unbound workqueues", str(one.cpus), one.span)
        elif cpus != one.cpus:
            case.add(
                Kind.SETTING,
                "the mask of unbound workqueues",
                str(cpus) or "empty",
                str(one.cpus),
                one.span,
                Effect.LIVE,
                case.apply.step("tuned-adm"),
            )


def _compare(case: Case, knob: Knob, subject: str, runs: str | None) -> None:
    if runs is None:
        case.missing(subject, knob.value, knob.span)
    elif meaning.setting(knob.name, runs) != meaning.setting(knob.name, knob.value):
        steps = case.apply.step("tuned-adm") if "tuned" in knob.owner else ()
        case.add(Kind.SETTING, subject, runs, knob.value, knob.span, Effect.LIVE, steps)


def _per_cpu(case: Case, knob: Knob) -> None:
    subject, pattern = _PER_CPU[knob.name]
    wanted = {_BIAS.get(one.strip(), one.strip()) for one in knob.value.split("|")}
    other: dict[str, list[str]] = {}
    for path in case.root.find(pattern):
        value = case.value(path) or "unreadable"
        if _BIAS.get(value, value) not in wanted:
            where = re.search(r"(policy|cpu)([0-9]+)", path)
            other.setdefault(value, []).append(where[2] if where else "")
    if other:
        runs = " and ".join(f"{value} on CPU {_list(some)}" for value, some in sorted(other.items()))
        runs = runs if any(where for some in other.values() for where in some) else next(iter(other))
        case.add(Kind.SETTING, subject, runs, knob.value, knob.span, Effect.LIVE, case.apply.step("tuned-adm"))


def _list(numbers: list[str]) -> str:
    return str(CpuSet.of(int(number) for number in numbers if len(number) < 5 and number))


def check_services(case: Case) -> None:
    """PID 1's own mask, which services inherit."""
    wanted = [one for one in case.files.of(Role.SERVICES) if one.setting == "CPUAffinity"]
    if not wanted:
        return
    match = _ALLOWED.search(case.root.read("proc/1/status") or "")
    try:
        runs = CpuSet.parse(match[1]) if match else None
    except ValueError:
        runs = None
    if runs is None:
        case.missing("the CPUs of the system's services", str(wanted[0].cpus), wanted[0].span)
        return
    online = read_list(case, "sys/devices/system/cpu/online") or (runs | wanted[0].cpus)
    if runs & online != wanted[0].cpus & online:
        case.add(
            Kind.SERVICES,
            "the CPU affinity of the system's services (PID 1)",
            str(runs),
            str(wanted[0].cpus),
            wanted[0].span,
            Effect.REBOOT,
            (*case.apply.step("daemon-reexec"), "reboot: services that run keep their CPUs"),
            pending=case.source(wanted[0].span) not in case.stale,
        )


def check_vfs(case: Case) -> None:
    for supply in case.files.vfs:
        text = case.value(f"sys/bus/pci/devices/{supply.parent}/sriov_numvfs")
        if text is None or not text.isdecimal():
            case.missing(f"the number of virtual functions of {supply.parent}", str(supply.count), supply.span)
        elif int(text) != supply.count:
            unit = next(
                (path.rpartition("/")[2] for path in case.texts if kind_of(path) == "unit" and "vfs" in path), ""
            )
            case.add(
                Kind.VFS,
                f"the number of virtual functions of {supply.parent}",
                text,
                str(supply.count),
                supply.span,
                Effect.LIVE,
                (*case.apply.step(unit), "guests that hold one of its functions must be off while the number changes"),
            )


def check_shares(case: Case) -> None:
    """What the default group of resctrl has of each cache: ways that it still has, no guest can be given."""
    text = case.value("sys/fs/resctrl/schemata") if case.files.shares else None
    runs: dict[tuple[str, int], int] = {}
    for line in (text or "").split("\n"):
        resource, _, values = line.strip().partition(":")
        for match in re.finditer(r"([0-9]{1,5})=([0-9a-f]{1,16})(?=;|$)", values):
            runs[resource, int(match[1])] = int(match[2], 16)
    for share in case.files.shares:
        what = f"the mask of the default group of resctrl for {share.resource} {share.id}"
        has = runs.get((share.resource, share.id))
        if has is None:
            case.missing(what, f"{share.mask:x}", share.span)
        elif has != share.mask:
            steps = case.apply.step("kvmc-resctrl.service")
            case.add(Kind.SETTING, what, f"{has:x}", f"{share.mask:x}", share.span, Effect.LIVE, steps)
