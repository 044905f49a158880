"""Guests that change their place: which, what each move costs, and the fewest that make room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

from kvmc.model.cpuset import CpuSet
from kvmc.resolver.keep import Kept
from kvmc.resolver.placement import GuestPlacement, Placement
from kvmc.resolver.state import Choice
from kvmc.resolver.variant import Trials, Variant
from kvmc.topology.model import Topology

_SINGLES = 32
"""Guests that are moved alone on trial, at most, and of them in pairs."""
_PAIRED = 12


class Cost(StrEnum):
    """What a move takes, the cheapest first."""

    REPIN = "live re-pin"
    RESTART = "guest restart"
    MIGRATION = "migration"
    COLD = "migration, shut down"

    @property
    def rank(self) -> int:
        return list(Cost).index(self)


@dataclass(frozen=True, slots=True)
class Move:
    """A guest from one host to another, or within its own."""

    vm: str
    source: str
    target: str
    cost: Cost


def placement_moves(
    old: Mapping[str, GuestPlacement], new: Placement, topologies: Mapping[str, Topology]
) -> tuple[Move, ...]:
    """What moves between two placements of the guests that both have, in the new one's order."""
    found: list[Move] = []
    for vm, guest in new.guests.items():
        before = old.get(vm)
        cost = _cost(before, guest, topologies) if before is not None else None
        if before is not None and cost is not None:
            found.append(Move(vm, before.host, guest.host, cost))
    return tuple(found)


def _cost(old: GuestPlacement, new: GuestPlacement, topologies: Mapping[str, Topology]) -> Cost | None:
    """None for no move. Memory is bound to its nodes while a guest runs, and what it sees of caches and siblings never changes
    under it: where only CPUs change, and look the same from within, libvirt re-pins the running threads."""
    if old.host != new.host:
        return Cost.COLD if new.devices else Cost.MIGRATION
    if (old.cells, old.emulator, old.idle, old.devices) == (new.cells, new.emulator, new.idle, new.devices):
        return None
    shape = [(cell.node, cell.vcpus, cell.memory_kib) for cell in old.cells]
    topology = topologies[new.host]
    if (
        shape != [(cell.node, cell.vcpus, cell.memory_kib) for cell in new.cells]
        or dict(old.devices) != dict(new.devices)
        or _seen(old, topology) != _seen(new, topology)
    ):
        return Cost.RESTART
    return Cost.REPIN


def _seen(guest: GuestPlacement, topology: Topology) -> list[tuple[int, int]]:
    """For each vCPU the first one that shares its core, and the first that shares its L3."""
    pins = [pin for cell in guest.cells for pin in cell.pins]
    return list(zip(_firsts(pins, topology.cores or ()), _firsts(pins, topology.l3 or ()), strict=True))


def _firsts(pins: Sequence[CpuSet], groups: Iterable[CpuSet]) -> list[int]:
    known: dict[CpuSet, int] = {}
    of_cpu = {cpu: group for group in groups for cpu in group}
    return [
        known.setdefault(of_cpu.get(pin.first, pin) if len(pin) == 1 else pin, index) for index, pin in enumerate(pins)
    ]


def cheapest_moves(whole: Variant, kept: Kept, trials: Trials) -> tuple[Move, ...]:
    """The fewest locked guests that have to move so that `whole` fits, of those the cheapest; empty where none do.

    One guest, then two, then any number, of which none can be left out.
    """
    near = _near(whole, kept)
    for number, some in ((1, near[:_SINGLES]), (2, near[:_PAIRED])):
        best: tuple[Move, ...] = ()
        for vms in combinations(some, number):
            moves = _moved(whole, vms, kept, trials)
            if moves and (not best or price(moves) < price(best)):
                best = moves
                if price(best) == (number, 0):
                    break
        if best:
            return best
    moves = _moved(whole, tuple(near), kept, trials)
    for move in moves:
        fewer = tuple(one.vm for one in moves if one.vm != move.vm)
        if move.vm in {one.vm for one in moves}:
            moves = _moved(whole, fewer, kept, trials) or moves
    return moves


def price(moves: Sequence[Move]) -> tuple[int, int]:
    """What some moves cost together: their number, then how dear they are."""
    return len(moves), sum(move.cost.rank for move in moves)


def _near(whole: Variant, kept: Kept) -> list[str]:
    """The locked guests on hosts that those without a lock may go to, the smallest first."""
    hosts = {host for vm in whole.site.vms if vm not in whole.locked for host in kept.demands[vm].hosts}
    found = [vm for vm, choice in kept.choices.items() if choice.host in hosts and vm in whole.locked]
    return sorted(found, key=lambda vm: sum(cell.vcpus for cell in kept.demands[vm].cells))


def _moved(whole: Variant, vms: Sequence[str], kept: Kept, trials: Trials) -> tuple[Move, ...]:
    """The moves where these guests may, or none where that does not make it fit."""
    fitted = trials.solve(replace(whole, locked=whole.locked - set(vms)))
    if fitted is None:
        return ()
    return tuple(
        Move(vm, kept.choices[vm].host, choice.host, cost)
        for vm in vms
        if (choice := fitted.state.chosen[vm]) and (cost := _choice_cost(kept.choices[vm], choice)) is not None
    )


def _choice_cost(old: Choice, new: Choice) -> Cost | None:
    if old.host != new.host:
        return Cost.COLD if new.devices else Cost.MIGRATION
    if old == new:
        return None
    same = [cell.node for cell in old.cells] == [cell.node for cell in new.cells] and old.devices == new.devices
    takes = [[[(take.vcpus, take.cores) for take in cell.takes] for cell in choice.cells] for choice in (old, new)]
    return Cost.REPIN if same and takes[0] == takes[1] else Cost.RESTART


def moves_text(moves: Sequence[Move]) -> str:
    """Each guest with what its move costs."""
    parts = [
        f"`{move.vm}` to `{move.target}` ({move.cost})" if move.source != move.target else f"`{move.vm}` ({move.cost})"
        for move in moves
    ]
    return ", ".join(parts)
