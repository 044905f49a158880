"""Files of a host: read, written whole or not at all; and the boot entry to fall back to."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from typing import Any

GRUB_MENU = "/boot/grub/grub.cfg"
GRUB_BEFORE = "/etc/grub.d/42_kvmc_before"
ENTRIES = "/boot/loader/entries"
ENTRY_BEFORE = ENTRIES + "/kvmc-before.conf"
GRUB_DROP_IN = "/etc/default/grub.d/zz-kvmc.cfg"
BLS_WORDS = "/etc/kvmc/cmdline"
KARGS = "/usr/lib/bootc/kargs.d/90-kvmc.toml"
TITLE = "before kvmc changed the boot line"


class ApplyError(Exception):
    """Something that the user has to know, as one sentence."""


def read_json(path: str, default: Any = None) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise ApplyError(f"{path} is no JSON: {error}") from None


def digest(path: str) -> str | None:
    """Of a regular file; None for anything else, and for what is not there."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except FileNotFoundError:
        return None


def put(path: str, data: bytes, mode: int, uid: int = 0, gid: int = 0, made: list[str] | None = None) -> None:
    """Write a file whole or not at all. made: takes the folders that had to be made."""
    folder = os.path.dirname(path)
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for one in reversed(missing):
        os.mkdir(one, 0o755)
        os.chmod(one, 0o755)
        if made is not None:
            made.append(one)
    part = path + ".kvmc-part"
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fchown(file.fileno(), uid, gid)
        os.fsync(file.fileno())
    os.rename(part, path)


def put_json(path: str, value: object) -> None:
    put(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode(), 0o600)


def unfit(paths: list[str], root: str = "/") -> str:
    """Why a host does not take boot-time settings in the way that they were compiled for; empty where it does. paths: the files
    that are to be written and are not there yet."""

    def has(path: str) -> bool:
        return os.path.exists(os.path.join(root, path.lstrip("/")))

    image = has("/run/ostree-booted")
    below_usr = [path for path in paths if path.startswith("/usr/")]
    if image and below_usr:
        return (
            f"{below_usr[0]} is part of this host's image, which nobody writes to while it runs: put it into the image, bring that "
            "out with `bootc upgrade`, and run this again"
        )
    if image and (GRUB_DROP_IN in paths or BLS_WORDS in paths):
        return "this host's system is an image (/run/ostree-booted): its platform needs `boot = bootc`"
    if not image and KARGS in paths:
        return (
            "this host's system is no image (no /run/ostree-booted): its platform needs `boot = grub` or `boot = bls`"
        )
    entries = os.path.join(root, ENTRIES.lstrip("/"))
    listed = os.path.isdir(entries) and any(name.endswith(".conf") for name in os.listdir(entries))
    if GRUB_DROP_IN in paths and listed and _blscfg(os.path.join(root, "etc/default/grub")):
        return f"this host keeps its boot entries in {ENTRIES}, where GRUB's menu takes them from: its platform needs `boot = bls`"
    if BLS_WORDS in paths and not listed:
        return f"this host has no boot entries in {ENTRIES}: its platform needs `boot = grub`"
    return ""


def _blscfg(path: str) -> bool:
    """Whether GRUB's settings name boot entries, as those of Fedora and RHEL do."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = re.findall(r"^\s*GRUB_ENABLE_BLSCFG=[\"']?(\w*)", file.read(), re.MULTILINE)
    except FileNotFoundError:
        return False
    return bool(found) and found[-1] == "true"


def boot_entry() -> tuple[str, str, int] | None:
    """A boot entry with the settings of now, so that a bad boot line can be left at the boot menu: path, text, mode."""
    if os.path.exists(GRUB_MENU):
        with open(GRUB_MENU, encoding="utf-8", errors="replace") as file:
            found = re.search(r"^menuentry .*?^}", file.read(), re.MULTILINE | re.DOTALL)
        if found is None:
            return None
        text = re.sub(r"^menuentry ('[^']*'|\S+)", f"menuentry '{TITLE}'", found.group(0), count=1)
        text = re.sub(r"(\$menuentry_id_option) '[^']*'", r"\1 'kvmc-before'", text, count=1)
        return GRUB_BEFORE, f'#!/bin/sh\nexec tail -n +3 "$0"\n{text}\n', 0o755
    names = sorted(os.listdir(ENTRIES)) if os.path.isdir(ENTRIES) else []
    running = [name for name in names if name.endswith(os.uname().release + ".conf")]
    if not running:
        return None
    with open(os.path.join(ENTRIES, running[0]), encoding="utf-8", errors="replace") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith(("title", "sort-key", "version"))]
    return ENTRY_BEFORE, "\n".join([f"title {TITLE}", "version 0", *lines]) + "\n", 0o600
