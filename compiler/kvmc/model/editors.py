"""What editors know of the language, written from the table of settings: `python -m kvmc.model.editors` in the repository's root.

A TextMate grammar (package data, and a copy in the VS Code extension) and a Vim syntax file; a test keeps them so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from kvmc.model.blocks import BLOCKS
from kvmc.model.kinds import Choice, Flag, Kind, ListOf, OrNone
from kvmc.model.settings import ROWS
from kvmc.model.values import KIB_PER_UNIT

_WORD = r'[^\s"{}\[\]=,:#*]'
_PCI = r"(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]"


def words() -> list[str]:
    """All words that a setting may have as its value, sorted."""
    return sorted({word for row in ROWS for word in _words(row.kind)} | {"none"})


def _words(kind: Kind) -> Iterable[str]:
    if isinstance(kind, Choice):
        return kind.options
    if isinstance(kind, Flag):
        return ("true", "false")
    if isinstance(kind, OrNone):
        return _words(kind.kind)
    return _words(kind.item) if isinstance(kind, ListOf) else ()


def names() -> list[str]:
    """All settings' names, sorted."""
    return sorted({row.name for row in ROWS})


def _alternatives(texts: Iterable[str]) -> str:
    """A group of texts, longer ones first: an engine takes the first that fits."""
    return "|".join(re.escape(text).replace(r"\-", "-") for text in sorted(texts, key=lambda text: (-len(text), text)))


def textmate() -> str:
    """The TextMate grammar, as JSON."""
    end = rf"(?!{_WORD})"
    kinds = _alternatives(row.name for row in BLOCKS)
    labels = _alternatives(
        label for row in BLOCKS for words in row.labels if words != "NAME" for label in words.split("|")
    )
    units = _alternatives(KIB_PER_UNIT)
    grammar = {
        "name": "kvmt",
        "scopeName": "source.kvmt",
        "fileTypes": ["kvmt"],
        "patterns": [{"include": f"#{name}"} for name in ("comment", "directive", "setting", "block", "close")],
        "repository": {
            "comment": {"name": "comment.line.number-sign.kvmt", "match": "#.*$"},
            "close": {"name": "punctuation.section.block.end.kvmt", "match": r"\}"},
            "directive": {
                "begin": rf"^\s*(kvmt|import){end}",
                "end": "$",
                "beginCaptures": {"1": {"name": "keyword.control.import.kvmt"}},
                "patterns": [{"include": f"#{name}"} for name in ("comment", "string", "number")],
            },
            "setting": {
                "begin": rf"^\s*(?:({_alternatives(names())})|({_WORD}+))\s*(=)",
                "end": "$",
                "beginCaptures": {
                    "1": {"name": "support.type.property-name.kvmt"},
                    "2": {"name": "variable.other.unknown.kvmt"},
                    "3": {"name": "keyword.operator.assignment.kvmt"},
                },
                "patterns": [{"include": "#comment"}, {"include": "#list"}, {"include": "#value"}],
            },
            "list": {
                "begin": r"\[",
                "end": r"\]",
                "beginCaptures": {"0": {"name": "punctuation.section.brackets.begin.kvmt"}},
                "endCaptures": {"0": {"name": "punctuation.section.brackets.end.kvmt"}},
                "patterns": [{"include": "#comment"}, {"include": "#value"}],
            },
            "value": {
                "patterns": [
                    {"include": f"#{name}"} for name in ("string", "address", "size", "number", "word", "text", "sign")
                ]
            },
            "string": {
                "name": "string.quoted.double.kvmt",
                "begin": '"',
                "end": '"|$',
                "patterns": [
                    {"name": "constant.character.escape.kvmt", "match": r'\\["\\]'},
                    {"name": "invalid.illegal.escape.kvmt", "match": r"\\."},
                    {"name": "variable.other.placeholder.kvmt", "match": r"\{(?:vm|disk)\}"},
                ],
            },
            "address": {"name": "constant.other.address.kvmt", "match": _PCI + end},
            "size": {"name": "constant.numeric.size.kvmt", "match": rf"\b[0-9]+(?:{units}){end}"},
            "number": {"name": "constant.numeric.kvmt", "match": rf"(?<!{_WORD})[0-9][0-9.,-]*{end}"},
            "word": {
                "name": "constant.language.kvmt",
                "match": rf"(?<!{_WORD})(?:{_alternatives(words())}){end}",
            },
            "text": {"name": "string.unquoted.kvmt", "match": rf"{_WORD}+"},
            "sign": {"name": "keyword.operator.kvmt", "match": r"[*,]"},
            "block": {
                "begin": rf"^\s*(?:({kinds})|({_WORD}+)){end}",
                "end": r"$|(\{)",
                "beginCaptures": {
                    "1": {"name": "storage.type.block.kvmt"},
                    "2": {"name": "variable.other.unknown.kvmt"},
                },
                "endCaptures": {"1": {"name": "punctuation.section.block.begin.kvmt"}},
                "patterns": [
                    {"include": "#comment"},
                    {"include": "#string"},
                    {
                        "match": rf"(:)\s*({_WORD}+)?",
                        "captures": {
                            "1": {"name": "keyword.operator.parent.kvmt"},
                            "2": {"name": "entity.other.inherited-class.kvmt"},
                        },
                    },
                    {"name": "storage.modifier.kvmt", "match": rf"(?<!{_WORD})(?:{labels}){end}(?=\s)"},
                    {"name": "entity.name.type.kvmt", "match": rf"{_WORD}+"},
                ],
            },
        },
    }
    return json.dumps(grammar, indent=2) + "\n"


