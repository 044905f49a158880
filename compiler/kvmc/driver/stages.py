"""From what was read to sealed files in memory; nothing here writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kvmc.diagnostics.codes import driver as codes
from kvmc.diagnostics.model import Code
from kvmc.diagnostics.text import counted
from kvmc.driver.inputs import read_inputs
from kvmc.driver.outcome import Outcome
from kvmc.model.names import NearNames
from kvmc.output import JOURNAL

if TYPE_CHECKING:
    from kvmc.artifacts import Artifact, Target
    from kvmc.resolver.locks import HostLock


@dataclass(frozen=True, slots=True)
class Forget:
    """Whose placements are decided anew: those of the guests, of all guests on the hosts, or, with neither named, of all; or of the
    newer guests alone where locks of two branches claim one thing (`conflicts`)."""

    hosts: tuple[str, ...] = ()
    vms: tuple[str, ...] = ()
    conflicts: bool = False


def check_site(path: Path) -> Outcome:
    """Validate a site, its topologies and its locks; searches nothing, writes nothing."""
    outcome = read_inputs(path)
    if os.path.lexists(path.parent / JOURNAL):
        from kvmc.output.transaction import interrupted

        outcome.tell(interrupted(path.parent))
    if outcome.ok and outcome.site is not None:
        from kvmc.resolver.keep import keep
        from kvmc.resolver.solve import tell_broken

        # a guest that was never placed is no fault of the site's; one that the next build moves is told
        kept, bag = keep(outcome.site, outcome.topologies, _living(outcome), outcome.origins)
        if kept is not None:
            tell_broken(kept, outcome.origins, bag)
        outcome.tell(bag)
    return outcome


def quiet(text: str) -> None:
    """Tells nobody what stage a run is in."""


def plan_site(
    path: Path, *, forget: Forget | None = None, search: bool = True, stage: Callable[[str], None] = quiet
) -> Outcome:
    """Place all guests and derive every host's plan. stage: is told what is being done."""
    stage("reading the site and its hosts")
    outcome = read_inputs(path)
    if outcome.ok and outcome.site is not None:
        stage(f"placing {counted(len(outcome.site.vms), 'guest')} on {counted(len(outcome.site.hosts), 'host')}")
        _place(outcome, forget, search=search)
    return outcome


def _living(outcome: Outcome) -> dict[str, HostLock]:
    return {host: lock for host, lock in outcome.locks.items() if host not in outcome.gone}


def _place(outcome: Outcome, forget: Forget | None, *, search: bool) -> None:
    from kvmc.hostconfig.derive import derive
    from kvmc.hostconfig.identity import identify
    from kvmc.resolver.locks import next_locks
    from kvmc.resolver.solve import resolve

    site, origins = outcome.site, outcome.origins
    assert site is not None
    living = _living(outcome)
    if forget is not None:
        _known(outcome, codes.NO_SUCH_HOST, "host", forget.hosts, site.hosts)
        _known(outcome, codes.NO_SUCH_VM, "guest", forget.vms, site.vms)
        if not outcome.ok:
            return
    if forget is None:
        outcome.placement, bag = resolve(site, outcome.topologies, living, origins, search=search)
    elif forget.conflicts:
        from kvmc.resolver.merged import without_newer

        kept = without_newer(site, outcome.topologies, living, origins)
        outcome.placement, bag = resolve(site, outcome.topologies, kept, origins, search=True)
    else:
        from kvmc.resolver.replan import replan

        hosts = forget.hosts if forget.hosts or forget.vms else tuple(site.hosts)
        outcome.placement, bag = replan(site, outcome.topologies, living, forget.vms, hosts, origins)
    if not outcome.tell(bag) or outcome.placement is None:
        return
    # a guest that comes from a host that is gone keeps its identity: all locks take part
    identities, bag = identify(site, outcome.placement, outcome.locks, origins, outcome.topologies)
    if not outcome.tell(bag):
        return
    outcome.next_locks = next_locks(outcome.placement, identities, outcome.topologies, living)
    outcome.plans, bag = derive(site, outcome.topologies, outcome.placement, identities, living, origins)
    outcome.tell(bag)


