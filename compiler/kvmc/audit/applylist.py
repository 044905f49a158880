"""`apply.json` against the tree that it is to apply: every file with its mode, every step that makes the host take it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kvmc.audit import jsonplaces
from kvmc.audit.jsonplaces import Value
from kvmc.audit.source import File
from kvmc.diagnostics import Bag, Span
from kvmc.diagnostics.codes import audit as codes

PATH = "apply.json"

_STRENGTH = ("live", "restart", "reboot")
_PHASES = ("reload", "boot", "host", "guests")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VIRSH = ("virsh", "-c", "qemu:///system")
_UNDEFINE = (*_VIRSH, "undefine", "--keep-nvram")


@dataclass(frozen=True, slots=True)
class Step:
    """What a host runs. A step's words are its own: the same words in one phase are the same step."""

    phase: str
    run: tuple[str, ...]
    effect: str


@dataclass(frozen=True, slots=True)
class Known:
    """A file that kvmc writes: its mode, what makes the host take it, and what is run before and after it goes."""

    mode: str = "0644"
    steps: tuple[Step, ...] = ()
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()


_RELOAD = Step("reload", ("systemctl", "daemon-reload"), "live")
_REEXEC = Step("reload", ("systemctl", "daemon-reexec"), "reboot")
_GRUB = Step("boot", ("grub-mkconfig", "-o", "/boot/grub/grub.cfg"), "reboot")
_KERNELS = Step(
    "boot",
    (
        "sh",
        "-c",
        'for image in /usr/lib/modules/*/vmlinuz; do version=${image%/vmlinuz}; kernel-install add "${version##*/}" "$image" '
        "|| exit 1; done",
    ),
    "reboot",
)
_IMAGE = Step("boot", ("bootc", "upgrade"), "reboot")
_IRQBALANCE = Step("host", ("systemctl", "try-restart", "irqbalance*.service"), "live")
_START_IRQBALANCE = Step(
    "host",
    ("sh", "-c", "! systemctl -q is-enabled irqbalance.service || systemctl start irqbalance.service"),
    "live",
)
_IRQS = (
    _RELOAD,
    Step("boot", ("systemctl", "enable", "kvmc-irqs.timer"), "reboot"),
    Step("host", ("systemctl", "restart", "kvmc-irqs.timer"), "live"),
)
_TUNED = (
    Step("host", ("systemctl", "enable", "--now", "tuned.service"), "live"),
    Step("host", ("tuned-adm", "profile", "kvmc"), "live"),
)
_TUNED_OFF = Step("host", ("tuned-adm", "off"), "live")
_SYSCTL = "etc/sysctl.d/90-kvmc.conf"
_SIZES = ("2M", "1G")


def _unit(path: str, verb: str, effect: str) -> Known:
    name = path.rpartition("/")[2]
    enable = Step("boot", ("systemctl", "enable", name), "reboot")
    gone = Step("reload", ("systemctl", "disable", name), "reboot")
    return Known(
        steps=(_RELOAD, enable, Step("host", ("systemctl", verb, name), effect)), before=(gone,), after=(_RELOAD,)
    )


