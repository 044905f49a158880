"""The command line: what it says goes to the driver, what comes back is shown. No logic of its own."""

from __future__ import annotations

import os
import sys

INTERNAL = 70
"""Exit status of an internal error (EX_SOFTWARE of sysexits.h)."""


def main() -> None:
    """The command `kvmc`. Exits 0 (clean), 1 (errors, or stale files), 2 (usage), 70 (a bug in kvmc)."""
    try:
        from kvmc.cli.app import app

        app(prog_name="kvmc")
    except Exception as error:
        if os.environ.get("KVMC_TRACEBACK") == "1":
            raise
        from kvmc.diagnostics.text import visible

        told = visible(str(error))[:400]
        text = f"kvmc: internal error: {type(error).__name__}: {told}\nthis is a bug in kvmc; KVMC_TRACEBACK=1 shows where\n"
        if sys.stderr is not None:
            sys.stderr.write(text)
        sys.exit(INTERNAL)
