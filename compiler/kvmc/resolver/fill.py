"""Exact filling: node after node gets a set of guests that leaves nothing over, found by meeting in the middle.

Where guests need nearly every core and page there is no room for trial and error: a node takes a set that fills it in both, from
two halves of the guests tried whole (Horowitz and Sahni 1974). A few nodes are filled one after the other; many nodes exchange
guests in pairs, so that one of the two is full. All is counted in steps.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from kvmc.resolver.board import Board, Item, Spot
from kvmc.resolver.repack import pack_all

_POOL = 14
"""Guests that one of the first nodes chooses from."""
_LAST = 3
"""Nodes that are searched through."""
_FEW = 3
"""Sets tried for one of the first nodes."""
_MANY = 400
"""Sets tried for one of the last nodes."""
_SOME = 24
"""Sets tried for one of two nodes."""
_KEPT = 1000
"""Sets looked for at all."""
_LARGEST = 22
"""Guests that a set is chosen from at all."""


class Fill:
    """The board while nodes are filled; `steps` are spent of `limit`."""

    def __init__(self, board: Board, items: Sequence[Item], seed: int) -> None:
        self.board = board
        self.items = items
        self.seed = seed
        self.steps = 0
        self.limit = 0
        self.slack = (0, 0)
        self.size = next((item.demand.pages_kib for item in items if item.demand.pages_kib), None)
        self.nodes = [
            frozenset(
                node
                for node in range(len(board.node_slots))
                if board.may(item, node) and all(board.functions[node].get(pool) for pool, _ in item.pools)
            )
            for item in items
        ]

    def possible(self) -> bool:
        """Whether it is of use here: one page size, nobody kept apart, and not too many nodes."""
        return (
            len(self.board.node_slots) <= 64
            and {item.demand.pages_kib for item in self.items} == {self.size}
            and not any(item.demand.hosts.apart for item in self.items)
        )

    def run(self, limit: int) -> dict[int, Spot] | None:
        """A spot for every item on the board, which must hold none of them; it holds none afterwards."""
        self.limit = limit
        while self.steps < limit:
            self.where: dict[int, Spot] = {}
            found = self.spread() and self.fill(self.order(), [i.id for i in self.items if i.id not in self.where])
            for id, spot in self.where.items():
                self.board.apply(self.items[id], spot, 1)
            if found:
                return self.where
            self.steps += 50
        return None

    def exchange(self, where: Mapping[int, Spot], limit: int) -> dict[int, Spot] | None:
        """A spot for every item, from one that packs their cores and is short of pages; the board holds the items all along.

        Two nodes pack their guests anew, so that one is filled in cores and pages and the other in cores; that one goes on with the
        next, until the last two fill each other.
        """
        self.limit = limit
        self.where = dict(where)
        everywhere = range(len(self.board.node_slots))
        self.slack = (self.cores(everywhere), self.pages(everywhere))
        self.board.paged = False
        while self.steps < limit and not self.chain():
            self.steps += 50
        done = all(held >= 0 for pages in self.board.pages for held in pages.values())
        if done:
            return self.where
        for id, spot in self.where.items():
            self.board.apply(self.items[id], spot, 1)
        for id, spot in where.items():
            self.board.apply(self.items[id], spot, -1)
        return None

    def chain(self) -> bool:
        """One pass over all nodes in a new order."""
        inside: dict[int, list[int]] = {node: [] for node in range(len(self.board.node_slots))}
        for id, spot in self.where.items():
            if len(spot.cells) == 1:
                inside[spot.cells[0][0]].append(id)
        open_nodes = self.order()
        while len(open_nodes) > 1:
            node = open_nodes.pop(0)
            others = open_nodes[:]
            while others:
                other = others.pop(self.chance(len(others)))
                if self.steps > self.limit or self.refill(node, other, inside, last=len(open_nodes) == 1):
                    break
            else:
                return False
        return all(held >= 0 for pages in self.board.pages for held in pages.values())

    def refill(self, node: int, other: int, inside: dict[int, list[int]], *, last: bool) -> bool:
        """Fill one of two nodes in cores and pages, the other in cores; with `last` in pages too."""
        ids = inside[node] + inside[other]
        before = {id: self.where[id] for id in ids}
        for id in ids:
            self.unlay(id)
        pool = [id for id in ids if node in self.nodes[id]]
        forced = [id for id in pool if other not in self.nodes[id]]
        pool = [id for id in pool if id not in forced][:_LARGEST]
        cores = self.cores([node]) - sum(self.items[id].cores for id in forced)
        pages = self.pages([node]) - sum(self.items[id].cells[0][1] for id in forced)
        sets = list(islice(self.sets(pool, cores, pages, *self.slack), _KEPT)) if cores >= 0 and pages >= 0 else []
        room = self.pages([other])
        for number in range(min(_MANY if last else _SOME, len(sets))):
            pick = number + self.chance(len(sets) - number)
            sets[number], sets[pick] = sets[pick], sets[number]
            mine = [*forced, *sets[number]]
            theirs = [id for id in ids if id not in mine]
            if last and sum(self.items[id].cells[0][1] for id in theirs) > room:
                continue
            first = self.packed(node, mine)
            second = self.packed(other, theirs) if first is not None else None
            if first is not None and second is not None:
                for id, spot in (first | second).items():
                    self.lay(id, spot)
                inside[node], inside[other] = mine, theirs
                return True
        for id in ids:
            self.lay(id, before[id])
        return False

    def packed(self, node: int, ids: Sequence[int]) -> dict[int, Spot] | None:
        """Spots for all these guests on a node."""
        spots, spent = pack_all(self.board, [self.items[id] for id in ids], [(node, list(self.board.node_slots[node]))])
        self.steps += spent
        return None if spots is None else dict(zip(ids, spots, strict=True))

    def chance(self, number: int) -> int:
        """The next of a fixed row of numbers below `number`."""
        self.seed = (self.seed * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.seed >> 33) % number

    def spread(self) -> bool:
        """Guests of several nodes first, anywhere."""
        groups = [(node, list(slots)) for node, slots in enumerate(self.board.node_slots)]
        for item in self.items:
            if len(item.cells) > 1:
                spots = self.board.spots(item, groups)
                if not spots:
                    return False
                self.lay(item.id, spots[self.chance(len(spots))])
        return True

    def order(self) -> list[int]:
        """Nodes with devices first, then as it comes."""
        board = self.board
        keys = [
            (not any(functions.values()), self.chance(1000), node) for node, functions in enumerate(board.functions)
        ]
        return [node for *_, node in sorted(keys)]

    def lay(self, id: int, spot: Spot) -> None:
        self.board.apply(self.items[id], spot, -1)
        self.where[id] = spot

    def unlay(self, id: int) -> None:
        self.board.apply(self.items[id], self.where.pop(id), 1)

    def fill(self, nodes: Sequence[int], ids: Sequence[int]) -> bool:
        """Lay all these guests on these nodes."""
        if not nodes:
            return not ids
        node, others = nodes[0], nodes[1:]
        forced = [id for id in ids if not self.nodes[id].intersection(others)]
        if any(node not in self.nodes[id] for id in forced):
            return False
        slack_cores = self.cores(nodes) - sum(self.items[id].cores for id in ids)
        slack_pages = self.pages(nodes) - sum(self.items[id].cells[0][1] for id in ids)
        if slack_cores < 0 or slack_pages < 0:
            return False
        last = len(nodes) <= _LAST
        pool = [id for id in ids if id not in forced and node in self.nodes[id]]
        if not last or len(pool) > _LARGEST:
            order = sorted((self.items[id].cores * -8 - self.chance(24), id) for id in pool)
            pool = sorted(id for _, id in order[:_POOL])
        cores = self.cores([node]) - sum(self.items[id].cores for id in forced)
        pages = self.pages([node]) - sum(self.items[id].cells[0][1] for id in forced)
        if cores < 0 or pages < 0:
            return False
        sets = list(islice(self.sets(pool, cores, pages, slack_cores, slack_pages), _KEPT))
        for number in range(min(_MANY if last else _FEW, len(sets))):
            if self.steps > self.limit:
                return False
            pick = number + self.chance(len(sets) - number)
            sets[number], sets[pick] = sets[pick], sets[number]
            mine = [*forced, *sets[number]]
            spots = self.packed(node, mine)
            if spots is None:
                continue
            for id, spot in spots.items():
                self.lay(id, spot)
            if self.fill(others, [id for id in ids if id not in mine]):
                return True
            for id in mine:
                self.unlay(id)
        return False

    def cores(self, nodes: Sequence[int]) -> int:
        return sum(self.board.free[slot] for node in nodes for slot in self.board.node_slots[node])

    def pages(self, nodes: Sequence[int]) -> int:
        return sum(self.board.pages[node].get(self.size, 0) for node in nodes) if self.size is not None else 0

    def sets(
        self, pool: Sequence[int], cores: int, pages: int, slack_cores: int, slack_pages: int
    ) -> Iterator[list[int]]:
        """Sets of guests that leave at most the slack of a node's cores and pages."""
        half = len(pool) // 2
        left: dict[int, list[tuple[int, int]]] = {}
        for number, held, mask in self.sums(pool[:half]):
            left.setdefault(number, []).append((held, mask))
        for some in left.values():
            some.sort()
        self.steps += (1 << half) // 4 + (1 << (len(pool) - half)) // 2
        for number, held, mask in self.sums(pool[half:]):
            if number > cores or held > pages:
                continue
            for waste in range(min(slack_cores, cores - number) + 1):
                some = left.get(cores - number - waste, [])
                at = bisect_left(some, (pages - held - slack_pages, 0))
                while at < len(some) and some[at][0] <= pages - held:
                    self.steps += 1
                    whole = some[at][1] | mask << half
                    yield [id for index, id in enumerate(pool) if whole >> index & 1]
                    at += 1

    def sums(self, pool: Sequence[int]) -> list[tuple[int, int, int]]:
        """Cores, pages and members of every set of these guests."""
        found = [(0, 0, 0)]
        for index, id in enumerate(pool):
            item = self.items[id]
            cores, pages = item.cores, item.cells[0][1]
            found += [(a + cores, b + pages, mask | 1 << index) for a, b, mask in found]
        return found
