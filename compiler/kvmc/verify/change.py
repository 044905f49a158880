"""One change between two trees: what it is, when it takes hold, and whom it touches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kvmc.verify.difference import STRENGTH, Effect, shown


@dataclass(frozen=True, slots=True)
class Change:
    """host: where it is made; of a guest that moves, where it goes. old, new: the values; empty where there is none. guests: those
    that stop or move for it. note: what else is to be known."""

    host: str
    guest: str | None
    what: str
    old: str
    new: str
    effect: Effect
    guests: tuple[str, ...] = ()
    note: str = ""

    @property
    def text(self) -> str:
        who = f"guest {self.guest}: " if self.guest else ""
        both = f": {shown(self.old) or 'none'} -> {shown(self.new) or 'none'}" if self.old or self.new else ""
        return f"{who}{self.what}{both}" + (f" ({self.note})" if self.note else "")

    def row(self) -> dict[str, object]:
        """For programs."""
        return {
            "host": self.host,
            "guest": self.guest,
            "what": self.what,
            "old": self.old or None,
            "new": self.new or None,
            "effect": self.effect,
            "guests": list(self.guests),
            "note": self.note or None,
        }


def strongest(changes: Iterable[Change]) -> Effect | None:
    """The label of all of them; None where there is none."""
    return max((one.effect for one in changes), key=STRENGTH.index, default=None)


def touched(changes: Iterable[Change]) -> tuple[str, ...]:
    """Guests that stop or move, by name."""
    return tuple(sorted({guest for one in changes for guest in one.guests}))


def listing(changes: Iterable[Change]) -> str:
    """For people: by host, each change with its label; empty where there is none."""
    by_host: dict[str, list[Change]] = {}
    for one in changes:
        by_host.setdefault(one.host, []).append(one)
    width = max(len(effect) for effect in Effect)
    lines = []
    for host, some in by_host.items():
        guests = touched(some)
        radius = f"touches {', '.join(guests)}" if guests else "no guest is touched"
        lines.append(f"{host}: {strongest(some)}; {radius}")
        lines += [f"  {one.effect:<{width}}  {one.text}" for one in some]
    return "".join(f"{line}\n" for line in lines)
