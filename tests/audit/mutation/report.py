"""`docs/audit-mutants.md`: which mutants were drawn, how many the audit found, and each that it did not, with the reason.

PYTHONPATH=compiler:grammar:targets:tests python -m audit.mutation.report > docs/audit-mutants.md
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audit.mutation import draw
from audit.mutation.draw import Mutant
from audit.mutation.trees import Built, all_built

COUNT = 1000
SEED = "kvmc"

REASONS: Mapping[tuple[str, str], str] = {}
"""Why mutants of a kind and an operator are let live, where one is."""


@dataclass(frozen=True)
class Result:
    """What became of the mutants: how near the findings are, by number, and those that live."""

    near: Counter[str]
    cells: Counter[tuple[str, str]]
    killed: Counter[tuple[str, str]]
    living: list[Mutant]


def run(built: list[Built], count: int, seed: str) -> Result:
    by_name = {one.name: one for one in built}
    result = Result(Counter(), Counter(), Counter(), [])
    for mutant in draw.draw(built, count, seed):
        found = by_name[mutant.site].audit(mutant.trees)
        cell = (mutant.kind, mutant.operator)
        result.near[draw.named(mutant, found)] += 1
        result.cells[cell] += 1
        if draw.killed(mutant, found):
            result.killed[cell] += 1
        else:
            result.living.append(mutant)
    return result


def render(result: Result) -> str:
    """The page. It holds no time and no machine, so that it is the same wherever it is made."""
    count, killed = result.cells.total(), result.killed.total()
    lines = [
        "# Mutants of the audit",
        "",
        "Written by `python -m audit.mutation.report`; do not edit.",
        "",
        f"{count} mutants of the built trees of every example and of one site more (BLS, kernel 5.10, pages at run time, SCSI),",
        f"drawn evenly over kind of artifact and operator with the seed `{SEED}`. The audit finds {killed} of them",
        f"({killed / count:.1%}), naming the file and the changed line; of what was taken away, the file.",
        "",
        f"At the line: {result.near['line']}. In the file: {result.near['file']}. Elsewhere: {result.near['other']}. "
        f"Not at all: {result.near['']}.",
        "",
        "| kind | operator | mutants | found |",
        "|---|---|---|---|",
        *(
            f"| {kind} | {operator} | {number} | {result.killed[kind, operator]} |"
            for (kind, operator), number in sorted(result.cells.items())
        ),
        "",
        "## Those that live",
        "",
        *(
            f"- {mutant.title}: {REASONS.get((mutant.kind, mutant.operator), 'not found: a gap of the audit')}"
            for mutant in result.living
        ),
    ]
    return "\n".join(lines if result.living else [*lines, "None."]).rstrip() + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(render(run(all_built(Path(folder) / "sites"), COUNT, SEED)))
