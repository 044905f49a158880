"""docs/mutation.md: how many mutants of the packages that must be right the tests kill, and which live."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mutation.campaign import BUDGET, DEAD, TESTS, Judged
from mutation.learn import ROOT

PAGE = ROOT / "docs" / "mutation.md"
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
GOAL = 0.85


def equivalents(text: str) -> dict[str, str]:
    """Mutants that mean the same as what they were made from: key -> why. A key begins a line, its reason follows, indented."""
    found: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if line.startswith((" ", "\t")):
            found[key] = f"{found[key]} {line.strip()}".strip()
        elif line and not line.startswith("#"):
            key = line
            found[key] = ""
    return found


def score(judged: Iterable[Judged], known: Mapping[str, str]) -> tuple[int, int]:
    """How many were killed, and of how many that mean something else."""
    some = [one for one in judged if one.key not in known]
    return sum(one.verdict.outcome in DEAD for one in some), len(some)


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def commit() -> str:
    """The state of the sources that was measured."""
    asked = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return asked.stdout.strip()


def render(
    every: Mapping[str, tuple[int, Sequence[Judged]]],
    known: Mapping[str, str],
    count: int | None,
    seed: str,
    measured: str,
) -> str:
    """The page. every: package -> how many mutants there are, and those that were tried; count, seed: of the sample, if it is one;
    measured: the commit."""
    how = f"make mutation COUNT={count} SEED={seed}" if count else "make mutation COUNT="
    lines = [
        "# Mutation testing",
        "",
        f"Written by `{how}`, never by hand. A mutant is one small change of a module: a comparison, an operator,",
        "a condition, a constant or a returned value is another, or a statement is gone. The tests kill it if one of them",
        "fails. Texts for people are not changed. Each mutant is tried with the tests that run its line, as many as",
        f"{BUDGET:.0f} seconds hold: those that have killed in the module first, then the package's own, the most specific",
        "first. Equivalent ones, which no test can kill, are listed with their reasons in `tests/mutation/equivalent.txt`",
        "and are left out of the rate.",
        "",
        f"Measured at commit {measured}, each package's sample drawn with seed {seed}. The goal is {100 * GOAL:.0f} %;",
        "`make proof` tries a smaller sample with another seed, tells its own figures, and fails below the floor that",
        "`tests/mutation/test_mutation.py` states. A package that is not in the table has not been measured.",
        "",
        "mutmut was tried first: it takes the modules of a source root that is not `src` for untested. cosmic-ray starts",
        "the tests anew for each mutant.",
        "",
        "| package | tests | mutants | tried | killed | by time | alive | never run | equivalent | rate |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for package, (there, judged) in every.items():
        counts = Counter(one.verdict.outcome for one in judged if one.key not in known)
        same = sum(one.key in known for one in judged)
        tests = ", ".join(
            f"`{folder}`" for folder in dict.fromkeys(one.partition("/test_")[0] for one in TESTS[package])
        )
        lines.append(
            f"| `{package}` | {tests} | {there} | {len(judged)} | {counts['killed']} | {counts['timeout']} | "
            f"{counts['survived']} | {counts['uncovered']} | {same} | {percent(*score(judged, known))} |"
        )
    for package, (_, judged) in every.items():
        lines += ["", f"## `{package}`", "", "| module | tried | killed | rate |", "|---|---:|---:|---:|"]
        for module in dict.fromkeys(one.module for one in judged):
            dead, of = score([one for one in judged if one.module == module], known)
            lines.append(f"| {module} | {of} | {dead} | {percent(dead, of)} |")
        lines += ["", "Alive:", "", *_living(judged, known)]
    return "\n".join(lines) + "\n"


def _living(judged: Iterable[Judged], known: Mapping[str, str]) -> Iterator[str]:
    for one in judged:
        if one.verdict.outcome in DEAD or one.key in known:
            continue
        mutant = one.target.mutant
        unrun = ", on a line that no test runs" if one.verdict.outcome == "uncovered" else ""
        what = f"{_code(mutant.before)} to {_code(mutant.after)}{unrun}"
        yield f"- {one.module}, `{mutant.function or 'module'}`, {mutant.kind}: {what}"


def _code(text: str) -> str:
    return f"``{text}``" if "`" not in text else f"``` {text} ```"
