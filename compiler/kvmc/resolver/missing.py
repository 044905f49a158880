"""Places for guests that the locks hold none for: the fast search, then the exact one where it is installed, then the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import placement as codes
from kvmc.model.origins import Origins
from kvmc.model.site import Site
from kvmc.resolver.diagnose import diagnose, impossible
from kvmc.resolver.explain import reasons, reasons_text
from kvmc.resolver.keep import Kept
from kvmc.resolver.proof import shortage
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
    locked = State(kept.machines)
    for vm, choice in kept.choices.items():
        locked.place(kept.demands[vm], choice)
    left = search(kept.demands, missing, state, before)
    failed = [vm for vm in left if kept.demands[vm].weight is None]
    if failed:
        needed = [vm for vm in missing if kept.demands[vm].weight is None]
        verdict: str = ""
        help: tuple[str, ...] = ()
        choices = None
        if not impossible(kept):
            # what sums prove needs no search, and is told as what proves it
            verdict = shortage([kept.demands[vm] for vm in needed], locked, State(kept.machines)) or ""
            if not verdict:
                choices, verdict, help = _decide(kept, state, needed)
        if choices is None:
            return [], diagnose(site, topologies, kept, failed, state, origins, verdict, help)
        for vm, choice in choices.items():
            state.place(kept.demands[vm], choice)
        left = search(kept.demands, [vm for vm in missing if vm not in choices], state, before)
    if left:
        facts = _alone(left, kept, locked)
        verdict, help = "", ()
        if len(facts) < len(left):
            verdict, help = _most(kept, [vm for vm in missing if vm not in facts], locked, state)
        left = [vm for vm in missing if vm not in state.chosen]
        tell_unplaced(left, facts, verdict, help, origins, bag)
    return left, bag


def tell_unplaced(
    vms: Iterable[str],
    facts: Mapping[str, str],
    verdict: str,
    help: tuple[str, ...],
    origins: Origins,
    bag: Bag,
) -> None:
    """Tell of optional guests that have no place. facts: of some, why they can't have one whatever else moves; verdict: of the
    others."""
    for vm in vms:
        note = facts.get(vm, verdict)
        bag.error(
            codes.OPTIONAL_UNPLACED,
            f"`{vm}` is optional and has no place: nothing is written for it",
            origins.label(("vm", vm)),
            notes=(note,) if note else (),
            help=() if vm in facts else help,
        )


def _alone(left: Sequence[str], kept: Kept, locked: State) -> dict[str, str]:
    """Why some of these can't have a place even if they were the only ones beside the guests that stay."""
    empty = State(kept.machines)
    facts: dict[str, str] = {}
    for vm in left:
        demand = kept.demands[vm]
        code, why = reasons(demand, locked, empty)
        if code is codes.INTENT:
            facts[vm] = f"no host can have it: {reasons_text(why)}"
        elif code is codes.TOO_LARGE:
            facts[vm] = f"it does not fit on any host, even an empty one: {reasons_text(why)}"
        elif (fact := shortage([demand], locked, empty)) is not None:
            facts[vm] = fact
    return facts


def _most(kept: Kept, vms: Sequence[str], locked: State, state: State) -> tuple[str, tuple[str, ...]]:
    """Let the exact search place more of the optional guests, where it can; how sure it is that no more fit."""
    if find_spec("ortools") is None:
        help = "`pip install kvmc[exact]`: the next build places as many optional guests as fit, by weight"
        return "not proven: with other places for the others it may fit", (help,)
    from kvmc.resolver.exact_optional import most, vcpus

    demands = [kept.demands[vm] for vm in vms]
    before = {vm: state.chosen[vm] for vm in vms if vm in state.chosen}
    answer = most(demands, locked, before)
    if answer.choices is not None:
        ranks = sorted({demand.weight for demand in demands if demand.weight is not None}, reverse=True)
        gain, held = (
            [sum(vcpus(one) for one in demands if one.weight == rank and one.vm in placed) for rank in ranks]
            for placed in (answer.choices, before)
        )
        if gain > held:
            for vm in before:
                state.remove(kept.demands[vm])
            for vm, choice in answer.choices.items():
                state.place(kept.demands[vm], choice)
    if answer.proven:
        return "proven by exact search: no other choice of optional guests has more vCPUs, weight by weight", ()
    return f"not proven: the exact search reached {answer.reached}", ()


def _decide(kept: Kept, state: State, needed: Sequence[str]) -> tuple[dict[str, Choice] | None, str, tuple[str, ...]]:
    """Places for all of these by the exact search (the state holds none of them then), or how far it came and what helps."""
    if find_spec("ortools") is None:
        help = "`pip install kvmc[exact]`: the next build finds a placement of all guests, or proves that there is none"
        return None, "not proven: a placement of all guests may exist", (help,)
    from kvmc.resolver.exact import decide

    held = {vm: state.remove(kept.demands[vm]) for vm in needed if vm in state.chosen}
    answer = decide([kept.demands[vm] for vm in needed], state)
    if answer.choices is not None:
        return dict(answer.choices), "", ()
    for vm, choice in held.items():
        state.place(kept.demands[vm], choice)
    if answer.proven:
        return None, "proven by exact search: no placement of all guests exists", ()
    return None, f"not proven: the exact search reached {answer.reached}", ()
