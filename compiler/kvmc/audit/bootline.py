"""The kernel command line, from what carries it: GRUB's shell files, a plain list of words (BLS), or bootc's TOML.

Shell is read, never run: what only a shell could tell is a finding.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

from kvmc.audit.source import At, File
from kvmc.diagnostics import Bag, Code, Span
from kvmc.diagnostics.codes import audit as codes

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?(GRUB_CMDLINE_LINUX(?:_DEFAULT)?)(\+?=)")
_MENTION = re.compile(r"[ \t]*[^#\s].*GRUB_CMDLINE_LINUX|[ \t]*(?:unset|eval|source|\.)(?=\s)")
_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::?-)?\}|([A-Za-z_][A-Za-z0-9_]*))")
_PUT_BEFORE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*):?\+\$\{?\1\}?[ \t]*\}")
"""`${X:+$X }`: the former value and a space, if there is one; tuned has it in `/etc/default/grub`."""
_FILTER = re.compile(r"""\$\(\s*[A-Za-z_]\w*\s+"?\$\{?([A-Za-z_]\w*)(?::?-)?\}?"?\s*\)""")
"""A function over the variable's own former value: taken for one that drops words which are set again later."""

_FORMER = (_REFERENCE, _PUT_BEFORE, _FILTER)

Characters = list[tuple[str, int]]
"""A value with the offset that each of its characters has in the file."""


@dataclass(frozen=True, slots=True)
class Option:
    """A word of the line. `value` None for a bare word."""

    key: str
    value: str | None


def option(word: At[str]) -> At[Option]:
    """A word as the kernel takes it apart: dashes and underscores in keys are the same (parse_args)."""
    key, equals, value = word.value.partition("=")
    return At(Option(key.replace("-", "_"), value.strip('"') if equals else None), word.span)


def _split(file: File, characters: Characters) -> list[At[str]]:
    """Words between white space; double quotes keep white space in (lib/cmdline.c, next_arg)."""
    words: list[At[str]] = []
    current: Characters = []
    quoted = False
    for character, offset in [*characters, (" ", -1)]:
        if character == '"':
            quoted = not quoted
        if (character.isspace() and not quoted) or offset < 0:
            if current:
                start, end = current[0][1], current[-1][1] + 1
                words.append(At("".join(one for one, _ in current), file.span(start, max(start, end))))
            current = []
            continue
        current.append((character, offset))
    return words


@dataclass(slots=True)
class _Shell:
    """A scanner over the value of one assignment."""

    file: File
    at: int
    bag: Bag
    code: Code
    filters: bool = False

    def value(self, name: str) -> tuple[Characters, bool] | None:
        """The characters, and whether they follow the variable's former value. None with a finding."""
        text = self.file.text
        out: Characters = []
        appends = False
        start = self.at
        quote = ""
        while self.at < len(text):
            character = text[self.at]
            if not quote and (character.isspace() or character in ";#"):
                break
            if character == quote:
                quote = ""
            elif not quote and character in "\"'":
                quote = character
            elif character == "\\" and quote != "'":
                self.at += 1
                if self.at < len(text) and text[self.at] != "\n":
                    if quote and text[self.at] not in '"\\$`':
                        out.append(("\\", self.at - 1))
                    out.append((text[self.at], self.at))
            elif character == "`" and quote != "'":
                self._not_read(start, "a command")
                return None
            elif character == "$" and quote != "'":
                match = next((one for form in _FORMER if (one := form.match(text, self.at))), None)
                filters = match is not None and match.re is _FILTER
                if match is None or name not in match.groups() or out or appends:
                    self._not_read(start, "a command or another variable")
                    return None
                appends = True
                self.filters |= filters
                self.at = match.end()
                continue
            elif not quote and character in "|&()<>":
                self._not_read(start, f"`{character}`")
                return None
            else:
                out.append((character, self.at))
            self.at += 1
        if quote:
            self.bag.error(
                codes.FILE_UNREADABLE, f"a quote in `{self.file.path}` is not closed", self.file.span(start, start + 1)
            )
            return None
        return out, appends

    def _not_read(self, start: int, what: str) -> None:
        end = self.file.text.find("\n", start)
        place = self.file.span(start, len(self.file.text) if end < 0 else end)
        self.bag.error(self.code, f"the value holds {what}, which only a shell can tell", place)
        end = self.file.text.find("\n", self.at)
        self.at = len(self.file.text) if end < 0 else end


