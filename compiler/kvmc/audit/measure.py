"""The plans of measurement: that they speak of the guests, CPUs and nodes that the domains have, and that none does harm."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from kvmc.audit import jsonplaces, measure_jobs, shell
from kvmc.audit import measure_steps as steps
from kvmc.audit.context import Context, cells_of
from kvmc.audit.domain import Domain
from kvmc.audit.source import At, File
from kvmc.diagnostics import Bag, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import CpuSet, union

FOLDER = "measure/"
_GUESTS = "measure/guests/"
_FORM = "measure/baseline.json"
_HOST = "measure/host.sh"
_STORAGE = "measure/storage.fio"
_STEP = re.compile(
    r"(?:directory_of (?P<needs>[A-Za-z0-9._-]+) \"\$@\" && )?"
    r"step (?P<name>[A-Za-z0-9._-]+) '(?P<shows>(?:[^']|'\"'\"')*)' (?P<run>.*)",
    re.DOTALL,
)
_OWN = re.compile(r"mpstat -P ([0-9,-]+) ")
_SERVICES = re.compile(r"stress-ng --taskset ([0-9,-]+) ")
_PLAIN = re.compile(r"/[A-Za-z0-9/._+-]+")
"""Paths that a job file can hold."""
_ORDER = (("vcpus-before", "vcpus-after"), ("exits-record", "exits"))
_OPTIONAL = frozenset({"latency", "sleep-states", "noise", "disturb"})
"""Steps of a host that depend on more than its files tell: a realtime kernel, the architecture, its pools."""


def check(context: Context, files: Mapping[str, File]) -> None:
    """files: those of the host that can be read."""
    plans = {path: file for path, file in files.items() if path.startswith(FOLDER)}
    site = context.site
    if not plans and (site is None or "measure" not in site.targets or context.files.host not in site.hosts):
        return
    _Plans(context, plans).check()


_Wrong = Callable[[str, str], Iterator[str]]


@dataclass(frozen=True, slots=True)
class _Script:
    """What a script is to be. folder: of its results. lines: what is run before the steps. steps: name to command;
    optional: those of them that may be left out. wrong: what the words of a step of some name say that is not so of `whose`."""

    folder: str
    lines: str
    steps: Mapping[str, str]
    wrong: _Wrong
    whose: str
    optional: Collection[str] = ()


class _Plans:
    def __init__(self, context: Context, files: Mapping[str, File]) -> None:
        self.context = context
        self.files = dict(files)
        self.bag: Bag = context.bag
        self.steps: dict[str, set[str]] = {}
        """The steps of each script by the folder of its results."""

    def wrong(self, place: Span, text: str) -> None:
        self.bag.error(codes.MEASURE_WRONG, text, place)

    def take(self, path: str) -> File | None:
        """A file that is to be there; those that are left at the end are not."""
        file = self.files.pop(path, None)
        unreadable = any(
            item.code is codes.FILE_UNREADABLE and item.primary and item.primary.span.file.endswith(f"/{path}")
            for item in self.bag
        )
        if file is None and not unreadable:
            place = next((d.head for d in self.context.files.domains if path.startswith(f"{_GUESTS}{d.name}/")), None)
            place = place or next(
                iter(self.context.files.heads.values()), Span(f"{self.context.files.host}/{path}", 0, 0)
            )
            self.wrong(place, f"`{path}` is missing: what it measures would not be measured")
        return file

    def check(self) -> None:
        for domain in self.context.files.domains:
            self._guest(domain)
        self._host()
        form = self.take(_FORM)
        if form is not None:
            self._form(form)
        for path, file in self.files.items():
            owner = path.removeprefix(_GUESTS).partition("/")[0]
            what = (
                f"`{owner}` is no guest of the host" if path.startswith(_GUESTS) else "it is none of the plan's files"
            )
            self.wrong(file.head, f"`{path[:100]}` measures nothing that is there: {what}")

    # -- scripts

    def _script(self, file: File, script: _Script) -> None:
        found = _steps(file)
        needs = steps.DIRECTORY if any(match["needs"] for _, match in found) else ""
        statement = steps.HEAD.replace("@folder@", script.folder) + needs + script.lines + steps.TAIL
        shell.compare(file, statement, {"@steps@": _STEP}, self.bag)
        if not file.text.startswith("#!/bin/sh\n"):
            self.wrong(file.head, f"`{file.path}` does not begin with `#!/bin/sh`")
        left = dict(script.steps)
        self.steps[script.folder] = {match["name"] for _, match in found}
        places = {match["name"]: at for at, match in found}
        for first, second in _ORDER:
            if first in places and second in places and places[first].span.start > places[second].span.start:
                self.wrong(places[first].span, f"the step `{first}` comes behind `{second}`, which is compared with it")
        for at, match in found:
            name, run = match["name"], left.pop(match["name"], None)
            problem = next(script.wrong(name, match["shows"]), None)
            if run is None:
                self.wrong(at.span, f"the step `{name}` is one too many")
            elif run != match["run"]:
                self.wrong(at.span, f"the step `{name}` runs `{match['run'][:100]}`, and is to run `{run[:100]}`")
            elif problem is not None:
                self.wrong(at.span, f"the step `{name}` {problem}, which is not so of {script.whose}")
            commit = name.removeprefix("commit-") if name.startswith("commit-") else None
            if match["needs"] != commit:
                self.wrong(at.span, f"the step `{name}` is for the directory of `{match['needs']}`, not of `{commit}`")
        for name in left:
            if name not in script.optional:
                self.wrong(file.head, f"`{file.path}` has no step `{name}`")

    def _guest(self, domain: Domain) -> None:
        folder = f"{_GUESTS}{domain.name}/"
        mine = [path.removeprefix(folder) for path in self.files if path.startswith(folder)]
        disks = [name[5:-4] for name in mine if name.startswith("disk-") and name.endswith(".fio")]
        commits = [name[7:-4] for name in mine if name.startswith("commit-") and name.endswith(".fio")]
        vm = self.context.vm(domain)
        if vm is not None:
            disks = list(vm.disks)
            commits = [name for name, disk in vm.disks.items() if disk.iothread.value == "own" and disk.bus == "virtio"]
        self._jobs(domain, folder, disks, commits)
        results, whose = f"results/guests/{domain.name}", f"`{domain.name}`"
        host = self.take(f"{folder}host.sh")
        if host is not None:
            find = f"pid=$(cat -- /run/libvirt/qemu/{domain.name}.pid) || exit 1\n"
            words = partial(steps.wrong_of_guest, domain=domain, inside=False)
            self._script(host, _Script(f"{results}/host", find, steps.on_host(domain), words, whose))
        inside = self.take(f"{folder}guest.sh")
        if inside is not None:
            words = partial(steps.wrong_of_guest, domain=domain, inside=True)
            wanted = steps.on_guest(domain, disks, commits)
            self._script(inside, _Script(f"{results}/guest", steps.HERE, wanted, words, whose))

    def _host(self) -> None:
        sources = {disk.value.source for domain in self.context.files.domains for disk in domain.disks}
        file = self.take(_HOST)
        asked = (file is not None and "storage.fio" in file.text) or any(map(_PLAIN.fullmatch, sources))
        storage = self.take(_STORAGE) if asked else None
        for job in self._harmless(storage) if storage is not None else ():
            path = measure_jobs.paths(job)
            if path not in sources and storage is not None:
                place = job["filename"].span if "filename" in job else storage.head
                self.wrong(place, f"`{storage.path}` reads `{(path or 'nothing')[:100]}`, which is no guest's disk")
        if file is None:
            return
        own, services = _listed(_OWN, file.text), _listed(_SERVICES, file.text)
        wanted = steps.on_whole_host(self.context, own, services, storage=asked)
        nodes = {CpuSet.of([node.id]) for node in self.context.topology.nodes}
        pages = {(one.count, one.size_kib, one.node) for one in self.context.files.pages}
        lists = {own, services, self.context.files.isolated}

        def words(name: str, text: str) -> Iterator[str]:
            of = steps.PAGES_STEP.fullmatch(name)
            if of is None:
                return steps.wrong_words(text, lists, nodes, pages)
            mine = {one for one in pages if one[1:] in ((int(of[2]), int(of[1])), (int(of[2]), None))}
            return steps.wrong_words(text, lists, {CpuSet.of([int(of[1])])}, mine)

        whose = f"host `{self.context.files.host}`"
        self._script(file, _Script("results/host", steps.HERE, wanted, words, whose, _OPTIONAL))
        pins = union(pin.value for _, _, pin in self.context.owned())
        known = self.context.files.housekeeping
        for wrong, what in (
            (own - self.context.topology.online, "are not there"),
            (own & services, "are for guests alone and for the system"),
            (pins - own, "are guests' own and left out of `noise`"),
            (services - known if known else CpuSet(), "are none of the system's services"),
        ):
            if wrong:
                self.wrong(file.head, f"`{file.path}` does not fit the host: CPUs {wrong} {what}")

    # -- jobs

    def _jobs(self, domain: Domain, folder: str, disks: Collection[str], commits: Collection[str]) -> None:
        left = measure_jobs.devices(domain)
        for name in disks:
            file = self.take(f"{folder}disk-{name}.fio")
            if file is None:
                continue
            read = set()
            for job in self._harmless(file):
                path = measure_jobs.paths(job) or "nothing"
                if path not in left:
                    place = job["filename"].span if "filename" in job else file.head
                    self.wrong(
                        place,
                        f"`{file.path}` reads `{path[:100]}`, which is no disk of `{domain.name}` or another job's",
                    )
                read.add(path)
            left -= read
        for name in commits:
            file = self.take(f"{folder}commit-{name}.fio")
            if file is not None:
                self._harmless(file)

    def _harmless(self, file: File) -> list[measure_jobs.Job]:
        found = measure_jobs.jobs(file)
        for job in found:
            other = measure_jobs.difference(job)
            danger = measure_jobs.danger(job)
            if danger is not None:
                place = job[danger].span if danger in job else file.head
                self.bag.error(
                    codes.MEASURE_WRITES, f"a job of `{file.path}` writes, and not to a file of its own", place
                )
            elif other is not None:
                self.wrong(other[1] or file.head, f"a job of `{file.path}` {other[0]}, and no job of ours does")
        if not found:
            self.wrong(file.head, f"`{file.path}` has no job")
        return found

    # -- the form

    def _form(self, file: File) -> None:
        root = jsonplaces.parse(file, self.bag)
        if root is None:
            return
        for name, wanted in (("format", 1), ("host", self.context.files.host)):
            if root.get(name) != wanted:
                self.wrong(
                    root.place(name), f"`{file.path}` has {root.get(name)!r} as its {name}, and it is {wanted!r}"
                )
        for name in ("guests", "measures"):
            if name not in root.fields:
                self.wrong(root.span, f"`{file.path}` has no `{name}`")
        guests = dict(root.fields["guests"].fields) if "guests" in root.fields else {}
        for domain in self.context.files.domains:
            row = guests.pop(domain.name, None)
            if row is None:
                self.wrong(root.place("guests"), f"`{file.path}` lacks the guest `{domain.name}`")
                continue
            pins = [str(domain.pins[vcpu].value) for vcpu in sorted(domain.pins)]
            nodes = union(steps.host_nodes(domain, cell.value.id) for cell in cells_of(domain))
            emulator = str(domain.emulator.value) if domain.emulator else ""
            for name, value in (("vcpus", pins), ("emulator", emulator), ("nodes", str(nodes))):
                if row.get(name) != value:
                    self.wrong(
                        row.place(name),
                        f"`{file.path}` has {row.get(name)!r} as {name} of `{domain.name}`, not {value!r}",
                    )
        for name, row in guests.items():
            self.wrong(row.span, f"`{file.path}` has the guest `{name[:60]}`, which is none of the host")
        for row in root.below("measures"):
            folder, _, step = str(row.get("file")).rpartition("/")
            if step.removesuffix(".json").removesuffix(".yaml") not in self.steps.get(f"results/{folder}", ()):
                self.wrong(row.place("file"), f"`{str(row.get('file'))[:100]}` is no result of this host's plan")
            if row.get("measured") is not None:
                text = f"`{file.path}` is a form, and has {row.get('measured')!r} as a measured value"
                self.wrong(row.place("measured"), text)


def _steps(file: File) -> list[tuple[At[str], re.Match[str]]]:
    return [(at, match) for at in shell.lines(file) if (match := _STEP.fullmatch(at.value)) is not None]


def _listed(pattern: re.Pattern[str], text: str) -> CpuSet:
    match = pattern.search(text)
    try:
        return CpuSet.parse(match[1]) if match else CpuSet()
    except ValueError:
        return CpuSet()
