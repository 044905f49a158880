"""Text to tree with lark, several errors a run: a broken line is skipped and the rest is kept."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from kvmc.diagnostics import Bag, Fix, Label, Span
from kvmc.diagnostics.codes import syntax as codes
from kvmc.diagnostics.model import Code
from kvmc.syntax.build import build
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
        self.surplus = 0
        """How many more `{` than `}` the file has: closing braces that were lost."""
        self.error_line = 0
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
        kinds = [token.type for token in self.tokens]
        self.surplus = kinds.count("OPEN") - kinds.count("CLOSE")
        if not self.run():
            return None
        while self.opened:
            self.close_lost(None)
        return build(self.name, finish(self.parser), self.bag)

    def run(self) -> bool:
        """Feed all tokens; False where the rest is not worth reading."""
        index = 0
        first = self.tokens[0] if self.tokens else None
        while index < len(self.tokens):
            token = self.tokens[index]
            if index and self.tokens[index - 1].type == "_NL":
                first = token
            if first is token:
                self.close_by_indent(token)
            if len(self.bag) > MAX_ERRORS:
                self.stop(token)
                return False
            if token.type == "OPEN" and len(self.opened) == MAX_DEPTH:
                self.report(codes.TOO_DEEP, token, f"blocks are nested more than {MAX_DEPTH} deep", "", "")
                return False
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

    def close_by_indent(self, token: Token) -> None:
        """Close blocks whose brace was lost: the file lacks braces, and a line stands no deeper than the block it would be in."""
        while self.surplus > 0 and self.opened and token.type in ("WORD", "CLOSE") and len(self.bag) <= MAX_ERRORS:
            indent = self.opened[-1][1].column or 0
            column = token.column or 0
            if column > indent or (token.type == "CLOSE" and column == indent):
                return
            self.close_lost(token)

    def close_lost(self, before: Token | None) -> None:
        from lark import Token

        opened, first = self.opened.pop()
        self.surplus -= 1
        end = self.text.find("{", first.start_pos or 0)
        header = " ".join(self.text[first.start_pos or 0 : end][:60].split())
        secondary = [Label(self.span(before), "the next line that is not in it")] if before else []
        self.bag.error(
            codes.UNCLOSED_BLOCK,
            f"block `{header}` is never closed" if header else "a block is never closed",
            Label(self.span(opened), "opened here"),
            secondary=secondary,
            help=["end it with `}` on a line of its own"],
        )
        for kind, text in (("CLOSE", "}"), ("_NL", "\n")):
            at = before or self.tokens[-1]
            feed(self.parser, Token.new_borrow_pos(kind, text, at))

    def explain(self, index: int) -> None:
        """Say what is wrong with the token that the parser did not take."""
        token = self.tokens[index]
        if token.type == "ERROR" and token.startswith('"'):
            self.unclosed_text(token, self.tokens[index - 1] if index else None)
            return
        if token.type == "CLOSE" and not self.opened:
            self.report(
                codes.UNMATCHED_BRACE,
                token,
                "a `}` that closes no block",
                "",
                "delete it, or look for a lost `{` above",
                fixes=[Fix(self.span(token), "", "delete it")],
            )
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

    def unclosed_text(self, token: Token, before: Token | None) -> None:
        """A quote without its twin on its line; the other half of a text that a newline broke is no error of its own."""
        line = token.line or 0
        adjoins = before is None or before.type == "_NL" or before.end_pos == token.start_pos
        if adjoins and line == self.broken_text + 1:
            self.error_line = line
            return
        self.broken_text = line
        help = 'end it with `"`; a text has no newline in it'
        self.report(codes.UNCLOSED_TEXT, token, "a quoted text is not closed on its line", "opened here", help)

    def report(self, code: Code, token: Token, message: str, label: str, help: str, fixes: Iterable[Fix] = ()) -> None:
        """Add an error, unless its line has one already: what follows an error on its line is its echo."""
        line = token.line or 0
        if line == self.error_line:
            return
        self.error_line = line
        self.bag.error(code, message, Label(self.span(token), label), help=[help] if help else [], fixes=fixes)

    def span(self, token: Token) -> Span:
        return Span(self.name, token.start_pos or 0, token.end_pos or 0)


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