def _known(outcome: Outcome, code: Code, kind: str, names: Sequence[str], all: Collection[str]) -> None:
    for name in names:
        if name not in all:
            outcome.bag.error(code, f"the site has no {kind} `{name}`", help=NearNames().help(name, all))


def known_vm(outcome: Outcome, name: str) -> bool:
    """Whether the site has the guest; an error where it has not."""
    assert outcome.site is not None
    _known(outcome, codes.NO_SUCH_VM, "guest", (name,), outcome.site.vms)
    return name in outcome.site.vms


def check_names(outcome: Outcome, hosts: Sequence[str], only: Sequence[str]) -> None:
    """Errors for hosts and targets of the command line that are not the site's."""
    assert outcome.site is not None
    _known(outcome, codes.NO_SUCH_HOST, "host", hosts, outcome.site.hosts)
    for name in only:
        if name not in outcome.site.targets:
            chosen = ", ".join(f"`{target}`" for target in outcome.site.targets)
            outcome.bag.error(codes.TARGET_NOT_CHOSEN, f"the site does not use target `{name}`; it uses {chosen}")


def render(outcome: Outcome, targets: Sequence[Target]) -> dict[tuple[str, str], str]:
    """Fill in every host's files from the site's targets; gives the target of each (host, path), none for the list of steps."""
    from kvmc.artifacts import seal
    from kvmc.hostconfig.apply import apply_list
    from kvmc.output.tree import OutputFile

    chosen = _chosen(outcome, targets)
    owners: dict[tuple[str, str], str] = {}
    if not outcome.ok:
        return owners
    for plan in outcome.plans:
        made: list[Artifact] = []
        for target in chosen:
            for artifact in target.render(plan):
                other = owners.setdefault((plan.host, artifact.path), target.name)
                if other != target.name or any(artifact.path == done.path for done in made):
                    raise RuntimeError(f"targets {other} and {target.name} both write {artifact.path!r}")
                made.append(artifact)
        steps = apply_list(plan, made)
        if (plan.host, steps.path) in owners:
            raise RuntimeError(f"target {owners[plan.host, steps.path]} writes {steps.path!r}, the list of steps")
        made.append(steps)
        outcome.files[plan.host] = {one.path: OutputFile(seal(one), one.mode) for one in made}
    return owners


def _chosen(outcome: Outcome, targets: Sequence[Target]) -> list[Target]:
    assert outcome.site is not None
    by_name = {target.name: target for target in targets}
    missing = [name for name in outcome.site.targets if name not in by_name]
    for name in missing:
        outcome.bag.error(
            codes.UNKNOWN_TARGET,
            f"target `{name}` is not installed",
            outcome.origins.label(("site", outcome.site.name, "targets")),
            notes=["installed are " + ", ".join(f"`{one}`" for one in by_name)],
            help=NearNames().help(name, by_name),
        )
    return [by_name[name] for name in outcome.site.targets if name in by_name]


def audit_files(outcome: Outcome) -> None:
    """Read the files back before they are written. An error here is a contradiction within kvmc, and it stops the build."""
    from kvmc.audit.check import audit_site
    from kvmc.resolver.locks import dumps

    trees = {host: {path: file.text for path, file in files.items()} for host, files in outcome.files.items()}
    for host, texts in trees.items():
        outcome.texts.update({f"{host}/{path}": text for path, text in texts.items()})
    locks = {host: dumps(lock) for host, lock in outcome.next_locks.items()}
    found = audit_site(trees, outcome.topologies, outcome.site, locks)
    if found.has_errors:  # what it only warns of, an earlier stage has told at the site's own lines
        outcome.tell(found)
        outcome.bag.error(
            codes.AUDIT_REFUTES,
            "the audit refutes what kvmc was about to write; nothing was written",
            notes=["the site is not to blame: this is a bug in kvmc"],
            help=["report it with the site's folder"],
        )
