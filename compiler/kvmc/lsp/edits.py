"""Changes that the server proposes: renames, the canonical form, fixes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from kvmc import std
from kvmc.diagnostics import Diagnostic, Fix, Span
from kvmc.diagnostics.fixes import fixes as of_diagnostic
from kvmc.lsp.sites import View
from kvmc.lsp.symbols import Occurrence, at, enclosing, span_of
from kvmc.model.names import name_problem
from kvmc.syntax.format import format_text
from kvmc.syntax.tree import Block, Setting, Word


class Refused(Exception):  # noqa: N818 - tells the user why there is no rename, and is no error of ours
    """Why a name cannot be changed so."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Put a text in place of a range."""

    span: Span
    text: str


def renamable(view: View, file: str, offset: int) -> Occurrence | None:
    """The name at a place, if the site defines it, and the standard library does not."""
    found = at(view.occurrences, file, offset)
    places = [one for one in view.occurrences if found is not None and one.symbol == found.symbol]
    defined = any(one.block for one in places) and not any(_shipped(one.word.span.file) for one in places)
    return found if defined else None


def rename(view: View, file: str, offset: int, new: str) -> tuple[Edit, ...]:
    """All places of a name, in all files. Raises Refused for a name that cannot be or is another's already."""
    found = renamable(view, file, offset)
    if found is None:
        raise Refused("there is no name of a block of the site's own here")
    problem = name_problem(new)
    if problem is not None:
        raise Refused(problem)
    if new != found.symbol.name and new in view.names(found.symbol.kind):
        raise Refused(f"there is a {found.symbol.kind} `{new}` already")
    return tuple(Edit(span_of(one.word), new) for one in view.occurrences if one.symbol == found.symbol)


def formatting(file: str, text: str) -> tuple[Edit, ...]:
    """The edits that bring a text into its canonical form, by lines, so that an editor's marks stay; none beside errors.

    A file of the standard library stays as it is.
    """
    made, _ = format_text(file, text)
    if made is None or made == text or _shipped(file):
        return ()
    old, new = text.splitlines(keepends=True), made.splitlines(keepends=True)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    return tuple(
        Edit(Span(file, starts[begin], starts[end]), "".join(new[first:last]))
        for what, begin, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if what != "equal"
    )


def fixes(view: View, file: str, start: int, end: int) -> Iterator[tuple[Diagnostic, Fix]]:
    """The fixes of all diagnostics that touch a range of a file."""
    for item in view.diagnostics:
        if item.primary is None or item.primary.span.file != file:
            continue
        span = item.primary.span
        if span.start <= end and start <= span.end:
            yield from ((item, fix) for fix in of_diagnostic(item, view.sources) if not _shipped(fix.span.file))


def imported(view: View, file: str, offset: int) -> str | None:
    """The absolute path of the file that a place names: of an import, or of a host's topology."""
    tree = view.files.get(file)
    path = enclosing(tree, offset) if tree is not None else ()
    item = path[-1] if path else None
    word: object = None
    if isinstance(item, Block) and item.kind.text == "import" and item.labels:
        word = item.labels[0]
    elif isinstance(item, Setting) and item.name.text == "topology":
        word = item.value
    if not isinstance(word, Word) or not word.span.start <= offset <= word.span.end:
        return None
    if isinstance(item, Block) and word.text.startswith(std.PREFIX):
        named = std.path(word.text)
    else:
        named = Path(view.absolute(file)).parent / word.text
    return os.path.normpath(named) if named.is_file() else None


def _shipped(file: str) -> bool:
    """Whether the file is of the standard library, which an editor only shows."""
    return file.startswith(std.PREFIX)
