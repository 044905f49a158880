"""`kvmc measure`: results of a plan of measurement into its form, and one filled-in form against another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kvmc.cli import results
from kvmc.cli.results import Format
from kvmc.cli.streams import put, tell

measure = typer.Typer(help="Fill in and compare baselines.", no_args_is_help=True, rich_markup_mode=None)

AnyFormat = Annotated[Format, typer.Option("--format", help="How to tell what was found.")]


@measure.command()
def read(
    form: Annotated[Path, typer.Argument(metavar="FORM", help="`measure/baseline.json` of a host.")],
    folder: Annotated[Path, typer.Argument(metavar="RESULTS", help="The folder that the scripts' results are in.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write it there, outside of the generated tree."),
    ] = None,
    format: AnyFormat = Format.TEXT,
) -> None:
    """Fill in a form with the values of results, and print it. What has no result stays empty, with a warning."""
    from kvmc.diagnostics import Bag
    from kvmc.driver.outcome import Outcome
    from kvmc.measured import form as forms
    from kvmc.measured.results import read as values

    outcome = Outcome(Bag())
    found = forms.read(form, outcome.bag)
    text = forms.filled(found, values(found, folder, outcome.bag)) if found is not None else ""
    results.show(outcome, format, Path())
    if found is not None and output is None:
        if format is Format.TEXT:
            put(text)
    elif found is not None and output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            tell(f"kvmc: cannot write `{output}`: {(error.strerror or str(error)).lower()}\n")
            raise typer.Exit(1) from None
    raise typer.Exit(results.status(outcome))


@measure.command()
def compare(
    baseline: Annotated[Path, typer.Argument(metavar="BASELINE", help="A form that `read` filled in.")],
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="Another of the same host.")],
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance", metavar="PERCENT", min=0, max=100, help="Up to this difference a value is the same."
        ),
    ] = 10,
    format: AnyFormat = Format.TEXT,
) -> None:
    """Compare two filled-in forms. Exits 1 where a value is worse."""
    from dataclasses import asdict

    from kvmc.diagnostics import Bag
    from kvmc.driver.outcome import Outcome
    from kvmc.measured import form as forms
    from kvmc.measured.compare import compare as judge
    from kvmc.measured.compare import table

    outcome = Outcome(Bag())
    old, new = forms.read(baseline, outcome.bag), forms.read(result, outcome.bag)
    rows = judge(old, new, tolerance / 100, outcome.bag) if old is not None and new is not None else []
    results.show(outcome, format, Path(), {"measures": [asdict(row) for row in rows]})
    if rows and format is Format.TEXT:
        put(table(rows))
    raise typer.Exit(results.status(outcome))
