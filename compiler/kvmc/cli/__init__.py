"""The command line: what it says goes to the driver, what comes back is shown. No logic of its own."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from types import ModuleType

INTERNAL = 70
"""Exit status of an internal error (EX_SOFTWARE of sysexits.h)."""


def _run(arguments: list[str]) -> None:
    if len(arguments) == 2 and arguments[0] == "check" and not arguments[1].startswith("-"):
        # editors and commit hooks run this on every save: with nothing to parse, Typer would be a third of its time
        from kvmc.cli.results import Format, check_command

        try:
            sys.exit(check_command(Path(arguments[1]), Format.TEXT))
        except KeyboardInterrupt:
            sys.exit(130)
    from kvmc.cli.app import app

    app(prog_name="kvmc")


def _without_plugins() -> None:
    """Keep pydantic from looking for plugins: a build depends on the site alone, never on what else is installed.

    The setting alone would do, but pydantic reads it in a module that imports importlib.metadata first, a twentieth of a check's
    time. So that module is stood in for; a pydantic that has it elsewhere goes by the setting.
    """
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    loader = ModuleType("pydantic.plugin._loader")
    loader.get_plugins = tuple  # type: ignore[attr-defined]
    sys.modules.setdefault(loader.__name__, loader)


def main() -> None:
    """The command `kvmc`. Exits 0 (clean), 1 (errors, or stale files), 2 (usage), 70 (a bug in kvmc)."""
    _without_plugins()
    gc.set_threshold(100_000)  # a run is short: most of what it makes lives to its end
    from kvmc.cli.streams import OutputError

    try:
        _run(sys.argv[1:])
    except OutputError as error:
        if sys.stderr is not None:
            sys.stderr.write(f"kvmc: cannot write to standard output: {error}\n")
        sys.exit(1)
    except Exception as error:
        if os.environ.get("KVMC_TRACEBACK") == "1":
            import traceback

            traceback.print_exc()
        from kvmc.diagnostics.text import visible

        told = visible(str(error))[:400]
        text = f"kvmc: internal error: {type(error).__name__}: {told}\nthis is a bug in kvmc; KVMC_TRACEBACK=1 shows where\n"
        if sys.stderr is not None:
            sys.stderr.write(text)
        sys.exit(INTERNAL)
