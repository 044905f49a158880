"""From the files of one host to `HostFiles`: which reader takes which path, and what each entry means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from kvmc.audit import boot, bootline, cpulists, irq_places, knobs, runtime, settings
from kvmc.audit.domain import read_domain
from kvmc.audit.hostfiles import HostFiles, Knob, PageSupply, Role, RoleSet
from kvmc.audit.settings import Entry
from kvmc.audit.source import At, File, integer
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import audit as codes
from kvmc.knowledge.stock_profiles import PROFILES
from kvmc.model.cpuset import CpuSet
from kvmc.topology import Topology

MAX_LENGTH = 1 << 20
"""Characters of a file that are read; the largest real domain seen is some 30,000."""

_KINDS: tuple[tuple[str, str], ...] = (
    ("domain", r"domains/[^/]+\.xml"),
    ("grub", r"etc/default/grub(\.d/[^/]+\.cfg)?"),
    ("words", r"etc/(kvmc|kernel)/cmdline|etc/(kernel/)?cmdline\.d/[^/]+\.conf"),
    ("bootc", r"usr/lib/bootc/kargs\.d/[^/]+\.toml"),
    ("sysctl", r"(etc|usr/lib|usr/local/lib)/sysctl\.d/[^/]+\.conf|etc/sysctl\.conf"),
    ("modprobe", r"(etc|usr/lib)/modprobe\.d/[^/]+\.conf"),
    ("tuned", r"(etc/tuned|usr/lib/tuned)/.*\.conf"),
    ("environment", r"etc/(default|sysconfig)/irqbalance|etc/kvmc/[^/]*irqbalance[^/]*"),
    ("unit", r"(etc|usr/lib)/systemd/.+\.(conf|service|slice|scope|target|mount|timer|path|socket)"),
    ("runtime", r"(etc|usr/lib)/(tmpfiles\.d/[^/]+\.conf|udev/rules\.d/[^/]+\.rules)"),
    ("runtime", r"(etc|usr/lib|usr/libexec|usr/local/lib|usr/local/libexec|opt)/kvmc/.+"),
    ("runtime", r"usr/(local/)?s?bin/kvmc[^/]*"),
    ("plain", r"etc/tuned/(active_profile|profile_mode)|etc/modules-load\.d/[^/]+\.conf"),
    ("plain", r"etc/kernel/install\.d/[^/]+|etc/grub\.d/[^/]+"),
    ("json", r"apply\.json"),
    ("measure", r"measure/.+"),
)
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
_ENVIRONMENT = re.compile(r"\"?(IRQBALANCE_BANNED_CPU(?:LIST|S))=([^\"\s]*)")
_BOOT_CPU = re.compile(r"^#.*\bCPU [0-9]+, which boots, is the guests' by choice: \S", re.MULTILINE)
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9_]+)\}")
_TUNED_MAIN = frozenset({"summary", "description", "include", "recommend", "profile_dirs"})
_SERVICES = re.compile(r"(etc|usr/lib)/systemd/system\.conf(\.d/[^/]+)?")
_SLICES = re.compile(r"(etc|usr/lib)/systemd/system/(system|user|init)\.(slice|scope)(\.d/[^/]+)?")


def kind_of(path: str) -> str | None:
    """The kind of file that a path below the host's folder says; None for one that the audit does not know."""
    return next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(path)), None)


def read_host(host: str, files: Mapping[str, str], topology: Topology, bag: Bag) -> HostFiles:
    """All values of a host's files. What can't be read is a finding and is missing from the value."""
    every = [File(f"{host}/{path}", path, files[path]) for path in sorted(files)]
    value = read_files(host, every, topology, bag)
    value.has_host_half = any(path.startswith(("etc/", "usr/")) for path in files)
    return value


