"""Damaged variants of the examples: words and lines deleted, doubled and swapped, drawn with a seed.

A variant counts where kvmc finds an error, which it must in every one that no longer means what it meant and cannot be meant so.
What is still valid is drawn again and counted apart: a setting that goes has its default, two lines may change places.
"""

from __future__ import annotations

import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from kvmc.diagnostics import Severity
from kvmc.driver.stages import check_site
from kvmc.model.load import load_site

EXAMPLES = Path(__file__).parents[2] / "examples"
_T = TypeVar("_T")
KINDS = tuple(f"{what} {unit}" for unit in ("token", "line") for what in ("delete", "double", "swap"))
NEAR = 1
"""Lines between the damage and the first error, at most."""

_TOKEN = re.compile(r'(?P<comment>#[^\n]*)|"[^"\n]*"|[{}\[\]=,*:]|[^\s"{}\[\]=,*:#]+(?::[^\s"{}\[\]=,*:#]+)*')


@dataclass(frozen=True, slots=True)
class Damage:
    """One variant. file: the damaged one, below the example's folder. lines: where the damage is in the new text, from 1."""

    example: str
    file: str
    kind: str
    text: str
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What kvmc said of a variant. same: it is valid, and means what it meant. distance: in lines, of the first error."""

    damage: Damage
    codes: tuple[str, ...]
    messages: tuple[str, ...]
    located: bool
    distance: int | None
    same: bool
    seconds: float


@dataclass(slots=True)
class Tally:
    """The verdicts of a draw: those with an error, and the valid variants drawn on the way."""

    faulty: list[Verdict] = field(default_factory=list)
    same: list[Verdict] = field(default_factory=list)
    other: list[Verdict] = field(default_factory=list)

    @property
    def near(self) -> int:
        return sum(one.distance is not None and one.distance <= NEAR for one in self.faulty)

    def far(self) -> list[Verdict]:
        return [one for one in self.faulty if one.distance is None or one.distance > NEAR]

    def kinds(self) -> Counter[str]:
        return Counter(one.damage.kind for one in self.faulty)


def draws(seed: str) -> Iterator[Damage]:
    """Variants without end, all kinds and files in turn."""
    rng = random.Random(seed)
    files = sorted(path.relative_to(EXAMPLES) for path in EXAMPLES.glob("*/*.kvmt"))
    while True:
        for kind in KINDS:
            path = rng.choice(files)
            text, lines = _damage((EXAMPLES / path).read_text(), kind, rng)
            yield Damage(path.parts[0], path.name, kind, text, lines)


def _damage(text: str, kind: str, rng: random.Random) -> tuple[str, tuple[int, ...]]:
    what, unit = kind.split()
    if unit == "line":
        lines = text.splitlines(keepends=True)
        real = [at for at, line in enumerate(lines) if line.strip() and not line.strip().startswith("#")]
        at = rng.choice(real)
        if what == "delete":
            del lines[at]
            return "".join(lines), (at + 1,)
        if what == "double":
            lines.insert(at, lines[at])
            return "".join(lines), (at + 1, at + 2)
        other = _partner(rng, real, at)
        lines[at], lines[other] = lines[other], lines[at]
        return "".join(lines), (at + 1, other + 1)
    tokens = [match for match in _TOKEN.finditer(text) if not match["comment"]]
    one = rng.choice(tokens)
    line = text.count("\n", 0, one.start()) + 1
    if what == "delete":
        return text[: one.start()] + text[one.end() :], (line,)
    if what == "double":
        return f"{text[: one.end()]} {one[0]}{text[one.end() :]}", (line,)
    first, second = sorted((one, _partner(rng, tokens, one)), key=re.Match.start)
    swapped = text[: first.start()] + second[0] + text[first.end() : second.start()] + first[0] + text[second.end() :]
    return swapped, (text.count("\n", 0, first.start()) + 1, text.count("\n", 0, second.start()) + 1)


def _partner(rng: random.Random, things: list[_T], one: _T) -> _T:
    """The neighbour, or any other."""
    at = things.index(one)
    return things[at - 1] if at and rng.random() < 0.5 else rng.choice([other for other in things if other is not one])


def judge(damage: Damage, folder: Path) -> Verdict:
    """Lay the variant over its example in the folder, and check it as `kvmc check` does."""
    home = folder / damage.example
    if not home.exists():
        shutil.copytree(EXAMPLES / damage.example, home)
    path = home / damage.file
    whole = path.read_text()
    path.write_text(damage.text)
    try:
        start = time.perf_counter()
        outcome = check_site(home / "site.kvmt")
        seconds = time.perf_counter() - start
        errors = [item for item in outcome.bag if item.severity is Severity.ERROR]
        same = (
            not errors and load_site(home / "site.kvmt").site == load_site(EXAMPLES / damage.example / "site.kvmt").site
        )
    finally:
        path.write_text(whole)
    first = errors[0].primary if errors else None
    distance = None
    if first is not None and first.span.file == damage.file:
        line, _ = outcome.sources.position(first.span.file, first.span.start)
        distance = min(abs(line - one) for one in damage.lines)
    codes, messages = tuple(item.code.id for item in errors), tuple(item.message for item in errors)
    return Verdict(damage, codes, messages, all(item.primary is not None for item in errors), distance, same, seconds)


def tally(seed: str, count: int, folder: Path) -> Tally:
    """As many faulty variants as asked for, and what was drawn beside them."""
    found = Tally()
    for damage in draws(seed):
        verdict = judge(damage, folder)
        (found.faulty if verdict.codes else found.same if verdict.same else found.other).append(verdict)
        if len(found.faulty) == count:
            return found
    raise AssertionError("draws have no end")
