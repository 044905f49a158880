"""`kvmc explain NAME`: whatever name of a knob a user brings, as articles, files and other programs spell it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise

from kvmc.knowledge import describe
from kvmc.knowledge.folklore import FOLKLORE, Folklore, plain
from kvmc.knowledge.model import Knob, Status
from kvmc.knowledge.registry import REGISTRY, folklore, rows, status_in
from kvmc.knowledge.stock_profiles import PROFILES, READ, chain
from kvmc.knowledge.stock_releases import RELEASES

_LONGEST = 200
_MOST = 8
_LAYERS = tuple(describe.LAYERS)
_PARAMETER = re.compile(r"/sys/module/([^/\s]+)/parameters/([^/\s]+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """known: whether there was something to tell; else `near` has names that look like it."""

    known: bool
    text: str
    near: tuple[str, ...] = ()


def answer(name: str) -> Answer:
    """All that is known under a name."""
    name = name.strip().strip("`'\"<>")[:_LONGEST]
    if not name:
        return Answer(False, "")
    told = _folklore(name)
    real = [_of_knob(knob) for knob in _real(name)[:_MOST]]
    if told is not None or real:
        return Answer(True, "\n".join([*([_of_folklore(told)] if told else []), *real]))
    if name in PROFILES:
        return Answer(True, _of_profile(name))
    return Answer(False, "", _near(name))


def _split(name: str) -> tuple[str, str | None]:
    key, equals, value = name.partition("=")
    return key.strip(), value.strip() if equals else None


def _folklore(name: str) -> Folklore | None:
    """Of the whole text, of what stands before `=`, of two neighbouring words, of each word."""
    key, value = _split(name)
    words = name.split()
    tries: list[tuple[str, str | None]] = [(name, None), (key, value)]
    tries += [(f"{first} {second}", None) for first, second in pairwise(words)]
    tries += [_split(word) for word in words] if len(words) > 1 else []
    return next((one for text, of in tries if (one := folklore(text, of)) is not None), None)


def _real(name: str) -> tuple[Knob, ...]:
    """Rows of exactly this name on any layer; where there is none, those whose last part it is."""
    key = _split(name)[0].removeprefix("-" if name.startswith("--") else "")
    found: dict[int, Knob] = {}
    for spelled in _spellings(key):
        for layer in _LAYERS:
            found.update((id(knob), knob) for knob in rows(layer, spelled))
    if not found:
        last = plain(re.split(r"[./]", key)[-1])
        found.update((id(knob), knob) for knob in REGISTRY if plain(re.split(r"[./@]", knob.key)[-1]) == last)
    return tuple(found.values())


def _spellings(key: str) -> Iterator[str]:
    yield key
    if key.startswith("/proc/sys/"):
        yield key.removeprefix("/proc/sys/").replace("/", ".")
    match = _PARAMETER.fullmatch(key)
    if match is not None:
        yield f"{match[1]}.{match[2]}"
    if key.startswith("domain/"):
        yield key.removeprefix("domain/")


def _near(name: str) -> tuple[str, ...]:
    wanted = plain(_split(name)[0])
    known: dict[str, str] = {}
    for one in (*(knob.key for knob in REGISTRY if "*" not in knob.key), *(one.name for one in FOLKLORE), *PROFILES):
        known.setdefault(plain(one), one)
        known.setdefault(plain(re.split(r"[./@]", one)[-1]), one)
    close = get_close_matches(wanted, known, n=6, cutoff=0.5)
    return tuple(dict.fromkeys(known[one] for one in close))[:4]


def _table(title: str, lines: Iterable[tuple[str, str]]) -> str:
    rows = [(what, text) for what, text in lines if text]
    width = max(len(what) for what, _ in rows)
    return f"{title}\n" + "".join(f"  {what.ljust(width)}  {text}\n" for what, text in rows)


def _of_folklore(one: Folklore) -> str:
    name = f"{one.name}={one.value}" if one.value else one.name
    lines = [("meant", one.meant), ("real", one.real), ("instead", one.instead), ("source", one.source)]
    return _table(f"{name}: {one.status}", lines)


def _of_knob(knob: Knob) -> str:
    status = status_in(knob)
    lines = [
        ("kvmc", f"`{knob.by}` has it written" if knob.by and status is Status.EMITTED else str(status)),
        ("value", describe.value(knob)),
        ("takes hold", describe.effect(knob)),
        ("releases", describe.releases(knob)),
        ("machines", describe.machines(knob)),
        ("use", knob.use),
        ("harm", knob.harm if knob.harm != "none" else ""),
        ("instead", knob.instead),
        ("source", knob.source),
    ]
    return _table(f"{knob.key}: {describe.LAYERS[knob.carrier]}", lines)


def _of_profile(name: str) -> str:
    lines = [("includes", " < ".join(one.name for one in chain(name)))]
    for profile in reversed(chain(name)):
        for section, key, value in profile.settings:
            lines.append((profile.name, f"[{section}] {key} = {value}"))
    for release, changes in RELEASES.items():
        shown = ".".join(map(str, release))
        for profile in reversed(chain(name)):
            change = changes.get(profile.name)
            for section, key in change.gone if change is not None else ():
                lines.append((f"in {shown}", f"{profile.name} has no [{section}] {key}"))
            for section, key, value in change.put if change is not None else ():
                lines.append((f"in {shown}", f"{profile.name} has [{section}] {key} = {value}"))
    return _table(f"{name}: stock profile of tuned {READ}, which kvmc does not include", lines)
