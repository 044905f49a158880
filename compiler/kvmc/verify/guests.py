"""The guests: how they are defined, how they run, and what their threads and their memory say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kvmc.audit.domain import Domain, read_domain
from kvmc.audit.source import File
from kvmc.diagnostics import Bag, Span
from kvmc.diagnostics.codes import verify as codes
from kvmc.model.cpuset import CpuSet, union
from kvmc.verify.boot import read_list
from kvmc.verify.case import Case
from kvmc.verify.difference import Effect, Kind, shown
from kvmc.verify.elements import elements
from kvmc.verify.guest_facts import Fact, facts

_FOLDER = "kvmc/domains"
_VCPU = re.compile(r"CPU ([0-9]{1,5})/(?:KVM|TCG)")
_IOTHREAD = re.compile(r"IO iothread([0-9]{1,5})")
_KERNEL = re.compile(r"kvm-nx-lpage-re.*|kvm-pit/.*|iou-(wrk|sqp)-.*")
"""Kernel threads of a guest that libvirt does not place: those of KVM and of io_uring."""

_ALLOWED = re.compile(r"^Cpus_allowed_list:\s*(\S*)\s*$", re.M)
_POLICIES = {0: "other", 1: "fifo", 2: "rr", 3: "batch", 5: "idle", 6: "deadline"}
_HUGE_KIB = 2048
_RESTART = "shut the guest down and start it; a reboot from inside keeps what runs"


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of a running guest. cpus, policy: None where they can't be read."""

    comm: str
    cpus: CpuSet | None
    policy: tuple[str, int] | None


