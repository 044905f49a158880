"""What exact search must know of relations between guests: literals of each domain, and which of them exclude each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kvmc.model.site import Domain
from kvmc.resolver.demand import Demand, Relation
from kvmc.resolver.state import CellChoice, Take, domains, node_domains

if TYPE_CHECKING:
    from kvmc.resolver.exact import Model


def relate(model: Model) -> None:
    """Add every relation that must hold; once, when all guests are in the model."""
    groups: dict[Relation, list[Demand]] = {}
    for demand in model.demands:
        for relation in demand.relations:
            if relation.required:
                groups.setdefault(relation, []).append(demand)
    for relation, demands in groups.items():
        (_together if relation.together else _apart)(model, relation, demands)


def _literals(model: Model, relation: Relation, demand: Demand) -> Iterator[tuple[str, Any]]:
    """Each domain that the guest may be in, with a literal that is true where it is; one domain may have several."""
    for (vm, host), on in model.on.items():
        if vm != demand.vm:
            continue
        machine = model.state.hosts[host].machine
        if relation.domain in (Domain.HOST, Domain.RACK):
            for domain in sorted(node_domains(machine, relation, 0)):
                yield domain, on
            continue
        for places in model.cells[vm, host]:
            for position, place in places.items():
                if relation.domain is not Domain.L3:
                    for domain in sorted(node_domains(machine, relation, position)):
                        yield domain, place.at
                    continue
                for slot, used in place.used.items():
                    for domain in domains(machine, relation, [CellChoice(position, (Take(slot, 1, 1),), None)]):
                        yield domain, used


def _together(model: Model, relation: Relation, demands: Sequence[Demand]) -> None:
    held = list(model.state.groups.get(relation.place, {}).values())
    chosen: dict[str, Any] = {}
    for demand in demands:
        for domain, literal in _literals(model, relation, demand):
            if held:
                if held[0] != {domain}:
                    model.model.add(literal == 0)
                continue
            if domain not in chosen:
                chosen[domain] = model.model.new_bool_var("")
            model.model.add_implication(literal, chosen[domain])
    model.model.add_at_most_one(chosen.values())


def _apart(model: Model, relation: Relation, demands: Sequence[Demand]) -> None:
    taken = {domain for held in model.state.groups.get(relation.place, {}).values() for domain in held}
    inside: dict[str, list[Any]] = {}
    for demand in demands:
        mine: dict[str, list[Any]] = {}
        for domain, literal in _literals(model, relation, demand):
            mine.setdefault(domain, []).append(literal)
        for domain, literals in mine.items():
            if domain in taken:
                model.model.add_bool_and([literal.negated() for literal in literals])
                continue
            here = literals[0]
            if len(literals) > 1:
                here = model.model.new_bool_var("")
                model.model.add_bool_and([literal.negated() for literal in literals]).only_enforce_if(here.negated())
            inside.setdefault(domain, []).append(here)
    for heres in inside.values():
        model.model.add_at_most_one(heres)
