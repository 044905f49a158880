"""Files of settings: sysctl.d, modprobe.d, and the sections and keys of tuned and systemd."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kvmc.audit.source import At, File, unreadable
from kvmc.diagnostics import Bag, Span

_SECTION = re.compile(r"\[([^\]]*)\]")
_MODPROBE = frozenset({"alias", "blacklist", "install", "remove", "softdep", "weakdep"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting: its section (empty where the format has none), its key, its value, and where the whole of it stands."""

    section: str
    key: str
    value: At[str]
    span: Span
    head: Span | None = None
    """The line of its section."""


def _entry(file: File, section: str, offset: int, line: str, equals: int, head: Span | None = None) -> Entry:
    key = file.trimmed(offset, line[:equals])
    value = file.trimmed(offset + equals + 1, line[equals + 1 :])
    return Entry(section, key.value, value, file.span(key.span.start, max(value.span.end, key.span.end)), head)


def read_sysctl(file: File, bag: Bag) -> list[Entry]:
    """sysctl.d(5): `key = value`; `-` before a key lets it fail; keys with dots, whichever separator they are written with."""
    entries = []
    for offset, line in file.lines():
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        equals = line.find("=")
        if equals < 0:
            if not text.startswith("-"):
                unreadable(bag, file.trimmed(offset, line).span, "`key = value`", text)
            continue
        entry = _entry(file, "", offset, line, equals)
        key = entry.key.removeprefix("-").strip()
        dot, slash = key.find("."), key.find("/")
        if slash >= 0 and (dot < 0 or slash < dot):
            key = key.translate(str.maketrans("./", "/."))
        entries.append(Entry("", key, entry.value, entry.span))
    return entries


def read_modprobe(file: File, bag: Bag) -> list[Entry]:
    """modprobe.d(5): the `options` lines; section is the module (dashes are underscores), key its option. Of another command, the
    section is empty and the key the whole line."""
    entries = []
    for offset, line in logical_lines(file):
        words = [(match[0], offset + match.start()) for match in re.finditer(r"[^\s\\]+", line)]
        if not words or words[0][0].startswith("#"):
            continue
        command = words[0][0]
        if command != "options" or len(words) < 3:
            if command not in _MODPROBE:
                unreadable(bag, file.trimmed(offset, line).span, "a line of modprobe.d", line.strip())
            else:
                whole = file.trimmed(offset, line)
                entries.append(Entry("", " ".join(word for word, _ in words), whole, whole.span))
            continue
        module = words[1][0].replace("-", "_")
        for word, start in words[2:]:
            key, equals, value = word.partition("=")
            place = file.span(start, start + len(word))
            at = file.span(start + len(key) + len(equals), place.end)
            entries.append(Entry(module, key, At(value, at), place))
    return entries


def logical_lines(file: File) -> list[tuple[int, str]]:
    """Lines with those after a backslash joined; the text keeps its length, so that offsets hold."""
    lines: list[tuple[int, str]] = []
    open_line = False
    for offset, line in file.lines():
        if open_line:
            start, text = lines[-1]
            lines[-1] = (start, f"{text}\n{line}")
        else:
            lines.append((offset, line))
        open_line = line.endswith("\\") and not line.lstrip().startswith(("#", ";"))
    return lines


def read_sections(file: File, bag: Bag) -> list[Entry]:
    """`[section]` and `key=value` as tuned and systemd have them. Comments begin with `#` or `;`. A trailing backslash goes on."""
    entries = []
    section = ""
    head: Span | None = None
    for offset, line in logical_lines(file):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        match = _SECTION.fullmatch(text)
        if match is not None:
            section = match[1].strip()
            head = file.trimmed(offset, line).span
            continue
        equals = line.find("=")
        if equals <= 0 or not section:
            unreadable(bag, file.trimmed(offset, line).span, "`key=value` below a section", text.partition("\n")[0])
            continue
        entries.append(_entry(file, section, offset, line, equals, head))
    return entries


def read_environment(file: File, bag: Bag) -> list[Entry]:
    """`NAME=value` with quotes or without, as systemd's EnvironmentFile= and shells take it."""
    entries = []
    for offset, line in file.lines():
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        equals = line.find("=")
        if equals <= 0:
            unreadable(bag, file.trimmed(offset, line).span, "`NAME=value`", text)
            continue
        entry = _entry(file, "", offset, line, equals)
        value = entry.value.value
        inner = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
        skip = (len(value) - len(inner)) // 2
        place = file.span(entry.value.span.start + skip, entry.value.span.end - skip)
        entries.append(Entry("", entry.key.removeprefix("export "), At(inner, place), entry.span))
    return entries
