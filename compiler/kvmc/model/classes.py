"""`docs/classes.md`, written from the standard library's own comments: `python -m kvmc.model.classes > docs/classes.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from kvmc import std
from kvmc.syntax.parser import parse
from kvmc.syntax.tree import Block

_HEAD = """# The standard library of classes

Written from the comments of the files in `compiler/kvmc/std/`; a test keeps it so. A source takes a file in with
`import "std/NAME.kvmt"`; a guest or a class of its own then has the class as its parent and overrides what it likes, setting by
setting. `kvmc show class NAME` prints one with its comment. No figure stands here that depends on hardware: measure yours.
"""
_KEYS = ("Sets", "Why", "Costs", "Example")


@dataclass(frozen=True, slots=True)
class StdClass:
    """A class of the library. file: as sources import it. comment: its lines without `# `. text: the block itself."""

    name: str
    file: str
    comment: tuple[str, ...]
    text: str


def classes() -> tuple[StdClass, ...]:
    """All, by file and in the file's order."""
    return tuple(one for name in std.names() for one in _of(name, std.text(name)))


def std_class(name: str) -> StdClass | None:
    """The class of that name, if the library has it."""
    return next((one for one in classes() if one.name == name), None)


def described(name: str) -> str | None:
    """A class for people: where it is, its comment, and what it sets; None where the library has none of the name."""
    one = std_class(name)
    if one is None:
        return None
    body = "\n\n".join(_paragraphs(one.comment))
    return f'import "{one.file}"\n\n{body}\n\n{one.text}\n'


def _of(name: str, text: str) -> Iterator[StdClass]:
    file, _ = parse(name, text)
    assert file is not None, "a test keeps the library readable"
    for item in file.items:
        if isinstance(item, Block) and item.kind.text == "class":
            comment: list[str] = []
            for line in reversed(text[: item.span.start].splitlines()):
                if not line.startswith("#"):
                    break
                comment.append(line.removeprefix("#").removeprefix(" "))
            yield StdClass(item.labels[0].text, name, tuple(reversed(comment)), text[item.span.start : item.span.end])


def reference() -> str:
    """The page, in Markdown."""
    rows = [f"| `{one.name}` | `{one.file}` | {' '.join(_paragraphs(one.comment)[0].split())} |" for one in classes()]
    table = "\n".join(["| class | file | for |", "|---|---|---|", *rows])
    return "\n".join([_HEAD, table, "", *map(_section, classes())])


def _section(one: StdClass) -> str:
    body = "\n\n".join(_marked(paragraph) for paragraph in _paragraphs(one.comment))
    return f'## {one.name}\n\n`import "{one.file}"`\n\n{body}\n\n```kvmt\n{one.text}\n```\n'


def _paragraphs(comment: tuple[str, ...]) -> list[str]:
    """Paragraphs end at an empty line, and before a line that begins with one of the keys."""
    found: list[str] = [""]
    for line in comment:
        if not line or line.partition(":")[0] in _KEYS:
            found.append("")
        found[-1] += f"{line}\n"
    return [text.strip() for text in found if text.strip()]


def _marked(paragraph: str) -> str:
    return re.sub(rf"^({'|'.join(_KEYS)}):", r"**\1**:", paragraph)


if __name__ == "__main__":
    sys.stdout.write(reference())
