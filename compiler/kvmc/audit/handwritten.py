"""Files that people wrote and keep as they like: which of them is what, told by its path, and by its text where that says nothing.

A host has one boot line. Of several places that may hold it, the nearest to the kernel is taken: the line that it was booted with,
then boot entries, then what tools make entries from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kvmc.audit.source import File
from kvmc.audit.tree import read_texts
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import audit as codes

_DOMAIN = re.compile(r"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<domain[\s>]", re.DOTALL)
_XML = re.compile(r"\s*(?:<\?xml|<!--|<[a-z]+[\s/>])")
_BY_PATH: tuple[tuple[str, str], ...] = (
    ("entry", r"loader/entries/[^/]+\.conf"),
    ("words", r"kernel/cmdline|cmdline\.d/[^/]+\.conf|kvmc/cmdline"),
    ("booted", r"(proc/)?cmdline(\.txt)?"),
    ("grub", r"(etc/)?default/grub|grub|(default/)?grub\.d/[^/]+\.cfg|default/grub\.[^/]+"),
    ("bootc", r"kargs\.d/[^/]+\.toml"),
    ("sysctl", r"sysctl\.d/[^/]+\.conf|sysctl\.conf|[^/]*\.sysctl(\.conf)?"),
    ("modprobe", r"modprobe\.d/[^/]+\.conf|modprobe\.conf"),
    ("tuned", r"tuned\.conf|[^/]*variables\.conf|tuned/.*\.conf"),
    ("environment", r"(default|sysconfig)/irqbalance|irqbalance(\.env)?"),
    ("unit", r"systemd/.+\.(conf|service|slice|scope|target|mount|timer|path|socket)|system\.conf"),
    ("unit", r"[^/]+\.(service|slice|scope|mount|timer|path|socket)"),
    ("runtime", r"tmpfiles\.d/[^/]+\.conf|udev/rules\.d/[^/]+\.rules|rc\.local|[^/]+\.sh"),
)
_PATTERNS = tuple((kind, re.compile(rf"(?:.*/)?(?:{pattern})")) for kind, pattern in _BY_PATH)
_STANDARD = {
    "sysctl": "etc/sysctl.d/",
    "modprobe": "etc/modprobe.d/",
    "unit": "etc/systemd/system/",
    "runtime": "etc/kvmc/",
    "grub": "etc/default/grub.d/",
    "domain": "domains/",
}
_BOOT = ("booted", "entry", "bootc", "words", "grub")
"""Where a boot line may be, the nearest to the kernel first."""
_OPTIONS = re.compile(r"^options[ \t]+(?=\S+=|\$|\S)", re.MULTILINE)
_KERNEL_WORD = re.compile(r"(?:^|\s)(?:isolcpus|nohz_full|hugepages|root|BOOT_IMAGE|ro|quiet|default_hugepagesz)\b")
_ASSIGNS = re.compile(r"-?[a-z][a-z0-9_-]*([./][A-Za-z0-9_*-]+)+[ \t]*=.*")
_MODPROBE = re.compile(r"(?:options|blacklist|alias|install|remove|softdep)\s+\S+.*")
_TUNED = re.compile(
    r"^\[(?:main|sysctl|sysfs|cpu|vm|bootloader|scheduler|variables|irqbalance|modules)\]", re.MULTILINE
)
_UNIT = re.compile(r"^\[(?:Unit|Service|Mount|Manager|Slice|Install|Timer)\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it is named to the user, and what it is; None for nothing that the audit knows."""

    name: str
    text: str
    kind: str | None


def kind_of(path: str, text: str) -> str | None:
    """What a file is."""
    if path.rsplit("/", 1)[-1].upper().startswith("README"):
        return None
    if _XML.match(text):
        return "domain" if _DOMAIN.match(text) else None
    for kind, pattern in _PATTERNS:
        if pattern.fullmatch(path):
            return kind
    return _by_text(text)


def _by_text(text: str) -> str | None:
    if "GRUB_CMDLINE_LINUX" in text:
        return "grub"
    if _UNIT.search(text):
        return "unit"
    if _TUNED.search(text):
        return "tuned"
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", ";"))]
    if not lines:
        return None
    if all(_ASSIGNS.fullmatch(line) for line in lines):
        return "sysctl"
    if re.search(r"^(title|linux|initrd)\s", text, re.MULTILINE) and _OPTIONS.search(text):
        return "entry"
    if all(_MODPROBE.fullmatch(line) for line in lines):
        return "modprobe"
    if "IRQBALANCE_" in text:
        return "environment"
    if len(lines) == 1 and len(_KERNEL_WORD.findall(lines[0])) > 1:
        return "words"
    return None


