"""Exact search for optional guests: as many vCPUs as fit beside the guests that must have a place, those of more weight first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ortools.sat.python import cp_model

from kvmc.resolver.demand import Demand
from kvmc.resolver.exact import Answer, Model, a_solver, too_large
from kvmc.resolver.state import Choice, State

LIMIT = 5.0
"""Deterministic time, about seconds, for each weight."""


def most(demands: Sequence[Demand], state: State, before: Mapping[str, Choice]) -> Answer:
    """Places of all that are not optional, and of the optional ones that fit best, beside the guests that the state holds; proven
    where no others fit that have more vCPUs, weight by weight. before: what was found so far, which is kept where it is as good.
    """
    large = too_large(demands, state)
    if large is not None:
        return Answer(None, proven=False, reached=large)
    model = Model(state, ordered=False)
    gains: dict[int, list[tuple[int, cp_model.LinearExprT]]] = {}
    for demand in demands:
        able = model.add(demand)
        if demand.weight is None:
            model.model.add_exactly_one(able)
        else:
            model.model.add_at_most_one(able)
            gains.setdefault(demand.weight, []).append((vcpus(demand), sum(able)))
    model.close()
    solver = a_solver(LIMIT)
    proven = True
    found: dict[str, Choice] = {}
    for weight in sorted(gains, reverse=True):
        gain = sum(number * placed for number, placed in gains[weight])
        held = sum(vcpus(demand) for demand in demands if demand.weight == weight and demand.vm in before)
        model.model.add(gain >= held)
        model.model.maximize(gain)
        status = solver.solve(model.model)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return Answer(None, proven=False, reached=f"its limit of {LIMIT:g}")
        proven = proven and status == cp_model.OPTIMAL
        found = model.choices(solver)
        here = sum(vcpus(demand) for demand in demands if demand.weight == weight and demand.vm in found)
        model.model.add(gain >= here)
        if here > held:
            before = found  # whoever has less weight is counted anew from here
    if before is found:
        found = model.better(solver) or found
    return Answer(found, proven, "" if proven else f"its limit of {LIMIT:g}")


def vcpus(demand: Demand) -> int:
    return sum(cell.vcpus + cell.floating for cell in demand.cells)
