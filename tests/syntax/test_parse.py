"""Text to tree: forms, spans, and what stays of a damaged file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kvmc.diagnostics import Span
from kvmc.syntax.parser import MAX_DEPTH, MAX_ERRORS, parse
from kvmc.syntax.text import MAX_BYTES
from kvmc.syntax.tree import Block, Count, File, ListValue, Setting, Value, Word

EXAMPLE = (Path(__file__).parents[2] / "examples/telco-edge/site.kvmt").read_text(encoding="utf-8")


def read(text: str) -> File:
    file, bag = parse("f", text)
    assert [item.message for item in bag] == []
    assert file is not None
    return file


def value(text: str) -> Value:
    (setting,) = read(f"x = {text}\n").items
    assert isinstance(setting, Setting)
    return setting.value


def told(text: str) -> list[tuple[str, str]]:
    """Code and covered text of each error."""
    found = []
    for item in parse("f", text)[1]:
        assert item.primary is not None
        found.append((item.code.id, text[item.primary.span.start : item.primary.span.end]))
    return found


def kept(text: str) -> list[str]:
    """The top-level items that stay: `kind labels(names inside)`."""
    file, _ = parse("f", text)
    assert file is not None
    return [_sketch(item) for item in file.items]


def _sketch(item: Setting | Block) -> str:
    if isinstance(item, Setting):
        return item.name.text
    words = " ".join(word.text for word in (item.kind, *item.labels))
    return f"{words}({' '.join(_sketch(inner) for inner in item.items)})" if item.items else words


WORDS = ["6.12", "2-7,10", "0000:3b:00.0", "3b:00.0", "10000:01:00.1", "br-core", "pc-q35-10.0", "52:54:00:ab:cd:ef", "6.1..6.12",
    "/dev/vg0/x", "$(id)", "a;b", "é", "-1", "1,2,3", "virtio-net.x"]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_what_is_one_word(word: str) -> None:
    assert value(word) == Word(word, Span("f", 4, 4 + len(word)))


def test_a_comma_belongs_to_a_word_between_digits_alone() -> None:
    found = value("[a,b,1,2,c,0000:3b:00.0,0000:3b:00.1, 4-5,7 ,]")
    assert isinstance(found, ListValue)
    assert [item.text for item in found.items if isinstance(item, Word)] == [
        "a",
        "b",
        "1,2",
        "c",
        "0000:3b:00.0",
        "0000:3b:00.1",
        "4-5,7",
    ]


@pytest.mark.parametrize(
    "text", ["vm a : b", "vm a: b", "vm a :b", "vm a:b", "vm db:ab", "vm 12:34 {\n}", 'vm "a" : "b"']
)
def test_a_colon_is_the_mark_of_the_parent(text: str) -> None:
    (block,) = read(text).items
    assert isinstance(block, Block)
    assert block.parent is not None
    assert block.parent.text == re.split(r":\s*", text)[1].split(" ")[0].strip('"')


def test_lists_and_counts() -> None:
    found = value("[ # sizes\n  96 * 1GiB, # big\n\n  4*2MiB\n]")
    assert isinstance(found, ListValue)
    assert [(item.number.text, item.size.text) for item in found.items if isinstance(item, Count)] == [
        ("96", "1GiB"),
        ("4", "2MiB"),
    ]
    assert value("[]") == ListValue((), Span("f", 4, 6))


def test_escapes_of_a_quoted_text() -> None:
    assert value(r'"a \"b\" \\ # {vm}"') == Word('a "b" \\ # {vm}', Span("f", 4, 23), quoted=True)
    assert told('a = "x\\ny"\nb = "\\$"\n') == [("KVMC0105", "\\n"), ("KVMC0105", "\\$")]


@pytest.mark.parametrize("text", ["", "\n", "# a", "# a\n", "  \n\t\n# b\n\n", "\r\n", "\n\n  # x\n"])
def test_files_that_say_nothing(text: str) -> None:
    assert read(text).items == ()


def test_newlines_end_lines_of_any_form() -> None:
    assert kept("a = 1 # x\n\n # y\nvm b\nvm c {}\nvm d { }\nvm e {\n}\r\nvm f { # z\r\n  g = 1\r\n\r\n}") == [
        "a",
        "vm b",
        "vm c",
        "vm d",
        "vm e",
        "vm f(g)",
    ]


def test_spans_of_the_example_cover_what_they_say() -> None:
    for text in (EXAMPLE, EXAMPLE.replace("\n", "\r\n"), EXAMPLE.replace("edge", "kантé")):
        words = 0
        for item in read(text).items:
            words += _check_spans(item, text)
        assert words > 150


def _check_spans(item: Setting | Block, text: str) -> int:
    def covered(span: Span) -> str:
        assert 0 <= span.start < span.end <= len(text)
        return text[span.start : span.end]

    def word(one: Word) -> int:
        assert covered(one.span) == (f'"{one.text}"' if one.quoted else one.text)
        return 1

    if isinstance(item, Block):
        assert covered(item.header).startswith(item.kind.text)
        assert covered(item.header).endswith(covered((item.parent or [item.kind, *item.labels][-1]).span))
        assert covered(item.span).startswith(covered(item.header))
        assert not item.items or covered(item.span).endswith("}")
        words = [item.kind, *item.labels, *([item.parent] if item.parent else [])]
        return sum(map(word, words)) + sum(_check_spans(inner, text) for inner in item.items)
    assert covered(item.span).startswith(item.name.text) and covered(item.span).endswith(covered(item.value.span))
    values = item.value.items if isinstance(item.value, ListValue) else (item.value,)
    count = word(item.name)
    for one in values:
        if isinstance(one, Count):
            assert re.fullmatch(r"\S+\s*\*\s*\S+", covered(one.span))
            count += word(one.number) + word(one.size)
        else:
            count += word(one)
    return count


DAMAGED: list[tuple[str, list[tuple[str, str]], list[str]]] = [
    ("a =\nb = 2\n", [("KVMC0101", "=")], ["b"]),
    ("a = 1 2\nb = 2\n", [("KVMC0101", "2")], ["a", "b"]),
    ("a = = 1 = 2\nb = 2\n", [("KVMC0101", "=")], ["b"]),
    ("a b = 1\nb = 2\n", [("KVMC0101", "=")], ["a b", "b"]),
    ("= 1\nb = 2\n", [("KVMC0101", "=")], ["b"]),
    ('a = "x\nb = 2\n', [("KVMC0104", '"')], ["b"]),
    ('a = "x\ny"\nb = 2\n', [("KVMC0104", '"')], ["y", "b"]),
    ('a = "x\nb = "y\n', [("KVMC0104", '"'), ("KVMC0104", '"')], []),
    ("a = \u00a0b\nb = 2\n", [("KVMC0101", "\u00a0")], ["b"]),
    ("vm : {\n  a = 1\n}\nvm b\n", [("KVMC0101", "{")], ["vm b"]),
    ("a = {\n  b = 1 2\n}\nvm b\n", [("KVMC0101", "{"), ("KVMC0101", "2")], ["vm b"]),
    ("pool x { a = 1 }\nvm b\n", [("KVMC0101", "}")], ["pool x(a)", "vm b"]),
    ("pool x {\n  a = 1 }\nvm b\n", [("KVMC0101", "}")], ["pool x(a)", "vm b"]),
    ("pool x {\n  a = }\nvm b\n", [("KVMC0101", "}")], ["pool x", "vm b"]),
    ("pool x {\n  a = 1\nvm b\nvm c {\n  d = 1\n}\n", [("KVMC0102", "1")], ["pool x(a)", "vm b", "vm c(d)"]),
    ("pool x {\n  y {\n    a = 1\n  b = 2\n}\nvm b\n", [("KVMC0102", "1")], ["pool x(y(a) b)", "vm b"]),
    ("pool x {\n  y {\n    a = 1\n}\nvm b\n", [("KVMC0102", "1")], ["pool x(y(a))", "vm b"]),
    ("pool x {\n  a = 1\n", [("KVMC0102", "1")], ["pool x(a)"]),
    ("pool x {\n  y {\n    a = 1\n", [("KVMC0102", "1"), ("KVMC0102", "{")], ["pool x(y(a))"]),
    ("pool x {\nvm b\n", [("KVMC0102", "{")], ["pool x(vm b)"]),
    ("pool x\n  a = 1\n}\nvm b\n", [("KVMC0113", "x")], ["pool x(a)", "vm b"]),
    ("pool x {\n    y = 1\n  }\n  b = 2\n}\nz {\n  c = 1\n}\n", [("KVMC0113", "y")], ["pool x(b)", "z(c)"]),
    ("a\n\n  y = 1\n}\nz {\n  c = 1\n}\n", [("KVMC0113", "y")], ["a", "z(c)"]),
    ("x {\n  y {\n    a = 1\n  }\n  }\n  b = 2\n}\nc = 1\n", [("KVMC0103", "}")], ["x(y(a) b)", "c"]),
    ("x {\na = 1\n}\n}\nb = 2\n", [("KVMC0103", "}")], ["x(a)", "b"]),
    ("x {\na = 1\nb = 2\n", [("KVMC0102", "{")], ["x(a b)"]),
    ("pool x {\n}\n}\nvm b\n", [("KVMC0103", "}")], ["pool x", "vm b"]),
    ("a = [1, 2\nb = 2\n", [("KVMC0106", "[")], ["a", "b"]),
    ("pool x {\n  a = [\n    y,\n    z\n}\nvm b\n", [("KVMC0106", "[")], ["pool x(a)", "vm b"]),
    ("a = [y\nvm b\nvm c : d\n", [("KVMC0106", "[")], ["a", "vm b", "vm c"]),
    (
        "a = [1 2]\nb = [x,,y]\nc = [\n  x\n  y\n]\nd = 1\n",
        [("KVMC0101", "2"), ("KVMC0101", ","), ("KVMC0101", "y")],
        ["d"],
    ),
    ("a = [[1]]\nb = 2\n", [("KVMC0101", "[")], ["b"]),
    ("a = 2 *\nb = 2\n", [("KVMC0101", "*")], ["b"]),
    ("a = 0000:3b:zz.0\nb = 2\n", [("KVMC0101", ":")], ["a", "b"]),
]


@pytest.mark.parametrize(("text", "errors", "rest"), DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_tells_each_error_once_and_keeps_the_rest(
    text: str, errors: list[tuple[str, str]], rest: list[str]
) -> None:
    assert told(text) == errors
    assert kept(text) == rest
    assert told(text.replace("\n", "\r\n")) == errors


def test_many_damages_in_one_file() -> None:
    lines = EXAMPLE.splitlines()
    broken = [index for index, line in enumerate(lines) if re.search(r" = [a-z0-9]+$", line)][::3]
    for index in broken:
        lines[index] = lines[index].replace(" = ", " = = ")
    text = "\n".join(lines)
    _, bag = parse("f", text)
    told_lines = [text.count("\n", 0, item.primary.span.start) for item in bag if item.primary]
    assert told_lines == broken
    assert [_sketch(item).split("(")[0] for item in parse("f", text)[0].items] == [  # type: ignore[union-attr]
        _sketch(item).split("(")[0] for item in read(EXAMPLE).items
    ]


def test_messages_say_what_was_expected() -> None:
    (item,) = parse("f", "a = 1 2\n")[1]
    assert item.message == "unexpected `2`"
    assert item.primary is not None
    assert item.primary.text == "expected the end of the line"
    (item,) = parse("f", "vm\na =\n")[1]
    assert item.primary is not None
    assert (item.message, item.primary.text) == (
        "the line ends too early",
        "expected a word, a quoted text or `[` after this",
    )


def test_nesting_has_an_end() -> None:
    def nested(depth: int) -> str:
        return "".join("x {\n" for _ in range(depth)) + "".join("}\n" for _ in range(depth))

    assert parse("f", nested(MAX_DEPTH))[0] is not None
    for depth in (MAX_DEPTH + 1, 10_000):
        file, bag = parse("f", nested(depth))
        assert file is None
        assert [item.code.id for item in bag] == ["KVMC0108"]


def test_hostile_sizes_end_quickly_and_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (
        "a = [\n" * 20_000,
        "x {\n" * 20_000,
        "{" * 20_000,
        "[" * 20_000,
        "}" * 20_000,
        '"' * 19_999,
        "a = [" + "1," * 20_000,
        "=\n" * 20_000,
        ": " * 20_000,
    ):
        _file, bag = parse("f", text)
        assert 1 <= len(bag) <= MAX_ERRORS + 2, text[:10]
    monkeypatch.setattr("kvmc.syntax.parser.MAX_TOKENS", 1000)
    assert [item.code.id for item in parse("f", "a = 1\n" * 251)[1]] == ["KVMC0112"]
    assert not parse("f", "a = 1\n" * 250)[1].items
    assert [item.code.id for item in parse("f", "x" * (MAX_BYTES + 1))[1]] == ["KVMC0112"]
    assert [item.code.id for item in parse("f", "=\n" * 400)[1]][-1] == "KVMC0111"
