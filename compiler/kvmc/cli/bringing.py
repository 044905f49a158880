"""The ends of the road: `init` begins a config repository, `import` makes one of what runs, `rollout` brings it to hosts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from kvmc.cli.results import Format, show, status
from kvmc.cli.streams import put


def rollout(
    site: Annotated[Path, typer.Argument(metavar="SITE", help="The site file, or the folder that holds site.kvmt.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Where to put it; `rollout` beside the site by default."),
    ] = None,
    canary: Annotated[
        int, typer.Option("--canary", metavar="PERCENT", min=1, max=100, help="The share of hosts that goes first.")
    ] = 20,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files of kvmc's that were edited by hand.")] = False,
    format: Annotated[Format, typer.Option("--format", help="How to tell what was found.")] = Format.TEXT,
) -> None:
    """Write an Ansible project that brings the built tree to the hosts: a canary first, then stage by stage, each host with a
    backup, a comparison afterwards, and the way back."""
    from kvmc.cli.tables import table
    from kvmc.driver.inputs import site_file
    from kvmc.driver.rollout import rollout_site
    from kvmc_targets import BUILTIN

    path = site_file(site)
    folder = output if output is not None else path.parent / "rollout"
    outcome, stages, written = rollout_site(path, BUILTIN, folder, canary_percent=canary, force=force)
    show(outcome, format, path.parent, {"stages": [list(stage) for stage in stages], "written": written})
    if outcome.ok and format is Format.TEXT:
        put(table([["stage", "hosts"], *([str(number), ", ".join(stage)] for number, stage in enumerate(stages, 1))]))
        put(f"{folder.as_posix()}: {written} written\n")
    raise typer.Exit(status(outcome))


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where; made where it is not there.")] = Path(),
    topology: Annotated[
        Path | None,
        typer.Option(
            "--topology", metavar="FILE", help="What a host of yours is, in any known format; an example without."
        ),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", metavar="NAME", help="The host's name.")] = None,
) -> None:
    """Start a config repository: a site that builds as it is, hooks for pre-commit, a workflow for CI, and a README."""
    from kvmc.driver.start import EXAMPLE_HOST, start_site

    name = _name(folder.resolve().name, "site")
    host = _name(host or (topology.name.partition(".")[0] if topology is not None else EXAMPLE_HOST), "host")
    outcome, files = start_site(folder, name, host, topology)
    show(outcome, Format.TEXT, folder)
    if outcome.ok:
        put("".join(f"{(folder / one.path).as_posix()}\n" for one in files))
        at = f"cd {shlex.quote(folder.as_posix())} && " if folder != Path() else ""
        put(f"next: {at}kvmc build .\n")
    raise typer.Exit(status(outcome))


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Files and folders of one host: domains as `virsh dumpxml` prints them, and its /etc.",
        ),
    ],
    topology: Annotated[
        Path, typer.Option("--topology", metavar="FILE", help="The host's topology, in any known format.")
    ],
    host: Annotated[str | None, typer.Option("--host", metavar="NAME", help="The host's name.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where to put the site.")] = Path(
        "imported"
    ),
    format: Annotated[Format, typer.Option("--format", help="How to tell what was found.")] = Format.TEXT,
) -> None:
    """Make a site of what runs: classes, raw settings for what kvmc has no word for, locks that keep identities and pins, and
    `import.md` with what is wrong and every difference between the domains and what kvmc builds of them.

    The exit status is 1 where the originals contradict themselves or the site does not build; it is written all the same.
    """
    from kvmc.cli.tables import table
    from kvmc.driver.adopt import import_site
    from kvmc_targets import BUILTIN

    name = _name(host or topology.name.partition(".")[0], "host")
    outcome, differences, written = import_site(paths, topology, name, output, BUILTIN)
    rows = differences or {}
    counts = {guest: {"differ": sum(not one.added for one in some), "added": sum(one.added for one in some)}
              for guest, some in rows.items()}  # fmt: skip
    show(outcome, format, Path(), {"written": written, "guests": counts, "builds": differences is not None})
    if written and format is Format.TEXT:
        put("".join(f"{(output / path).as_posix()}\n" for path in written))
        lines = [[guest, str(one["differ"]), str(one["added"])] for guest, one in counts.items()]
        put(table([["guest", "differences", "added by kvmc"], *lines]))
        same = sum(not one["differ"] for one in counts.values())
        put(
            f"{len(counts)} built in memory, {same} with all that the original says; `import.md` has every difference\n"
        )
    raise typer.Exit(status(outcome))


def _name(text: str, default: str) -> str:
    """A name of the language from what a user called something else."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:60]
    return name if name[:1].isalpha() else f"{default}-{name}".strip("-")
