"""Places for guests that the locks hold none for: the fast search, then the exact one where it is installed, then the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from kvmc.diagnostics import Bag
from kvmc.model.origins import Origins
from kvmc.model.site import Site
from kvmc.resolver.diagnose import diagnose, impossible
from kvmc.resolver.keep import Kept
from kvmc.resolver.search import search
from kvmc.resolver.state import Choice, State
from kvmc.resolver.variant import before_of
from kvmc.topology.model import Topology


def place_missing(
    site: Site, topologies: Mapping[str, Topology], kept: Kept, state: State, origins: Origins
) -> tuple[list[str], Bag]:
    """Place them into the state. The optional guests that stay without a place come back; what is wrong is in the bag."""
    bag = Bag()
    missing = list(kept.missing)
    before = before_of(kept)
    left = search(kept.demands, missing, state, before)
    failed = [vm for vm in left if kept.demands[vm].weight is None]
    if not failed:
        return left, bag
    needed = [vm for vm in missing if kept.demands[vm].weight is None]
    verdict: str = ""
    help: tuple[str, ...] = ()
    if not impossible(kept):
        choices, verdict, help = _decide(kept, state, needed)
        if choices is not None:
            for vm, choice in choices.items():
                state.place(kept.demands[vm], choice)
            return search(kept.demands, [vm for vm in missing if vm not in choices], state, before), bag
    return [], diagnose(site, topologies, kept, failed, state, origins, verdict, help)


def _decide(kept: Kept, state: State, needed: Sequence[str]) -> tuple[dict[str, Choice] | None, str, tuple[str, ...]]:
    """Places for all of these by the exact search (the state holds none of them then), or how far it came and what helps."""
    if find_spec("ortools") is None:
        help = "`pip install kvmc[exact]`: the next build finds a placement of all guests, or proves that there is none"
        return None, "not proven: a placement of all guests may exist", (help,)
    from kvmc.resolver.exact import LIMIT, decide

    held = {vm: state.remove(kept.demands[vm]) for vm in needed if vm in state.chosen}
    answer = decide([kept.demands[vm] for vm in needed], state)
    if answer.choices is not None:
        return dict(answer.choices), "", ()
    for vm, choice in held.items():
        state.place(kept.demands[vm], choice)
    if answer.proven:
        return None, "proven by exact search: no placement of all guests exists", ()
    return None, f"not proven: the exact search reached its limit of {LIMIT:g}", ()