def read_files(
    host: str, files: Iterable[File], topology: Topology, bag: Bag, *, handwritten: bool = False
) -> HostFiles:
    """The same of files that lie anywhere: their paths say what each is, their names where."""
    value = HostFiles(host, topology, handwritten=handwritten)
    groups: dict[str, list[File]] = {}
    for file in files:
        kind = kind_of(file.path)
        if _sound(file, bag, whole=not handwritten):
            if kind is None:
                bag.error(codes.FILE_UNKNOWN, f"`{file.path}` is none of the files that the audit knows", file.head)
            else:
                groups.setdefault(kind, []).append(file)
                value.heads[file.path] = file.head
    value.domains = [domain for file in groups.get("domain", []) if (domain := read_domain(file, bag)) is not None]
    _boot(groups, value, bag)
    for file in groups.get("sysctl", []):
        for entry in settings.read_sysctl(file, bag):
            _sysctl(entry, "sysctl.d", value)
    for file in groups.get("modprobe", []):
        for entry in settings.read_modprobe(file, bag):
            if not entry.section:
                value.knobs.append(Knob(f"modprobe:{entry.key}", entry.key, "modprobe.d", "", entry.span))
                continue
            name = knobs.module(entry.section, entry.key)
            value.knobs.append(Knob(name, f"{entry.section} {entry.key}", "modprobe.d", entry.value.value, entry.span))
    _tuned(groups.get("tuned", []), value, bag)
    for file in groups.get("environment", []):
        for entry in settings.read_environment(file, bag):
            _irqbalance(entry.key, entry.value, "irqbalance's environment", value, bag)
    for file in groups.get("unit", []):
        _unit(file, value, bag)
    for file in groups.get("unit", []) + groups.get("runtime", []):
        runtime.read_runtime(file, value)
    if not handwritten:
        value.gives_boot_cpu = any(_BOOT_CPU.search(file.text) for some in groups.values() for file in some)
    scripts = {file.path: file for file in groups.get("runtime", [])}
    value.irqs = irq_places.read(scripts.get(irq_places.SCRIPT), scripts.get(irq_places.ASKED), bag)
    value.has_host_half = bool(value.pages)
    return value


def _sound(file: File, bag: Bag, *, whole: bool) -> bool:
    """Whether the text can be given to a reader. whole: an empty text and a last line without its end are findings."""
    problem = None
    if not file.text.strip():
        if not whole:
            return False
        problem = "is empty, or no plain file"
    elif len(file.text) > MAX_LENGTH:
        problem = f"has more than {MAX_LENGTH} characters"
    elif not _encodes(file.text):
        problem = "is not UTF-8"
    elif "\0" in file.text:
        problem = "holds a zero byte"
    if problem is not None:
        bag.error(codes.FILE_UNREADABLE, f"`{file.path}` {problem}", file.span(0, 0))
        return False
    if whole and not file.text.endswith("\n") and not file.path.endswith(".xml"):
        last = file.text.rfind("\n") + 1
        bag.error(codes.FILE_CUT_OFF, f"`{file.path}` does not end with a newline", file.span(last, len(file.text)))
    return True


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _boot(groups: Mapping[str, list[File]], value: HostFiles, bag: Bag) -> None:
    """The carriers of the boot line, in the order in which their words join."""
    carriers: list[tuple[str, list[At[str]]]] = [
        ("the boot line (GRUB)", bootline.read_grub(groups.get("grub", []), bag, value.unknown))
    ]
    carriers += [("the boot line", bootline.read_words(file)) for file in groups.get("words", [])]
    arch, mine = value.topology.arch, value.handwritten
    carriers += [
        ("the boot line (bootc)", bootline.read_bootc(file, bag, arch, handwritten=mine))
        for file in groups.get("bootc", [])
    ]
    words = [word for _, some in carriers for word in some]
    owner = next((owner for owner, some in carriers if some), "the boot line")
    files = groups.get("grub", []) + groups.get("words", []) + groups.get("bootc", [])
    value.boot_place = words[0].span if words else files[-1].head if files else None
    boot.interpret(words, owner, value, bag)


def _sysctl(entry: Entry, owner: str, value: HostFiles) -> None:
    count = integer(entry.value.value)
    names = [f"sysctl:{entry.key}"]
    if entry.key == "vm.nr_hugepages" and count is not None:
        value.pages.append(PageSupply(None, value.default_page_kib, count, entry.span))
        names = [knobs.pages(value.default_page_kib, node.id) for node in value.topology.nodes]
    for name in names:
        value.knobs.append(Knob(name, entry.key, owner, entry.value.value, entry.span))


def add_set(role: Role, setting: str, at: At[str], parse: Callable[[str], CpuSet], value: HostFiles, bag: Bag) -> None:
    """A list of CPUs in its role; a finding where it can't be read."""
    try:
        cpus = parse(at.value)
    except ValueError as problem:
        bag.error(codes.VALUE_UNREADABLE, f"`{setting}` cannot be read: {problem}", at.span)
        return
    value.sets.append(RoleSet(role, setting, cpus, at.span))


def _irqbalance(name: str, at: At[str], owner: str, value: HostFiles, bag: Bag) -> None:
    parse = {"IRQBALANCE_BANNED_CPULIST": cpulists.any_list, "IRQBALANCE_BANNED_CPUS": cpulists.hex_mask}.get(name)
    if parse is not None:
        value.knobs.append(Knob(knobs.IRQBALANCE_BAN, name, owner, at.value, at.span))
        add_set(Role.BANNED, name, at, parse, value, bag)


