"""Small changes of texts that change what they say: of a number, a list of CPUs, a word, a line."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from kvmc.model.cpuset import CpuSet


@dataclass(frozen=True)
class Edit:
    """The text after it, the lines (from 1) that it changed or added, and whether it only took lines away."""

    text: str
    lines: range
    gone: bool = False


Operator = Callable[[random.Random, str], "Edit | None"]
"""None: the text has nothing to change in this way."""


def number(rng: random.Random, text: str) -> str:
    """Another number, in the same notation, not below zero."""
    value, width = int(text, 0), len(text)
    other = rng.choice([value + 1, value + 2, value * 2 + 1, max(value - 1, 0)])
    if other == value:
        other += 1
    return f"0x{other:0{width - 2}x}" if text.startswith("0x") else str(other)


def cpus(rng: random.Random, text: str) -> str:
    """Another list of CPUs: one more, one fewer, or all moved."""
    old = CpuSet.parse(text)
    last = max(old)
    choices = [old | CpuSet.of([rng.randrange(last + 3)]), CpuSet.of([*old][:-1]), CpuSet.of(cpu + 1 for cpu in old)]
    choices += [CpuSet.of([rng.randrange(last + 2)])]
    rng.shuffle(choices)
    return str(next(one for one in choices if one and one != old))


def word(rng: random.Random, text: str) -> str:
    """Another word: its opposite where it has one, else a letter more, fewer, or changed."""
    opposites = {
        "yes": "no",
        "on": "off",
        "true": "false",
        "none": "native",
        "strict": "preferred",
        "fifo": "rr",
        "raw": "qcow2",
    }
    opposites |= {other: one for one, other in opposites.items()}
    if text in opposites and rng.random() < 0.7:
        return opposites[text]
    at = rng.randrange(len(text))
    letter = rng.choice([one for one in "abcdexyz" if one != text[at].lower()])
    return rng.choice([text + letter, text[:at] + letter + text[at + 1 :]])


def change(rng: random.Random, text: str, pattern: str, new: Callable[[random.Random, str], str]) -> Edit | None:
    """Change the first group of one of the pattern's matches; the pattern is of one line."""
    found = [match for match in re.finditer(pattern, text, re.MULTILINE) if match[1]]
    if not found:
        return None
    match = rng.choice(found)
    line = text.count("\n", 0, match.start(1)) + 1
    return Edit(text[: match.start(1)] + new(rng, match[1]) + text[match.end(1) :], range(line, line + 1))


def drop(rng: random.Random, text: str, pattern: str) -> Edit | None:
    """Take one of the lines away that the pattern is found in."""
    lines = text.splitlines(keepends=True)
    found = [index for index, line in enumerate(lines) if re.search(pattern, line)]
    if not found:
        return None
    index = rng.choice(found)
    return Edit("".join(lines[:index] + lines[index + 1 :]), range(index + 1, index + 2), gone=True)


def insert(rng: random.Random, text: str, pattern: str, new: list[str]) -> Edit | None:
    """Put a new line behind one that the pattern is found in."""
    lines = text.splitlines(keepends=True)
    found = [index for index, line in enumerate(lines) if re.search(pattern, line)]
    if not found:
        return None
    index = rng.choice(found) + 1
    line = rng.choice(new)
    return Edit("".join([*lines[:index], line + "\n", *lines[index:]]), range(index + 1, index + 2 + line.count("\n")))


def changing(pattern: str, new: Callable[[random.Random, str], str]) -> Operator:
    return lambda rng, text: change(rng, text, pattern, new)


def dropping(pattern: str) -> Operator:
    return lambda rng, text: drop(rng, text, pattern)


def inserting(pattern: str, *new: str) -> Operator:
    return lambda rng, text: insert(rng, text, pattern, list(new))


def one_of(*values: str) -> Callable[[random.Random, str], str]:
    """One of the values that is not the old one."""
    return lambda rng, old: rng.choice([value for value in values if value != old])


def any_of(*operators: Operator) -> Operator:
    """The first that applies, in an order by chance."""

    def run(rng: random.Random, text: str) -> Edit | None:
        for operator in rng.sample(operators, len(operators)):
            edit = operator(rng, text)
            if edit is not None:
                return edit
        return None

    return run
