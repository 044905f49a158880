"""Help texts that name a change of the source, as that change: for SARIF, for editors, and for the tests that try them.

The forms are those that messages use: "did you mean `x`?" and "write `x`" replace what the primary label covers, "set `a = b`"
replaces the setting `a` that it covers. A help that names no such change, or several places, is for people alone.
"""

from __future__ import annotations

import re

from kvmc.diagnostics.model import Diagnostic, Fix, Sources, Span

_FORMS = re.compile(r"(?:did you mean|write|set) `([^`]+)`(?: or `[^`]+`)*(?:\?|, or another of [^`]*)?(?: if [^`]*)?")
_SETTING = re.compile(r"([a-z0-9_]+)(\s*=\s*)(.+)", re.DOTALL)


def fixes(diagnostic: Diagnostic, sources: Sources) -> tuple[Fix, ...]:
    """Those that the diagnostic carries; else the changes that its help names, in its order, and of several words the first."""
    if diagnostic.fixes:
        return diagnostic.fixes
    if diagnostic.primary is None or diagnostic.primary.span.file not in sources.texts:
        return ()
    span = diagnostic.primary.span
    there = sources.texts[span.file][span.start : span.end]
    found = []
    for help in diagnostic.help:
        match = _FORMS.fullmatch(help)
        fix = _change(there, match[1], span) if match else None
        if fix is not None:
            found.append(Fix(*fix, help))
    return tuple(found)


def _change(there: str, new: str, span: Span) -> tuple[Span, str] | None:
    """Where the new text goes: over all that is there, or over the value of the setting that is there."""
    old, wish = _SETTING.fullmatch(there), _SETTING.fullmatch(new)
    if wish is not None:
        if old is None:
            return (span, new) if there.startswith(f"{wish[1]} ") else None
        new = wish[3] if old[1] == wish[1] else ""
    elif "{" in new or "NAME" in new or (old is None and _is_phrase(there) != _is_phrase(new)):
        return None
    if old is None:
        return span, new
    return (Span(span.file, span.start + old.start(3), span.end), new) if new else None


def _is_phrase(text: str) -> bool:
    """Whether it is more than one word, as a header or a list is."""
    return " " in text.strip() and not text.startswith('"')
