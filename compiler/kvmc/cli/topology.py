"""`kvmc topology`: scan a host, show what is read from a file, compare hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kvmc.cli.streams import put, tell, wants_colour

if TYPE_CHECKING:
    from kvmc.diagnostics import Bag
    from kvmc.topology.model import Topology

topology = typer.Typer(help="Scan hosts, show and compare topologies.", no_args_is_help=True, rich_markup_mode=None)

Inputs = Annotated[
    list[Path],
    typer.Argument(metavar="PATH...", help="A topology of any known format, or several inputs of one host."),
]


@topology.command()
def scan(
    root: Annotated[
        Path, typer.Option("--root", metavar="DIR", help="The system below DIR, not the running one.")
    ] = Path("/"),
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it there.")] = None,
    script: Annotated[
        bool, typer.Option("--script", help="Write a script that does this on a host where kvmc is not installed.")
    ] = False,
) -> None:
    """Write a snapshot of this host: its topology, and the facts of its kernel and its programs."""
    if script:
        from kvmc.topology.script import scan_script

        _write(output, scan_script())
        return
    from kvmc.topology.scan import scan as scan_system
    from kvmc.topology.snapshot_write import dumps

    found, bag = scan_system(root, root.as_posix())
    _write(output, dumps(_good(found, bag)))


@topology.command()
def show(paths: Inputs, json: Annotated[bool, typer.Option("--json", help="As kvmc's own snapshot.")] = False) -> None:
    """Draw what kvmc reads from a topology file, and mark what is odd about it."""
    from kvmc.topology.show import draw, to_json

    found = _read(paths)
    put(to_json(found) if json else draw(found))


@topology.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A topology of any known format.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Another.")],
) -> None:
    """Tell how two topologies differ in their meaning; exit 1 if they do."""
    from kvmc.topology.differences import differences

    lines = differences(_read([old]), _read([new]))
    put("".join(f"{line}\n" for line in lines))
    raise typer.Exit(1 if lines else 0)


@topology.command()
def alike(paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="A topology of each host.")]) -> None:
    """Tell whether hosts have the same shape as the first, as those of a pool should; exit 1 if not."""
    from kvmc.topology.alike import unlike

    first, *others = [(path.as_posix(), _read([path])) for path in paths]
    lines = [f"{first[0]} and {name}: {line}\n" for name, other in others for line in unlike(first[1], other)]
    put("".join(lines))
    raise typer.Exit(1 if lines else 0)


def _read(paths: list[Path]) -> Topology:
    from kvmc.topology.combine import read_topologies

    return _good(*read_topologies([(path, path.as_posix()) for path in paths]))


def _good(found: Topology | None, bag: Bag) -> Topology:
    from kvmc.diagnostics import Sources
    from kvmc.diagnostics.text import render

    tell(render(bag, Sources({}), colour=wants_colour()))
    if found is None:
        raise typer.Exit(1)
    return found


def _write(output: Path | None, text: str) -> None:
    if output is None or output.as_posix() == "-":
        put(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write {output}: {(error.strerror or '').lower()}", param_hint="'-o'"
        ) from error
