"""Kinds of values: each reads one form of the tree and gives a typed value, or says what is wrong with it and what would help.

Kinds of texts (paths, addresses, names of other programs) are in `texts.py`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from kvmc.diagnostics import Fix, Label, Span
from kvmc.diagnostics.codes import schema as codes
from kvmc.diagnostics.model import Code
from kvmc.model.cpuset import CpuSet
from kvmc.model.names import NearNames, shown
from kvmc.model.values import KIB_PER_UNIT, PageCount, Version, VersionRange, size_text
from kvmc.syntax.tree import Count, ListValue, Value, Word

MIB = KIB_PER_UNIT["MiB"]
TIB = KIB_PER_UNIT["TiB"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a value, at the smallest place. write: texts that mend it in its place, the likeliest first. fixes: other
    changes that do."""

    code: Code
    message: str
    span: Span
    help: tuple[str, ...] = ()
    secondary: tuple[Label, ...] = ()
    write: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()


class BadValue(Exception):  # noqa: N818 - a user's mistake, caught by the schema pass alone
    """Carries the problems of one value from a kind to the schema pass."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


class Kind(ABC):
    """How a value is written and what it means."""

    words: str
    """The form, for messages and the reference: `a size such as 64GiB`."""

    @abstractmethod
    def read(self, value: Value) -> object:
        """The typed value. Raises BadValue."""


class Scalar(Kind):
    """A kind of one word."""

    def read(self, value: Value) -> object:
        if not isinstance(value, Word):
            found = "a list" if isinstance(value, ListValue) else "a count"
            raise BadValue(Problem(codes.WRONG_SHAPE, f"{found} where {self.words} is needed", value.span))
        return self.parse(value)

    @abstractmethod
    def parse(self, word: Word) -> object: ...


def elements(value: Value) -> tuple[Word | Count, ...]:
    """The items of a list, or the single value. A bare `1,2` is one word to the grammar and two items here."""
    items = value.items if isinstance(value, ListValue) else (value,)
    parts: list[Word | Count] = []
    for item in items:
        if isinstance(item, Count) or item.quoted or "," not in item.text:
            parts.append(item)
            continue
        start = item.span.start
        for text in item.text.split(","):
            parts.append(Word(text, Span(item.span.file, start, start + len(text))))
            start += len(text) + 1
    return tuple(parts)


class ListOf(Kind):
    """A list of one kind, without repetition."""

    def __init__(self, item: Scalar, least: int = 0) -> None:
        self.item = item
        self.least = least
        self.words = f"a list, each {item.words}"

    def read(self, value: Value) -> object:
        if not isinstance(value, ListValue):
            word = value.text if isinstance(value, Word) else ""
            quoted = f'"{word}"' if isinstance(value, Word) and value.quoted else word
            help = (f"write `[{quoted}]`",) if word and '"' not in word and "\\" not in word else ()
            raise BadValue(Problem(codes.WRONG_SHAPE, "a single value where a list is needed", value.span, help))
        problems: list[Problem] = []
        found: dict[object, Span] = {}
        end = value.span.start
        for part in elements(value):
            gap, end = end, part.span.end
            try:
                one = self.item.read(part)
            except BadValue as bad:
                problems += bad.problems
                continue
            if one in found:
                first = (Label(found[one], "first here"),)
                fix = Fix(Span(part.span.file, gap, end), "", "delete it here")
                text, help = f"`{one}` is in the list twice", ("delete one of them",)
                problems.append(Problem(codes.REPEATED, text, part.span, help, first, fixes=(fix,)))
            found.setdefault(one, part.span)
        if len(found) < self.least and not problems:
            text = f"the list has {len(found)} of at least {self.least} items"
            problems.append(Problem(codes.TOO_FEW, text, value.span))
        if problems:
            raise BadValue(*problems)
        return tuple(found)


class OneOrMore(Kind):
    """One of a kind, or a list of them without repetition; a tuple either way."""

    def __init__(self, item: Scalar) -> None:
        self.item = item
        self.list = ListOf(item, 1)
        self.words = f"{item.words}, or a list of such"

    def read(self, value: Value) -> object:
        return self.list.read(value) if isinstance(value, ListValue) else (self.item.read(value),)


class Choice(Scalar):
    """One of a closed set of words."""

    def __init__(self, options: type[StrEnum] | Sequence[str], without: Sequence[str] = ()) -> None:
        self.options = {str(option): option for option in options if str(option) not in without}
        self.words = "one of " + ", ".join(f"`{option}`" for option in self.options)

    def parse(self, word: Word) -> object:
        if word.text not in self.options:
            help = NearNames().help(word.text, self.options)
            text = f"{shown(word.text)} is not {self.words}"
            write = tuple(dict.fromkeys([*NearNames().names(word.text, self.options), *self.options]))
            raise BadValue(Problem(codes.BAD_WORD, text, word.span, help, write=write))
        return self.options[word.text]


class Flag(Scalar):
    words = "`true` or `false`"

    def parse(self, word: Word) -> object:
        if word.text not in ("true", "false"):
            meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}.get(
                word.text.lower(), word.text.lower()
            )
            help = (f"write `{meant}`",) if meant in ("true", "false") else ()
            raise BadValue(
                Problem(codes.BAD_WORD, f"{shown(word.text)} is neither `true` nor `false`", word.span, help)
            )
        return word.text == "true"


class Integer(Scalar):
    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high
        self.words = f"a whole number from {low} to {high}"

    def parse(self, word: Word) -> object:
        if re.fullmatch(r"-?[0-9]+", word.text) is None:
            raise BadValue(Problem(codes.BAD_NUMBER, f"{shown(word.text)} is not a whole number", word.span))
        if len(word.text) > 18 or not self.low <= int(word.text) <= self.high:
            text = f"{shown(word.text)} is not in {self.low} to {self.high}"
            raise BadValue(Problem(codes.BAD_NUMBER, text, word.span))
        return int(word.text)


class PerNode(Kind):
    """A whole number for all nodes, or a list with one for each."""

    def __init__(self, item: Integer) -> None:
        self.item = item
        self.words = f"{item.words}, or a list with one for each node"

    def read(self, value: Value) -> object:
        if not isinstance(value, ListValue):
            return self.item.read(value)
        problems: list[Problem] = []
        found: list[object] = []
        for part in elements(value):
            try:
                found.append(self.item.read(part))
            except BadValue as bad:
                problems += bad.problems
        if not found and not problems:
            problems.append(Problem(codes.TOO_FEW, "the list has 0 of at least 1 items", value.span))
        if problems:
            raise BadValue(*problems)
        return tuple(found)


class PowerOfTwo(Integer):
    """Rings of virtio have a power of two of places."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        self.words = f"a power of two from {low} to {high}"

    def parse(self, word: Word) -> object:
        value = super().parse(word)
        assert isinstance(value, int)
        if value & (value - 1):
            below = 1 << (value.bit_length() - 1)
            choices = [one for one in (below, below * 2) if self.low <= one <= self.high]
            help = (f"write {' or '.join(f'`{one}`' for one in choices)}",)
            text = f"{shown(word.text)} is not a power of two"
            raise BadValue(Problem(codes.BAD_NUMBER, text, word.span, help, write=tuple(map(str, choices))))
        return value


