"""Text to tree with lark, several errors a run: a broken line is skipped and the rest is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING

from kvmc.diagnostics import Bag, Fix, Label, Span
from kvmc.diagnostics.codes import syntax as codes
from kvmc.diagnostics.model import Code
from kvmc.syntax.build import build
from kvmc.syntax.layout import Layout
from kvmc.syntax.recovery import accepted, close_lists, feed, finish, lex, unwind
from kvmc.syntax.tables import kept
from kvmc.syntax.text import check_text
from kvmc.syntax.tree import File

if TYPE_CHECKING:
    from lark import Token

MAX_DEPTH = 32
"""Blocks within blocks; the language itself needs two."""

MAX_ERRORS = 50
"""Syntax errors told of one file: more of them say that it is no kvmt."""

MAX_TOKENS = 1_000_000
"""Words and signs in one file: a bound on time and memory where a file is made of single characters."""

_WORDS = {
    "WORD": "a word",
    "STRING": "a quoted text",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "STAR": "`*`",
    "COMMA": "`,`",
    "OPEN": "`{`",
    "CLOSE": "`}`",
    "SQUARE": "`[`",
    "UNSQUARE": "`]`",
    "_NL": "the end of the line",
}


def parse(name: str, text: str) -> tuple[File | None, Bag]:
    """Read one file. `name` is the file as spans carry it; offsets are those of `text`.

    Never raises for what the text says. The tree holds every item that could be read; it is None only where the text as a whole
    is unfit (too large, unseen characters, nested too deep, too many errors).
    """
    bag = check_text(name, text)
    if bag.has_errors:
        return None, bag
    return _Reader(name, text, bag).read(), bag


_lark = cache(kept)

_BLANK = re.compile(r"\n[ \t]*\r?\n")


class _Reader:
    """One run over one file's tokens."""

    def __init__(self, name: str, text: str, bag: Bag) -> None:
        self.name = name
        self.text = text
        self.bag = bag
        self.parser = _lark().parse_interactive(text)
        self.tokens: list[Token] = []
        self.opened: list[tuple[Token, Token]] = []
        """The `{` that are open, each with the first token of its line."""
        self.layout = Layout.of(())
        self.error_line = 0
        self.closed_behind = 0
        """The line behind which a block was closed that never is."""
        self.broken_text = 0
        """The line of the last quote that was not closed."""

    def read(self) -> File | None:
        from lark import Token

        tokens = lex(self.parser, MAX_TOKENS + 1)
        if len(tokens) > MAX_TOKENS:
            text = f"`{self.name}` has more than {MAX_TOKENS} words and signs"
            self.bag.error(codes.TOO_LARGE, text, self.span(tokens[-1]))
            return None
        if tokens and tokens[-1].type != "_NL":
            last = tokens[-1]
            tokens.append(Token("_NL", "\n", last.end_pos, last.line, last.end_column, end_pos=last.end_pos))
        self.tokens, unclosed = close_lists(tokens)
        for token in unclosed[: MAX_ERRORS + 1]:
            self.report(codes.UNCLOSED_LIST, token, "a list is never closed", "opened here", "end it with `]`")
        self.layout = Layout.of(self.tokens)
        if not self.run():
            return None
        while self.opened:
            self.close_lost(len(self.tokens))
        return build(self.name, finish(self.parser), self.bag)

    def run(self) -> bool:
        """Feed all tokens; False where the rest is not worth reading."""
        index = 0
        first = self.tokens[0] if self.tokens else None
        while index < len(self.tokens):
            token = self.tokens[index]
            if index and self.tokens[index - 1].type == "_NL":
                first = token
            if first is token and self.layout.odd:
                self.close_by_indent(index)
                if self.is_extra_close(token):
                    index += 2
                    continue
                self.open_by_indent(token)
            if len(self.bag) > MAX_ERRORS:
                self.stop(token)
                return False
            if token.type == "OPEN" and len(self.opened) == MAX_DEPTH:
                self.report(codes.TOO_DEEP, token, f"blocks are nested more than {MAX_DEPTH} deep", "", "")
                return False
            if token.type == "_NL" and self.layout.odd:
                self.open_header(index, first or token)
            if token.type != "ERROR" and feed(self.parser, token):
                self.track(token, first or token)
                index += 1
                continue
            self.explain(index)
            index = self.recover(index, first or token)
        return True

    def stop(self, token: Token) -> None:
        text = f"more than {MAX_ERRORS} errors: `{self.name}` is not read further"
        self.bag.error(codes.TOO_MANY, text, self.span(token))

    def track(self, token: Token, first: Token) -> None:
        if token.type == "OPEN":
            self.opened.append((token, first))
        elif token.type == "CLOSE":
            self.opened.pop()

    def recover(self, index: int, first: Token) -> int:
        """Bring the parser back to where an item may stand; the index of the next token to feed.

        What is complete is kept. Of the rest of the line only braces count: they must not be lost for the lines that follow.
        """
        from lark import Token

        token = self.tokens[index]
        newline = Token.new_borrow_pos("_NL", "\n", token)
        if token.type != "_NL" and feed(self.parser, newline) and token.type == "CLOSE" and feed(self.parser, token):
            self.track(token, first)
            return index + 1
        unwind(self.parser)
        feed(self.parser, Token.new_borrow_pos("ERROR", "", token))
        inner = 0
        for at in range(index, len(self.tokens)):
            token = self.tokens[at]
            if token.type == "OPEN":
                if self.tokens[at + 1].type == "_NL":
                    return at
                inner += 1
            elif token.type == "CLOSE" and inner:
                inner -= 1
            elif token.type == "CLOSE" and self.opened:
                feed(self.parser, newline)
                return at
            elif token.type == "_NL":
                feed(self.parser, token)
                return at + 1
        return len(self.tokens)

    def close_by_indent(self, index: int) -> None:
        """Close blocks whose brace was lost: a line stands no deeper than the header of the block that it would be in."""
        token = self.tokens[index]
        while (
            self.layout.lacks_close and self.opened and token.type in ("WORD", "CLOSE") and len(self.bag) <= MAX_ERRORS
        ):
            indent = self.opened[-1][1].column or 0
            column = token.column or 0
            if column > indent or (token.type == "CLOSE" and column == indent):
                return
            self.close_lost(index)

    def close_lost(self, index: int) -> None:
        """Close a block that a token, or the file's end, stands behind."""
        from lark import Token

        opened, first = self.opened.pop()
        self.layout.surplus -= 1
        header = self.header(first)
        last = next(token for token in reversed(self.tokens[:index]) if token.type != "_NL")
        end = self.text.find("\n", last.end_pos or 0) + 1 or len(self.text)
        indent = self.text[self.text.rfind("\n", 0, first.start_pos or 0) + 1 : first.start_pos or 0]
        brace = ("" if self.text[:end].endswith("\n") else "\n") + (indent if indent.isspace() else "") + "}\n"
        help = "end it with `}` on a line of its own"
        text = f"block `{header}` is never closed" if header else "a block is never closed"
        label, secondary = (
            Label(self.span(last), "expected `}` behind this line"),
            [Label(self.span(opened), "opened here")],
        )
        if last is opened or last.line == self.closed_behind or self.layout.step <= 0:
            label, secondary = secondary[0], []
        self.closed_behind = last.line or 0
        fixes = [Fix(Span(self.name, end, end), brace, "put a `}` there")] if self.layout.step > 0 else []
        self.bag.error(codes.UNCLOSED_BLOCK, text, label, secondary=secondary, help=[help], fixes=fixes)
        for kind, sign in (("CLOSE", "}"), ("_NL", "\n")):
            feed(self.parser, Token.new_borrow_pos(kind, sign, last))

    def header(self, first: Token) -> str:
        """What stands before the `{` of a block, by the first token of its line."""
        start = first.start_pos or 0
        line = self.text[start : self.text.find("\n", start)]
        words = " ".join(line.partition("{")[0].partition("#")[0][:60].split())
        return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in words)

    def open_header(self, index: int, first: Token) -> None:
        """Open the block of a line that lost its `{`: the line behind it stands deeper."""
        from lark import Token

        last, after = self.tokens[index - 1], self.tokens[index + 1 : index + 2]
        if not index or not after or last.type in ("OPEN", "_NL") or not self.layout.lacks_open:
            return
        if _BLANK.search(self.tokens[index]):
            return  # then what stands deeper is the rest of another block
        if (after[0].column or 0) < (first.column or 0) + self.layout.step or "OPEN" not in accepted(self.parser):
            return
        end = last.end_pos or 0
        self.report(
            codes.LOST_OPEN,
            last,
            f"block `{self.header(first)}` has no `{{`",
            "expected `{` behind this, since the next line stands deeper",
            "write `{` at the end of the line",
            fixes=[Fix(Span(self.name, end, end), " {", "write `{` at the end of the line")],
        )
        brace = Token.new_borrow_pos("OPEN", "{", last)
        feed(self.parser, brace)
        self.layout.surplus += 1
        self.opened.append((brace, first))

    def open_by_indent(self, token: Token) -> None:
        """Begin a block whose header was lost: its first line stands deeper than the block around it has its lines."""
        from lark import Token

        step, column = self.layout.step, token.column or 0
        around = (self.opened[-1][1].column or 0) if self.opened else 1 - step
        if not self.layout.lacks_open or token.type != "WORD" or column < around + 2 * step:
            return
        if len(self.opened) == MAX_DEPTH:
            return
        self.report(
            codes.LOST_OPEN,
            token,
            "a block has no header and no `{`",
            "this line stands deeper than the block around it",
            "write the header and its `{` before this line, or move the line to the left",
        )
        for kind, sign in (("ERROR", ""), ("OPEN", "{"), ("_NL", "\n")):
            feed(self.parser, Token.new_borrow_pos(kind, sign, token))
        first = Token.new_borrow_pos("WORD", "", token)
        first.column = column - step
        self.layout.surplus += 1
        self.opened.append((first, first))

    def is_extra_close(self, token: Token) -> bool:
        """Whether a `}` is one too many, and told so: it stands deeper than the header of the block that it would close."""
        if token.type != "CLOSE" or not self.opened or not self.layout.lacks_open:
            return False
        first = self.opened[-1][1]
        if (token.column or 0) <= (first.column or 0):
            return False
        self.layout.surplus += 1
        self.unmatched(token, [Label(self.span(first), "the block around it stands further left")])
        return True

    def unmatched(self, token: Token, secondary: Iterable[Label] = ()) -> None:
        help = "delete it, or look for a lost `{` above"
        fixes = [Fix(self.span(token), "", "delete it")]
        self.report(
            codes.UNMATCHED_BRACE, token, "a `}` that closes no block", "", help, fixes=fixes, secondary=secondary
        )

    def explain(self, index: int) -> None:
        """Say what is wrong with the token that the parser did not take."""
        token = self.tokens[index]
        if token.type == "ERROR" and token.startswith('"'):
            self.unclosed_text(index)
            return
        if token.type == "CLOSE" and not self.opened:
            self.unmatched(token)
            return
        wanted = accepted(self.parser)
        if len(wanted) > 1:
            wanted.discard("STAR")  # true after every word, and hardly ever what is missing
        expected = [_WORDS[kind] for kind in _WORDS if kind in wanted]
        text = f"expected {_either(expected)}"
        if token.type == "_NL":
            self.report(codes.UNEXPECTED, self.tokens[index - 1], "the line ends too early", f"{text} after this", "")
            return
        shown = f"`{token[:40]}`" if token.isprintable() and not token.isspace() else f"U+{ord(token[0]):04X}"
        hint = ""
        if token.type == "WORD" and "_NL" in wanted:
            hint = "a setting ends with its line; put a text with spaces in double quotes"
        if token.type in ("COLON", "STAR", "ERROR"):
            hint = "put a text with such characters in double quotes"
        self.report(codes.UNEXPECTED, token, f"unexpected {shown}", text, hint)

    def unclosed_text(self, index: int) -> None:
        """A quote without its twin on its line; the other half of a text that a newline broke is no error of its own."""
        token, before = self.tokens[index], self.tokens[index - 1] if index else None
        line = token.line or 0
        adjoins = before is None or before.type == "_NL" or before.end_pos == token.start_pos
        if adjoins and line == self.broken_text + 1:
            self.error_line = line
            return
        self.broken_text = line
        help = 'end it with `"`; a text has no newline in it'
        text = takewhile(lambda one: one.type in ("ERROR", "WORD", "COLON", "STAR", "EQUAL"), self.tokens[index:])
        end = max(one.end_pos or 0 for one in text)
        fixes = [Fix(Span(self.name, end, end), '"', 'end it with `"`')]
        message = "a quoted text is not closed on its line"
        self.report(codes.UNCLOSED_TEXT, token, message, "opened here", help, fixes=fixes)

    def report(
        self,
        code: Code,
        token: Token,
        message: str,
        label: str,
        help: str,
        *,
        fixes: Iterable[Fix] = (),
        secondary: Iterable[Label] = (),
    ) -> None:
        """Add an error, unless its line has one already: what follows an error on its line is its echo."""
        line = token.line or 0
        if line == self.error_line:
            return
        self.error_line = line
        primary = Label(self.span(token), label)
        self.bag.error(code, message, primary, secondary=secondary, help=[help] if help else [], fixes=fixes)

    def span(self, token: Token) -> Span:
        return Span(self.name, token.start_pos or 0, token.end_pos or 0)


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
