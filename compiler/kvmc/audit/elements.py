"""Numbers, sizes and lists of elements and attributes, each with a finding where it can't be read."""

from __future__ import annotations

from collections.abc import Callable

from kvmc.audit import xml
from kvmc.audit.source import At, T, integer, unreadable
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import MAX_CPU

_BYTES = {"b": 1, "B": 1, "bytes": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15, "EB": 10**18}
_BYTES |= {name: 1024**power for power, letter in enumerate("KMGTPE", 1) for name in (letter, f"{letter}iB")}
_BYTES |= {"k": 1024}


class Reader:
    """The readers of one file, which add to one bag."""

    def __init__(self, bag: Bag) -> None:
        self.bag = bag

    def number(self, at: At[str] | None, what: str = "a whole number") -> int | None:
        if at is None:
            return None
        value = integer(at.value)
        if value is None:
            unreadable(self.bag, at.span, what, at.value)
        return value

    def threads(self, at: At[str]) -> int | None:
        """A number of threads, no more than the kernel has CPUs."""
        value = self.number(at)
        if value is not None and value > MAX_CPU + 1:
            self.bag.error(
                codes.VALUE_UNREADABLE, f"{value} threads are more than the kernel's {MAX_CPU + 1} CPUs", at.span
            )
            return None
        return value

    def kib(self, at: At[str], unit: str) -> At[int] | None:
        size = self.bytes(at, unit)
        return None if size is None else At(-(-size.value // 1024), at.span)

    def bytes(self, at: At[str], unit: str) -> At[int] | None:
        number = self.number(at, "a size")
        if number is None:
            return None
        if unit not in _BYTES:
            unreadable(self.bag, at.span, "in a unit that libvirt knows", f"{at.value} {unit}")
            return None
        return At(number * _BYTES[unit], at.span)

    def cpus(self, at: At[str] | None, parse: Callable[[str], T], what: str) -> At[T] | None:
        if at is None:
            return None
        try:
            return At(parse(at.value), at.span)
        except ValueError as problem:
            self.bag.error(codes.VALUE_UNREADABLE, f"{what} cannot be read: {problem}", at.span)
            return None

    def needed(self, node: xml.Node, name: str) -> At[str] | None:
        at = node.attribute(name)
        if at is None:
            self.bag.error(codes.VALUE_UNREADABLE, f"`<{node.tag}>` has no `{name}`", node.span)
        return at
