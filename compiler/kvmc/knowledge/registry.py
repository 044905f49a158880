"""All that is known, and the questions asked of it by name: one registry, whatever kvmc does with a knob.

Only what asks by name imports this: raw settings, `explain`, the audit of files that people wrote, the pages. What kvmc writes by
itself is in `knobs.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from kvmc.knowledge.boot_known import BOOT_KNOWN
from kvmc.knowledge.file_known import FILES_KNOWN, SCHEDULER_MOVED
from kvmc.knowledge.folklore import FOLKLORE, Folklore, plain
from kvmc.knowledge.guest_known import GUEST_KNOWN
from kvmc.knowledge.knobs import KNOBS
from kvmc.knowledge.model import Knob, Status
from kvmc.knowledge.module_known import MODULE_KNOWN
from kvmc.knowledge.scheduler import SCHEDULER
from kvmc.knowledge.sysctl_known import SYSCTL_KNOWN
from kvmc.knowledge.tuned_known import TUNED_KNOWN

REGISTRY: tuple[Knob, ...] = (
    *KNOBS,
    *SCHEDULER,
    *BOOT_KNOWN,
    *MODULE_KNOWN,
    *SYSCTL_KNOWN,
    *SCHEDULER_MOVED,
    *FILES_KNOWN,
    *TUNED_KNOWN,
    *GUEST_KNOWN,
)
"""Every real knob. Of two rows of one name (a word that one release had and another has elsewhere) their ranges tell which."""

_FILE = re.compile(r"/sys/module/([^/]+)/parameters/([^/]+)")
_DEBUG = "/sys/kernel/debug/"


@cache
def _by_key() -> dict[tuple[str, str], tuple[Knob, ...]]:
    found: dict[tuple[str, str], tuple[Knob, ...]] = {}
    for knob in REGISTRY:
        found[knob.carrier, knob.key] = (*found.get((knob.carrier, knob.key), ()), knob)
    return found


@cache
def _patterns() -> tuple[Knob, ...]:
    return tuple(knob for knob in REGISTRY if "*" in knob.key)


def rows(layer: str, key: str) -> tuple[Knob, ...]:
    """The rows of a knob as its layer spells it; those with a pattern after those that name it."""
    if layer == "cmdline":
        key = key.replace("-", "_")
    elif layer == "modprobe":
        module, dot, option = key.partition(".")
        key = f"{module.replace('-', '_')}{dot}{option.replace('-', '_')}"
    exact = _by_key().get((layer, key), ())
    if exact:
        return exact
    found = tuple(knob for knob in _patterns() if knob.matches(layer, key))
    if not found and layer == "tuned" and key.startswith("sysfs./"):
        path = key.removeprefix("sysfs.")
        return rows("debugfs" if path.startswith(_DEBUG) else "sysfs", path)
    if not found and layer == "sysfs" and (match := _FILE.fullmatch(key)) is not None:
        return rows("modprobe", f"{match[1]}.{match[2]}")
    if not found and layer == "cmdline" and key.startswith("sysctl."):
        return rows("sysctl", key.removeprefix("sysctl.").replace("/", "."))
    if not found and layer == "cmdline" and "." in key:
        return rows("modprobe", key)
    return found


def folklore(key: str, value: str | None = None, module: str = "") -> Folklore | None:
    """The folklore that a key of a host's file is, or its value; None for what is real or not known.

    key: as its file spells it, with dots or without. module: of an option of a module.
    """
    written = key.strip()
    last = re.split(r"[./]", written)[-1]
    names = {plain(written), plain(last)}
    if module:
        names.add(plain(f"{module} {key}"))
    for one in FOLKLORE:
        if one.exact:
            if written in one.exact or last in one.exact:
                return one
            continue
        if one.value:
            if names & set(one.plain) and value is not None and one.value in value.strip("\"'").split(","):
                return one
            continue
        if one.modules and (module or written != last) and not _has_not(one, module or written.rpartition(".")[0]):
            continue
        if names & set(one.plain) or (value and plain(value.strip("\"'")) in one.plain):
            return one
    return None


def _has_not(one: Folklore, module: str) -> bool:
    """Whether a module (or a sysctl's branch) is one that has no option of that name."""
    return module.replace("-", "_") in one.modules or (
        "_" not in module and module in ("kernel", "vm", "net", "fs", "dev")
    )


def names() -> Iterator[str]:
    """Every name as a user may write it, each once."""
    seen: set[str] = set()
    for name in (*(knob.key for knob in REGISTRY), *(one.name for one in FOLKLORE)):
        if name not in seen and "*" not in name:
            seen.add(name)
            yield name


def status_in(knob: Knob) -> Status:
    """What kvmc does with a row: a knob with an end and a successor has moved, wherever it is written where it still is."""
    return Status.MOVED if knob.status is Status.EMITTED and knob.instead and knob.until else knob.status
