"""The archive that a booted machine starts from: one uncompressed cpio, with busybox and what the test asks beside it.

Uncompressed, since unpacking on TCG takes longer than reading.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lab import kernel


class InitramfsError(Exception):
    """Something that belongs in the archive is not on this machine."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What a machine takes along.

    files: absolute path to text; executable where the text begins with `#!`. programs: names on PATH, kept at their path, with
    their libraries. trees: files and folders of this machine, kept at their path; a shared object brings its libraries.
    modules: kernel modules by name in the order to load, put at /lab/modules/.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


_BASE = {"busybox": "bin/busybox", "sysctl": "lab/sysctl"}


def _which(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise InitramfsError(f"no {name} on PATH")
    return found


@cache
def _libraries(programs: frozenset[str]) -> frozenset[str]:
    """Paths of the shared objects that the loader would bring in. A program without any is static."""
    listing = subprocess.run(["ldd", *sorted(programs)], capture_output=True, text=True, check=False).stdout
    if missing := re.findall(r"(\S+) => not found", listing):
        raise InitramfsError(f"no {', '.join(sorted(set(missing)))}")
    return frozenset(re.findall(r"(/\S+) \(0x", listing))


def _place(root: Path, source: str) -> None:
    target = root / source.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _below(paths: Iterable[str]) -> Iterable[str]:
    for path in paths:
        if not Path(path).exists():
            raise InitramfsError(f"no {path}")
        if Path(path).is_dir():
            yield from (str(one) for one in sorted(Path(path).rglob("*")) if one.is_file())
        else:
            yield path


def build(folder: Path, payload: Payload) -> Path:
    """Write `folder/initramfs`; `folder/root` is what is in it. Raises InitramfsError."""
    root = folder / "root"
    for name in ("bin", "sbin", "dev", "proc", "sys", "lab/modules", "tmp", "etc", "run", "usr", "var"):
        (root / name).mkdir(parents=True)
    dynamic = {_which(name) for name in payload.programs}
    for name in sorted(dynamic):
        _place(root, name)
    for path in _below(payload.trees):
        _place(root, path)
        if re.search(r"\.so(\.\d+)*$", path):
            dynamic.add(path)
    for name, place in _BASE.items():
        shutil.copy(_which(name), root / place)
    dynamic |= {_which(name) for name in _BASE if name != "busybox"}
    for library in sorted(_libraries(frozenset(dynamic))):
        _place(root, library)
    for index, name in enumerate(payload.modules):
        shutil.copy(kernel.module(name), root / f"lab/modules/{index:02}-{name}.ko")
    for name, text in payload.files.items():
        target = root / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755 if text.startswith("#!") else 0o644)
    names: list[str] = []
    for where, folders, files in os.walk(root):
        names += [str((Path(where) / name).relative_to(root)) for name in (*folders, *files)]
    archive = folder / "initramfs"
    with archive.open("wb") as out:
        subprocess.run(
            ["cpio", "--quiet", "--null", "-o", "-H", "newc", "--owner=0:0"],
            input=("\0".join(sorted(names)) + "\0").encode(), stdout=out, cwd=root, check=True,
        )  # fmt: skip
    return archive