def _unit(file: File, value: HostFiles, bag: Bag) -> None:
    services = _SERVICES.fullmatch(file.path) is not None
    slices = _SLICES.fullmatch(file.path) is not None
    for entry in settings.read_sections(file, bag):
        if entry.key in ("CPUAffinity", "AllowedCPUs") and entry.value.value not in ("", "numa"):
            role = Role.SERVICES if slices or (services and entry.section == "Manager") else Role.OTHER
            add_set(role, entry.key, entry.value, cpulists.systemd_list, value, bag)
            if services:
                value.knobs.append(Knob(knobs.SERVICE_AFFINITY, entry.key, "systemd", entry.value.value, entry.span))
        elif entry.key == "Environment":
            for match in _ENVIRONMENT.finditer(entry.value.value):
                start = entry.value.span.start + match.start(2)
                at = At(match[2], file.span(start, start + len(match[2])))
                _irqbalance(match[1], at, "irqbalance's unit", value, bag)


def _tuned(files: Iterable[File], value: HostFiles, bag: Bag) -> None:
    """Each tuned.conf is a profile with its variables; what a profile includes from elsewhere is not known here."""
    profiles: list[tuple[File, list[Entry]]] = []
    shared: dict[str, At[str]] = {}
    for file in files:
        name = file.path.rsplit("/", 1)[-1]
        if name == "tuned.conf":
            profiles.append((file, settings.read_sections(file, bag)))
        elif name.endswith("variables.conf"):
            sections = file.text.lstrip().startswith("[") or "\n[" in file.text
            entries = settings.read_sections(file, bag) if sections else settings.read_environment(file, bag)
            shared |= {entry.key: entry.value for entry in entries}
            for entry in entries:
                if value.handwritten and entry.key == "isolated_cores" and "$" not in entry.value.value:
                    # The variable of the stock profiles, which are not among the files.
                    add_set(Role.TUNED_ISOLATED, entry.key, entry.value, cpulists.systemd_list, value, bag)
    there = {file.path.rsplit("/", 2)[-2] for file, _ in profiles}
    for file, entries in profiles:
        for entry in entries:
            absent = [name for name in re.split(r"[\s,;]+", entry.value.value) if name and name not in there]
            # What a stock profile sets is judged by what is known of it, among files that people wrote (known.py).
            absent = [name for name in absent if not (value.handwritten and name in PROFILES)]
            if entry.section == "main" and entry.key == "include" and absent:
                what = f"what profile `{absent[0][:40]}` sets is in no file of the host"
                bag.error(value.unknown, what, entry.value.span)
        variables = shared | {entry.key: entry.value for entry in entries if entry.section == "variables"}
        for entry in entries:
            _tuned_entry(file, entry, {key: at.value for key, at in variables.items()}, value, bag)


def _tuned_entry(file: File, entry: Entry, variables: Mapping[str, str], value: HostFiles, bag: Bag) -> None:
    plugin, key = entry.section, entry.key
    if plugin == "main" and key not in _TUNED_MAIN:
        bag.error(codes.NOT_JUDGED, f"`{key[:40]}` is no key of tuned's `[main]`", entry.span)
    if plugin in ("main", "variables") or key in ("type", "enabled", "replace", "priority", "devices"):
        return
    text = _VARIABLE.sub(lambda match: variables.get(match[1], match[0]), entry.value.value)
    at = At(text, entry.value.span)
    owner = f"tuned ({file.path})"
    if plugin == "modules":
        for word in text.split():
            name, equals, setting = word.partition("=")
            if equals:
                value.knobs.append(Knob(knobs.module(key, name), f"{key} {name}", owner, setting, entry.span))
        return
    if plugin == "bootloader":
        if key.startswith("cmdline"):
            for word in text.strip("\"'+ ").split():
                name, _, setting = word.partition("=")
                name = name.replace("-", "_")
                value.knobs.append(Knob(knobs.boot(name), name, owner, setting, entry.span))
                if value.handwritten and "$" not in word and all(one.value.key != name for one in value.options):
                    boot.add_sets(bootline.option(At(word, at.span)), value, bag)
        return
    value.knobs.append(Knob(knobs.tuned(plugin, key), f"{plugin}.{key}", owner, text, entry.span, entry.head))
    role = {
        "scheduler.isolated_cores": Role.TUNED_ISOLATED,
        "irqbalance.banned_cpus": Role.BANNED,
        "systemd.cpu_affinity": Role.SERVICES,
        "sysfs./sys/devices/virtual/workqueue/cpumask": Role.WORKQUEUE,
    }.get(f"{plugin}.{key}")
    if role is None or not text:
        return
    if "$" in text:
        bag.error(value.unknown, f"`{key}` holds a variable that no file of the host sets", at.span)
        return
    parse = cpulists.hex_mask if role is Role.WORKQUEUE else cpulists.systemd_list
    add_set(role, f"{plugin}.{key}", at, parse, value, bag)