_UNITS = "etc/systemd/system/"
KNOWN: Mapping[str, Known] = {
    "etc/default/grub.d/zz-kvmc.cfg": Known(steps=(_GRUB,), after=(_GRUB,)),
    "etc/kvmc/cmdline": Known(steps=(_KERNELS,), after=(_KERNELS,)),
    "etc/kernel/install.d/95-kvmc.install": Known("0755", (_KERNELS,)),
    "usr/lib/bootc/kargs.d/90-kvmc.toml": Known(steps=(_IMAGE,), after=(_IMAGE,)),
    _SYSCTL: Known(steps=(Step("host", ("sysctl", "-p", f"/{_SYSCTL}"), "live"),)),
    "etc/tuned/kvmc/tuned.conf": Known(steps=_TUNED, before=(_TUNED_OFF,)),
    "etc/tuned/profiles/kvmc/tuned.conf": Known(steps=_TUNED, before=(_TUNED_OFF,)),
    "etc/modprobe.d/kvmc.conf": Known(),
    "etc/systemd/system.conf.d/90-kvmc.conf": Known(steps=(_REEXEC,), after=(_REEXEC,)),
    f"{_UNITS}irqbalance.service.d/90-kvmc.conf": Known(steps=(_RELOAD, _IRQBALANCE), after=(_RELOAD, _IRQBALANCE)),
    f"{_UNITS}kvmc-irqs.timer": Known(
        steps=_IRQS,
        before=(Step("reload", ("systemctl", "disable", "--now", "kvmc-irqs.timer"), "live"),),
        after=(_RELOAD,),
    ),
    f"{_UNITS}kvmc-irqs.service": Known(steps=_IRQS, after=(_RELOAD,)),
    "etc/kvmc/place-irqs": Known("0755", _IRQS),
    "etc/kvmc/irqs-of-guests": Known(steps=_IRQS),
    f"{_UNITS}irqbalance.service.d/91-kvmc-irqs.conf": Known(
        steps=(_RELOAD, _IRQBALANCE), after=(_RELOAD, _START_IRQBALANCE)
    ),
    f"{_UNITS}kvmc-vfs.service": _unit(f"{_UNITS}kvmc-vfs.service", "restart", "live"),
    "etc/kvmc/make-vfs": Known("0755"),
    f"{_UNITS}kvmc-hugepages.service": _unit(f"{_UNITS}kvmc-hugepages.service", "restart", "live"),
    "etc/kvmc/reserve-hugepages": Known("0755"),
    f"{_UNITS}kvmc-vswitch.service": _unit(f"{_UNITS}kvmc-vswitch.service", "restart", "restart"),
    "etc/kvmc/set-vswitch": Known("0755"),
    f"{_UNITS}kvmc-resctrl.service": _unit(f"{_UNITS}kvmc-resctrl.service", "restart", "restart"),
    "etc/kvmc/share-resctrl": Known("0755"),
    **{path: _unit(path, "start", "restart") for size in _SIZES for path in (f"{_UNITS}dev-hugepages{size}.mount",)},
}
"""Every file that kvmc writes to a host."""

# A profile is loaded by the daemon that the step before it starts.
_AFTER = ((_TUNED[0].run, _TUNED[1].run),)


def installed(path: str) -> bool:
    """Whether a file of the tree is laid out as on the host."""
    return path.startswith(("etc/", "usr/"))


def check(
    host: str,
    file: File,
    files: Mapping[str, File],
    retired: Mapping[str, str] | None,
    bag: Bag,
    *,
    twisted: Collection[str],
    site: bool,
    missing: Collection[str],
) -> None:
    """files: all of the host's tree, by path. retired: guests to be undefined there, name to uuid; None where not known.

    twisted: paths of which enough is said. site: whether a file that is not listed is one too many. missing: paths of domains that
    are to be somewhere and are not, which is told elsewhere.
    """
    root = jsonplaces.parse(file, bag)
    if root is None:
        return
    listing = _Listing(root, bag, twisted, site, missing)
    paths = sorted(files)
    listing.scalar("format", 1, "its format")
    listing.scalar("host", host, "its host")
    listing.known_keys(root, ("generated", "format", "host", "absent", "files", "steps"))
    listing.files(files)
    listing.absent([path for path in KNOWN if path not in paths])
    listing.steps(paths, retired)


