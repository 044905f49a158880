"""The server's parts that need no protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvmc.lsp.completion import complete
from kvmc.lsp.edits import formatting
from kvmc.lsp.hover import hover
from kvmc.lsp.positions import Lines
from kvmc.lsp.sites import Sites
from kvmc.model.blocks import BLOCKS
from kvmc.model.kinds import Kind
from kvmc.model.settings import ROWS
from kvmc.model.table import Row
from kvmc.syntax.cursor import locate
from kvmc.syntax.format import format_text
from syntax.test_recovery import PIECES

texts = st.lists(st.sampled_from(["a", "é", "𝄞", "\n", "\r\n", "\t", " "]), max_size=20).map("".join)


@settings(max_examples=200, deadline=None)
@given(texts, st.sampled_from(["utf-8", "utf-16", "utf-32"]), st.booleans())
def test_positions_are_those_of_the_encoding(text: str, encoding: str, marked: bool) -> None:
    lines = Lines(text, encoding, marked=marked)
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    codec = encoding if width == 1 else f"{encoding}-le"
    for offset in range(len(text) + 1):
        if text[max(0, offset - 1) : offset + 1] == "\r\n":
            continue
        line, column = lines.position(offset)
        assert line == text.count("\n", 0, offset)
        before = text[text.rfind("\n", 0, offset) + 1 : offset]
        if marked and line == 0:
            before = "\ufeff" + before
        assert column == len(before.encode(codec)) // width
        assert lines.offset(line, column) == offset
    assert lines.offset(0, 10_000) == len(text.split("\n")[0].rstrip("\r"))
    assert lines.offset(10_000, 0) == len(text)


PLACES = [
    ("|", (), (), ""),
    ("pool x {\n  |\n", (("pool", "x"),), (), ""),
    ("pool x:y {\n  a = 1\n  hous|eke {\n", (("pool", "x", ":", "y"),), (), "houseke"),
    ("vm a : |", (), ("vm", "a", ":"), ""),
    ("vm a:b|", (), ("vm",), "a:b"),
    ("class c {\n disk d {\n  io = nat|\n }\n}\n", (("class", "c"), ("disk", "d")), ("io", "="), "nat"),
    ("x {\n a = [b, c|, d]\n}", (("x",),), ("a", "=", "[", "b", ","), "c"),
    ("x {\n a = [b,\n  |\n]\n}", (("x",),), ("a", "=", "[", "b", ","), ""),
    ('import "a|b"', (), ("import",), '"ab"'),
    ('import "a|', (), ("import",), '"a'),
    ("x {\n} \n|y", (), (), "y"),
    ("}}\n a|", (), (), "a"),
    ("p = 0000:3b:00.|0\n", (), ("p", "="), "0000:3b:00.0"),
]


@pytest.mark.parametrize(("marked", "blocks", "before", "word"), PLACES)
def test_where_a_cursor_stands(
    marked: str, blocks: tuple[tuple[str, ...], ...], before: tuple[str, ...], word: str
) -> None:
    offset, text = marked.index("|"), marked.replace("|", "")
    found = locate(text, offset)
    assert (found.blocks, found.before, text[found.start : found.end]) == (blocks, before, word)
    assert found.start <= offset <= found.end
    assert not found.in_comment


def test_a_block_knows_its_settings_behind_the_cursor_too() -> None:
    text = "x {\n a = 1\n y {\n  c = 1\n }\n \n b = 2\n}\nz {\n d = 1\n}\n"
    assert locate(text, text.index("\n b")).names == {"a", "b"}
    assert locate("a # b", 4).in_comment and not locate("a # b\n", 6).in_comment


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.data())
def test_nothing_that_is_typed_makes_the_server_raise(text: str, data: st.DataObject) -> None:
    sites = Sites()
    path = "/nonexistent/site.kvmt"
    sites.change(path, text)
    view = sites.view(path)
    shown = view.reader.texts["site.kvmt"]
    offset = data.draw(st.integers(0, len(shown)))
    complete(view, "site.kvmt", offset)
    hover(view, "site.kvmt", offset)
    edits = formatting("site.kvmt", shown)
    made = format_text("site.kvmt", shown)[0]
    for edit in sorted(edits, key=lambda one: one.span.start, reverse=True):
        shown = shown[: edit.span.start] + edit.text + shown[edit.span.end :]
    assert made is None or shown == made


ROOT = Path(__file__).parents[2]


def _kind_name(kind: Kind) -> str:
    return type(kind).__name__


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.block}.{row.name}")
def test_every_setting_is_offered_with_a_value_and_explained(row: Row) -> None:
    example = ROOT / "examples/telco-edge/site.kvmt"
    within = next(one for one in BLOCKS if one.name == row.block).within
    around = f"{within[0]} a {{\n" if within else ""
    label = "apart x" if row.block == "place" else "x"
    text = f"{example.read_text()}\n{around}{row.block} {label} {{\n"
    sites = Sites()
    path = str(example)
    sites.change(path, text)
    found = complete(sites.view(path), "site.kvmt", len(text))
    assert row.name in {offer.label for offer in found.offers}
    text += f"  {row.name} = "
    sites.change(path, text)
    view = sites.view(path)
    found = complete(view, "site.kvmt", len(text))
    assert found.offers, _kind_name(row.kind)
    text += f"{row.example}\n" + "}\n" * (2 if within else 1)
    sites.change(path, text)
    place = text.rindex(f"  {row.name} = ") + 3
    shown = hover(sites.view(path), "site.kvmt", place)
    assert shown is not None and row.doc in shown.text and row.kind.words in shown.text
