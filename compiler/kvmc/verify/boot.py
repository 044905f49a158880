"""The running kernel's command line, and the sets of CPUs that the kernel made of it."""

from __future__ import annotations

from kvmc.audit import bootline, cpulists
from kvmc.audit.bootline import Option
from kvmc.audit.hostfiles import HostFiles, Role
from kvmc.audit.reading import kind_of
from kvmc.audit.source import At, File
from kvmc.knowledge.knobs import CMDLINE
from kvmc.model.cpuset import MAX_CPU, CpuSet
from kvmc.model.values import PageCount
from kvmc.verify import meaning
from kvmc.verify.case import Case
from kvmc.verify.difference import Effect, Kind, shown

_HARMLESS = frozenset({"intel_iommu", "iommu", "iommu.passthrough", "default_hugepagesz", "nmi_watchdog"})
_OURS = frozenset(knob.key for knob in CMDLINE) - _HARMLESS - meaning.PAGE_OPTIONS
"""What nobody else is to say on a host of kvmc's."""

_FILES = {Role.ISOLATED: ("isolated", "isolcpus"), Role.NOHZ_FULL: ("nohz_full", "nohz_full")}


def words_of(line: str) -> list[At[str]]:
    """The kernel's own words: those behind `--` are init's."""
    words = bootline.read_words(File("proc/cmdline", "proc/cmdline", line.replace("#", "\ufffd")))
    end = next((index for index, word in enumerate(words) if word.value == "--"), len(words))
    return words[:end]


def check(case: Case) -> None:
    line = case.value("proc/cmdline")
    if line is None:
        if case.files.options:
            case.missing("the kernel's command line", "one", case.files.boot_place)
        return
    running = meaning.boot_words(words_of(line))
    differing = _compare(case.files, running)
    state = _state(case) if differing else ((), (), False)
    for key, runs, compiled, word in differing:
        case.boot_differs.add(key)
        place = word.span if word else case.files.boot_place
        setters, steps, pending = state
        if word is None:
            steps = ("look who sets it: /etc/default/grub and its drop-ins, the boot loader's entries", *steps)
            pending = False
        case.add(
            Kind.BOOT_LINE,
            f"`{key}` on the kernel's command line",
            runs,
            compiled,
            place,
            Effect.REBOOT,
            steps,
            setters,
            pending=pending,
        )
    _sets(case)


_Differing = tuple[str, str, str, At[Option] | None]


def _compare(compiled: HostFiles, running: HostFiles) -> list[_Differing]:
    """Key, what runs, what was compiled, and the compiled word where there is one."""
    found: list[_Differing] = []
    there: dict[str, list[Option]] = {}
    for word in running.options:
        there.setdefault(word.value.key, []).append(word.value)
    seen: set[str] = set()
    for word in compiled.options:
        key = word.value.key
        if key in meaning.PAGE_OPTIONS or key in seen:
            continue
        seen.add(key)
        wanted = [one.value for one in compiled.options if one.value.key == key]
        mine = {meaning.option(one) for one in wanted}
        theirs = {meaning.option(one) for one in there.get(key, [])}
        if mine != theirs:
            found.append((key, _text(there.get(key, [])), _text(wanted), word))
    mine_pages, their_pages = meaning.pages_of(compiled), meaning.pages_of(running)
    places = [word for word in compiled.options if word.value.key == "hugepages"]
    if places or their_pages:
        from_boot = {word.span for word in places}
        mine_pages = {(one.node, one.size_kib): one.count for one in compiled.pages if one.span in from_boot}
        if mine_pages != their_pages:
            found.append(("hugepages", _pages(their_pages), _pages(mine_pages), places[0] if places else None))
    for key, some in there.items():
        if key in _OURS and key not in seen:
            found.append((key, _text(some), "", None))
    return found


def _text(options: list[Option]) -> str:
    return " and ".join(one.value if one.value is not None else "set" for one in options)


def _pages(pages: dict[tuple[int | None, int], int]) -> str:
    parts = []
    for (node, size), count in sorted(pages.items(), key=lambda item: (item[0][0] or 0, item[0][1])):
        where = "over all nodes" if node is None else f"on node {node}"
        parts.append(f"{PageCount(count, size)} {where}")
    return ", ".join(parts)


def _state(case: Case) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Why another line runs, what to do, and whether the reboot is all that is left to do."""
    carriers = [path for path in case.texts if kind_of(path) in ("grub", "words", "bootc")]
    for path in carriers:
        if path in case.stale:
            return (), (f"install `/{path}`", *case.apply.boot(), "reboot"), False
    entries = case.root.read("kvmc/bootlines")
    if entries is None:
        return ("its file is in place, so the next boot may have it",), (*case.apply.boot(), "reboot"), True
    lines = [meaning.boot_words(words_of(line)) for line in entries.splitlines()[:200]]
    if any(not _compare(case.files, line) for line in lines):
        return ("a boot entry has it: the host was not rebooted since",), ("reboot",), True
    return ("no boot entry has it: they were not written since",), (*case.apply.boot(), "reboot"), False


def read_list(case: Case, path: str) -> CpuSet | None:
    """A list of CPUs as the kernel prints it; `(null)` and nothing are the empty set. None where it is not told."""
    text = case.value(path)
    if text is None:
        return None
    try:
        return CpuSet() if text in ("", "(null)") else cpulists.kernel_list(text, MAX_CPU)
    except ValueError:
        return None


def _sets(case: Case) -> None:
    """A kernel drops a list that it does not like: what it made is asked, where the words are the compiled ones."""
    for role, (name, key) in _FILES.items():
        wanted = case.files.of(role)
        if not wanted or key in case.boot_differs or wanted[0].setting in case.boot_differs:
            continue
        compiled = case.files.cpus(role)
        cpus = read_list(case, f"sys/devices/system/cpu/{name}")
        if cpus is None:
            case.missing(f"the kernel's set `{name}`", str(compiled), wanted[0].span)
        elif cpus != compiled and not (role is Role.NOHZ_FULL and cpus == compiled - CpuSet(1)):
            # the CPU that boots keeps its tick, whatever the line says (kernel/time/tick-sched.c, tick_nohz_init)
            case.add(
                Kind.CPU_SET,
                f"the kernel's set `{name}`",
                str(cpus) or "empty",
                str(compiled),
                wanted[0].span,
                Effect.REBOOT,
                ("look into the kernel's log for why it dropped the list",),
                (f"the command line has `{wanted[0].setting}` as compiled, so the kernel refused it",),
            )


def check_online(case: Case) -> None:
    """CPUs that the artifacts name and the host does not run."""
    online = read_list(case, "sys/devices/system/cpu/online")
    if online is None:
        case.missing("the set of CPUs online", "one", None)
        return
    named = [(one.span, one.cpus) for one in case.files.sets if one.role is not Role.WORKQUEUE]
    for domain in case.files.domains:
        named += [(pin.span, pin.value) for pin in (*domain.pins.values(), *domain.iothread_pins.values())]
        named += [(domain.emulator.span, domain.emulator.value)] if domain.emulator else []
    absent = CpuSet()
    for _, cpus in named:
        absent |= cpus - online
    if absent:
        place = next(place for place, cpus in named if cpus & absent)
        case.add(
            Kind.CPU_OFFLINE,
            f"of the CPUs that were planned with, {absent}",
            "offline or absent",
            "online",
            place,
            Effect.LIVE,
            (
                f"bring them online: `chcpu -e {shown(str(absent))}`",
                "after a change of firmware, scan the host again",
            ),
        )
