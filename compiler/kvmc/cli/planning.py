"""`kvmc plan`: what would be where, as text, as JSON or as a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kvmc.cli.results import Format, show, status
from kvmc.cli.streams import put, wants_colour

if TYPE_CHECKING:
    from kvmc.driver.outcome import Outcome

Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Also draw it as one page of HTML that needs no network."),
]


def plan(
    site: Annotated[Path, typer.Argument(metavar="SITE", help="The site file, or the folder that holds site.kvmt.")],
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Draw this host; may be repeated. Else all, of a large fleet those that change.",
        ),
    ] = None,
    html: Html = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    format: Annotated[Format, typer.Option("--format", help="How to tell what was found.")] = Format.TEXT,
) -> None:
    """Draw what is placed where, what changes against the locks, and what is stranded; changes nothing of the site."""
    from kvmc.cli.progress import Progress
    from kvmc.driver.inputs import site_file
    from kvmc.driver.stages import check_names, plan_site

    format = Format.JSON if json else format
    with Progress() as stage:
        outcome = plan_site(site_file(site), stage=stage)
        if outcome.ok:
            check_names(outcome, host or (), ())
        if outcome.ok and html is not None:
            from kvmc.driver.page import write_page

            stage("drawing")
            write_page(html, outcome)
    show(outcome, format, site_file(site).parent, _result(outcome) if format is Format.JSON else None)
    if outcome.ok and format is Format.TEXT:
        from kvmc.cli.tables import plan_text

        put(plan_text(outcome, host or (), colour=wants_colour() and sys.stdout.isatty()))
    raise typer.Exit(status(outcome))


def _result(outcome: Outcome) -> dict[str, object]:
    from kvmc.driver.changes import change_rows, stranded_rows
    from kvmc.driver.places import placement_rows, pool_rows

    if not outcome.ok:
        return {}
    return {
        "hosts": pool_rows(outcome),
        "guests": placement_rows(outcome),
        "changes": change_rows(outcome),
        "stranded": stranded_rows(outcome),
    }