_SIZE = re.compile(r"([0-9]{1,15})(\.[0-9]+)?([A-Za-z]*)")
_UNITS = {unit[0].lower(): unit for unit in KIB_PER_UNIT}


def read_size(word: Word) -> int:
    """A size in KiB. Raises BadValue; binary units only."""
    match = _SIZE.fullmatch(word.text)
    unit = match[3] if match else ""
    if match is None or (unit and unit[0].lower() not in _UNITS) or unit[1:].lower() not in ("", "b", "i", "ib"):
        help: tuple[str, ...] = ("write a whole number and KiB, MiB, GiB or TiB, as `64GiB`",)
        raise BadValue(Problem(codes.BAD_SIZE, f"{shown(word.text)} is not a size", word.span, help))
    if not unit:
        likely = "GiB" if int(match[1]) <= 4096 else "MiB"
        help = (f"write its unit, as `{match[1]}{likely}`; units are KiB, MiB, GiB and TiB",) if not match[2] else ()
        write = () if match[2] else tuple(f"{match[1]}{one}" for one in (likely, "MiB" if likely == "GiB" else "GiB"))
        raise BadValue(Problem(codes.BAD_SIZE, f"size {shown(word.text)} has no unit", word.span, help, write=write))
    binary = _UNITS[unit[0].lower()]
    if match[2]:
        kib = float(match[1] + match[2]) * KIB_PER_UNIT[binary]
        help = (f"write `{size_text(int(kib))}`",) if kib == int(kib) else ("use a smaller unit",)
        raise BadValue(
            Problem(codes.BAD_SIZE, f"size {shown(word.text)} is not a whole number of {binary}", word.span, help)
        )
    if unit != binary:
        help = (f"write `{match[1]}{binary}`",)
        raise BadValue(Problem(codes.BAD_SIZE, f"`{unit}` is not a binary unit", word.span, help))
    return int(match[1]) * KIB_PER_UNIT[unit]


