"""Words of the language: names made of what others call something, values in quotes, blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass

REASON = "taken as it was by kvmc import"
"""Why something raw is there, or what costs speed."""


@dataclass(frozen=True, slots=True)
class Network:
    """What NICs are on: libvirt's kind (`bridge`, `network`, `direct`), its name there, and macvtap's mode."""

    kind: str
    name: str
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a guest. storage: of a disk, the key of the storage that it is on. network: of a NIC, what it is on."""

    kind: str
    label: str
    settings: dict[str, str]
    storage: tuple[str, str] | None = None
    network: Network | None = None


@dataclass(frozen=True, slots=True)
class RawCandidate:
    """An element that may stand in a guest as it is. at: as the setting has it."""

    at: str
    label: str
    text: str


def names(text: str, default: str) -> str:
    """A name of the language: letters, digits, `.`, `_` and `-`, which begins with a letter or a digit."""
    made = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._")[:60].rstrip("-._")
    return made or default


def text_word(text: str) -> str:
    """A text in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def path_word(text: str) -> bool:
    """Whether it is a path that the language takes."""
    return (
        len(text) <= 200 and re.fullmatch(r"/[A-Za-z0-9/._+:@=,-]*", text) is not None and ".." not in text.split("/")
    )


def interface(text: str) -> bool:
    """Whether it is a network interface that the language takes."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,14}", text) is not None
