"""Every small fault of a text, one at a time and the same each time: values changed, left out and garbled, parts taken away and
put there twice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_MOST = 1
"""Faults of one attribute or element."""
_ATTRIBUTE = re.compile(r"(?<= )([\w:-]+)=\"([^\"]*)\"")
_ELEMENT = re.compile(r"<([\w:-]+)[ />]")
_TEXT = re.compile(r">([^<>\n]+)<")
_TOKEN = re.compile(r"[0-9]+(?:[-,][0-9]+)*(?![\w.])|[A-Za-z_/][\w./-]*")
_LIST = re.compile(r"[0-9]+(?:[-,][0-9]+)+")


@dataclass(frozen=True)
class Fault:
    """line: from 1."""

    line: int
    what: str
    text: str

    @property
    def title(self) -> str:
        return f"{self.line} {self.what}"


def _other(value: str, turn: int) -> str:
    """Another value, of a form that depends on whose turn it is."""
    if value.startswith("0x"):
        return (f"{int(value, 16) ^ 1:#x}", "0xfff", "")[turn % 3]
    if value.isdecimal():
        return (str(int(value) + 1), "0", str(int(value) * 2 + 3), "?", "")[turn % 5]
    if _LIST.fullmatch(value):
        head = re.split(r"[-,]", value)[0]
        return (f"{value},99", head, f"{value},^{head}", f"{int(head) + 1}{value[len(head) :]}")[turn % 4]
    opposite = {"yes": "no", "on": "off", "none": "native", "strict": "preferred", "fifo": "rr", "raw": "qcow2"}
    return (opposite.get(value, f"{value}x"), value[:-1], "")[turn % 3]


class Faults:
    """seen: how often what a fault is made of was there, over all texts that are asked for: each is tried a few times only."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, ...]] = Counter()
        self.turn = 0

    def _often(self, most: int, *key: str) -> bool:
        self.seen[key] += 1
        return self.seen[key] > most

    def of_text(self, path: str, text: str) -> list[Fault]:
        """Those of a file, by its name. No two give the same text."""
        some = self._of_xml(text) if path.endswith(".xml") else self._of_lines(path, text)
        found = {fault.text: fault for fault in some}
        return [fault for fault in found.values() if fault.text != text]

    def of_pins(self, text: str, masks: list[str]) -> Iterator[Fault]:
        """Each mask of CPUs or nodes of a domain as each of some others."""
        for match in re.finditer(
            r'<(vcpupin|emulatorpin|iothreadpin|memory|memnode|vcpu) [^>]*(?:cpuset|nodeset)="([^"]+)"', text
        ):
            line = text.count("\n", 0, match.start(2)) + 1
            nodes = match[1] in ("memory", "memnode")
            for mask in ("0", "1", "0-1", "2") if nodes else masks:
                changed = text[: match.start(2)] + mask + text[match.end(2) :]
                if mask != match[2] and not self._often(1, "pins", changed):
                    yield Fault(line, f"{match[1]} {match[2]} -> {mask}", changed)

    def _new(self, value: str) -> str:
        self.turn += 1
        return _other(value, self.turn)

    def _of_xml(self, text: str) -> Iterator[Fault]:
        """Of attributes and texts another value, or none; of elements none, or two."""
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            element = _ELEMENT.search(line)
            if element is None:
                continue
            tag = element[1]
            head, tail = "".join(lines[: number - 1]), "".join(lines[number:])
            for match in _ATTRIBUTE.finditer(line):
                often = self._often(_MOST, tag, match[1])
                form = match[2] if match[2].isalpha() else ""
                if not often or (form and not self._often(1, tag, match[1], form)):
                    new = self._new(match[2])
                    changed = line[: match.start(2)] + new + line[match.end(2) :]
                    yield Fault(number, f"{tag} {match[1]}={match[2]} -> {new}", head + changed + tail)
                if not self._often(1, tag, match[1], "gone"):
                    gone = line[: match.start() - 1] + line[match.end() :]
                    yield Fault(number, f"{tag} without {match[1]}", head + gone + tail)
            for match in _TEXT.finditer(line):
                if not self._often(_MOST, tag, "text"):
                    new = self._new(match[1])
                    changed = line[: match.start(1)] + new + line[match.end(1) :]
                    yield Fault(number, f"{tag} {match[1]} -> {new}", head + changed + tail)
            last = _last(lines, number, tag)
            if (
                number > 2
                and last is not None
                and not self._often(_MOST, tag, *re.findall(r'(?:type|bus|mode)="\w+"', line))
            ):
                part, tail = "".join(lines[number - 1 : last]), "".join(lines[last:])
                yield Fault(number, f"without {tag}", head + tail)
                if not self._often(1, tag, "twice"):
                    yield Fault(number, f"{tag} twice", head + part * 2 + tail)

    def _of_lines(self, path: str, text: str) -> Iterator[Fault]:
        """Of words another, of lines none or two; and something that is no line of such a file."""
        lines = text.splitlines(keepends=True)
        kind = path.rpartition("/")[2] if not path.endswith((".fio", ".service")) else path.rpartition(".")[2]
        comment = "#" if not path.endswith(".json") else "?"
        for number, line in enumerate(lines, 1):
            tokens = list(_TOKEN.finditer(line))
            shape = re.sub(r"[0-9]+", "0", line) if comment == "#" else (line.split(":")[0] if ":" in line else "text")
            if not tokens or line.lstrip().startswith(comment) or self._often(1 if comment == "#" else 2, kind, shape):
                continue
            before, after = "".join(lines[: number - 1]), "".join(lines[number:])
            shown = " ".join(line.split())[:40]
            script = text.startswith("#!")
            words = tokens if not script else tokens[-1:] if number % 3 == 1 else []
            for match in words[:: max(len(words) // 3, 1)]:
                new = self._new(match[0])
                yield Fault(
                    number, f"{match[0]} -> {new}", before + line[: match.start()] + new + line[match.end() :] + after
                )
            if not script or number % 3 == 0:
                yield Fault(number, f"without {shown}", before + after)
            if number % 5 == 0:
                yield Fault(number, f"twice {shown}", before + line * 2 + after)
        if not self._often(1, kind, "garbage"):
            yield Fault(1, "garbage before it", "what = is - this 0,3\n" + text)
            yield Fault(len(lines), "no newline", text.rstrip("\n"))


def _last(lines: list[str], number: int, tag: str) -> int | None:
    """The last line of the element that begins on a line, from 1; None of one that is too long to take away."""
    line = lines[number - 1]
    if "/>" in line or f"</{tag}>" in line:
        return number
    close = f"{line[: len(line) - len(line.lstrip())]}</{tag}>"
    return next(
        (n for n in range(number + 1, min(len(lines), number + 40) + 1) if lines[n - 1].startswith(close)), None
    )
