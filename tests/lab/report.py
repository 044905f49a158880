"""docs/proof.md: what the long runs showed, with the commit and the machine. Written by `make proof`, never by hand.

A run of some tests alone writes what it saw as JSON; `python -m lab.report PART... ` puts parts of one commit together.

A module of tests is a section: its title is the first line of the module's docstring, and what it can't prove is in the module's
tuple `NOT_PROVEN`, a line each.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import kernel

_TOOLS = (
    ("libvirt", ("libvirtd", "--version")),
    ("QEMU", ("qemu-system-x86_64", "--version")),
    ("tuned", ("tuned", "--version")),
    ("procps", ("sysctl", "--version")),
)


_UNCOMMITTED = "with uncommitted changes"
_CUT = ", **cut short: what is not below did not run**"

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
    return f"{commit}, {_UNCOMMITTED}" if dirty else commit


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


@dataclass(frozen=True, slots=True)
class Run:
    """One call of pytest. commit: of the sources; machine: on which it ran; argv: its arguments; whole: it came to its end."""

    commit: str
    machine: tuple[str, ...]
    argv: tuple[str, ...]
    whole: bool
    rows: tuple[Row, ...]

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1, default=str) + "\n"


def seen(rows: Iterable[Row], root: Path, argv: Sequence[str], *, whole: bool) -> Run:
    """A run that ends now."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    image = kernel.image()
    machine = (
        f"- machine: {os.cpu_count()} CPUs, {_memory_gib()} GiB, {platform.machine()}, {system}, Linux {platform.release()}, "
        f"Python {platform.python_version()}; load average at the end {', '.join(f'{one:.0f}' for one in os.getloadavg())}",
        *(f"- {name}: {_first_line(argv)}" for name, argv in _TOOLS),
        f"- kernel that is booted: {image.name.removeprefix('vmlinuz-') if image else 'none'}, in QEMU without KVM",
    )
    return Run(_commit(root), machine, tuple(argv), whole, tuple(rows))


def read(path: Path) -> Run:
    """A part that a run wrote."""
    kept = json.loads(path.read_text())
    rows = tuple(
        Row(one["test"], one["outcome"], one["seconds"], [tuple(pair) for pair in one["figures"]])
        for one in kept["rows"]
    )
    return Run(kept["commit"], tuple(kept["machine"]), tuple(kept["argv"]), kept["whole"], rows)


def render(runs: Sequence[Run], root: Path) -> str:
    """The report's text. Of a test that ran in several parts the last counts. ValueError where the parts are of several commits, or
    of sources that no commit has."""
    commits = sorted({run.commit for run in runs})
    if len(commits) != 1 or (len(runs) > 1 and _UNCOMMITTED in commits[0]):
        raise ValueError(f"the parts are not of one commit: {', '.join(commits)}")
    ordered = sorted({row.test: row for run in runs for row in run.rows}.values(), key=lambda row: row.test)
    lines = [
        "# Proof runs",
        "",
        "Written by `make proof`; these runs take longer than `make test` may.",
        "",
        f"- commit: {commits[0]}",
        *dict.fromkeys(line for run in runs for line in run.machine),
        *(f"- run: `pytest {' '.join(run.argv)}`{'' if run.whole else _CUT}" for run in runs),
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


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lab.report", description="Puts parts of one commit together: docs/proof.md."
    )
    parser.add_argument("parts", nargs="+", type=Path, metavar="PART", help="what `--proof-report FILE.json` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(argv)
    try:
        text = render([read(path) for path in options.parts], Path(__file__).resolve().parents[2])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    options.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
