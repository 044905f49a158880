"""Preferred relations that a placement does not meet, told to the user."""

from __future__ import annotations

from collections.abc import Mapping

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import placement as codes
from kvmc.diagnostics.text import counted
from kvmc.model.origins import Origins
from kvmc.resolver.demand import Demand
from kvmc.resolver.leftover import unmet_wishes
from kvmc.resolver.state import State

_SHOWN = 6


def tell_unmet(state: State, demands: Mapping[str, Demand], origins: Origins, bag: Bag) -> None:
    """One note for each preferred relation of which some guests are not as wished."""
    for relation, vms in unmet_wishes(state, demands):
        shown = ", ".join(f"`{vm}` on `{state.chosen[vm].host}`" for vm in vms[:_SHOWN])
        more = f" and {len(vms) - _SHOWN} more" if len(vms) > _SHOWN else ""
        bag.error(
            codes.PREFERENCE_UNMET,
            f"`{relation.title}` is preferred and not met for {counted(len(vms), 'guest')}: {shown}{more}",
            origins.label(("place", relation.place)),
        )