def vim() -> str:
    """The Vim syntax file."""

    def any_of(texts: Iterable[str]) -> str:
        return r"\%(" + r"\|".join(sorted(texts, key=lambda text: (-len(text), text))) + r"\)"

    word = r'[^[:space:]"{}\[\]=,:#*]'
    kinds = any_of(row.name for row in BLOCKS)
    return f"""" Vim syntax file, written by kvmc.model.editors from the table of settings
if exists("b:current_syntax")
  finish
endif

syn case match
syn match kvmtText /{word}\\+/ contained
syn match kvmtNumber /{word}\\@1<!\\d[0-9.,-]*{word}\\@!/ contained
syn match kvmtAddress /\\%(\\x\\{{4,8}}:\\)\\=\\x\\x:[01]\\x\\.[0-7]{word}\\@!/ contained
syn match kvmtSize /{word}\\@1<!\\d\\+{any_of(KIB_PER_UNIT)}{word}\\@!/ contained
syn match kvmtConstant /{word}\\@1<!{any_of(words())}{word}\\@!/ contained
syn match kvmtEscape /\\\\["\\\\]/ contained
syn match kvmtPlaceholder /{{\\%(vm\\|disk\\)}}/ contained
syn region kvmtString start=/"/ skip=/\\\\./ end=/"\\|$/ contains=kvmtEscape,kvmtPlaceholder oneline
syn region kvmtList matchgroup=kvmtBracket start=/\\[/ end=/\\]/ contained contains=@kvmtValue,kvmtComment
syn cluster kvmtValue contains=kvmtText,kvmtNumber,kvmtAddress,kvmtSize,kvmtConstant,kvmtString

syn region kvmtAssigned matchgroup=kvmtOperator start=/=/ end=/$/ contains=@kvmtValue,kvmtList,kvmtComment keepend extend
syn match kvmtParent /:\\s*{word}\\+/ contained contains=kvmtColon
syn match kvmtColon /:/ contained
syn match kvmtLabel /{word}\\+/ contained
syn region kvmtHeader start=/\\s/ end=/$\\|{{/ contained contains=kvmtLabel,kvmtParent,kvmtString,kvmtComment,kvmtBrace keepend
syn match kvmtBrace /[{{}}]/
syn match kvmtBlock /^\\s*\\zs{kinds}{word}\\@!/ nextgroup=kvmtHeader
syn match kvmtSetting /^\\s*\\zs{any_of(names())}\\ze\\s*=/
syn match kvmtDirective /^\\s*\\zs\\%(kvmt\\|import\\)\\ze\\%(\\s\\|$\\)/
syn match kvmtComment /#.*$/ contains=@Spell

hi def link kvmtComment Comment
hi def link kvmtDirective PreProc
hi def link kvmtBlock Structure
hi def link kvmtLabel Identifier
hi def link kvmtParent Type
hi def link kvmtColon Operator
hi def link kvmtSetting Keyword
hi def link kvmtOperator Operator
hi def link kvmtBrace Delimiter
hi def link kvmtBracket Delimiter
hi def link kvmtConstant Constant
hi def link kvmtNumber Number
hi def link kvmtSize Number
hi def link kvmtAddress Number
hi def link kvmtString String
hi def link kvmtEscape SpecialChar
hi def link kvmtPlaceholder Special

let b:current_syntax = "kvmt"
"""


def written() -> dict[str, str]:
    """All files that are written from the table, by their paths in the repository."""
    return {
        "grammar/kvmc_grammar/kvmt.tmLanguage.json": textmate(),
        "editors/vscode/syntaxes/kvmt.tmLanguage.json": textmate(),
        "editors/vim/syntax/kvmt.vim": vim(),
    }


if __name__ == "__main__":
    for name, text in written().items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