def read(paths: Iterable[Path]) -> list[Found]:
    """Every file of the paths, which are files or folders, in order and each once. Nothing is followed out of a folder."""
    found: dict[str, Found] = {}
    for path in paths:
        shown = path.as_posix()
        for below, text in read_texts(path).items():
            name = os.path.normpath(f"{shown}/{below}" if below else shown)
            if name not in found:
                found[name] = Found(name, text, kind_of(name.lstrip("/"), text))
    return list(found.values())


def host_files(found: Iterable[Found], bag: Bag) -> list[File]:
    """The files as those of a host, `path` being where such a file lies on one, in the order in which they take hold. A domain
    that is there twice, word for word, is there once."""
    every = list(found)
    boot = next((kind for kind in _BOOT if any(one.kind == kind for one in every)), None)
    entry = _entry([one for one in every if one.kind == "entry"]) if boot == "entry" else None
    files: list[File] = []
    for one in every:
        kind = one.kind
        if kind is None:
            place = File(one.name, one.name, one.text)
            bag.error(codes.FILE_UNKNOWN, f"`{one.name}` is none of the files that the audit knows", place.head)
        elif kind in _BOOT and (kind != boot or (entry is not None and one is not entry)):
            place = File(one.name, one.name, one.text)
            bag.error(
                codes.BOOT_LINE_ELSE,
                f"`{one.name}` is not taken for the boot line, which another file tells",
                place.head,
            )
        else:
            text = _options(one.text) if kind == "entry" else one.text
            file = File(one.name, _path(kind, one.name), text)
            if kind != "domain" or all(other.text != file.text for other in files):
                files.append(file)
    return sorted(files, key=lambda file: file.path)


def _entry(entries: list[Found]) -> Found | None:
    """The entry of the newest kernel: the last in the order of version numbers; no rescue entry while there is another."""

    def order(one: Found) -> tuple[bool, list[tuple[int, str]]]:
        parts = re.findall(r"[0-9]+|[^0-9]+", one.name)
        return "rescue" not in one.name, [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]

    return max(entries, key=order, default=None)


def _options(text: str) -> str:
    """A boot entry with its options alone, each character where it was. Words that only GRUB's environment tells are left out."""
    out: list[str] = []
    for line in text.split("\n"):
        match = re.match(r"options[ \t]+", line)
        kept = (
            " " * match.end() + re.sub(r"\$\S+", lambda word: " " * len(word[0]), line[match.end() :]) if match else ""
        )
        out.append(kept.ljust(len(line)))
    return "\n".join(out)


def _path(kind: str, name: str) -> str:
    """Where such a file lies on a host. Names are kept, so that later ones win as they do there."""
    base = name.rsplit("/", 1)[-1]
    if kind in ("booted", "entry", "words"):
        return f"etc/kernel/cmdline.d/{base}.conf"
    if kind == "bootc":
        return f"usr/lib/bootc/kargs.d/{base}"
    if kind == "environment":
        return "etc/default/irqbalance"
    if kind == "grub":
        return "etc/default/grub" if not base.endswith(".cfg") else f"{_STANDARD['grub']}{base}"
    if kind == "tuned":
        folder = name.rsplit("/", 2)[-2] if name.count("/") else "profile"
        profile = f"etc/tuned/{folder}/tuned.conf"
        return f"etc/tuned/{base}" if base.endswith("variables.conf") else profile
    if kind == "unit":
        match = re.search(r"systemd/((?:system|user)(?:\.conf(?:\.d/[^/]+)?|/.+))$", name)
        if match:
            return f"etc/systemd/{match[1]}"
        return "etc/systemd/system.conf" if base == "system.conf" else f"{_STANDARD['unit']}{base}"
    suffix = "" if base.endswith((".conf", ".xml")) or kind == "runtime" else ".xml" if kind == "domain" else ".conf"
    return f"{_STANDARD[kind]}{base}{suffix}"