@dataclass(slots=True)
class _Listing:
    """As `check` has them."""

    root: Value
    bag: Bag
    twisted: Collection[str]
    site: bool
    missing: Collection[str]

    def wrong(self, place: Span, text: str) -> None:
        self.bag.error(codes.APPLY_WRONG, text, place)

    def scalar(self, name: str, wanted: object, what: str) -> None:
        has = self.root.get(name)
        if has != wanted or isinstance(has, bool):
            self.wrong(self.root.place(name), f"`apply.json` has {has!r} as {what}, and it is {wanted!r}")

    def known_keys(self, value: Value, names: Sequence[str]) -> None:
        for name, field in value.fields.items():
            if name not in names:
                self.wrong(field.span, f"`{name[:40]}` is nothing that `apply.json` tells")

    def files(self, files: Mapping[str, File]) -> None:
        rows = self._rows("files", ("path", "from", "mode", "effect"))
        for path, file in files.items():
            row = rows.pop(f"/{path}", None) if installed(path) else None
            if path == PATH or path.startswith("measure/") or (path.startswith("domains/") and path.endswith(".xml")):
                continue
            if row is None and path not in KNOWN:
                if path in self.twisted or not self.site:
                    continue
                text = f"`{path[:100]}` is in the tree, and none of the files of host `{self.root.get('host')}`"
                self.bag.error(codes.FILE_UNLISTED, text, file.head)
                continue
            if row is None:
                self.wrong(self.root.place("files"), f"`{path}` is in the tree, and `apply.json` does not install it")
                continue
            known = KNOWN.get(path)
            effects = [step.effect for step in known.steps] if known else []
            strongest = max(effects, key=_STRENGTH.index) if effects else "reboot"
            wanted = {"from": path} | ({"mode": known.mode, "effect": strongest} if known else {})
            for name, text in wanted.items():
                if row.get(name) != text:
                    self.wrong(row.place(name), f"`{name}` of `{path}` is {row.get(name)!r}, and is to be `{text}`")
        for path, row in rows.items():
            self.wrong(row.place("path"), f"`apply.json` installs `{path[:100]}`, which is not in the tree")

    def absent(self, paths: Sequence[str]) -> None:
        rows = self._rows("absent", ("path", "before", "after"))
        for path in paths:
            row = rows.pop(f"/{path}", None)
            if row is None:
                self.wrong(
                    self.root.place("absent"), f"`{path}` is not in the tree, and `apply.json` leaves it on the host"
                )
                continue
            for name, wanted in (("before", KNOWN[path].before), ("after", KNOWN[path].after)):
                self._exactly(row, name, wanted, path)
        for path, row in rows.items():
            self.wrong(
                row.place("path"), f"`apply.json` takes `{path[:100]}` away, which is none of kvmc's or in the tree"
            )

    def _exactly(self, row: Value, name: str, wanted: Sequence[Step], path: str) -> None:
        has = [(self._step(item), item) for item in row.below(name)]
        for step, (found, item) in zip(wanted, has, strict=False):
            if found != step:
                self.wrong(
                    _where(item, found, step),
                    f"what is run {name} `{path}` goes is `{_shown(found)}`, not `{_shown(step)}`",
                )
        if len(has) > len(wanted):
            self.wrong(
                has[len(wanted)][1].place("run"),
                f"`{_shown(has[len(wanted)][0])}` is run {name} `{path}` goes, for nothing",
            )
        elif len(has) < len(wanted):
            self.wrong(row.place(name), f"`{_shown(wanted[len(has)])}` is not run {name} `{path}` goes")

    def _rows(self, name: str, keys: Sequence[str]) -> dict[str, Value]:
        """The rows of a list by their path; one without and one that stands twice are findings."""
        rows: dict[str, Value] = {}
        for row in self.root.below(name):
            path = row.get("path")
            self.known_keys(row, keys)
            if not isinstance(path, str):
                self.wrong(row.span, f"a row of `{name}` has no path")
            elif path in rows:
                self.wrong(row.place("path"), f"`{path[:100]}` is twice in `{name}`")
            else:
                rows[path] = row
        return rows

    def _step(self, item: Value) -> Step:
        self.known_keys(item, ("phase", "run", "effect", "note"))
        run = tuple(jsonplaces.texts(item.fields["run"], self.bag)) if "run" in item.fields else ()
        return Step(str(item.get("phase")), run, str(item.get("effect")))

    def steps(self, paths: Sequence[str], retired: Mapping[str, str] | None) -> None:
        wanted = _wanted(paths, retired)
        places: dict[tuple[str, ...], tuple[int, Step, Value]] = {}
        stray: list[tuple[Step, Value]] = []
        last = 0
        for index, item in enumerate(self.root.below("steps")):
            step = self._step(item)
            if step.phase not in _PHASES:
                self.wrong(item.place("phase"), f"`{step.phase[:40]}` is no phase")
                continue
            if _PHASES.index(step.phase) < last:
                self.wrong(
                    item.place("phase"),
                    f"`{_shown(step)}` of phase `{step.phase}` comes behind phase `{_PHASES[last]}`",
                )
            last = max(last, _PHASES.index(step.phase))
            if step.run in places:
                self.wrong(item.place("run"), f"`{_shown(step)}` is run twice")
                continue
            places[step.run] = (index, step, item)
            same = wanted.pop(step.run, None)
            unknown = same is None and retired is None and _is_undefine(step)
            known = step.run[:-1] == (*_VIRSH, "define", "--validate") and step.run[-1] in self.missing
            if same is None and not unknown and not known:
                stray.append((step, item))
            elif same is not None and same != step:
                self.wrong(
                    _where(item, step, same),
                    f"`{_shown(step)}` is of phase `{step.phase}` and effect `{step.effect}`, "
                    f"and is to be `{same.phase}` and `{same.effect}`",
                )
        for step, item in stray:
            meant = _nearest(step, wanted)
            if meant is None:
                self.wrong(item.place("run"), f"`{_shown(step)}` is run, for which there is no file and no guest")
                continue
            del wanted[meant.run]
            self.wrong(_where(item, step, meant), f"`{_shown(step)}` is run, and `{_shown(meant)}` is to be")
        for step in wanted.values():
            if step.run[-1] in self.twisted:
                continue
            self.wrong(self.root.place("steps"), f"`{_shown(step)}` is not run")
        self._order(places)

    def _order(self, places: Mapping[tuple[str, ...], tuple[int, Step, Value]]) -> None:
        pairs = list(_AFTER)
        undefines = [run for run in places if run[: len(_UNDEFINE)] == _UNDEFINE]
        defines = [run for run in places if run[:4] == (*_VIRSH, "define")]
        pairs += [(undefine, define) for undefine in undefines for define in defines[:1]]
        for first, second in pairs:
            if first in places and second in places and places[first][0] > places[second][0]:
                _, step, item = places[first]
                self.wrong(item.place("run"), f"`{_shown(step)}` comes behind `{' '.join(second)}`, which needs it")


