"""The canonical form: what it is, that it is one, and that it loses nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvmc.syntax.format import WIDTH, format_text
from kvmc.syntax.parser import parse
from syntax.shape import shape
from syntax.test_parse import _sketch

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "examples").rglob("*.kvmt"))]


def formatted(text: str) -> str:
    made, bag = format_text("f", text)
    assert made is not None, [item.message for item in bag]
    return made


CASES = {
    "settings of a run have one column, and so do their comments": (
        "a=1 #x\nlonger   =  2\n#own\nb  = 3   # y\nccc = 4 # z\n\nd=5\n",
        "a      = 1  # x\nlonger = 2\n# own\nb      = 3  # y\nccc    = 4  # z\n\nd = 5\n".replace("# x", "#x").replace(
            "# own", "#own"
        ),
    ),
    "a block ends a run": ("a = 1\nx {\nb = 1\n}\nlong = 2\n", "a = 1\n\nx {\n  b = 1\n}\n\nlong = 2\n"),
    "blank lines are one at most, and none at the ends": (
        "\n\na = 1\n\n\n\nb = 2\nx {\n\n\n  y {\n    c = 1\n  }\n  z {\n    c = 1\n  }\n\n}\n\n\n",
        "a = 1\n\nb = 2\n\nx {\n  y {\n    c = 1\n  }\n  z {\n    c = 1\n  }\n}\n",
    ),
    "blocks of several lines stand apart, their comments stay with them": (
        "vm a\nvm b\n# of x\nx {\na = 1\n}\n# of y\n# too\ny {\na = 1\n} # end\nvm c\n",
        "vm a\nvm b\n\n# of x\nx {\n  a = 1\n}\n\n# of y\n# too\ny {\n  a = 1\n}  # end\n\nvm c\n",
    ),
    "an empty body goes": ("vm a : b {\n\n}\nx { }\ny { # why\n}\n", "vm a : b\nx\n\ny {  # why\n}\n"),
    "a header": (' pool  "x"   y:z   {\n}\n', 'pool "x" y : z\n'),
    "a list that fits is one line": (
        "a = [\n  1,2,\n  96*1GiB , b\n]\nb=[ ]\n",
        "a = [1,2, 96 * 1GiB, b]\nb = []\n",
    ),
    "comments of a list": (
        'a = [ # of all\n  b, # of b\n  # own\n  4 # in\n  *1GiB # of count\n  , # more\n  "#"]\n',
        'a = [  # of all\n  b,  # of b\n  # own\n  # in\n  4 * 1GiB,  # of count\n  # more\n  "#",\n]\n',
    ),
    "line ends and a mark": ("\ufeffa = 1\t# x \t\r\n\r\n\r\nb = 2", "a = 1  # x\n\nb = 2\n"),
    "a comment behind the last block": ("x {\n  a = 1\n}\n# end\n\n", "x {\n  a = 1\n}\n\n# end\n"),
    "comments alone": ("\n  # a\n\n\n#b", "# a\n\n#b\n"),
    "nothing": (" \n\n", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_the_form(name: str) -> None:
    given, wanted = CASES[name]
    assert formatted(given) == wanted
    assert formatted(wanted) == wanted


def test_a_list_is_broken_where_it_is_too_wide() -> None:
    words = [f"word-{index:02}" for index in range(11)]
    flat = f"a = [{', '.join(words)}]"
    assert len(flat) == WIDTH + 3
    assert formatted(flat) == "a = [\n" + "".join(f"  {word},\n" for word in words) + "]\n"
    fits = flat.replace("word-10", "rd-1")
    assert len(fits) == WIDTH
    assert formatted(fits) == fits + "\n"


def test_a_file_with_errors_has_no_form() -> None:
    made, bag = format_text("f", "a = 1\nb = = 2\n")
    assert made is None
    assert [item.code.id for item in bag] == ["KVMC0101"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_are_in_canonical_form(path: Path) -> None:
    text = path.read_bytes().decode()
    assert formatted(text) == text, "run `kvmc fmt`"


FENCES = [
    (path, found[1])
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for found in re.finditer(r"```kvmt(?:,ok)?\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
]


def test_docs_are_in_canonical_form() -> None:
    assert FENCES, "no page shows the language"
    for path, text in FENCES:
        assert formatted(text) == text, f"in {path.name}:\n{text}"


@dataclass
class _Mess:
    """Writes items untidily. Each comment says where it stands: `# after NAME` and the like, and every name is used once."""

    draw: st.DrawFn
    count: int = 0
    comments: int = 0

    def name(self) -> str:
        self.count += 1
        return f"n{self.count:03}" + "x" * self.draw(st.integers(0, 9))

    def space(self) -> str:
        return self.draw(st.sampled_from(["", " ", "  ", "\t", "     "]))

    def comment(self, where: str) -> str:
        self.comments += 1
        tail = self.draw(st.sampled_from(["", ' é "', " {", "  "]))
        return f"{self.space()}# {self.comments} {where}{tail}"

    def maybe(self, where: str) -> str:
        return self.comment(where) if self.draw(st.integers(0, 3)) == 0 else self.space()

    def newline(self) -> str:
        return self.draw(st.sampled_from(["\n", "\r\n"]))

    def lines(self, where: str) -> str:
        """Blank lines and comments between items."""
        text = ""
        for _ in range(self.draw(st.sampled_from([0, 0, 0, 1, 2]))):
            text += self.draw(st.sampled_from(["", self.space(), self.comment(where)])) + self.newline()
        return text

    def element(self) -> str:
        name = self.name()
        return self.draw(
            st.sampled_from([name, f'"{name} # \\""', f"12{self.space()}*{self.space()}{name}", f"1,2-{name}"])
        )

    def value(self) -> str:
        if self.draw(st.booleans()):
            return self.element()
        text = "["
        for _ in range(self.draw(st.integers(0, 4))):
            text += self.space() + self.list_break() + self.element() + self.list_break() + "," + self.list_break()
        return text + "]"

    def list_break(self) -> str:
        if self.draw(st.integers(0, 5)):
            return self.space()
        return (self.comment("list") if self.draw(st.booleans()) else "") + self.newline()

    def item(self, depth: int) -> str:
        name = self.name()
        text = self.lines(f"before {name}") + self.space() + name
        form = self.draw(st.integers(0, 3 if depth < 3 else 1))
        if form == 0:
            return text + f" {self.name()}" + self.maybe(f"after {name}") + self.newline()
        if form == 1:
            return text + f"{self.space()}={self.space()}{self.value()}{self.maybe(f'after {name}')}{self.newline()}"
        label, parent = self.name(), self.draw(st.sampled_from(["", ":p", " : p", ' : "p"']))
        text += f" {label}{parent}{self.space()}{{{self.maybe(f'open {name}')}{self.newline()}"
        for _ in range(self.draw(st.integers(0, 3))):
            text += self.item(depth + 1)
        return text + f"{self.lines(f'end {name}')}{self.space()}}}{self.maybe(f'after {name}')}{self.newline()}"


@st.composite
def messes(draw: st.DrawFn) -> str:
    mess = _Mess(draw)
    return "".join(mess.item(0) for _ in range(draw(st.integers(0, 5)))) + mess.lines("end of file")


@settings(max_examples=150, deadline=None)
@given(messes())
def test_formatting_is_idempotent_and_keeps_the_tree_and_the_comments(text: str) -> None:
    before, bag = parse("f", text)
    assert before is not None and not bag.items
    made = formatted(text)
    assert formatted(made) == made
    after, _ = parse("f", made)
    assert after is not None
    assert [shape(item) for item in before.items] == [shape(item) for item in after.items]
    comments = re.findall(r"# [0-9]+ (?:before|after|open|list|end)[^\r\n]*", text)
    assert re.findall(r"# [0-9]+ (?:before|after|open|list|end)[^\r\n]*", made) == [one.rstrip() for one in comments]
    _attached(made.splitlines())


def _attached(lines: list[str]) -> None:
    """Every comment is still where it says."""
    opened: list[str] = []
    for index, line in enumerate(lines):
        assert line == line.rstrip() and "\t" not in line
        code, _, comment = line.partition("# ")
        words = code.split()
        if words and re.match(r"n\d{3}x* (?!=).*\{ *$", code.strip() + " "):
            opened.append(words[0])
        closed = opened.pop() if words == ["}"] else ""
        if not comment:
            continue
        where, _, name = comment.partition(" ")[2].partition(" ")
        name = name.split(" ")[0]
        following = next(
            (one.split() for one in lines[index + 1 :] if one.split() and not one.split()[0].startswith("#")), []
        )
        if where == "before":
            assert not words and following[0] == name, lines
        elif where == "open":
            assert words[0] == name and words[-1] == "{", lines
        elif where == "end" and name != "of":
            assert not words and following[0] == "}" and opened[-1] == name, lines
        elif where == "after":
            assert closed == name or words == ["]"] or words[0] == name, lines


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from(list('ab1,=:*[]{}"\\# \n\té')), max_size=60))
def test_any_text_is_left_alone_or_has_one_form(text: str) -> None:
    made, bag = format_text("f", text)
    if made is None:
        assert bag.has_errors
        return
    assert formatted(made) == made
    before, after = parse("f", text)[0], parse("f", made)[0]
    assert before is not None and after is not None
    assert [shape(item) for item in before.items] == [shape(item) for item in after.items]
    assert [_sketch(item) for item in before.items] == [_sketch(item) for item in after.items]
