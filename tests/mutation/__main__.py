"""python -m mutation: tries mutants of the packages that must be right against their tests, and writes docs/mutation.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mutation import campaign, report
from mutation.campaign import DEAD


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help=f"of {', '.join(campaign.TESTS)}; all of them by default"
    )
    parser.add_argument(
        "--count", type=int, help="a random sample of so many mutants a package; all of them by default"
    )
    parser.add_argument("--seed", default="1", help="of the order in which mutants are drawn")
    parser.add_argument("--only", nargs="*", default=(), metavar="MODULE", help="modules of the package, by name")
    parser.add_argument("--tests", nargs="*", default=(), metavar="PATH", help="tests in place of the package's own")
    parser.add_argument(
        "--budget", type=float, default=campaign.BUDGET, metavar="SECONDS", help="of CPU that a mutant's tests may take"
    )
    parser.add_argument("--cache", type=Path, default=campaign.CACHE, help="a folder for what is known of the tests")
    parser.add_argument("--report", action="store_true", help="write docs/mutation.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each verdict to this file as it falls")
    parser.add_argument(
        "--again", nargs="+", type=Path, metavar="FILE", help="try those anew that lived in these files"
    )
    parser.add_argument("--read", nargs="+", type=Path, metavar="FILE", help="verdicts that --json wrote, for --report")
    options = parser.parse_args(argv)
    known = report.equivalents(report.EQUIVALENT.read_text())
    if options.read:
        rows = _rows(options.read)
        found = {package: campaign.recalled(package, rows) for package in campaign.TESTS}
        kept = {package: judged for package, judged in found.items() if judged}
        every = {package: (len(campaign.targets(package)), judged) for package, judged in kept.items()}
        report.PAGE.write_text(report.render(every, known, options.count, options.seed, report.commit()))
        return 0
    packages = options.packages or list(campaign.TESTS)
    if unknown := set(packages) - set(campaign.TESTS):
        parser.error(f"no package of ours: {', '.join(sorted(unknown))}")
    every = {}
    rows = []
    lived = _rows(options.again or ())
    # Tests in the same process silence the streams of old.
    with os.fdopen(os.dup(2), "w") as out:

        def say(text: str) -> None:
            print(text, file=out, flush=True)

        for package in packages:
            say(package)
            wanted = campaign.sample(package, options.count, options.seed, options.only)
            if options.again:
                wanted = [one.target for one in campaign.recalled(package, lived) if one.verdict.outcome not in DEAD]
            progress = campaign.Progress(package, len(wanted), known, say, options.json, rows)
            judged = campaign.run(package, wanted, progress, options.cache, options.tests, options.budget)
            every[package] = len(campaign.targets(package, options.only)), judged
            dead, of = report.score(judged, known)
            say(f"{dead} of {of} killed, {report.percent(dead, of)}, equivalent ones left out: {dict(progress.counts)}")
    if options.report:
        report.PAGE.write_text(report.render(every, known, options.count, options.seed, report.commit()))
    return 0


def _rows(files: Sequence[Path]) -> list[list[object]]:
    return [row for path in files for row in json.loads(path.read_text())]


if __name__ == "__main__":
    sys.exit(main())
