"""What a command says of what it found, and the one command that is run without Typer."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from kvmc.cli.streams import put, tell, wants_colour

if TYPE_CHECKING:
    from kvmc.diagnostics.paths import Place
    from kvmc.driver.outcome import Outcome


class Format(StrEnum):
    """`text`: diagnostics on standard error, results on standard output. `json`: both in one object on standard output.

    `sarif` and `github`: the diagnostics alone, on standard output.
    """

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def check_command(site: Path, format: Format) -> int:
    """`kvmc check`; gives the exit status."""
    from kvmc.driver.inputs import site_file
    from kvmc.driver.stages import check_site

    outcome = check_site(site_file(site))
    show(outcome, format, site_file(site).parent)
    return status(outcome)


def show(
    outcome: Outcome, format: Format, folder: Path, result: dict[str, object] | None = None, *, tree: Path | None = None
) -> None:
    """The diagnostics; with `json` also the command's own result.

    folder: of the site's file. tree: of the hosts' folders, where it is their files that are judged.
    """
    if format is Format.JSON:
        from kvmc.diagnostics.json import render as render_json

        put(render_json(outcome.bag, outcome.sources, result))
    elif format is Format.SARIF:
        from kvmc import __version__
        from kvmc.diagnostics.sarif import render as render_sarif

        put(render_sarif(outcome.bag, outcome.sources, __version__, _from_here(outcome, folder, tree)))
    elif format is Format.GITHUB:
        from kvmc.diagnostics.github import render as render_github

        put(render_github(outcome.bag, outcome.sources, _from_here(outcome, folder, tree)))
    elif outcome.bag.items:
        from kvmc.diagnostics.text import render

        tell(render(outcome.bag, outcome.sources, colour=wants_colour()))


def _from_here(outcome: Outcome, folder: Path, tree: Path | None) -> Place:
    """Spans name files from the site's folder, or a host's from the tree's; other programs look for them from where kvmc runs."""
    from kvmc.std import PREFIX

    def place(file: str) -> str:
        of_host = tree is not None and file.partition("/")[0] in outcome.files
        if file.startswith(PREFIX) and not of_host:
            return file  # of the standard library: no place below any folder of the user's
        return Path(os.path.relpath((tree if tree is not None and of_host else folder) / file)).as_posix()

    return place


def status(outcome: Outcome) -> int:
    """0 where all is clean, 1 where the bag holds an error."""
    return 0 if outcome.ok else 1
