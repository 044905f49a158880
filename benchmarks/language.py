"""What a line costs: parse and lower of 50,000 lines against 5,000, and parsing alone against python-hcl2 on an equivalent file.

    python benchmarks/language.py [--hcl2 PYTHON] [--runs N]

`--hcl2` names an interpreter that has python-hcl2 (`pip install python-hcl2` in an environment of its own); else this one is tried.
Each figure is the least CPU time of N child processes, each of which has parsed a small file before. Exits 1 above the limits, 2
where python-hcl2 is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GROWTH = 1.3
"""Time a line at 50,000 lines over that at 5,000, at most."""

HEAD = """kvmt 1
site big {
  identity = "big.example.net"
}
class base {
  vcpus   = 4
  memory  = 8GiB
  machine = pc-q35-9.2
}
"""


def kvmt(lines: int) -> str:
    """A valid site of guests, five lines each."""
    guests = (
        f"vm guest-{index} : base {{\n"
        f"  memory  = {index % 64 + 1}GiB\n"
        f'  uuid    = "4dea22b3-1d52-48f3-9516-{index:012x}"\n'
        f"  threads = {('require', 'prefer')[index % 2]}\n"
        "}\n"
        for index in range(lines // 5)
    )
    return HEAD + "".join(guests)


def hcl(lines: int) -> str:
    """The same in HCL, where labels and words are quoted and a parent is a label."""
    guests = (
        f'vm "guest-{index}" "base" {{\n'
        f'  memory  = "{index % 64 + 1}GiB"\n'
        f'  uuid    = "4dea22b3-1d52-48f3-9516-{index:012x}"\n'
        f'  threads = "{("require", "prefer")[index % 2]}"\n'
        "}\n"
        for index in range(lines // 5)
    )
    head = 'site "big" {\n  identity = "big.example.net"\n}\n'
    return head + "".join(guests)


_KVMT = """
import gc, json, sys, time
from pathlib import Path
gc.set_threshold(100_000)  # as the command does
from kvmc.model.load import load_site
from kvmc.syntax.parser import parse
folder = Path(sys.argv[1])
assert load_site(folder / "small.kvmt").site is not None
text = (folder / "site.kvmt").read_text()
start = time.process_time()
if sys.argv[2] == "parse":
    file, bag = parse("site.kvmt", text)
    assert file is not None and not bag.items
else:
    assert load_site(folder / "site.kvmt").site is not None
print(json.dumps(time.process_time() - start))
"""

_HCL = """
import gc, json, sys, time
from pathlib import Path
gc.set_threshold(100_000)
import hcl2
hcl2.parses_to_tree("a = 1\\n")
text = (Path(sys.argv[1]) / "site.hcl").read_text()
start = time.process_time()
hcl2.parses_to_tree(text)
print(json.dumps(time.process_time() - start))
"""


def least(python: str, code: str, arguments: list[str], runs: int) -> float:
    """Seconds of CPU time."""
    roots = os.pathsep.join(str(ROOT / name) for name in ("compiler", "grammar", "targets"))
    environment = {**os.environ, "PYTHONPATH": roots}
    found = []
    for _ in range(runs):
        done = subprocess.run([python, "-c", code, *arguments], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"a child failed:\n{done.stderr}")
        found.append(float(json.loads(done.stdout)))
    return min(found)


def main() -> None:
    options = argparse.ArgumentParser(description="measure what a line costs")
    options.add_argument("--hcl2", default=sys.executable, metavar="PYTHON")
    options.add_argument("--runs", type=int, default=3)
    chosen = options.parse_args()
    cost: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.kvmt").write_text(kvmt(5))
        for lines in (5_000, 50_000):
            text = kvmt(lines)
            (folder / "site.kvmt").write_text(text)
            for what in ("load", "parse"):
                took = least(sys.executable, _KVMT, [name, what], chosen.runs)
                cost[what, lines] = took / text.count("\n") * 1e6
        growth = cost["load", 50_000] / cost["load", 5_000]
        print(
            f"parse and lower: {cost['load', 5_000]:.1f} us a line at 5,000 lines, {cost['load', 50_000]:.1f} at 50,000, "
            f"ratio {growth:.2f} (limit {GROWTH})"
        )
        if subprocess.run([chosen.hcl2, "-c", "import hcl2"], capture_output=True).returncode != 0:
            print(f"parse alone: not compared, {chosen.hcl2} has no python-hcl2")
            sys.exit(2)
        text = hcl(5_000)
        (folder / "site.hcl").write_text(text)
        theirs = least(chosen.hcl2, _HCL, [name], chosen.runs) / text.count("\n") * 1e6
    ours = cost["parse", 5_000]
    print(
        f"parse alone: {ours:.1f} us a line, python-hcl2 {theirs:.1f} us a line, ratio {ours / theirs:.2f} (limit 1.00)"
    )
    sys.exit(growth > GROWTH or ours > theirs)


if __name__ == "__main__":
    main()
