"""The commands. Each imports what it runs when it runs."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kvmc.cli import bringing, planning, running, source
from kvmc.cli.measure import measure
from kvmc.cli.results import Format, check_command, show, status
from kvmc.cli.streams import put, tell
from kvmc.cli.topology import topology

if TYPE_CHECKING:
    from kvmc.driver.outcome import Outcome
    from kvmc.driver.stages import Forget

app = typer.Typer(
    help="Compile a site of KVM hosts to libvirt domains and to the hosts' own settings.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(topology, name="topology")
app.add_typer(measure, name="measure")
for command in (bringing.init, planning.plan, bringing.rollout, running.capture, running.verify, running.diff):
    app.command()(command)
app.command("import")(bringing.import_)

Site = Annotated[Path, typer.Argument(metavar="SITE", help="The site file, or the folder that holds site.kvmt.")]
AnyFormat = Annotated[Format, typer.Option("--format", help="How to tell what was found.")]
Check = Annotated[
    bool, typer.Option("--check", help="Write nothing; show what would change and exit 1 if anything would.")
]
Hosts = Annotated[list[str] | None, typer.Option("--host", metavar="HOST", help="Only this host; may be repeated.")]
Targets = Annotated[
    list[str] | None, typer.Option("--target", metavar="TARGET", help="Write only this target's files.")
]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Put the generated tree there.")]
Locked = Annotated[bool, typer.Option("--locked", help="Fail where the locks would change; search nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files of kvmc's that were edited by hand.")]


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False) -> None:
    if version:
        from kvmc import __version__

        put(f"kvmc {__version__}\n")
        raise typer.Exit


@app.command()
def build(
    site: Site,
    check: Check = False,
    host: Hosts = None,
    target: Targets = None,
    output: Output = None,
    locked: Locked = False,
    force: Force = False,
    format: AnyFormat = Format.TEXT,
) -> None:
    """Place all guests and write every host's files."""
    _build(site, format, check=check, host=host, target=target, output=output, locked=locked, force=force)


@app.command()
def replan(
    site: Site,
    host: Hosts = None,
    vm: Annotated[
        list[str] | None, typer.Option("--vm", metavar="VM", help="Only this guest; may be repeated.")
    ] = None,
    conflicts: Annotated[
        bool,
        typer.Option("--conflicts", help="Only the newer guest of each two that merged locks put on the same CPUs."),
    ] = False,
    check: Check = False,
    output: Output = None,
    force: Force = False,
    html: planning.Html = None,
    format: AnyFormat = Format.TEXT,
) -> None:
    """Look for a better placement (of all, a host's, a guest's), tell the moves and what each costs, and build.

    Guests move only where it makes the placement better, and keep their identities.
    """
    from kvmc.driver.stages import Forget

    if conflicts and (host or vm):
        raise typer.BadParameter(
            "it decides by itself who moves; leave --host and --vm away", param_hint="'--conflicts'"
        )
    forget = Forget(tuple(host or ()), tuple(vm or ()), conflicts)
    _build(site, format, check=check, output=output, force=force, forget=forget, html=html)


@app.command()
def check(site: Site, format: AnyFormat = Format.TEXT) -> None:
    """Validate a site, its topologies and its locks, without building."""
    raise typer.Exit(check_command(site, format))


@app.command()
@app.command()
def audit(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="The folder of the hosts' folders; or files of one host.")
    ],
    site: Annotated[
        Path | None, typer.Option("--site", metavar="SITE", help="The site it shall be faithful to.")
    ] = None,
    topology: Annotated[
        list[str] | None,
        typer.Option(
            "--topology", metavar="[HOST=]FILE", help="A host's topology; without HOST, of the one host of all PATHs."
        ),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(
            "--kernel",
            metavar="VERSION",
            help="With --topology FILE: the host's kernel, as 6.12; a scan's file tells it.",
        ),
    ] = None,
    format: AnyFormat = Format.TEXT,
) -> None:
    """Read a generated tree back and check that it holds together; with a site, that it gives what the site asks for.

    Without --site, a site.kvmt beside the folder is taken, unless --topology is given. With --topology FILE, without a host's
    name, the paths are files and folders of one host, in any layout, that people wrote: domains, GRUB's, boot entries, sysctl.d,
    tuned profiles, modprobe.d. Then it also finds what does not exist, what the kernel no longer has, and what harms.
    """
    from kvmc.diagnostics.text import counted
    from kvmc.driver.audit import audit_paths, audit_tree
    from kvmc.driver.inputs import SITE_NAME, site_file
    from kvmc.model.values import Version

    named: dict[str, Path] = {}
    alone: list[Path] = []
    for text in topology or ():
        name, equals, path = text.partition("=")
        if equals and (not name or not path):
            raise typer.BadParameter("give it as HOST=FILE or FILE", param_hint="'--topology'")
        if equals:
            named[name] = Path(path)
        else:
            alone.append(Path(text))
    if alone and (len(alone) > 1 or named or site is not None):
        raise typer.BadParameter("a FILE without a host is the only one, and without --site", param_hint="'--topology'")
    if not alone and len(paths) > 1:
        raise typer.BadParameter("several need --topology FILE", param_hint="'PATH...'")
    release = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})(?:[.-].*)?", kernel) if kernel is not None else None
    if kernel is not None and (release is None or not alone):
        raise typer.BadParameter("give it as 6.12, with --topology FILE", param_hint="'--kernel'")
    if alone:
        outcome = audit_paths(paths, alone[0], Version(int(release[1]), int(release[2])) if release else None)
        show(outcome, format, Path())
    else:
        tree = paths[0]
        beside = tree.resolve().parent / SITE_NAME
        if site is None and not named and beside.is_file():
            site = beside
        outcome = audit_tree(tree, site_file(site) if site is not None else None, named)
        show(outcome, format, site_file(site).parent if site is not None else Path(), tree=tree)
    if outcome.ok and format is Format.TEXT:
        put(f"{counted(len(outcome.files), 'host')} audited\n")
    raise typer.Exit(status(outcome))


