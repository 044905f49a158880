"""Error recovery: the two stacks of lark's LALR parser, and the tokens that are put in or left out so that it can go on.

lark's stacks are only half public: nothing but this module touches them, and lark is pinned to 1.x from 1.3 for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Token, Tree
    from lark.parsers.lalr_interactive_parser import InteractiveParser


def lex(parser: InteractiveParser) -> list[Token]:
    """All tokens of the parser's text. The grammar has a token for every character, so this never fails."""
    tokens: list[Token] = list(parser.lexer_thread.lex(parser.parser_state))  # type: ignore[no-untyped-call]
    return tokens


def feed(parser: InteractiveParser, token: Token) -> bool:
    """Whether the parser took the token."""
    from lark.exceptions import UnexpectedToken

    try:
        parser.feed_token(token)
    except UnexpectedToken:
        return False
    return True


def accepted(parser: InteractiveParser) -> set[str]:
    """The kinds of token that could stand here."""
    kinds: set[str] = parser.accepts()  # type: ignore[no-untyped-call]
    return kinds


def finish(parser: InteractiveParser) -> Tree[Token]:
    """The tree of all that was fed."""
    tree: Tree[Token] = parser.feed_eof()  # type: ignore[no-untyped-call]
    return tree


def unwind(parser: InteractiveParser) -> None:
    """Drop what was begun and not finished, back to where an item may stand: there, and only there, `ERROR` is taken."""
    state = parser.parser_state
    while "ERROR" not in parser.choices():  # type: ignore[no-untyped-call]
        state.state_stack.pop()
        state.value_stack.pop()


def close_lists(tokens: list[Token]) -> tuple[list[Token], list[Token]]:
    """The tokens without the newlines inside lists, and the `[` of each list that never ends.

    Such a list is closed at the end of the line before the next line that can only be an item: `name =`, a header behind a
    finished element, a brace, or the end of the file.
    """
    from lark import Token

    kept: list[Token] = []
    unclosed: list[Token] = []
    opened: Token | None = None
    for index, token in enumerate(tokens):
        if token.type == "SQUARE":
            opened = opened or token
        elif token.type == "UNSQUARE":
            opened = None
        elif token.type == "_NL" and opened is not None:
            following = [after.type for after in tokens[index + 1 : index + 3]]
            if not _ends_list(kept[-1].type, following):
                continue
            unclosed.append(opened)
            opened = None
            kept.append(Token.new_borrow_pos("UNSQUARE", "]", token))
        kept.append(token)
    return kept, unclosed


def _ends_list(before: str, following: list[str]) -> bool:
    if not following or following[0] in ("CLOSE", "OPEN"):
        return True
    if following[0] != "WORD" or len(following) < 2:
        return False
    if following[1] == "EQUAL":
        return True
    return following[1] in ("WORD", "STRING", "COLON", "OPEN") and before not in ("SQUARE", "COMMA")
