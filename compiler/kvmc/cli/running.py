"""The commands on what runs: `capture`, `verify`, `diff`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kvmc.cli.results import Format
from kvmc.cli.streams import put, tell, wants_colour

if TYPE_CHECKING:
    from kvmc.verify.change import Change

AnyFormat = Annotated[Format, typer.Option("--format", help="How to tell what was found.")]


def capture(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR|FILE.tar", help="A new folder, or an archive by its name.")
    ],
    root: Annotated[Path, typer.Option("--root", metavar="DIR", help="Where the host's files begin.")] = Path("/"),
    memory: Annotated[
        bool, typer.Option("--memory/--no-memory", help="Whether to walk the guests' page tables (numa_maps).")
    ] = True,
) -> None:
    """Copy what `verify` reads on this host, for `verify --root` elsewhere."""
    from kvmc.verify.capture import capture as read
    from kvmc.verify.capture import write

    files = read(str(root), memory)
    try:
        write(files, str(output))
    except OSError as error:
        tell(f"kvmc: cannot write `{output}`: {(error.strerror or str(error)).lower()}\n")
        raise typer.Exit(1) from None
    put(f"{output}: {len(files)} files\n")


def verify(
    tree: Annotated[Path, typer.Argument(metavar="[TREE]", help="The folder of the hosts' folders.")] = Path(
        "generated"
    ),
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="Whose artifacts; the host's own name by default.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="A capture (folder or archive); this host by default.")
    ] = None,
    format: AnyFormat = Format.TEXT,
    textfile: Annotated[
        Path | None, typer.Option("--textfile", metavar="FILE", help="Also write metrics for node_exporter.")
    ] = None,
) -> None:
    """Compare what runs on a host with what was compiled for it. Exits 0 where it is equal, 1 where it differs."""
    from kvmc.diagnostics import json, text
    from kvmc.verify.difference import textfile as metrics
    from kvmc.verify.run import verify_tree, write_textfile

    verdict = verify_tree(tree, host, root)
    found = verdict.differences
    if format is Format.JSON:
        rows = [one.row(verdict.sources) for one in found]
        put(
            json.render(
                verdict.bag, verdict.sources, {"host": verdict.host, "equal": verdict.equal, "differences": rows}
            )
        )
    else:
        tell(text.render(verdict.bag, verdict.sources, colour=wants_colour()))
        put(verdict.summary)
    if textfile is not None:
        try:
            write_textfile(textfile, metrics(verdict.host, found, read=verdict.readable))
        except OSError as error:
            tell(f"kvmc: cannot write `{textfile}`: {(error.strerror or str(error)).lower()}\n")
            raise typer.Exit(1) from None
    raise typer.Exit(0 if verdict.equal else 1)


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A generated tree, or REV:PATH.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="A generated tree, or REV:PATH.")],
    git: Annotated[
        bool, typer.Option("--git", help="Both are revisions; without a path, of the folder `generated`.")
    ] = False,
    format: AnyFormat = Format.TEXT,
) -> None:
    """Tell what changes between two trees, when it takes hold, and whom it touches. Exits 0 where nothing changes, 1 else."""
    from kvmc.diagnostics import Bag, Sources, json, text
    from kvmc.verify import trees
    from kvmc.verify.change import listing, strongest, touched
    from kvmc.verify.compare import compare

    bag = Bag()
    left, right = trees.read(old, bag, git=git), trees.read(new, bag, git=git)
    changes: tuple[Change, ...] = ()
    if not bag.has_errors:
        changes, found = compare(left, right)
        bag.extend(found)
    if format is Format.JSON:
        rows = [one.row() for one in changes]
        more = {"effect": strongest(changes), "guests": list(touched(changes)), "changes": rows}
        put(json.render(bag, Sources({}), more))
    else:
        tell(text.render(bag, Sources({}), colour=wants_colour()))
        put(listing(changes))
    raise typer.Exit(1 if changes or bag.has_errors else 0)