def _wanted(paths: Sequence[str], retired: Mapping[str, str] | None) -> dict[tuple[str, ...], Step]:
    """Every step by its words, at the strongest effect that a file asks for."""
    asked = [step for path in paths for step in (KNOWN[path].steps if path in KNOWN else ())]
    asked += [
        Step("guests", (*_VIRSH, "define", "--validate", path), "restart")
        for path in paths
        if path.startswith("domains/")
    ]
    asked += [Step("guests", (*_UNDEFINE, uuid), "restart") for uuid in (retired or {}).values()]
    found: dict[tuple[str, ...], Step] = {}
    for step in asked:
        same = found.get(step.run, step)
        found[step.run] = max(same, step, key=lambda one: _STRENGTH.index(one.effect))
    return found


def _nearest(step: Step, wanted: Mapping[tuple[str, ...], Step]) -> Step | None:
    """The step that is not run and has all words but one."""
    for one in wanted.values():
        same = sum(has == word for has, word in zip(step.run, one.run, strict=False))
        if max(len(step.run), len(one.run)) - same == 1 and len(one.run) > 1:
            return one
    return None


def _is_undefine(step: Step) -> bool:
    *head, uuid = step.run or ("",)
    return (
        tuple(head) == _UNDEFINE
        and _UUID.fullmatch(uuid) is not None
        and (step.phase, step.effect) == ("guests", "restart")
    )


def _where(item: Value, has: Step, wanted: Step) -> Span:
    """The field that differs, down to the word of a command."""
    if has.run == wanted.run:
        return item.place("phase" if has.phase != wanted.phase else "effect")
    words = item.below("run")
    index = next(
        (index for index, (one, other) in enumerate(zip(has.run, wanted.run, strict=False)) if one != other), None
    )
    return words[index].span if index is not None and index < len(words) else item.place("run")


def _shown(step: Step) -> str:
    text = " ".join(step.run)
    return text if len(text) <= 80 else text[:80] + "..."