class Size(Scalar):
    """An amount of memory, in KiB."""

    words = "a size such as `64GiB`"

    def __init__(self, low: int = MIB, high: int = 64 * TIB) -> None:
        self.low = low
        self.high = high

    def parse(self, word: Word) -> object:
        kib = read_size(word)
        if not self.low <= kib <= self.high:
            text = f"{shown(word.text)} is not in {size_text(self.low)} to {size_text(self.high)}"
            raise BadValue(Problem(codes.BAD_SIZE, text, word.span))
        return kib


class PageSize(Scalar):
    """A size of huge pages, in KiB: what any kernel has, from 64 KiB (arm64) to 16 GiB (ppc64, arm64)."""

    words = "a page size such as `2MiB` or `1GiB`"

    def parse(self, word: Word) -> object:
        kib = read_size(word)
        if kib < 64 or kib > 16 * KIB_PER_UNIT["GiB"] or kib & (kib - 1):
            help = ("x86 has `2MiB` and `1GiB`",)
            text = f"{shown(word.text)} is not a power of two from 64KiB to 16GiB"
            raise BadValue(Problem(codes.BAD_PAGES, text, word.span, help, write=("2MiB", "1GiB")))
        return kib


class OrNone(Scalar):
    """A kind, or the word `none` for the absence of a value."""

    def __init__(self, kind: Scalar) -> None:
        self.kind = kind
        self.words = f"{kind.words}, or `none`"

    def parse(self, word: Word) -> object:
        return None if word.text == "none" and not word.quoted else self.kind.parse(word)


class PageCounts(Kind):
    """Counts of huge pages, one a size: `96 * 1GiB`, a list of such, or `none`."""

    words = "a count of pages such as `96 * 1GiB`, a list of such, or `none`"

    _number = Integer(0, 16_777_216)
    _size = PageSize()

    def read(self, value: Value) -> object:
        if isinstance(value, Word) and value.text == "none":
            return ()
        problems: list[Problem] = []
        found: dict[int, PageCount] = {}
        for part in elements(value):
            try:
                count = self._count(part)
            except BadValue as bad:
                problems += bad.problems
                continue
            if count.size_kib in found:
                text = f"pages of {size_text(count.size_kib)} are counted twice"
                problems.append(Problem(codes.REPEATED, text, part.span))
            found[count.size_kib] = count
        if problems:
            raise BadValue(*problems)
        return tuple(found.values())

    def _count(self, part: Word | Count) -> PageCount:
        if isinstance(part, Word):
            help = (f"write `N * {part.text}`",) if _SIZE.fullmatch(part.text) else ()
            text = f"{shown(part.text)} is not a count of pages such as `96 * 1GiB`"
            raise BadValue(Problem(codes.BAD_PAGES, text, part.span, help))
        number, size = self._number.read(part.number), self._size.read(part.size)
        assert isinstance(number, int) and isinstance(size, int)
        return PageCount(number, size)


class VcpuList(Kind):
    """vCPUs of a guest by their numbers, in the kernel's list form: `0-3,6`."""

    words = "a list of the guest's vCPUs such as `0-3,6`"

    def read(self, value: Value) -> object:
        found = CpuSet()
        for part in elements(value):
            if isinstance(part, Count):
                raise BadValue(Problem(codes.WRONG_SHAPE, f"a count where {self.words} is needed", part.span))
            try:
                some = CpuSet.parse(part.text)
            except ValueError as error:
                raise BadValue(Problem(codes.BAD_VCPUS, f"{shown(part.text)}: {error}", part.span)) from None
            if some & found:
                raise BadValue(Problem(codes.REPEATED, f"vCPU {some & found} is in the list twice", part.span))
            found |= some
        if not found:
            raise BadValue(Problem(codes.BAD_VCPUS, f"an empty text is not {self.words}", value.span))
        return found


_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]{1,9})?")


class Versions(Scalar):
    """A release `6.12`, or all from one to another `6.1..6.12`; a third part is taken and not told apart."""

    words = "a version such as `6.12`, or a range such as `6.1..6.12`"

    def parse(self, word: Word) -> object:
        low, dots, high = word.text.partition("..")
        first = self._version(word, low)
        last = self._version(word, high) if dots else first
        if last < first:
            raise BadValue(Problem(codes.BAD_VERSION, f"range {shown(word.text)} ends below its start", word.span))
        return VersionRange(first, last)

    def _version(self, word: Word, text: str) -> Version:
        match = _VERSION.fullmatch(text)
        if match is None:
            help = (f"write `{text}.0`, or the minor version that it is",) if re.fullmatch("[0-9]{1,4}", text) else ()
            raise BadValue(Problem(codes.BAD_VERSION, f"{shown(text)} is not {self.words}", word.span, help))
        return Version(int(match[1]), int(match[2]))
