"""Whether guests that fit into an L3 cache together may still find no run of ways, once some have stopped and started again.

libvirt gives a guest that starts the shortest free run of ways that is long enough, the lowest of those, from its low end, and
moves none that runs (src/util/virresctrl.c). So parts of different lengths can leave free ways in several runs, each too short.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import placement as codes
from kvmc.model.origins import Origins
from kvmc.resolver.demand import Demand
from kvmc.resolver.resctrl import caches_of
from kvmc.resolver.state import State

_STATES = 5_000
"""Arrangements of one cache that are looked at, at most."""

Runs = tuple[int, ...]
"""A cache from its low end: the ways of each guest that runs, and as negative numbers those of each free run."""


@dataclass(frozen=True, slots=True)
class Scattered:
    """An arrangement that starting and stopping leads to. size: what then does not start; runs: what is free."""

    size: int
    runs: tuple[int, ...]


def scatters(sizes: Sequence[int], ways: int) -> Scattered | None:
    """The first arrangement in which one of the guests that do not run finds no run of ways, though all together fit; None where
    there is none, as far as was looked."""
    if len(set(sizes)) < 2:
        return None
    every = Counter(sizes)
    first: Runs = (-ways,) if ways else ()
    seen, queue = {first}, [first]
    for state in queue:
        idle = every - Counter(one for one in state if one > 0)
        following = [_stopped(state, index) for index, one in enumerate(state) if one > 0]
        for size in sorted(idle):
            started = _started(state, size)
            if started is None:
                return Scattered(size, tuple(sorted((-one for one in state if one < 0), reverse=True)))
            following.append(started)
        for one in following:
            if one not in seen and len(seen) < _STATES:
                seen.add(one)
                queue.append(one)
    return None


def _started(state: Runs, size: int) -> Runs | None:
    able = [(-one, index) for index, one in enumerate(state) if -one >= size]
    if not able:
        return None
    free, index = min(able)
    rest = (-(free - size),) if free > size else ()
    return (*state[:index], size, *rest, *state[index + 1 :])


def _stopped(state: Runs, index: int) -> Runs:
    """Its ways join the free ones beside them."""
    found: list[int] = []
    for position, one in enumerate(state):
        value = -one if position == index else one
        if found and found[-1] < 0 and value < 0:
            found[-1] += value
        else:
            found.append(value)
    return tuple(found)


def tell_scattered(state: State, demands: Mapping[str, Demand], origins: Origins, bag: Bag) -> None:
    """Warn of each host where that may be; of its caches the first."""
    for name, host in state.hosts.items():
        if host.room is None:
            continue
        offer = host.room.offer
        held: dict[int, dict[str, int]] = {}
        for vm, choice in state.chosen.items():
            if choice.host == name and demands[vm].cachetune:
                for l3 in caches_of(demands[vm], choice, host.machine):
                    held.setdefault(l3, {})[vm] = offer.ways_for(demands[vm].cachetune)
        for l3, sizes in sorted(held.items()):
            found = scatters(list(sizes.values()), offer.ways)
            if found is None:
                continue
            bag.error(
                codes.WAYS_SCATTER,
                f"guests of `{name}` may not start again: {_listed(sizes.items())} ways fit into the {offer.ways} offered of the "
                f"L3 cache of CPU {l3}, but not in every order of stops and starts",
                origins.label(("host", name, "resctrl", "l3")),
                notes=(
                    f"libvirt never moves a part of a cache: {sum(found.runs)} ways can come to be free in runs of "
                    f"{' and '.join(map(str, found.runs))}, and a guest of {found.size} does not start then",
                ),
                help=("give the guests of one L3 cache the same `cachetune`", "offer more of the cache"),
            )
            break


def _listed(sizes: Iterable[tuple[str, int]]) -> str:
    shown = [f"`{vm}`'s {size}" for vm, size in sizes]
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more guests'" if len(shown) > 6 else "")
