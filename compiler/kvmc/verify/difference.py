"""One thing that runs otherwise than it was compiled, and the forms in which it is told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kvmc.diagnostics import Code, Diagnostic, Label, Sources, Span
from kvmc.diagnostics.codes import verify as codes


class Effect(StrEnum):
    """When a change takes hold, from the weakest to the strongest."""

    LIVE = "live"
    RESTART = "guest restart"
    MIGRATION = "migration"
    REBOOT = "host reboot"


STRENGTH = tuple(Effect)


class Kind(StrEnum):
    """What differs; the label `kind` of the metrics."""

    BOOT_LINE = "boot_line"
    CPU_SET = "cpu_set"
    CPU_OFFLINE = "cpu_offline"
    PAGES = "pages"
    PAGES_FREE = "pages_free"
    SYSCTL = "sysctl"
    MODULE = "module"
    TUNED_PROFILE = "tuned_profile"
    SETTING = "setting"
    INTERRUPT = "interrupt"
    SERVICES = "services"
    VFS = "vfs"
    FILE = "file"
    GUEST_UNDEFINED = "guest_undefined"
    GUEST_FOREIGN = "guest_foreign"
    GUEST_DEFINITION = "guest_definition"
    GUEST_PIN = "guest_pin"
    GUEST_SCHEDULER = "guest_scheduler"
    GUEST_MEMORY = "guest_memory"
    GUEST_THREAD = "guest_thread"
    NOT_TOLD = "not_told"


_CODES: dict[Kind, Code] = {
    Kind.BOOT_LINE: codes.BOOT_LINE,
    Kind.CPU_SET: codes.CPU_SET,
    Kind.CPU_OFFLINE: codes.CPU_OFFLINE,
    Kind.PAGES: codes.PAGES,
    Kind.PAGES_FREE: codes.PAGES_TAKEN,
    Kind.SYSCTL: codes.SYSCTL,
    Kind.MODULE: codes.MODULE,
    Kind.TUNED_PROFILE: codes.TUNED_PROFILE,
    Kind.SETTING: codes.SETTING,
    Kind.INTERRUPT: codes.INTERRUPT,
    Kind.SERVICES: codes.SERVICES,
    Kind.VFS: codes.VFS,
    Kind.FILE: codes.FILE,
    Kind.GUEST_UNDEFINED: codes.GUEST_UNDEFINED,
    Kind.GUEST_FOREIGN: codes.GUEST_FOREIGN,
    Kind.GUEST_DEFINITION: codes.GUEST_DEFINITION,
    Kind.GUEST_PIN: codes.GUEST_PIN,
    Kind.GUEST_SCHEDULER: codes.GUEST_SCHEDULER,
    Kind.GUEST_MEMORY: codes.GUEST_MEMORY,
    Kind.GUEST_THREAD: codes.GUEST_THREAD_MISSING,
    Kind.NOT_TOLD: codes.NOT_CAPTURED,
}


def shown(text: str) -> str:
    """A value as messages show it."""
    text = " ".join(text.split())
    return text if len(text) <= 120 else text[:117] + "..."


@dataclass(frozen=True, slots=True)
class Difference:
    """subject: what differs, in a few words. runs, compiled: the two values; empty where there is none.

    place: what says it in the artifacts. setters: who else sets it, or why it runs so. effect: when what applies it takes hold;
    steps: what to do. pending: nothing is left to do but the restart or the reboot.
    """

    kind: Kind
    subject: str
    runs: str
    compiled: str
    place: Span | None
    effect: Effect
    steps: tuple[str, ...] = ()
    setters: tuple[str, ...] = ()
    pending: bool = False
    guest: str | None = None

    @property
    def message(self) -> str:
        runs = f"is {shown(self.runs)}" if self.runs else "is not there"
        compiled = f"{shown(self.compiled)} was compiled" if self.compiled else "none was compiled"
        return f"{self.subject} {runs}; {compiled}"

    def diagnostic(self) -> Diagnostic:
        label = Label(self.place, "compiled here" if self.compiled else "") if self.place else None
        notes = (*self.setters, f"takes hold: {self.effect}" + (" (pending)" if self.pending else ""))
        return Diagnostic(_CODES[self.kind], self.message, label, (), notes, self.steps)

    def row(self, sources: Sources) -> dict[str, object]:
        """For programs."""
        file, line = None, None
        if self.place is not None:
            file, line = self.place.file, sources.position(self.place.file, self.place.start)[0]
        return {
            "kind": self.kind,
            "subject": self.subject,
            "guest": self.guest,
            "runs": self.runs or None,
            "compiled": self.compiled or None,
            "file": file,
            "line": line,
            "effect": self.effect,
            "pending": self.pending,
            "steps": list(self.steps),
            "setters": list(self.setters),
        }


def textfile(host: str, differences: Iterable[Difference], *, read: bool = True) -> str:
    """For node_exporter's textfile collector: gauges of every kind, so that one which is gone reads 0 and not as absent.

    read: whether all could be compared; else 0 differences would say nothing."""
    found = list(differences)
    counts = Counter(one.kind for one in found)
    name = _escaped(host)
    lines = [
        "# HELP kvmc_verify_differences What runs otherwise than it was compiled.",
        "# TYPE kvmc_verify_differences gauge",
        *(f'kvmc_verify_differences{{host="{name}",kind="{kind}"}} {counts[kind]}' for kind in Kind),
        "# HELP kvmc_verify_pending What waits for a restart or a reboot and nothing else.",
        "# TYPE kvmc_verify_pending gauge",
    ]
    for effect in (Effect.RESTART, Effect.REBOOT):
        number = sum(one.pending and one.effect is effect for one in found)
        lines.append(f'kvmc_verify_pending{{host="{name}",effect="{effect}"}} {number}')
    lines += [
        "# HELP kvmc_verify_success Whether all could be compared.",
        "# TYPE kvmc_verify_success gauge",
        f'kvmc_verify_success{{host="{name}"}} {int(read)}',
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """A label's value (Prometheus exposition format): backslash, quote and newline are escaped."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
