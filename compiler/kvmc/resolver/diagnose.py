"""Why guests found no place, one error a cause: the numbers of each node, the lines that conflict, and changes that fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import placement as codes
from kvmc.diagnostics.model import Code
from kvmc.diagnostics.text import counted
from kvmc.model.origins import Origins
from kvmc.model.site import Site
from kvmc.model.values import size_text
from kvmc.resolver.advice import MOST, propose
from kvmc.resolver.conflict import Conflict, Line, find_conflict
from kvmc.resolver.demand import fewest_cores
from kvmc.resolver.explain import Reason, reasons, report
from kvmc.resolver.keep import Kept
from kvmc.resolver.moves import cheapest_moves, moves_text
from kvmc.resolver.proof import shortage
from kvmc.resolver.state import State
from kvmc.resolver.variant import Trials, Variant, before_of
from kvmc.topology.model import Topology

_SHOWN = 8
"""Lines of a conflict that are shown, and guests that are named."""
_CAUSES = 3
"""Causes whose conflict is looked for; the others are told with their numbers alone."""


@dataclass(slots=True)
class Cause:
    """Guests without a place for one reason. also: beside the first, who stands for all of them."""

    head: str
    code: Code
    reasons: Sequence[Reason]
    conflict: Conflict | None = None
    also: list[str] = field(default_factory=list)


def diagnose(
    site: Site,
    topologies: Mapping[str, Topology],
    kept: Kept,
    left: Sequence[str],
    state: State,
    origins: Origins,
    verdict: str = "",
    help: Sequence[str] = (),
) -> Bag:
    """Tell of the guests that are `left` beside those that `state` holds.

    verdict: what the exact search says of all guests together, or that it did not run; help: what would make it say more.
    """
    bag = Bag()
    for cause in find_causes(site, topologies, kept, left, state, origins):
        among = {cause.head, *cause.also, *(cause.conflict.guests if cause.conflict is not None else ())}
        whole = Variant(site, frozenset(kept.guests)).only(vm for vm in site.vms if vm not in left or vm in among)
        _tell(cause, whole, topologies, kept, origins, bag, verdict, help)
    return bag


def find_causes(
    site: Site,
    topologies: Mapping[str, Topology],
    kept: Kept,
    left: Sequence[str],
    state: State,
    origins: Origins,
) -> list[Cause]:
    """The guests that are left, those of one cause together, in order."""
    empty = State(kept.machines)
    trials = Trials(topologies, kept.guests, before_of(kept))
    whole = Variant(site, frozenset(kept.guests))
    causes: list[Cause] = []
    for vm in left:
        code, why = reasons(kept.demands[vm], state, empty)
        same = next((cause for cause in causes if cause.code is code and _same(cause, vm, why, whole, trials)), None)
        if same is not None:
            same.also.append(vm)
            continue
        cause = Cause(vm, code, why)
        if len(causes) < _CAUSES:
            names = [vm] if code is not codes.NOT_PLACED else [one for one in site.vms if one == vm or one not in left]
            if code is codes.NOT_PLACED and trials.fits(whole.only(names)):
                # It is not those that have a place that are in its way, but others that have none either.
                names = list(site.vms)
            cause.conflict = find_conflict(whole.only(names), vm, trials, origins)
        causes.append(cause)
    return causes


def _same(cause: Cause, vm: str, why: Sequence[Reason], whole: Variant, trials: Trials) -> bool:
    """Whether the guest could stand for the cause: it is in its way, fails beside the same others, or for the same numbers."""
    if cause.conflict is not None and vm in cause.conflict.guests:
        return True
    if cause.code is codes.NOT_PLACED and cause.conflict is not None:
        others = [one for one in cause.conflict.guests if one != cause.head]
        if len(others) > 0 and not trials.spent:
            return not trials.fits(whole.only([*others, vm]))
    return [(one.host, one.text) for one in why] == [(one.host, one.text) for one in cause.reasons]


def _tell(
    cause: Cause,
    whole: Variant,
    topologies: Mapping[str, Topology],
    kept: Kept,
    origins: Origins,
    bag: Bag,
    verdict: str,
    more: Sequence[str],
) -> None:
    conflict = cause.conflict
    notes = list(_facts(kept)) if cause.code is codes.NOT_PLACED else []
    lines: list[Label] = []
    help: list[str] = []
    if conflict is not None:
        lines = _labels(conflict, origins)
        fact = _fact(cause, conflict, kept)
        notes += _notes(cause, conflict, kept)
        proof = fact or (verdict if cause.code is codes.NOT_PLACED else "")
        notes += [proof] if proof else []
        notes = notes[:_SHOWN]
        trials = Trials(topologies, kept.guests, before_of(kept))
        if cause.code is codes.NOT_PLACED and kept.guests:
            moves = cheapest_moves(whole, kept, trials)
            if moves:
                vms = " ".join(f"--vm {move.vm}" for move in moves)
                help.append(f"`kvmc replan {vms}` moves {moves_text(moves)}")
        help += [change.text for change in propose(conflict, whole, cause.head, trials)]
        if not help:
            notes.append("no single change of those tried makes it fit")
        if more and proof == verdict:
            help = [*help[: MOST - 1], *more]
    report(kept.demands[cause.head], cause.also, cause.code, cause.reasons, lines, notes, help[:MOST], origins, bag)


def _notes(cause: Cause, conflict: Conflict, kept: Kept) -> list[str]:
    notes: list[str] = []
    others = [vm for vm in conflict.guests if vm != cause.head]
    if others:
        notes.append(f"it conflicts with {_names(others)}: without any one of them it has a place")
    if not conflict.minimal:
        notes.append("the conflict may be smaller: not every line was tried without the others")
    for line in conflict.lines:
        if line.path[0] == "lock":
            host = kept.guests[line.names[0]].host
            notes.append(f"`locks/{host}.json` keeps `{line.names[0]}` where it is")
    return notes


def _fact(cause: Cause, conflict: Conflict, kept: Kept) -> str | None:
    """A plain fact of capacity that the conflict is proven by, if there is one."""
    if cause.code is not codes.NOT_PLACED:
        return None
    missing = [vm for vm in conflict.guests if vm not in conflict.variant.locked]
    state = State(kept.machines)
    for vm in sorted(conflict.variant.locked & set(conflict.guests)):
        state.place(kept.demands[vm], kept.choices[vm])
    return shortage([kept.demands[vm] for vm in missing], state, State(kept.machines))


def _labels(conflict: Conflict, origins: Origins) -> list[Label]:
    return [label for line in conflict.lines[:_SHOWN] if (label := _label(line, origins)) is not None]


def _label(line: Line, origins: Origins) -> Label | None:
    if line.path[0] == "lock":
        return None
    return origins.label(line.path, "conflicts" if len(line.names) == 1 else f"conflicts, for {_names(line.names)}")


def _names(names: Iterable[str]) -> str:
    known = [f"`{name}`" for name in names]
    if len(known) > _SHOWN:
        return f"{', '.join(known[:_SHOWN])} and {len(known) - _SHOWN} more"
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} and {known[-1]}"


def _facts(kept: Kept) -> tuple[str, ...]:
    """What to know beside each guest's own reasons: whether all guests together are too much, and how many do not move."""
    stay = (f"the locked places of {counted(len(kept.guests), 'guest')} stay",) if kept.guests else ()
    return (*impossible(kept), *stay)


def impossible(kept: Kept) -> tuple[str, ...]:
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
