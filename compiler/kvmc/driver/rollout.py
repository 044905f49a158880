"""A current build to the Ansible project that brings it out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kvmc.artifacts import Target
from kvmc.driver.build import Options, build_site
from kvmc.driver.outcome import Outcome
from kvmc.output.folder import write_folder
from kvmc.rollout.project import rollout_project
from kvmc.rollout.stages import rollout_stages


def rollout_site(
    path: Path, targets: Sequence[Target], folder: Path, *, canary_percent: int, force: bool
) -> tuple[Outcome, tuple[tuple[str, ...], ...], int]:
    """Write the project of a site whose tree is current; gives the stages and how many files were written."""
    outcome = build_site(path, targets, Options(check=True))
    if not outcome.ok or outcome.site is None or outcome.placement is None:
        return outcome, (), 0
    stages = rollout_stages(outcome.site, outcome.placement, canary_percent)
    written, bag = write_folder(folder, rollout_project(stages), sealed=True, force=force)
    outcome.tell(bag)
    return outcome, stages, written
