"""docs/proof.md: what the long runs showed, with the commit and the machine. Written by `make proof`, never by hand.

A module of tests is a section: its title is the first line of the module's docstring, and what it can't prove is in the module's
tuple `NOT_PROVEN`, a line each.
"""

from __future__ import annotations

import ast
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import kernel

_TOOLS = (
    ("libvirt", ("libvirtd", "--version")),
    ("QEMU", ("qemu-system-x86_64", "--version")),
    ("tuned", ("tuned", "--version")),
    ("procps", ("sysctl", "--version")),
)


RETRIED = "booted twice"
"""The figure of a test whose first machine was given up: why."""

DIVIDED = "memory and pages divided by"
"""The figure of a test whose machine was smaller than the host: 1 where it was not."""


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


def _section(path: Path) -> tuple[str, tuple[str, ...]]:
    """The title of a test module and what it can't prove."""
    tree = ast.parse(path.read_text())
    title = (ast.get_docstring(tree) or path.stem).splitlines()[0].rstrip(".")
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["NOT_PROVEN"]:
            return title, tuple(ast.literal_eval(node.value))
    return title, ()


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def _short(test: str) -> str:
    return test.partition("::")[2].removeprefix("test_")


def _summary(rows: Sequence[Row]) -> Iterable[str]:
    """The outcomes counted, and each row that is not what it looks like."""
    for outcome in dict.fromkeys(("passed", *(row.outcome for row in rows))):
        names = [row for row in rows if row.outcome == outcome]
        of = "" if outcome == "passed" or not names else ": " + ", ".join(f"`{_short(row.test)}`" for row in names)
        yield f"- {outcome}: {len(names)} of {len(rows)}{of}"
    for name, usual in ((RETRIED, None), (DIVIDED, 1)):
        found = [
            f"`{_short(row.test)}` ({value})"
            for row in rows
            for key, value in row.figures
            if key == name and value != usual
        ]
        yield f"- {name}: {', '.join(found) or 'none'}"


def render(rows: Iterable[Row], root: Path) -> str:
    """The report's text."""
    ordered = sorted(rows, key=lambda row: row.test)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    image = kernel.image()
    lines = [
        "# Proof runs",
        "",
        "Written by `make proof`; these runs take longer than `make test` may.",
        "",
        f"- commit: {_commit(root)}",
        f"- machine: {os.cpu_count()} CPUs, {_memory_gib()} GiB, {platform.machine()}, {system}, Linux {platform.release()}, "
        f"Python {platform.python_version()}; load average at the end {', '.join(f'{one:.0f}' for one in os.getloadavg())}",
        *(f"- {name}: {_first_line(argv)}" for name, argv in _TOOLS),
        f"- kernel that is booted: {image.name.removeprefix('vmlinuz-') if image else 'none'}, in QEMU without KVM",
        *_summary(ordered),
    ]
    for file in dict.fromkeys(row.test.partition("::")[0] for row in ordered):
        title, not_proven = _section(root / file)
        lines += [
            "",
            f"## {title}",
            "",
            f"`{file}`",
            "",
            "| test | outcome | seconds | figures |",
            "|---|---|---:|---|",
        ]
        for row in ordered:
            if row.test.partition("::")[0] == file:
                figures = "; ".join(f"{_cell(name)}: {_cell(value)}" for name, value in row.figures)
                lines.append(f"| {_cell(_short(row.test))} | {row.outcome} | {row.seconds:.1f} | {figures} |")
        if not_proven:
            lines += ["", "Not proven:", "", *(f"- {line}" for line in not_proven)]
    return "\n".join(lines) + "\n"
