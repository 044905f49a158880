"""One host under comparison: what was compiled, what runs, and what was found so far."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from kvmc.audit.hostfiles import HostFiles
from kvmc.audit.source import File
from kvmc.diagnostics import Bag, Span
from kvmc.verify.difference import Difference, Effect, Kind
from kvmc.verify.root import Root

APPLY = "apply.json"


class ApplyList:
    """`apply.json` as far as it tells what applies what. A list that can't be read tells nothing."""

    def __init__(self, text: str) -> None:
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError):
            whole = {}
        table = whole if isinstance(whole, dict) else {}
        self.files = [one for one in _tables(table.get("files")) if _texts(one, "path", "from")]
        self.absent = [str(one["path"]) for one in _tables(table.get("absent")) if _texts(one, "path")]
        self.steps = [
            (str(one.get("phase")), [str(word) for word in argv])
            for one in _tables(table.get("steps"))
            if isinstance(argv := one.get("run"), list)
        ]
        """Phase and command of each step."""

    def step(self, *words: str) -> tuple[str, ...]:
        """The first command that has one of the words, as a sentence of advice; none where there is none. To enable a unit changes
        nothing that runs."""
        for _, argv in self.steps:
            enables = "enable" in argv and "--now" not in argv
            if any(word in argv for word in words) and not enables:
                return (f"run `{' '.join(argv)}`",)
        return ()

    def boot(self) -> tuple[str, ...]:
        """What writes the boot entries."""
        for phase, argv in self.steps:
            if phase == "boot" and "enable" not in argv:
                return (f"run `{' '.join(argv)}`",)
        return ()

    def profiles(self) -> list[str]:
        """The profiles that tuned is told to take; none where no step tells it."""
        for _, argv in self.steps:
            if argv[:2] == ["tuned-adm", "profile"]:
                return argv[2:]
        return []

    def effect(self, path: str) -> Effect:
        """When a file below the host's folder takes hold."""
        told = next((one.get("effect") for one in self.files if one["from"] == path), "reboot")
        return {"live": Effect.LIVE, "restart": Effect.RESTART}.get(str(told), Effect.REBOOT)


def _tables(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(table: Mapping[str, object], *keys: str) -> bool:
    return all(isinstance(table.get(key), str) for key in keys)


@dataclass
class Case:
    """texts: the artifacts, by their path below the host's folder. stale: files of the host that are not the compiled ones, with
    what is wrong; those that a difference was put down to are in `told`. boot_differs: keys of the boot line that differ."""

    host: str
    files: HostFiles
    texts: Mapping[str, str]
    root: Root
    apply: ApplyList
    found: list[Difference] = field(default_factory=list)
    notes: Bag = field(default_factory=Bag)
    stale: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    boot_differs: set[str] = field(default_factory=set)

    def value(self, path: str) -> str | None:
        """A file of one value."""
        text = self.root.read(path)
        return None if text is None else text.strip("\0 \t\r\n")

    def source(self, place: Span | None) -> str:
        """The artifact of a place, by its path below the host's folder."""
        return place.file.partition("/")[2] if place is not None else ""

    def add(
        self,
        kind: Kind,
        subject: str,
        runs: str,
        compiled: str,
        place: Span | None,
        effect: Effect,
        steps: Iterable[str] = (),
        setters: Iterable[str] = (),
        *,
        pending: bool = False,
        guest: str | None = None,
    ) -> None:
        path = self.source(place)
        causes = list(setters)
        if path in self.stale:
            causes.insert(0, self.stale[path])
            self.told.add(path)
        self.found.append(
            Difference(
                kind,
                subject,
                " ".join(runs.split()),
                " ".join(compiled.split()),
                place,
                effect,
                tuple(steps),
                tuple(causes),
                pending,
                guest,
            )
        )

    def missing(self, subject: str, compiled: str, place: Span | None) -> None:
        """What runs is not in the capture, or is nothing that can be read."""
        steps = ("capture the host again, as root: what is another user's is hidden from others",)
        if self.source(place) in self.stale:
            steps = ("install the file and capture the host again: a capture holds what the files on the host name",)
        self.add(Kind.NOT_TOLD, subject, "not told by what was captured", compiled, place, Effect.LIVE, steps)

    @cached_property
    def apply_file(self) -> File:
        return File(f"{self.host}/{APPLY}", APPLY, self.texts.get(APPLY, ""))
