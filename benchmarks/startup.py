"""What `kvmc check` costs from cold, against its own libraries: CPU time of child processes, in the same run.

    python benchmarks/startup.py [SITE] [--runs N]

Prints the ratio of the medians; exits 1 above 2.0.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 2.0


def cpu_seconds(argv: list[str], environment: dict[str, str]) -> float:
    """User and system time of one child that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv[1:])} failed with {done.returncode}:\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def smallest_example() -> Path:
    """The site of the examples with the fewest bytes."""
    return min((ROOT / "examples").glob("*/site.kvmt"), key=lambda path: (path.stat().st_size, path))


def main() -> None:
    parser = argparse.ArgumentParser(description="measure the start-up of `kvmc check`")
    parser.add_argument("site", nargs="?", type=Path, default=smallest_example())
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    roots = os.pathsep.join(str(ROOT / name) for name in ("compiler", "grammar", "targets"))
    with tempfile.TemporaryDirectory() as cache:
        measure(
            options, {**os.environ, "PYTHONPATH": roots, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache}
        )


def measure(options: argparse.Namespace, environment: dict[str, str]) -> None:
    """Both commands in turn, with byte code that the first run of each left, as an installed package has it."""
    base = [sys.executable, "-c", "import lark, pydantic, typer"]
    check = [sys.executable, "-c", "from kvmc.cli import main; main()", "check", str(options.site)]
    cpu_seconds(base, environment), cpu_seconds(check, environment)
    pairs = [(cpu_seconds(base, environment), cpu_seconds(check, environment)) for _ in range(options.runs)]
    libraries, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = whole / libraries
    print(
        f"libraries {libraries * 1000:.0f} ms, kvmc check {whole * 1000:.0f} ms of CPU time, ratio {ratio:.2f} (limit {LIMIT})"
    )
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main()
