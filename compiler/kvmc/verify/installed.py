"""The files of the host against the compiled ones, by what they mean."""

from __future__ import annotations

import fnmatch

from kvmc.audit.reading import kind_of
from kvmc.diagnostics import Span
from kvmc.verify import meaning
from kvmc.verify.boot import words_of
from kvmc.verify.capture import PATTERNS
from kvmc.verify.case import Case
from kvmc.verify.difference import Effect, Kind


def look(case: Case) -> None:
    """Fill `case.stale`: other checks put what they find down to it."""
    for file in case.apply.files:
        path, own = str(file["path"]).lstrip("/"), str(file["from"])
        wanted = case.texts.get(own)
        if wanted is None or not _captured(path):
            continue
        there = case.root.read(path)
        if there is None:
            case.stale[own] = f"`/{path}` is not installed"
        elif not _same(own, wanted, there):
            case.stale[own] = f"`/{path}` on the host is not the compiled one"


def _captured(path: str) -> bool:
    """Whether a capture would hold the file if the host had it."""
    return any(path.count("/") == one.count("/") and fnmatch.fnmatchcase(path, one) for one in PATTERNS)


def _same(path: str, wanted: str, there: str) -> bool:
    if kind_of(path) == "words":
        return {word.value for word in words_of(wanted)} == {word.value for word in words_of(there)}
    return meaning.same_file(path, wanted, there)


def check(case: Case) -> None:
    """What no other difference was put down to, and files of kvmc's that are to be gone."""
    for path, reason in case.stale.items():
        if path not in case.told:
            text = case.texts[path]
            end = text.find("\n")
            case.add(
                Kind.FILE,
                f"`/{path}`",
                "missing" if "not installed" in reason else "another text",
                "this text",
                Span(f"{case.host}/{path}", 0, len(text) if end < 0 else end),
                case.apply.effect(path),
                (f"install `/{path}` and go on in the apply list",),
            )
    for path in case.apply.absent:
        if _captured(path.lstrip("/")) and case.root.read(path.lstrip("/")) is not None:
            start = max(case.apply_file.text.find(f'"{path}"'), 0)
            case.add(
                Kind.FILE,
                f"`{path}`",
                "there",
                "",
                case.apply_file.span(start, start + len(path) + 2),
                Effect.LIVE,
                (f"remove `{path}` as the apply list's `absent` says",),
                ("an earlier build wrote it, or another program",),
            )