@dataclass(slots=True)
class Guest:
    """A domain that libvirt knows: its persistent definition, its live one, its threads, and where its memory lies.

    memory: (policy, page size in KiB, node, pages).
    """

    uuid: str
    defined: Domain | None = None
    live: Domain | None = None
    threads: list[Thread] = field(default_factory=list)
    memory: list[tuple[str, int, int, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        domain = self.live or self.defined
        return domain.name if domain else self.uuid


def read_guests(case: Case) -> list[Guest] | None:
    """All domains of the host; None where the capture does not tell of any."""
    found: dict[str, Guest] = {}
    for path in case.root.find(f"{_FOLDER}/*.xml"):
        uuid, _, which = path.removeprefix(f"{_FOLDER}/").removesuffix(".xml").partition(".")
        text = case.root.read(path)
        domain = read_domain(File(path, path, text), Bag()) if text is not None and "\0" not in text else None
        if domain is None or which not in ("defined", "live"):
            case.notes.error(codes.UNREADABLE, f"`{shown(path)}` of the capture is no domain that can be read")
            continue
        guest = found.setdefault(uuid, Guest(uuid))
        if which == "defined":
            guest.defined = domain
        else:
            guest.live = domain
            guest.threads = list(_threads(case, uuid))
            guest.memory = list(_memory(case.root.read(f"{_FOLDER}/{uuid}.memory") or ""))
    if not found:
        try:
            told = json.loads(case.root.read("kvmc/capture.json") or "{}").get("guests")
        except (ValueError, AttributeError, RecursionError):
            told = None
        return [] if told is True else None
    return [found[uuid] for uuid in sorted(found)]


def _threads(case: Case, uuid: str) -> Iterator[Thread]:
    pid = case.value(f"{_FOLDER}/{uuid}.pid") or ""
    if not pid.isdecimal():
        return
    for path in case.root.find(f"proc/{pid}/task/*/comm"):
        base = path.removesuffix("/comm")
        match = _ALLOWED.search(case.root.read(f"{base}/status") or "")
        try:
            cpus = CpuSet.parse(match[1]) if match else None
        except ValueError:
            cpus = None
        yield Thread(case.value(path) or "", cpus, _policy(case.root.read(f"{base}/stat") or ""))


def _policy(stat: str) -> tuple[str, int] | None:
    """Fields 41 and 40 of /proc/PID/stat (proc(5)): policy and realtime priority. The name in parentheses may hold anything."""
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 39 or not (fields[37].isdecimal() and fields[38].isdecimal()):
        return None
    number = int(fields[38]) & 0xFFFF
    return _POLICIES.get(number, str(number)), int(fields[37])


def _memory(text: str) -> Iterator[tuple[str, int, int, int]]:
    for line in text.splitlines()[:10_000]:
        words = line.split()
        if len(words) == 4 and all(word.isdecimal() and len(word) < 16 for word in words[1:]):
            yield words[0], int(words[1]), int(words[2]), int(words[3])


def check(case: Case, guests: list[Guest], elsewhere: Mapping[str, str]) -> None:
    """elsewhere: guest -> the host that it was compiled for."""
    by_uuid = {guest.uuid.replace("-", ""): guest for guest in guests}
    by_name = {guest.name: guest for guest in guests}
    mine: set[str] = set()
    for domain in case.files.domains:
        guest = by_uuid.get(domain.uuid.value if domain.uuid else "") or by_name.get(domain.name)
        steps = case.apply.step(f"domains/{domain.name}.xml", case.source(domain.head))
        if guest is None:
            case.add(
                Kind.GUEST_UNDEFINED, f"guest `{domain.name}`", "", "its definition", domain.head, Effect.LIVE, steps,
                guest=domain.name,
            )  # fmt: skip
            continue
        mine.add(guest.uuid)
        blamed = _definitions(case, domain, guest, steps)
        if guest.live is None:
            case.notes.error(codes.GUEST_OFF, f"guest `{domain.name}` does not run", domain.head)
        elif not guest.threads:
            case.missing(f"the threads of guest `{domain.name}`", "their pins", domain.head)
        else:
            _pins(case, domain, guest, blamed)
            _schedulers(case, domain, guest, blamed)
            _check_memory(case, domain, guest, blamed)
    for guest in guests:
        if guest.live is not None and guest.uuid not in mine:
            _foreign(case, guest, guest.live, elsewhere.get(guest.name))


def _foreign(case: Case, guest: Guest, live: Domain, home: str | None) -> None:
    """A guest that runs and is none of ours."""
    theirs = union(pin.value for pin in live.pins.values()) | (live.mask.value if live.mask else CpuSet())
    told = [f"it was compiled for host `{home}`"] if home else []
    for domain in case.files.domains:
        both = theirs & union(pin.value for pin in domain.pins.values())
        if both:
            told.append(f"it runs on CPUs {both} of `{domain.name}`")
    case.add(
        Kind.GUEST_FOREIGN, f"guest `{shown(guest.name)}`", "running", "", None, Effect.RESTART,
        ("declare it in the site, stop it, or move it to another host",), told, guest=guest.name,
    )  # fmt: skip


def _definitions(case: Case, domain: Domain, guest: Guest, steps: tuple[str, ...]) -> set[str]:
    """Compare what libvirt has; gives the aspects that differ in the live definition."""
    compiled = _aspects(domain)
    defined = _differing(compiled, _aspects(guest.defined) if guest.defined else None)
    live = _differing(_aspects(domain, live=True), _aspects(guest.live, live=True) if guest.live else None)
    if guest.defined is None:
        case.add(
            Kind.GUEST_UNDEFINED, f"the persistent definition of guest `{domain.name}`", "", "one", domain.head, Effect.LIVE,
            steps, ("it runs without one (transient): it is gone when it stops",), guest=domain.name,
        )  # fmt: skip
    for aspect in [*defined, *(one for one in live if one not in defined)]:
        fact = compiled.get(aspect)
        runs = (live if aspect in live else defined)[aspect]
        also: tuple[str, ...] = ()
        restart = _RESTART
        effect = Effect.RESTART
        pending = False
        todo: tuple[str, ...]
        if aspect in live and aspect in defined:
            todo = (*steps, restart)
        elif aspect in live:
            also = (
                "libvirt has it defined as compiled: the guest runs with what it was started with, or was changed live",
            )
            todo, pending = (restart,), guest.defined is not None
        else:
            running = "the guest runs as compiled" if guest.live else "the guest does not run"
            also = (f"{running}; libvirt's definition was changed, or was not taken from the compiled file",)
            todo = steps
            effect = Effect.LIVE
        if aspect in live and fact is not None and fact.live:
            todo, effect, pending = (
                (*(steps if aspect in defined else ()), fact.live.format(name=domain.name)),
                Effect.LIVE,
                False,
            )
        case.add(
            Kind.GUEST_DEFINITION,
            f"{aspect} of guest `{domain.name}`",
            runs,
            fact.text if fact else "",
            fact.span if fact else domain.head,
            effect,
            todo,
            also,
            pending=pending,
            guest=domain.name,
        )
    return set(live)


def _aspects(domain: Domain, *, live: bool = False) -> dict[str, Fact]:
    return elements(domain, live=live) | facts(domain, live=live)


def _differing(compiled: dict[str, Fact], other: dict[str, Fact] | None) -> dict[str, str]:
    """The aspects that differ, with what the other side has."""
    if other is None:
        return {}
    found = {
        name: other[name].text if name in other else ""
        for name, fact in compiled.items()
        if not fact.same(other.get(name))
    }
    return found | {name: fact.text for name, fact in other.items() if name not in compiled and not fact.loose}


def _pins(case: Case, domain: Domain, guest: Guest, blamed: set[str]) -> None:
    online = read_list(case, "sys/devices/system/cpu/online")
    moved = "libvirt has the compiled pins: a program moved the thread (taskset, a cgroup, tuned's scheduler plugin)"
    others: dict[str, list[str]] = {}
    vcpus: set[int] = set()
    iothreads: set[int] = set()
    for thread in sorted(guest.threads, key=lambda one: one.comm):
        vcpu, io = _VCPU.fullmatch(thread.comm), _IOTHREAD.fullmatch(thread.comm)
        if vcpu is not None:
            who, pin, aspect = (
                f"vCPU {vcpu[1]}",
                domain.pins.get(int(vcpu[1])) or domain.mask,
                f"the pin of vCPU {int(vcpu[1])}",
            )
            vcpus.add(int(vcpu[1]))
        elif io is not None:
            who, aspect = f"I/O thread {io[1]}", f"the pin of I/O thread {int(io[1])}"
            pin = domain.iothread_pins.get(int(io[1])) or domain.mask
            iothreads.add(int(io[1]))
        else:
            who, pin, aspect = "", domain.emulator or domain.mask, "the pin of the emulator"
        if pin is None or aspect in blamed or "the mask of vCPUs" in blamed or _KERNEL.fullmatch(thread.comm):
            continue
        wanted = pin.value if online is None else pin.value & online
        if thread.cpus == wanted or not wanted:
            continue
        runs = "not readable" if thread.cpus is None else str(thread.cpus)
        if not who:
            others.setdefault(runs, []).append(thread.comm)
            continue
        case.add(
            Kind.GUEST_PIN, f"the mask of {who} of guest `{domain.name}`", runs, str(pin.value), pin.span, Effect.LIVE,
            (_repin(domain.name, who, pin.value),), (moved,), guest=domain.name,
        )  # fmt: skip
    pin = domain.emulator or domain.mask
    for runs, comms in others.items():
        assert pin is not None
        who = f"QEMU's threads ({shown(', '.join(comms[:5]))})"
        case.add(
            Kind.GUEST_PIN, f"the mask of {who} of guest `{domain.name}`", runs, str(pin.value), pin.span, Effect.LIVE,
            (f"run `virsh emulatorpin {domain.name} {pin.value} --live`",), (moved,), guest=domain.name,
        )  # fmt: skip
    lacking = [f"vCPU {id}" for id in range(domain.count) if id not in vcpus]
    lacking += [
        f"I/O thread {id}" for id in sorted((domain.iothreads.value if domain.iothreads else set()) - iothreads)
    ]
    if lacking and not blamed & {"the number of vCPUs", "the I/O threads"}:
        case.add(
            Kind.GUEST_THREAD, f"of guest `{domain.name}`, {shown(', '.join(lacking))}", "", "it", _count_place(domain),
            Effect.RESTART, ("look whether the vCPU was unplugged", _RESTART,), guest=domain.name,
        )  # fmt: skip


def _count_place(domain: Domain) -> Span:
    return domain.vcpus.span if domain.vcpus else domain.head


def _repin(name: str, who: str, cpus: CpuSet) -> str:
    kind, _, number = who.rpartition(" ")
    return f"run `virsh {'vcpupin' if kind == 'vCPU' else 'iothreadpin'} {name} {number} {cpus} --live`"


def _schedulers(case: Case, domain: Domain, guest: Guest, blamed: set[str]) -> None:
    """Grouped by the line that says it."""
    other: dict[tuple[str, str, Span], list[str]] = {}
    for thread in guest.threads:
        match = _VCPU.fullmatch(thread.comm)
        if match is None or thread.policy is None:
            continue
        vcpu = int(match[1])
        sched = next((one for one in domain.scheds if vcpu in one.value.vcpus), None)
        wanted = (sched.value.policy, sched.value.priority or 0) if sched else ("other", 0)
        if thread.policy != wanted and f"the scheduler of vCPU {vcpu}" not in blamed:
            place = sched.span if sched else _count_place(domain)
            other.setdefault((_policy_text(thread.policy), _policy_text(wanted), place), []).append(str(vcpu))
    for (runs, compiled, place), vcpus in other.items():
        case.add(
            Kind.GUEST_SCHEDULER, f"the scheduler of vCPU {', '.join(vcpus)} of guest `{domain.name}`", runs, compiled, place,
            Effect.RESTART, ("set it with `chrt` on the thread", _RESTART),
            ("libvirt has it as compiled: a program changed it (chrt, tuned's scheduler plugin)",), guest=domain.name,
        )  # fmt: skip


def _policy_text(policy: tuple[str, int]) -> str:
    return f"{policy[0]} {policy[1]}" if policy[1] else policy[0]


def _check_memory(case: Case, domain: Domain, guest: Guest, blamed: set[str]) -> None:
    """Memory that is bound to a node, or is huge pages, is the guest's: it lies on the guest's nodes."""
    strict = [one for one in domain.numa if one.value.mode == "strict"]
    if not strict or any(name.startswith("the memory node") for name in blamed):
        return
    nodes = union(one.value.nodes for one in strict)
    elsewhere: dict[int, int] = {}
    for policy, size, node, pages in guest.memory:
        if node not in nodes and (policy.startswith("bind") or size >= _HUGE_KIB):
            elsewhere[node] = elsewhere.get(node, 0) + pages * size
    if elsewhere:
        runs = ", ".join(f"{kib} KiB on node {node}" for node, kib in sorted(elsewhere.items()))
        case.add(
            Kind.GUEST_MEMORY, f"of the memory of guest `{domain.name}`, a part", runs, f"node {nodes} alone", strict[0].span,
            Effect.RESTART, (_RESTART,),
            ("numactl or migratepages moved it, or it was started otherwise; it is not moved back",), guest=domain.name,
        )  # fmt: skip