@app.command()
def targets() -> None:
    """List the targets, what they carry, and which real consumer has taken their files."""
    from kvmc.cli.tables import table
    from kvmc_targets import BUILTIN

    rows = [[one.name, ", ".join(sorted(one.carriers)) or "-", one.proven] for one in BUILTIN]
    put(table([["target", "carries", "proven"], *rows]))


app.command()(source.fmt)
app.command()(source.show)
app.command()(source.lsp)


# An option of QEMU is a name here, whatever letters it has: `-h` is only itself.
@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
def explain(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="CODE|KNOB|vm|class",
            help="A code such as KVMC0205 (its digits will do), the name of a knob as any file or article has it, `vm` or `class`.",
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="With `vm`: the guest; with `class`: one of the library's.")
    ] = None,
    site: Annotated[Path, typer.Argument(metavar="[SITE]", help="With `vm`: the site file, or its folder.")] = Path(),
    format: AnyFormat = Format.TEXT,
) -> None:
    """Explain a diagnostic (what it means, why it matters, an example that fails, and the same one mended); a kernel parameter, a
    sysctl, a module option, an option of tuned or QEMU, real or not (what it does, since when, what it costs); with `class NAME`
    what a class of the standard library sets, why, and what it costs; or with `vm NAME [SITE]` why a guest is on its host, nodes,
    L3s and cores, and what another place would have cost."""
    from kvmc.cli.explain_vm import explain_knob, explain_vm
    from kvmc.diagnostics.explain import find, near, page
    from kvmc.diagnostics.text import visible

    if what == "class":
        from kvmc.model.classes import described

        text = described(name) if name else None
        if text is None:
            raise typer.BadParameter("give a class of the standard library: `kvmc explain class NAME`")
        put(text)
        return
    if what == "-h":
        put(context.get_help() + "\n")
        return
    if what == "vm":
        if name is None:
            raise typer.BadParameter("give the guest: `kvmc explain vm NAME [SITE]`")
        raise typer.Exit(explain_vm(name, site, format))
    known = find(what)
    if known is None and re.fullmatch(r"[A-Za-z]{0,4}[0-9]+", what) is None:
        raise typer.Exit(explain_knob(" ".join([what, *([name] if name else [])])))
    if known is None:
        lines = "".join(f"  {one.id}  {one.title}\n" for one in near(what))
        tell(f"kvmc has no code `{visible(what[:40])}`; the nearest are\n{lines}")
        raise typer.Exit(1)
    put(page(known))


def _build(
    site: Path,
    format: Format,
    *,
    check: bool,
    output: Path | None,
    force: bool,
    host: list[str] | None = None,
    target: list[str] | None = None,
    locked: bool = False,
    forget: Forget | None = None,
    html: Path | None = None,
) -> None:
    from kvmc.cli.progress import Progress
    from kvmc.driver.build import Options, build_site
    from kvmc.driver.changes import change_rows
    from kvmc.driver.inputs import site_file
    from kvmc.output.diff import describe, unified
    from kvmc_targets import BUILTIN

    names = [one.name for one in BUILTIN]
    for name in target or ():
        if name not in names:
            raise typer.BadParameter(f"'{name}' is not one of {', '.join(names)}", param_hint="'--target'")
    announce = partial(_announce, format, html) if forget is not None else None
    with Progress() as stage:
        options = Options(check, tuple(host or ()), tuple(target or ()), output, locked, force, forget, announce, stage)
        outcome = build_site(site_file(site), BUILTIN, options)
    layout, changes = outcome.layout, outcome.changes
    if layout is None or changes is None:
        show(outcome, format, site_file(site).parent)
        raise typer.Exit(status(outcome))
    files = [{"path": name, "change": what} for name, what in describe(layout, changes)]
    moves: dict[str, object] = {"changes": change_rows(outcome)} if forget is not None and outcome.placement else {}
    show(outcome, format, site_file(site).parent, {"written": outcome.ok and not check, "files": files, **moves})
    if format is Format.TEXT and check:
        put(unified(layout, changes))
    elif format is Format.TEXT and outcome.ok:
        written, removed = len(changes.writes), len(changes.removes)
        put(f"{layout.shown}: {written} written, {removed} removed, {changes.same} unchanged\n")
    raise typer.Exit(status(outcome))


def _announce(format: Format, html: Path | None, outcome: Outcome) -> None:
    """The moves and what each costs, before anything is written."""
    from kvmc.cli.tables import changes_text

    if html is not None:
        from kvmc.driver.page import write_page

        write_page(html, outcome)
    if format is Format.TEXT and outcome.ok:
        put(changes_text(outcome))
