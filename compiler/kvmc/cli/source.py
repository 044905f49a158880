"""The commands on sources alone: their form, what they say when all is resolved, and the editors' server."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kvmc.cli.streams import put, tell, wants_colour


def fmt(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Files, folders, or `-` for standard input; else this folder."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change, exit 1 then.")] = False,
) -> None:
    """Write .kvmt files in their one canonical form."""
    from kvmc.diagnostics.text import counted, render, visible
    from kvmc.driver.format import FormatOutcome, format_bytes, format_files

    given = paths or [Path()]
    piped = Path("-") in given
    if piped:
        if len(given) > 1:
            raise typer.BadParameter("`-` stands alone", param_hint="'PATH'")
        outcome = FormatOutcome()
        format_bytes("<stdin>", sys.stdin.buffer.read(), outcome)
    else:
        outcome = format_files(given, write=not check and not diff)
    if outcome.bag.items:
        tell(render(outcome.bag, outcome.sources, colour=wants_colour()))
    if diff:
        put("".join(one.diff() for one in outcome.changed))
    elif piped and not check:
        put("".join(one.new for one in outcome.files))
    else:
        would = "would be formatted" if check else "formatted"
        tell("".join(f"{visible(one.shown)}: {would}\n" for one in outcome.changed))
        same = len(outcome.files) - len(outcome.changed)
        tell(f"{counted(len(outcome.changed), 'file')} {would}, {same} as they should be\n")
    if outcome.bag.has_errors or ((check or diff) and outcome.changed):
        raise typer.Exit(1)


class Shown(StrEnum):
    VM = "vm"
    HOST = "host"
    CLASS = "class"


def show(
    kind: Annotated[Shown, typer.Argument(metavar="vm|host|class", help="What it is.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    site: Annotated[Path, typer.Argument(metavar="SITE", help="The site file, or the folder that holds site.kvmt.")],
) -> None:
    """Print a guest, a host or a class with all that it inherits and all defaults, each value with the line that set it."""
    from kvmc.diagnostics.text import render
    from kvmc.driver.inputs import site_file
    from kvmc.driver.show import show_block

    text, bag, sources = show_block(site_file(site), kind.value, name)
    if bag.items:
        tell(render(bag, sources, colour=wants_colour()))
    if text is None:
        raise typer.Exit(1)
    put(text)


def lsp() -> None:
    """Serve editors over standard input and output (language server protocol); needs the extra `kvmc[lsp]`."""
    try:
        from kvmc.lsp.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("pygls", "lsprotocol"):
            raise
        tell("kvmc: the language server needs pygls, which is not installed: install `kvmc[lsp]`\n")
        raise typer.Exit(1) from error
    serve()
