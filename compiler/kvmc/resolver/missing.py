"""Places for guests that the locks hold none for: the fast search, then the exact one where it is installed, then the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from kvmc.diagnostics import Bag
from kvmc.diagnostics.text import counted
from kvmc.model.origins import Origins
from kvmc.model.values import size_text
from kvmc.resolver.demand import fewest_cores
from kvmc.resolver.explain import explain
from kvmc.resolver.keep import Kept
from kvmc.resolver.search import Before, search
from kvmc.resolver.state import Choice, State


def place_missing(kept: Kept, state: State, origins: Origins) -> tuple[list[str], Bag]:
    """Place them into the state. The optional guests that stay without a place come back; what is wrong is in the bag."""
    bag = Bag()
    missing = list(kept.missing)
    before = _before(kept)
    left = search(kept.demands, missing, state, before)
    failed = [vm for vm in left if kept.demands[vm].weight is None]
    if not failed:
        return left, bag
    needed = [vm for vm in missing if kept.demands[vm].weight is None]
    facts = _facts(kept)
    help: tuple[str, ...] = ()
    if not facts:
        choices, verdict, help = _decide(kept, state, needed)
        if choices is not None:
            for vm, choice in choices.items():
                state.place(kept.demands[vm], choice)
            return search(kept.demands, [vm for vm in missing if vm not in choices], state, before), bag
        facts = (verdict,)
    if kept.guests:
        facts = (*facts, f"the locked places of {counted(len(kept.guests), 'guest')} stay")
    empty = State(kept.machines)
    for vm in failed:
        explain(kept.demands[vm], state, empty, facts, origins, bag, help)
    return [], bag


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


def _facts(kept: Kept) -> tuple[str, ...]:
    """What all guests that must have a place need together and all hosts have not: each of these is a proof."""
    facts: list[str] = []
    demands = [demand for demand in kept.demands.values() if demand.weight is None]
    have = sum(len(slot.cores) for one in kept.machines.values() for cpus in one.nodes for slot in cpus.slots)
    smt = max((machine.smt for machine in kept.machines.values()), default=0)
    need = sum(fewest_cores(demand, cell, smt) for demand in demands for cell in demand.cells)
    if need > have:
        facts.append(f"all guests of the site need at least {need} dedicated cores, all hosts have {have}")
    for size in sorted({demand.pages_kib for demand in demands if demand.pages_kib is not None}):
        pages = sum(cell.memory_kib // size for demand in demands if demand.pages_kib == size for cell in demand.cells)
        offered = sum(memory.pages.get(size, 0) for one in kept.machines.values() for memory in one.memory)
        if pages > offered:
            facts.append(f"all guests of the site need {pages} pages of {size_text(size)}, all hosts offer {offered}")
    return tuple(facts)


def _before(kept: Kept) -> dict[str, Before]:
    found: dict[str, Before] = {}
    for vm, guest in kept.before.items():
        machine = kept.machines.get(guest.host)
        if machine is None:
            continue
        position = {cpus.node: index for index, cpus in enumerate(machine.nodes)}
        nodes = tuple(sorted({position[cell.node] for cell in guest.cells if cell.node in position}))
        found[vm] = Before(guest.host, nodes if len(nodes) == len(kept.demands[vm].cells) else None)
    return found
