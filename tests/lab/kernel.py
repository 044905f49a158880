"""The distribution's kernel image, unpacked by install.sh into the lab's cache."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """`KVMC_LAB`, or `kvmc-lab` in the user's cache folder (XDG base directories)."""
    own = os.environ.get("KVMC_LAB")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "kvmc-lab"


def image() -> Path | None:
    """The newest kernel image in the cache."""
    found = sorted((cache_dir() / "kernel" / "boot").glob("vmlinuz-*"))
    return found[-1] if found else None


def module(name: str) -> Path:
    """A module of the newest image. Raises FileNotFoundError."""
    boot = image()
    release = boot.name.removeprefix("vmlinuz-") if boot else ""
    folder = cache_dir() / "kernel" / "lib" / "modules" / release
    for path in folder.rglob(f"{name}.ko"):
        return path
    raise FileNotFoundError(f"the kernel {release} has no module {name}")
