"""docs/proof.md: what the long runs showed, with the commit and the machine. Written by `make proof`, never by hand."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_TOOLS = (
    ("libvirt", ("libvirtd", "--version")),
    ("QEMU", ("qemu-system-x86_64", "--version")),
    ("tuned", ("tuned", "--version")),
    ("procps", ("sysctl", "--version")),
)


RETRIED = "booted twice"
"""The figure of a test whose first machine was given up: why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A test of the run. figures: what it recorded (pytest's `record_property`), in order."""

    test: str
    outcome: str
    seconds: float
    figures: Sequence[tuple[str, object]]


def _first_line(argv: Sequence[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, cwd=cwd, check=False)
    except OSError:
        return "not here"
    return next(iter((done.stdout or done.stderr).splitlines()), "").strip()


def _commit(root: Path) -> str:
    commit = _first_line(("git", "rev-parse", "--short=12", "HEAD"), root) or "no commit"
    dirty = _first_line(("git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/proof.md"), root)
    return f"{commit}, with uncommitted changes" if dirty else commit


def _memory_gib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30


def render(rows: Iterable[Row], root: Path) -> str:
    """The report's text."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    lines = [
        "# Proof runs",
        "",
        "Written by `make proof`; these runs take longer than `make test` may.",
        "",
        f"- commit: {_commit(root)}",
        f"- machine: {os.cpu_count()} CPUs, {_memory_gib()} GiB, {platform.machine()}, {system}, Linux {platform.release()}, "
        f"Python {platform.python_version()}",
        *(f"- {name}: {_first_line(argv)}" for name, argv in _TOOLS),
        "",
        "| test | outcome | seconds | figures |",
        "|---|---|---:|---|",
    ]
    for row in sorted(rows, key=lambda row: row.test):
        figures = "; ".join(f"{name}: {value}" for name, value in row.figures).replace("|", "\\|").replace("\n", " ")
        lines.append(f"| `{row.test}` | {row.outcome} | {row.seconds:.1f} | {figures} |")
    return "\n".join(lines) + "\n"
