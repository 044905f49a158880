"""How the search places guests with relations: those that belong together as one, preferred relations once more at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import zip_longest
from typing import Protocol

from kvmc.model.site import Domain
from kvmc.resolver.best import best_choice
from kvmc.resolver.choices import Score
from kvmc.resolver.demand import Demand, Relation
from kvmc.resolver.relations import unmet
from kvmc.resolver.state import Choice, State, domains, node_domains

_DOMAINS = 64
"""Domains looked at for one set of guests that belong together, at most."""


class Before(Protocol):
    """Where a guest was."""

    @property
    def host(self) -> str: ...
    @property
    def nodes(self) -> tuple[int, ...] | None: ...


class Work(Protocol):
    """What is needed of a search."""

    demands: Mapping[str, Demand]
    state: State
    strict: Set[str]

    @property
    def before(self) -> Mapping[str, Before]: ...
    def put(self, vm: str, choice: Choice) -> None: ...
    def take(self, vm: str) -> Choice: ...


def find_related(work: Work, vm: str, *, strict: bool, only: Sequence[str] | None = None) -> Choice | None:
    """The best choice over all hosts, or some: where it was, then by score, then the first host."""
    demand, state = work.demands[vm], work.state
    was = work.before.get(vm)
    if was is not None and only is None:
        found = best_choice(demand, state, was.host, strict=strict)
        if found is not None and was.nodes is not None:
            found = best_choice(demand, state, was.host, strict=strict, only=was.nodes) or found
        if found is not None:
            return found[1]
    scored = _best(demand, state, demand.hosts if only is None else only, strict=strict)
    return scored[1] if scored else None


def _best(
    demand: Demand, state: State, hosts: Sequence[str] | Mapping[str, object], *, strict: bool
) -> tuple[Score, Choice] | None:
    best: tuple[Score, Choice] | None = None
    for host in hosts:
        found = best_choice(demand, state, host, strict=strict)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    return best


def place_together(work: Work, vm: str, order: Sequence[str]) -> bool:
    """Whether the guest has its place: it was placed with others that it belongs together with, before this or now.

    The first of them takes all that have no place yet, in order, to the domain that holds them best; where none does, each looks
    for itself.
    """
    if vm in work.state.chosen:
        return True
    if vm in work.before:
        return False
    for relation in work.demands[vm].relations:
        if relation.together and not work.state.groups.get(relation.place):
            mates = [one for one in order if relation in work.demands[one].relations and one not in work.before]
            if len(mates) > 1 and _place(work, relation, mates):
                return True
    return False


def _place(work: Work, relation: Relation, mates: Sequence[str]) -> bool:
    best: tuple[Score, dict[str, Choice]] | None = None
    group = work.state.groups.setdefault(relation.place, {})
    for number, (domain, hosts) in enumerate(_domains(work, relation, mates)):
        if number == _DOMAINS:
            break
        group[""] = frozenset((domain,))
        found = _fill(work, relation, mates, hosts)
        del group[""]
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    if best is None:
        return False
    for vm, choice in best[1].items():
        work.put(vm, choice)
    return True


def _domains(work: Work, relation: Relation, mates: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each domain that all may be in, with its hosts."""
    hosts = [host for host in work.state.hosts if all(host in work.demands[vm].hosts for vm in mates)]
    if relation.domain is Domain.RACK:
        hosts = list(dict.fromkeys(host for vm in mates for host in work.demands[vm].hosts))
    found: dict[str, list[str]] = {}
    for host in hosts:
        here = work.state.hosts[host]
        for node in range(len(here.nodes)):
            for domain in sorted(node_domains(here.machine, relation, node)):
                known = found.setdefault(domain, [])
                if host not in known:
                    known.append(host)
    yield from found.items()


def _fill(
    work: Work, relation: Relation, mates: Sequence[str], hosts: Sequence[str]
) -> tuple[Score, dict[str, Choice]] | None:
    """All of them on these hosts, in the domain that the group is bound to; nothing is left placed."""
    placed: dict[str, Choice] = {}
    total: Score = ()
    for vm in mates:
        demand = work.demands[vm]
        found = _best(demand, work.state, [host for host in hosts if host in demand.hosts], strict=vm in work.strict)
        if found is None:
            break
        if not relation.required and _misses(work.state, relation, found[1]):
            break
        total = tuple(a + b for a, b in zip_longest(total, found[0], fillvalue=0))
        work.put(vm, found[1])
        placed[vm] = found[1]
    whole = len(placed) == len(mates)
    for vm in reversed(placed):
        work.take(vm)
    return (total, placed) if whole else None


def _misses(state: State, relation: Relation, choice: Choice) -> bool:
    """Whether a preferred relation would not be met after all."""
    return domains(state.hosts[choice.host].machine, relation, choice.cells) != state.groups[relation.place][""]


def prefer(work: Work, order: Sequence[str]) -> None:
    """Guests whose preferred relations are not met look for a better place once all have one."""
    for vm in order:
        demand, choice = work.demands[vm], work.state.chosen.get(vm)
        if choice is None or vm in work.before or all(relation.required for relation in demand.relations):
            continue
        if unmet(demand, work.state.hosts[choice.host].machine, choice.cells, work.state.groups):
            work.take(vm)
            work.put(vm, find_related(work, vm, strict=vm in work.strict) or choice)
