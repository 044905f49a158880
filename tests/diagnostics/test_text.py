"""The rendering for people, to the byte."""

from __future__ import annotations

from textwrap import dedent

from kvmc.diagnostics import Bag, Code, Label, Severity, Sources, Span
from kvmc.diagnostics.text import render, summarise

ERROR = Code("KVMC9901", Severity.ERROR, "an error")
WARNING = Code("KVMC9902", Severity.WARNING, "a warning")
NOTE = Code("KVMC9903", Severity.NOTE, "a note")


def at(text: str, part: str, file: str = "site.kvmt", nth: int = 0) -> Span:
    start = -1
    for _ in range(nth + 1):
        start = text.index(part, start + 1)
    return Span(file, start, start + len(part))


def shown(text: str, *labels: Label, notes: tuple[str, ...] = (), help: tuple[str, ...] = ()) -> str:
    bag = Bag()
    bag.error(ERROR, "message", labels[0], secondary=labels[1:], notes=notes, help=help)
    return render(bag, Sources({"site.kvmt": text}))


def expected(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_the_form_of_rustc() -> None:
    text = "a\n" * 15 + "  pages = 128 * 1GiB\n" + "b\n" * 100 + "vm db-2 : db {\n"
    bag = Bag()
    bag.error(
        ERROR,
        "no node of `kvm-b` can hold the pages of `db-2`",
        Label(at(text, "vm db-2 : db"), "needs 96 pages in one node"),
        secondary=[Label(at(text, "pages = 128 * 1GiB"), "64 pages in each of 2 nodes")],
        notes=["a fact"],
        help=["raise `pages`", "or drop\n`host`"],
    )
    assert render(bag, Sources({"site.kvmt": text})) == expected("""
        error[KVMC9901]: no node of `kvm-b` can hold the pages of `db-2`
           --> site.kvmt:117:1
            |
         16 |   pages = 128 * 1GiB
            |   ------------------ 64 pages in each of 2 nodes
        117 | vm db-2 : db {
            | ^^^^^^^^^^^^ needs 96 pages in one node
            |
            = note: a fact
            = help: raise `pages`
            = help: or drop
                    `host`

        1 error, 0 warnings
    """)


def test_labels_in_two_files_and_two_on_one_line() -> None:
    one, two = "vm a : b\n", "x\nclass b { }\n"
    bag = Bag()
    bag.error(
        ERROR,
        "message",
        Label(at(one, "b"), "here"),
        secondary=[Label(at(one, "vm"), "of this"), Label(at(two, "class b", "lib/b.kvmt"), "and here")],
    )
    assert render(bag, Sources({"site.kvmt": one, "lib/b.kvmt": two})) == expected("""
        error[KVMC9901]: message
         --> site.kvmt:1:8
          |
        1 | vm a : b
          | -- of this
          |        ^ here
         ::: lib/b.kvmt:2:1
          |
        2 | class b { }
          | ------- and here

        1 error, 0 warnings
    """)


def test_marks_stand_under_tabs_and_wide_characters() -> None:
    text = '\tname\t= "日本e\u0301" x\n'
    assert shown(text, Label(at(text, "x"), "here")) == (
        "error[KVMC9901]: message\n"
        " --> site.kvmt:1:16\n"
        "  |\n"
        '1 |     name    = "日本e\u0301" x\n'
        f"  | {' ' * 22}^ here\n"
        "\n1 error, 0 warnings\n"
    )


def test_line_ends_of_dos_are_not_shown() -> None:
    text = "one\r\ntwo = 1\r\n"
    out = shown(text, Label(at(text, "two = 1\r"), "here"))
    assert "2 | two = 1\n  | ^^^^^^^ here\n" in out
    assert "\r" not in out


def test_a_span_over_several_lines_and_one_at_the_end() -> None:
    text = "vm a {\n  x = 1\n}\n"
    assert "1 | vm a {\n  | ^^^^^^ block\n" in shown(text, Label(Span("site.kvmt", 0, len(text) - 1), "block"))
    out = shown(text, Label(Span("site.kvmt", len(text), len(text)), "missing"))
    assert " --> site.kvmt:4:1\n  |\n4 |\n  | ^ missing\n" in out


def test_hostile_text_can_not_reach_the_terminal() -> None:
    text = "name = \x1b[31mred\u202etxet\x00 end\n"
    bag = Bag()
    bag.error(ERROR, "bad `\x1b]0;x\x07\nerror: fake`", at(text, "end"), notes=["a\x1b[2Jb"])
    out = render(bag, Sources({"site.kvmt": text}))
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\x00" not in out
    assert out.startswith("error[KVMC9901]: bad `\\x1b]0;x\\x07\\nerror: fake`\n")
    assert "1 | name = \\x1b[31mred\\u202etxet\\x00 end\n  | " + " " * 33 + "^^^\n" in out
    assert "= note: a\\x1b[2Jb\n" in out


def test_a_very_long_line_is_shown_round_its_label() -> None:
    text = "a" * 100_000 + " HERE " + "b" * 100_000 + "\n"
    out = shown(text, Label(at(text, "HERE"), "it"))
    source, marks = out.splitlines()[3:5]
    assert max(len(line) for line in out.splitlines()) < 200
    assert source.index("HERE") == marks.index("^^^^ it")


def test_unknown_file_still_says_where() -> None:
    bag = Bag()
    bag.error(ERROR, "message", Span("gone.kvmt", 7, 9))
    assert " --> gone.kvmt:1:1\n" in render(bag, Sources({}))


def test_without_a_place_notes_and_help_follow_at_once() -> None:
    bag = Bag()
    bag.error(ERROR, "message", help=["do it"])
    assert render(bag, Sources({})) == "error[KVMC9901]: message\n  = help: do it\n\n1 error, 0 warnings\n"


def test_summary_counts_and_is_silent_for_notes_alone() -> None:
    bag = Bag()
    assert render(bag, Sources({})) == ""
    bag.error(NOTE, "n")
    assert render(bag, Sources({})) == "note[KVMC9903]: n\n"
    bag.error(WARNING, "w1")
    bag.error(WARNING, "w2")
    assert summarise(bag) == "0 errors, 2 warnings"


def test_colour_changes_nothing_but_colour() -> None:
    import re

    text = "vm a : b\n"
    bag = Bag()
    bag.error(ERROR, "m", Label(at(text, "b"), "here"), secondary=[Label(at(text, "vm"))], help=["h"])
    bag.error(WARNING, "w")
    sources = Sources({"site.kvmt": text})
    coloured = render(bag, sources, colour=True)
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert coloured != stripped
    assert [line.rstrip() for line in stripped.splitlines()] == render(bag, sources).splitlines()
