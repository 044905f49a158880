"""The command as its users run it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from kvmc.cli import main; main()"]


def environment(**more: str) -> dict[str, str]:
    roots = os.pathsep.join(str(ROOT / name) for name in ("compiler", "grammar", "targets"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KVMC_", "LC_", "LANG"))}
    return {**kept, "PYTHONPATH": roots, **more}


def kvmc(*arguments: str | Path, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=environment(**more), check=False
    )
