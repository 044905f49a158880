"""What a command says of what it found, and the one command that is run without Typer."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from kvmc.cli.streams import put, tell, wants_colour

if TYPE_CHECKING:
    from kvmc.driver.outcome import Outcome


class Format(StrEnum):
    """`text`: diagnostics on standard error, results on standard output. `json`: both in one object on standard output."""

    TEXT = "text"
    JSON = "json"


def check_command(site: Path, format: Format) -> int:
    """`kvmc check`; gives the exit status."""
    from kvmc.driver.inputs import site_file
    from kvmc.driver.stages import check_site

    outcome = check_site(site_file(site))
    show(outcome, format)
    return status(outcome)


def show(outcome: Outcome, format: Format, result: dict[str, object] | None = None) -> None:
    """The diagnostics; with `json` also the command's own result."""
    if format is Format.JSON:
        from kvmc.diagnostics.json import render as render_json

        put(render_json(outcome.bag, outcome.sources, result))
    elif outcome.bag.items:
        from kvmc.diagnostics.text import render

        tell(render(outcome.bag, outcome.sources, colour=wants_colour()))


def status(outcome: Outcome) -> int:
    """0 where all is clean, 1 where the bag holds an error."""
    return 0 if outcome.ok else 1
