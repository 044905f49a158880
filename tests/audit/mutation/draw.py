"""Mutants, drawn evenly over operators and kinds, and what the audit says of each."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from audit.mutation.edits import Edit
from audit.mutation.operators import KINDS, OPERATORS, kind_of
from audit.mutation.trees import Built
from kvmc.diagnostics import Diagnostic, Sources

MISSING_FILE, EXTRA_FILE = "missing file", "extra file"
_NAMES = {
    "domain": "domains/copy.xml",
    "grub": "etc/default/grub.d/zzz.cfg",
    "bls": "etc/kernel/cmdline",
    "sysctl": "etc/sysctl.d/99-more.conf",
    "tuned": "etc/tuned/other/tuned.conf",
    "modprobe": "etc/modprobe.d/more.conf",
    "unit": "etc/systemd/system/more.service",
    "script": "etc/kvmc/more",
    "apply": "apply-more.json",
    "measure": "measure/guests/more/host.sh",
}


@dataclass(frozen=True)
class Mutant:
    """One change of one file. `lines` are empty for a whole file."""

    number: int
    site: str
    host: str
    path: str
    kind: str
    operator: str
    lines: range
    gone: bool
    trees: dict[str, dict[str, str]]

    @property
    def title(self) -> str:
        where = f":{self.lines.start}" if self.lines else ""
        return f"{self.operator} of {self.kind}: {self.site}/{self.host}/{self.path}{where}"


def cells() -> list[tuple[str, str]]:
    """Every operator of every kind."""
    files = [(kind, name) for name in (MISSING_FILE, EXTRA_FILE) for kind in KINDS]
    return [(kind, name) for kind, table in OPERATORS.items() for name in table] + files


def draw(built: list[Built], count: int, seed: str) -> Iterator[Mutant]:
    """`count` mutants, the same for the same seed; each cell in its turn, on a file by chance. No mutant is drawn twice."""
    rng = random.Random(seed)
    seen: set[tuple[str, str, str, str]] = set()
    places = {
        kind: [
            (one, host, path)
            for one in built
            for host, files in one.trees.items()
            for path in files
            if kind_of(path) == kind
        ]
        for kind in KINDS
    }
    number = 0
    while number < count:
        before = number
        for kind, name in cells():
            if number == count:
                return
            for _ in range(30):
                one, host, path = rng.choice(places[kind])
                mutant = _mutant(rng, number, one, host, path, kind, name)
                text = mutant.trees[host].get(path if name != EXTRA_FILE else _NAMES[kind], "") if mutant else ""
                key = (one.name, host, path + name if name in (MISSING_FILE, EXTRA_FILE) else path, text)
                if mutant is not None and key not in seen:
                    seen.add(key)
                    number += 1
                    yield mutant
                    break
        if number == before:
            raise RuntimeError(f"no more than {number} mutants are there")


def _mutant(rng: random.Random, number: int, one: Built, host: str, path: str, kind: str, name: str) -> Mutant | None:
    files = dict(one.trees[host])
    if name == MISSING_FILE:
        del files[path]
        lines, gone = range(0), True
    elif name == EXTRA_FILE:
        files[_NAMES[kind]] = files[path]
        path, lines, gone = _NAMES[kind], range(0), False
    else:
        edit: Edit | None = OPERATORS[kind][name](rng, files[path])
        if edit is None or edit.text == files[path]:
            return None
        files[path], lines, gone = edit.text, edit.lines, edit.gone
    return Mutant(number, one.name, host, path, kind, name, lines, gone, one.trees | {host: files})


def named(mutant: Mutant, found: list[Diagnostic]) -> str:
    """`line`, `file` or `other`: how near the findings are; empty where there is none.

    What is taken away has no line any more: a finding in its file is all that can be asked. So it is with a whole file, which a
    finding names in its text where it is gone.
    """
    file = f"{mutant.host}/{mutant.path}"
    sources = Sources({f"{host}/{path}": text for host, files in mutant.trees.items() for path, text in files.items()})
    best = ""
    for item in found:
        best = best or "other"
        if mutant.path in item.message or re.search(rf"\b{re.escape(mutant.path)}\b", " ".join(item.notes)):
            best = "file" if best == "other" else best
        for label in (item.primary, *item.secondary):
            if label is None or label.span.file != file:
                continue
            best = "file" if best == "other" else best
            first = sources.position(file, label.span.start)[0]
            last = sources.position(file, max(label.span.end - 1, label.span.start))[0]
            if any(first <= line <= last for line in mutant.lines):
                return "line"
    return best


def killed(mutant: Mutant, found: list[Diagnostic]) -> bool:
    """Whether the audit names the file and the line; of what is gone, the file."""
    near = named(mutant, found)
    return near == "line" or (near == "file" and (mutant.gone or not mutant.lines))