def read_grub(files: list[File], bag: Bag, code: Code = codes.NOT_JUDGED) -> list[At[str]]:
    """The words of GRUB_CMDLINE_LINUX and then of GRUB_CMDLINE_LINUX_DEFAULT, as grub-mkconfig joins them for the normal entry.

    files: `/etc/default/grub`, then its drop-ins by name. A later assignment without the former value takes its place. Words that
    GRUB itself puts in at boot (`$tuned_params`) are left out. code: of what only a shell can tell.
    """
    words: dict[str, list[At[str]]] = {"GRUB_CMDLINE_LINUX": [], "GRUB_CMDLINE_LINUX_DEFAULT": []}
    for file in files:
        at = 0
        before = [word for some in words.values() for word in some]
        filters = False
        while at < len(file.text):
            match = _ASSIGNMENT.match(file.text, at)
            if match is not None:
                shell = _Shell(file, match.end(), bag, code)
                found = shell.value(match[1])
                at = shell.at
                filters |= shell.filters
                if found is not None:
                    former = words[match[1]] if found[1] or match[2] == "+=" else []
                    words[match[1]] = former + _split(file, found[0])
            elif _MENTION.match(file.text, at):
                end = file.text.find("\n", at)
                line = file.text[at : len(file.text) if end < 0 else end]
                bag.error(code, "the line does more than assign", file.trimmed(at, line).span)
            end = file.text.find("\n", at)
            at = len(file.text) if end < 0 else end + 1
        if filters:
            keys = {option(word).value.key for some in words.values() for word in some if word not in before}
            for name, some in words.items():
                words[name] = [word for word in some if word not in before or option(word).value.key not in keys]
    every = words["GRUB_CMDLINE_LINUX"] + words["GRUB_CMDLINE_LINUX_DEFAULT"]
    return [word for word in every if not word.value.startswith("$")]


def read_words(file: File) -> list[At[str]]:
    """Words over any number of lines; `#` at the start of a line or after white space begins a comment."""
    words: list[At[str]] = []
    for offset, line in file.lines():
        text = re.split(r"(?:^|(?<=\s))#", line, maxsplit=1)[0]
        words += _split(file, [(character, offset + index) for index, character in enumerate(text)])
    return words


def read_bootc(file: File, bag: Bag, arch: str, *, handwritten: bool = False) -> list[At[str]]:
    """`kargs = ["a", "b=c"]` (bootc(8), kargs.d). An entry may hold several words. `match-architectures`, where it is there, names
    the machines that take them; a file with any other key is refused by bootc.

    arch: the host's. What is for other machines is none of its words, and a finding where kvmc wrote it.
    """
    try:
        table = tomllib.loads(file.text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as problem:
        bag.error(codes.FILE_UNREADABLE, f"`{file.path}` is not TOML", file.head, notes=[str(problem)[:200]])
        return []
    kargs = table.get("kargs", [])
    if not isinstance(kargs, list) or not all(isinstance(one, str) for one in kargs):
        bag.error(codes.FILE_UNREADABLE, f"`kargs` in `{file.path}` is no list of texts", file.head)
        return []
    unknown = sorted(table.keys() - {"kargs", "match-architectures"})
    if unknown:
        text = f"`{file.path}` has `{unknown[0][:40]}`, which bootc does not know"
        bag.error(codes.FILE_UNREADABLE, text, _at(file, unknown[0]))
    wanted = table.get("match-architectures")
    if wanted is not None and (not isinstance(wanted, list) or arch not in wanted):
        if handwritten:
            return []
        place = _at(file, "match-architectures")
        bag.error(codes.FILE_UNREADABLE, f"`{file.path}` is for other machines than {arch}", place)
    words: list[At[str]] = []
    at = max(file.text.find("kargs"), 0)
    for entry in kargs:
        for word in entry.split():
            start = file.text.find(word, at)
            if start < 0:
                words.append(At(word, file.head))
                continue
            at = start + len(word)
            words.append(At(word, file.span(start, at)))
    return words


def _at(file: File, key: str) -> Span:
    """The line of a key."""
    start = max(file.text.find(key), 0)
    end = file.text.find("\n", start)
    return file.span(start, len(file.text) if end < 0 else end)
