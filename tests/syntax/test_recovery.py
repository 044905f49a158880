"""Nothing that a text may say makes the parser raise or hang; what it printed it reads back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kvmc.syntax.parser import parse
from syntax.shape import shape
from syntax.test_parse import EXAMPLE

PIECES = [
    *(
        "{",
        "}",
        "[",
        "]",
        "=",
        ":",
        "*",
        ",",
        '"',
        "\\",
        "#",
        "\n",
        "\r\n",
        "\r",
        " ",
        "\t",
        "a",
        "vm",
        "1",
        "4GiB",
        "0000:3b:00.0",
    ),
    *("kvmt 1\n", "\x00", "\ufeff", "\u2028", "é", "𝄞", "'", ";", "}\n", "{\n", "= 1\n"),
]

cuts = st.tuples(st.integers(0, len(EXAMPLE)), st.integers(0, 40), st.lists(st.sampled_from(PIECES), max_size=4))


@settings(max_examples=120, deadline=None)
@given(st.lists(cuts, min_size=1, max_size=6))
def test_a_mutated_example_gives_a_tree_or_an_error(mutations: list[tuple[int, int, list[str]]]) -> None:
    text = EXAMPLE
    for start, length, put in mutations:
        text = text[:start] + "".join(put) + text[start + length :]
    _tree_or_error(text)


@settings(max_examples=120, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=60).map("".join)))
def test_any_text_gives_a_tree_or_an_error(text: str) -> None:
    _tree_or_error(text)


def _tree_or_error(text: str) -> None:
    file, bag = parse("f", text)
    assert file is not None or bag.has_errors
    lines = []
    for item in bag:
        assert item.primary is not None
        assert 0 <= item.primary.span.start <= item.primary.span.end <= len(text)
        assert item.message.isprintable()
        if item.code.id in ("KVMC0101", "KVMC0104"):
            lines.append(text.count("\n", 0, item.primary.span.start))
    assert len(lines) == len(set(lines))


words = st.from_regex(r"[a-z][a-z0-9_.-]{0,6}", fullmatch=True)
quoted = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6)


def _word(text: str, is_quoted: bool) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if is_quoted else text


scalars = st.one_of(words.map(lambda text: (text, False)), quoted.map(lambda text: (text, True)))
counts = st.tuples(st.integers(0, 99).map(str), words)
elements = st.one_of(scalars, counts)
values = st.one_of(elements, st.lists(elements, max_size=3))
labels = st.lists(scalars, max_size=2)
items = st.recursive(
    st.tuples(words, values),
    lambda inner: st.tuples(words, labels, st.none() | scalars, st.none() | st.lists(inner, max_size=3)),
    max_leaves=8,
)


def _print(item: tuple, indent: str) -> str:  # type: ignore[type-arg]
    def element(one: tuple) -> str:  # type: ignore[type-arg]
        return _word(*one) if isinstance(one[1], bool) else f"{one[0]} * {one[1]}"

    if len(item) == 2:
        name, value = item
        return f"{indent}{name} = {'[' + ', '.join(map(element, value)) + ']' if isinstance(value, list) else element(value)}\n"
    kind, names, parent, body = item
    line = " ".join([kind, *(_word(*one) for one in names)]) + (f" : {_word(*parent)}" if parent else "")
    if body is None:
        return f"{indent}{line}\n"
    return f"{indent}{line} {{\n" + "".join(_print(one, indent + "  ") for one in body) + f"{indent}}}\n"


def _without_absent_bodies(item: tuple) -> tuple:  # type: ignore[type-arg]
    return item if len(item) == 2 else (*item[:3], [_without_absent_bodies(one) for one in item[3] or []])


@settings(max_examples=100, deadline=None)
@given(st.lists(items, max_size=3))
def test_what_is_printed_is_read_back(written: list[tuple]) -> None:  # type: ignore[type-arg]
    file, bag = parse("f", "".join(_print(item, "") for item in written))
    assert not bag.items
    assert file is not None
    assert [shape(item) for item in file.items] == [_without_absent_bodies(item) for item in written]
