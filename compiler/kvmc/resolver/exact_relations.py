"""What exact search must know of relations between guests: literals of each domain, and which of them exclude each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from kvmc.model.site import Domain
from kvmc.resolver.demand import Demand, Relation
from kvmc.resolver.state import CellChoice, State, Take, domains, node_domains


class Places(Protocol):
    """What is known of a guest's cell on one node: whether it is there, and in which slots."""

    at: Any
    used: dict[int, Any]


class Model(Protocol):
    """The model, as far as relations need it."""

    state: State
    model: Any
    demands: list[Demand]
    on: dict[tuple[str, str], Any]

    def places(self, vm: str, host: str) -> Iterator[tuple[int, Places]]:
        """Each cell of a guest on each node of a host, by the node's position."""
        ...


def relate(model: Model) -> None:
    """Add every relation that must hold; once, when all guests are in the model."""
    for relation, demands in _groups(model, required=True).items():
        (_together if relation.together else _apart)(model, relation, demands)


def unmet(model: Model) -> list[Any]:
    """Preferred relations, as terms that are 0 where all are met: of guests that should be apart those in a domain beyond the
    first, of guests that should be together the domains beyond the first."""
    terms: list[Any] = []
    for relation, demands in _groups(model, required=False).items():
        held = list(model.state.groups.get(relation.place, {}).values())
        taken = frozenset().union(*held)
        inside = _inside(model, relation, demands)
        if relation.together:
            terms.extend(_any(model, heres) for domain, heres in inside.items() if domain not in taken)
            continue
        for domain, heres in inside.items():
            before = sum(domain in one for one in held)
            if len(heres) + before > 1:
                over = model.model.new_int_var(0, len(heres) + before, "")
                model.model.add(over >= sum(heres) + before - 1)
                terms.append(over)
    return terms


def _groups(model: Model, *, required: bool) -> dict[Relation, list[Demand]]:
    groups: dict[Relation, list[Demand]] = {}
    for demand in model.demands:
        for relation in demand.relations:
            if relation.required is required:
                groups.setdefault(relation, []).append(demand)
    return groups


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
        for position, place in model.places(vm, host):
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
    for domain, heres in _inside(model, relation, demands).items():
        if domain in taken:
            model.model.add_bool_and([here.negated() for here in heres])
        else:
            model.model.add_at_most_one(heres)


def _inside(model: Model, relation: Relation, demands: Sequence[Demand]) -> dict[str, list[Any]]:
    """For each domain a literal of each guest that may be in it, true where it is."""
    inside: dict[str, list[Any]] = {}
    for demand in demands:
        mine: dict[str, list[Any]] = {}
        for domain, literal in _literals(model, relation, demand):
            mine.setdefault(domain, []).append(literal)
        for domain, literals in mine.items():
            inside.setdefault(domain, []).append(_any(model, literals))
    return inside


def _any(model: Model, literals: Sequence[Any]) -> Any:
    """A literal that is true where any of these is."""
    if len(literals) == 1:
        return literals[0]
    here = model.model.new_bool_var("")
    model.model.add_bool_and([literal.negated() for literal in literals]).only_enforce_if(here.negated())
    return here
