"""Shell by its words: comments, blank lines and the space between words taken off; what stands in quotes stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache

from kvmc.audit.source import At, File
from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import audit as codes


def lines(file: File) -> list[At[str]]:
    """Each line that does something."""
    return [At(line, file.span(start, end)) for line, start, end in _lines(file.text)]


@lru_cache(maxsize=64)
def _lines(text: str) -> tuple[tuple[str, int, int], ...]:
    """With their offsets. Remembered, since the hosts of a pool have the same scripts."""
    found: list[tuple[str, int, int]] = []
    at, quote = 0, ""
    out: list[str] = []
    start = end = 0
    while at <= len(text):
        character = text[at] if at < len(text) else "\n"
        if not quote and (character == "\n" or at == len(text)):
            shown = "".join(out).strip()
            if shown:
                found.append((shown, start, end))
            out = []
            at += 1
            continue
        if at == len(text):
            break
        if not out and not character.isspace():
            start = at
        if character == "\\" and quote != "'" and at + 1 < len(text):
            if text[at + 1] != "\n":
                out += [character, text[at + 1]]
            end, at = at + 2, at + 2
            continue
        if quote:
            quote = "" if character == quote else quote
            out.append(character)
        elif character == "#" and (not out or out[-1] == " "):
            stop = text.find("\n", at)
            at = len(text) if stop < 0 else stop
            continue
        elif character in " \t":
            if out and out[-1] != " ":
                out.append(" ")
        else:
            quote = character if character in "\"'" else ""
            out.append(character)
        end, at = (at + 1 if not character.isspace() else end), at + 1
    return tuple(found)


def _marked(some: Sequence[At[str]], holes: Mapping[str, re.Pattern[str]]) -> list[At[str]]:
    """Lines that fill a hole as the hole's name, neighbours as one."""
    found: list[At[str]] = []
    for line in some:
        name = next((name for name, pattern in holes.items() if pattern.fullmatch(line.value)), None)
        if name is None or not found or found[-1].value != name:
            found.append(line if name is None else At(name, line.span))
    return found


def compare(file: File, statement: str, holes: Mapping[str, re.Pattern[str]], bag: Bag) -> None:
    """Whether a script is the statement. holes: what may stand on the statement's lines of that name, once or more."""
    has = _marked(lines(file), holes)
    wanted = [line for line, _, _ in _lines(statement)]
    if [line.value for line in has] == wanted:
        return
    matcher = SequenceMatcher(None, [line.value for line in has], wanted, autojunk=False)
    for what, first, last, low, high in matcher.get_opcodes():
        if what == "equal":
            continue
        place = has[min(first, len(has) - 1)].span if has else file.head
        missing, extra = " ".join(wanted[low:high])[:60], " ".join(line.value for line in has[first:last])[:60]
        text = f"does `{extra}`" if extra else "leaves something out"
        text += f" where `{missing}` is to be done" if missing else ", which is not to be done"
        bag.error(codes.SCRIPT_DIFFERS, f"`{file.path}` {text}", Label(place))
