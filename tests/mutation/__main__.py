"""python -m mutation: tries mutants of the packages that must be right against their tests, and writes docs/mutation.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mutation import campaign, report


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help=f"of {', '.join(campaign.TESTS)}; all of them by default"
    )
    parser.add_argument(
        "--count", type=int, help="a random sample of so many mutants a package; all of them by default"
    )
    parser.add_argument("--seed", default="1", help="of the sample")
    parser.add_argument("--only", nargs="*", default=(), metavar="MODULE", help="modules of the package, by name")
    parser.add_argument("--tests", nargs="*", default=(), metavar="PATH", help="tests in place of the package's own")
    parser.add_argument("--report", action="store_true", help="write docs/mutation.md")
    parser.add_argument("--json", type=Path, help="write each verdict to this file")
    parser.add_argument("--read", nargs="+", type=Path, metavar="FILE", help="verdicts that --json wrote, for --report")
    options = parser.parse_args(argv)
    known = report.equivalents(report.EQUIVALENT.read_text())
    if options.read:
        rows = [row for path in options.read for row in json.loads(path.read_text())]
        found = {package: campaign.recalled(package, rows) for package in campaign.TESTS}
        kept = {package: judged for package, judged in found.items() if judged}
        every = {package: (len(campaign.targets(package, None, "")), judged) for package, judged in kept.items()}
        report.PAGE.write_text(report.render(every, known, options.count, options.seed, report.commit()))
        return 0
    packages = options.packages or list(campaign.TESTS)
    if unknown := set(packages) - set(campaign.TESTS):
        parser.error(f"no package of ours: {', '.join(sorted(unknown))}")
    every = {}
    rows = []
    # Tests in the same process silence the streams of old.
    with os.fdopen(os.dup(2), "w") as out:

        def say(text: str) -> None:
            print(text, file=out, flush=True)

        for package in packages:
            say(package)
            wanted = campaign.targets(package, options.count, options.seed, options.only)
            there = len(campaign.targets(package, None, "", options.only))
            judged = campaign.run(package, wanted, say, options.tests)
            every[package] = there, judged
            dead, of = report.score(judged, known)
            say(
                f"{dead} of {of} killed, {report.percent(dead, of)}: {dict(Counter(one.verdict.outcome for one in judged))}"
            )
            rows += [
                [package, one.target.mutant.lines[0], one.verdict.outcome, one.key, one.verdict.by or ""]
                for one in judged
            ]
    if options.json:
        options.json.write_text(json.dumps(rows, indent=0))
    if options.report:
        report.PAGE.write_text(report.render(every, known, options.count, options.seed, report.commit()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
