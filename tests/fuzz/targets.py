"""What is fuzzed: each target takes any bytes and raises only where kvmc has a bug. They need no fuzzer to run.

The bytes are a site file; behind lines `#-- ` follow files that it may import, `a.kvmt`, `b.kvmt` and so on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from kvmc.diagnostics import Bag, Sources, github, sarif, text
from kvmc.diagnostics import json as json_format
from kvmc.diagnostics.fixes import fixes
from kvmc.model.imports import SourceReader
from kvmc.model.load import analyse
from kvmc.model.lower import lower
from kvmc.syntax.format import format_text
from kvmc.syntax.parser import parse
from syntax.shape import shape

FOLDER = Path("/nonexistent")
_PIECE = re.compile(r'"(?:[^"\\\r\n]|\\[^\r\n])*"|(#[^\n]*)')


def parse_and_lower(data: bytes) -> None:
    """The whole front end: a site, or errors that lie in their files and can be shown in every form."""
    first, *others = data.decode("utf-8", "surrogateescape").split("\n#-- ")
    texts = {"site.kvmt": first, **{f"{chr(ord('a') + at)}.kvmt": one for at, one in enumerate(others[:3])}}
    reader = SourceReader(FOLDER / "site.kvmt", {str(FOLDER / name): one for name, one in texts.items()})
    reader.read_all()
    whole = not reader.bag.has_errors
    found = analyse(reader)  # as editors do, also behind errors
    bag = Bag()
    bag.extend(reader.bag)
    bag.extend(found.bag)
    if whole and not bag.has_errors:
        assert lower(found.merged, found.lineage).name
    check(bag, Sources(reader.texts))


def check(bag: Bag, sources: Sources) -> None:
    """Every diagnostic has its place, its texts are one visible line each, and a form takes them: one of four, by what there is."""
    for item in bag:
        assert item.primary is not None, item
        for label in (item.primary, *item.secondary):
            assert 0 <= label.span.start <= label.span.end <= len(sources.texts[label.span.file]), item
        for fix in fixes(item, sources):
            assert 0 <= fix.span.start <= fix.span.end <= len(sources.texts[fix.span.file]), item
        assert all(one.isprintable() for one in (item.message, *item.notes, *item.help)), item
    form = sum(map(len, sources.texts.values())) % 4
    if form == 0:
        json.loads(json_format.render(bag, sources))
    elif form == 1:
        json.loads(sarif.render(bag, sources, "0"))
    elif form == 2:
        assert github.render(bag, sources).count("\n") == len(bag)
    else:
        assert len(text.render(bag, sources).split("\n")) >= 3 * len(bag)


def canonical_form(data: bytes) -> None:
    """Formatting changes neither the tree nor a comment, and what it wrote stays as it is."""
    given = data.decode("utf-8", "surrogateescape")
    made, bag = format_text("f", given)
    if made is None:
        assert bag.has_errors
        return
    again, _ = format_text("f", made)
    assert again == made, (made, again)
    given = given.removeprefix("\ufeff")
    before, after = parse("f", given)[0], parse("f", made)[0]
    assert before is not None and after is not None
    assert [shape(item) for item in before.items] == [shape(item) for item in after.items]
    assert comments(given) == comments(made), (given, made)


def comments(source: str) -> list[str]:
    """All comments in order, without the white space at their ends."""
    return [match[1].rstrip() for match in _PIECE.finditer(source) if match[1]]


TARGETS: dict[str, Callable[[bytes], None]] = {"parse": parse_and_lower, "format": canonical_form}
