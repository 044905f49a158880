"""A site placed, and one guest of it explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kvmc.driver.outcome import Outcome
from kvmc.driver.stages import known_vm, plan_site

if TYPE_CHECKING:
    from kvmc.resolver.why import Why


def why_vm(path: Path, name: str) -> tuple[Outcome, Why | None]:
    """Place the site as a build would, without writing, and explain the guest; None beside the errors of the outcome."""
    from kvmc.resolver.leftover import state_of
    from kvmc.resolver.why import why

    outcome = plan_site(path)
    if not outcome.ok or outcome.site is None or outcome.placement is None or not known_vm(outcome, name):
        return outcome, None
    found = state_of(outcome.site, outcome.topologies, outcome.placement, outcome.origins)
    assert found is not None  # the placement was made for this site
    guest = outcome.placement.guests[name]
    locked = guest.host in outcome.locks and name in outcome.locks[guest.host].guests
    return outcome, why(outcome.site, outcome.topologies[guest.host], guest, *found, locked=locked)
