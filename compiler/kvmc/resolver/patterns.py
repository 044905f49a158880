"""Which sizes lie together in each L3 so that all of them have room: a small question of its own.

Patterns of one room after the other, as in cutting stock (Gilmore and Gomory 1961), by depth-first search in counted steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

_STATES = 1500
"""Rooms that are filled on trial, at most."""


class Patterns:
    """Sizes for every room, so that all are used: depth first, the largest size left opens a pattern; what failed once is known."""

    def __init__(self, rooms: Sequence[int], counts: dict[int, int], chance: Callable[[int], int]) -> None:
        self.rooms = rooms
        self.sizes = sorted(counts, reverse=True)
        self.counts = [counts[size] for size in self.sizes]
        self.waste = sum(rooms) - sum(size * number for size, number in counts.items())
        self.chance = chance
        self.chosen: list[tuple[int, ...]] = []
        self.failed: set[tuple[int, ...]] = set()
        self.states = 0

    def fill(self) -> bool:
        """Whether there is a way; `chosen` has the sizes of each room then."""
        index = len(self.chosen)
        if index == len(self.rooms):
            return not any(self.counts)
        key = (index, self.waste, *self.counts)
        if self.waste < 0 or key in self.failed:
            return False
        self.states += 1
        if self.states > _STATES:
            return False
        room = self.rooms[index]
        for sizes, rest in self.patterns(room):  # which holds the sizes while it waits
            self.waste -= rest
            self.chosen.append(sizes)
            if self.fill():
                return True
            self.chosen.pop()
            self.waste += rest
            if self.states > _STATES:
                return False
        self.failed.add(key)
        return False

    def patterns(self, room: int) -> Iterator[tuple[tuple[int, ...], int]]:
        """Sizes that go into the room together, with what they leave; as it comes, but the largest is always among them where
        all rooms left are alike, since one of them has to take it."""
        order = [index for index, number in enumerate(self.counts) if number and self.sizes[index] <= room]
        alike = self.rooms[len(self.chosen)] == self.rooms[-1]
        first = order[:1] if alike else self.shuffled(order)
        for index in first:
            self.counts[index] -= 1
            yield from self.complete(room - self.sizes[index], (self.sizes[index],), self.shuffled(order))
            self.counts[index] += 1
        if room <= self.waste:
            yield (), room

    def complete(
        self, room: int, sizes: tuple[int, ...], order: Sequence[int]
    ) -> Iterator[tuple[tuple[int, ...], int]]:
        """More sizes into the rest of a room, each time from the given order on."""
        if room <= self.waste:
            yield sizes, room
        for at, index in enumerate(order):
            size = self.sizes[index]
            if size <= room and self.counts[index]:
                self.counts[index] -= 1
                yield from self.complete(room - size, (*sizes, size), order[at:])
                self.counts[index] += 1

    def shuffled(self, order: Sequence[int]) -> list[int]:
        some = list(dict.fromkeys(order))
        for at in range(len(some) - 1, 0, -1):
            other = self.chance(at + 1)
            some[at], some[other] = some[other], some[at]
        return some
