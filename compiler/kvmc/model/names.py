"""Names: their form, how messages show them, and which known ones are near an unknown one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from kvmc.diagnostics import Fix, Span

MAX_NAME = 63
"""Characters; a host name's label has the same limit (RFC 1035, 2.3.4)."""

MAX_RAW_NAME = 200

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_COMPARISONS = 200_000
"""Names compared in one run to find near ones; beyond that, unknown names get no suggestion."""


def name_problem(text: str) -> str | None:
    """What is wrong with a name, or None. Names become file names, libvirt names and words in shell and systemd files."""
    if not text:
        return "a name is empty"
    if len(text) > MAX_NAME:
        return f"name {shown(text)} has {len(text)} characters, more than {MAX_NAME}"
    if ".." in text:
        return f"name {shown(text)} has `..` in it"
    if text[0] in ".-":
        return f"name {shown(text)} begins with `{text[0]}`"
    if NAME.fullmatch(text) is None:
        first = next((char for char in text if re.fullmatch(r"[A-Za-z0-9._-]", char) is None), text[0])
        what = f"`{first}`" if first.isprintable() and first != " " else f"U+{ord(first):04X}"
        return f"name {shown(text)} has {what if first != ' ' else 'a space'} in it"
    return None


def raw_problem(text: str) -> str | None:
    """What is wrong with the name of a raw setting, or None: what a kernel, a module, tuned or a person calls something."""
    if not text or len(text) > MAX_RAW_NAME:
        return f"a name of 1 to {MAX_RAW_NAME} characters is needed, {shown(text)} has {len(text)}"
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/*-]*|-[A-Za-z0-9-]+", text) is None:
        odd = next((char for char in text if re.fullmatch(r"[A-Za-z0-9._/*-]", char) is None), text[0])
        what = f"`{odd}`" if odd.isprintable() and odd != " " else f"U+{ord(odd):04X}"
        return f"name {shown(text)} has {what} where a knob's name has letters, digits and `._/*-`"
    return None


NAME_HELP = f"a name has letters, digits, `.`, `_` and `-`, begins with a letter or a digit, and has at most {MAX_NAME} characters"


def shown(text: str) -> str:
    """A user's text as a message shows it: in backticks, one line, not longer than a line."""
    safe = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text[:41])
    return f"`{safe[:40]}...`" if len(text) > 40 else f"`{safe}`"


class Advice(NamedTuple):
    """What would help where a name is unknown: as texts, and as replacements."""

    help: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()


def write_one_of(texts: Iterable[str], span: Span | None) -> tuple[Fix, ...]:
    """Fixes that put one of the texts in place of what stands there, the likeliest first."""
    return tuple(Fix(span, text, f"write `{text}`") for text in texts) if span is not None else ()


class NearNames:
    """Finds names near an unknown one, within a bounded number of comparisons a run."""

    def __init__(self) -> None:
        self._left = _COMPARISONS

    def help(self, name: str, known: Iterable[str], few: int = 0) -> tuple[str, ...]:
        """The advice's texts alone."""
        return self.advice(name, known, None, few).help

    def advice(self, name: str, known: Iterable[str], span: Span | None, few: int = 0) -> Advice:
        """`did you mean ...`, nearest first. Where nothing is near: all that there is, if it is not more than `few`.

        span: where the name stands, for the fixes.
        """
        candidates = list(known)
        near = self.names(name, candidates)
        if near:
            return Advice((f"did you mean {' or '.join(f'`{one}`' for one in near)}?",), write_one_of(near, span))
        if 0 < len(candidates) <= few:
            help = f"take one of {', '.join(f'`{one}`' for one in candidates)}"
            return Advice((help,), write_one_of(candidates, span))
        return Advice()

    def names(self, name: str, known: Iterable[str]) -> tuple[str, ...]:
        """At most three known names, nearest first: two neighbouring letters swapped, then what is alike."""
        candidates = list(known)
        self._left -= len(candidates)
        if self._left < 0 or len(name) > MAX_NAME:
            return ()
        from difflib import get_close_matches

        folded = {candidate.casefold(): candidate for candidate in reversed(candidates)}
        text = name.casefold()
        swapped = (text[:at] + text[at + 1] + text[at] + text[at + 2 :] for at in range(len(text) - 1))
        near = [other for other in swapped if other in folded and other != text]
        near += get_close_matches(text, folded, n=3, cutoff=0.7)
        return tuple(folded[one] for one in dict.fromkeys(near))[:3]
