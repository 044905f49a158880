"""The whole road: a site's folder to its files on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kvmc.artifacts import Target
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts as codes
from kvmc.diagnostics.text import counted
from kvmc.driver.outcome import Outcome
from kvmc.driver.stages import Forget, audit_files, check_names, plan_site, quiet, render
from kvmc.output.diff import describe
from kvmc.output.transaction import hold, interrupted, recover, write
from kvmc.output.tree import Layout, OutputFile, Wanted, compare

_NAMED = 20
"""Files named in one diagnostic before the rest is only counted."""


@dataclass(frozen=True, slots=True)
class Options:
    """check: compare only. hosts, only: write the files of these hosts, of these targets; empty means all, and then files that are
    wanted no more go. The locks are one solution of the whole site and are always written together. output: another place for the
    generated tree. locked: the locks may not change. force: hand edits are given up. forget: placements to decide anew. announce:
    called with what shall be written, before it is. stage: told what is being done."""

    check: bool = False
    hosts: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    output: Path | None = None
    locked: bool = False
    force: bool = False
    forget: Forget | None = None
    announce: Callable[[Outcome], None] | None = None
    stage: Callable[[str], None] = quiet


def build_site(path: Path, targets: Sequence[Target], options: Options = Options()) -> Outcome:
    """Compile a site and write what changed; with `options.check` tell what would change."""
    folder = path.parent
    if not folder.is_dir():
        return plan_site(path)  # the loader tells it
    with hold(folder, shared=options.check) as held:
        outcome = Outcome(Bag())
        if not outcome.tell(held) or not outcome.tell(interrupted(folder) if options.check else recover(folder)):
            return outcome
        before = outcome.bag
        outcome = plan_site(path, forget=options.forget, search=not options.locked, stage=options.stage)
        outcome.bag.items[:0] = before.items
        if not outcome.ok or outcome.site is None:
            return outcome
        check_names(outcome, options.hosts, options.only)
        options.stage("writing the files of every host")
        owners = render(outcome, targets)
        if outcome.ok:
            options.stage("auditing them")
            audit_files(outcome)
        if outcome.ok:
            _to_disk(folder, outcome, owners, options)
        return outcome


def _to_disk(folder: Path, outcome: Outcome, owners: Mapping[tuple[str, str], str], options: Options) -> None:
    from kvmc.resolver.locks import dumps

    locks = {host: dumps(lock) for host, lock in outcome.next_locks.items()}
    if options.locked and not _locks_stay(outcome, locks):
        return
    hosts = {host: files for host, files in outcome.files.items() if not options.hosts or host in options.hosts}
    if options.only:
        hosts = {host: _of_targets(host, files, owners, options.only) for host, files in hosts.items()}
    prune = not options.hosts and not options.only
    wanted = Wanted(hosts, locks, outcome.gone, prune)
    outcome.layout = Layout.of(folder, options.output)
    outcome.changes, found = compare(outcome.layout, wanted, force=options.force)
    outcome.tell(found)
    if outcome.ok and options.announce is not None:
        options.announce(outcome)
    if options.check:
        _tell_stale(outcome)
    elif outcome.ok:
        outcome.tell(write(outcome.layout, outcome.changes))


def _of_targets(
    host: str, files: Mapping[str, OutputFile], owners: Mapping[tuple[str, str], str], only: Sequence[str]
) -> dict[str, OutputFile]:
    """The files of some targets. The list of steps speaks of all files and is none of theirs: it waits for a whole build."""
    return {path: file for path, file in files.items() if owners.get((host, path)) in only}


def _locks_stay(outcome: Outcome, locks: Mapping[str, str]) -> bool:
    from kvmc.resolver.locks import dumps

    old = {host: dumps(lock) for host, lock in outcome.locks.items()}
    changed = sorted(host for host in old.keys() | locks.keys() if old.get(host) != locks.get(host))
    if changed:
        outcome.bag.error(
            codes.LOCKS_CHANGE,
            f"{counted(len(changed), 'lock')} would change, and `--locked` forbids it",
            notes=[", ".join(f"`locks/{host}.json`" for host in changed)],
            help=["run `kvmc build` and commit the locks"],
        )
    return not changed


def _tell_stale(outcome: Outcome) -> None:
    assert outcome.layout is not None and outcome.changes is not None
    stale = [f"`{name}` is {what}" for name, what in describe(outcome.layout, outcome.changes)]
    if stale:
        more = [f"and {len(stale) - _NAMED} more"] if len(stale) > _NAMED else []
        outcome.bag.error(
            codes.STALE,
            f"{counted(len(stale), 'file')} on disk {'is' if len(stale) == 1 else 'are'} not what the site says",
            notes=stale[:_NAMED] + more,
            help=["run `kvmc build`"],
        )
