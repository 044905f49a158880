"""What is told of each planted fault, to the word and the place: goldens, a section a fault. `--update` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from kvmc.diagnostics import Diagnostic, Label

FOLDER = Path(__file__).parents[1] / "golden" / "audit"
_MARK = "== "


def _place(label: Label | None, texts: Mapping[str, str]) -> str:
    if label is None:
        return "nowhere"
    span = label.span
    text = texts.get(span.file, "")
    line = text.count("\n", 0, span.start) + 1
    words = " ".join(text[span.start : span.end].split())
    return f"{span.file}:{line} [{words[:60]}]{f' {label.text}' if label.text else ''}"


def told(items: Iterable[Diagnostic], texts: Mapping[str, str]) -> str:
    """All that is said, a line each. texts: by the names that spans bear."""
    lines: list[str] = []
    for item in items:
        lines += [f"{item.code.id} {item.message}", f"  {_place(item.primary, texts)}"]
        lines += [f"  + {_place(label, texts)}" for label in item.secondary]
        lines += [f"  note: {note}" for note in item.notes]
        lines += [f"  help: {help}" for help in item.help]
    return "\n".join(lines) or "nothing"


def brief(items: Iterable[Diagnostic], texts: Mapping[str, str]) -> str:
    """The same in few words: of texts that a place holds none, of secondary places the place alone."""
    lines: list[str] = []
    for item in items:
        places = [_place(label, texts) for label in (item.primary, *item.secondary[:3])]
        shown = " + ".join(re.sub(r" \[.*?\]", "", place, flags=re.DOTALL)[:90] for place in places)
        lines.append(f"{item.code.id} {item.message}\n  {shown}" + "".join(f"\n  {note[:90]}" for note in item.notes))
    return "\n".join(lines) or "nothing"


def sections(name: str) -> dict[str, str]:
    """All of a golden."""
    return _sections(FOLDER / f"{name}.txt")


def write(name: str, found: Mapping[str, str], folder: Path = FOLDER) -> None:
    """A golden anew."""
    path = folder / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(f"{_MARK}{title}\n{text}\n" for title, text in found.items()))


def _sections(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    parts = (part.partition("\n") for part in path.read_text().split(_MARK)[1:])
    return {title: text.rstrip("\n") for title, _, text in parts}


def same(name: str, title: str, text: str, *, update: bool, folder: Path = FOLDER) -> bool:
    """Whether a section of the golden `name` is as it was."""
    path = folder / f"{name}.txt"
    sections = _sections(path)
    text = text.rstrip("\n")
    if update:
        sections[title] = text
        write(name, sections, folder)
    return sections.get(title) == text
