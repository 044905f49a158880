"""Kinds of texts: names, references, paths, and the addresses and names of other programs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kvmc.diagnostics.codes import schema as codes
from kvmc.model.kinds import BadValue, Choice, Problem, Scalar
from kvmc.model.names import NAME_HELP, name_problem, shown
from kvmc.model.values import PciAddress
from kvmc.syntax.tree import Word

MAX_TEXT = 256
"""Characters of a free text or a path."""


class Name(Scalar):
    words = "a name"

    def parse(self, word: Word) -> object:
        problem = name_problem(word.text)
        if problem is not None:
            raise BadValue(Problem(codes.BAD_NAME, problem, word.span, (NAME_HELP,)))
        return word.text


class Ref(Name):
    """The name of a block of one kind; whether it exists is looked up when all blocks are known."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.words = f"the name of a `{kind}` block"


class Text(Scalar):
    """A free text of printable characters."""

    words = "a text"
    longest = MAX_TEXT

    def parse(self, word: Word) -> object:
        if not word.text.strip():
            raise BadValue(Problem(codes.BAD_TEXT, f"{self.words} is empty", word.span))
        if len(word.text) > self.longest:
            text = f"the text has {len(word.text)} characters, more than {self.longest}"
            raise BadValue(Problem(codes.BAD_TEXT, text, word.span))
        odd = next((char for char in word.text if not char.isprintable()), None)
        if odd is not None:
            raise BadValue(
                Problem(codes.BAD_TEXT, f"the text has U+{ord(odd):04X} in it, which is not printable", word.span)
            )
        return word.text


class RawText(Text):
    """The value of a raw setting, as it is to stand in the file."""

    words = "a text"
    longest = 4096


class RawPlace(Choice):
    """An element of a domain, or a device of the guest by kind and label: `disk root`. Whether it has such is looked up later."""

    def __init__(self, options: Sequence[str]) -> None:
        super().__init__(options)
        self.words += ", or a device such as `disk root`"

    def parse(self, word: Word) -> object:
        kind, space, label = word.text.partition(" ")
        named = space and kind in ("disk", "nic", "hostdev") and name_problem(label) is None
        return word.text if named else super().parse(word)


class RelativePath(Text):
    """A file beside the sources: relative to the file that names it."""

    words = "a path relative to this file"

    def parse(self, word: Word) -> object:
        super().parse(word)
        if word.text.startswith("/"):
            help = ("keep the file beside the site and write its path from here",)
            raise BadValue(Problem(codes.BAD_TEXT, f"path {shown(word.text)} is absolute", word.span, help))
        return word.text


class AbsolutePath(Text):
    """A path on the host, of plain characters: it becomes a word in files of other programs."""

    words = "an absolute path"

    def parse(self, word: Word) -> object:
        super().parse(word)
        self.check(word, word.text)
        return word.text

    def check(self, word: Word, path: str) -> None:
        if not path.startswith("/"):
            raise BadValue(Problem(codes.BAD_TEXT, f"path {shown(word.text)} is not absolute", word.span))
        if ".." in path.split("/"):
            raise BadValue(Problem(codes.BAD_TEXT, f"path {shown(word.text)} has `..` in it", word.span))
        odd = re.search(r"[^A-Za-z0-9/._+:@=,-]", path)
        if odd is not None:
            help = ("a path on a host has letters, digits and `/._+:@=,-`",)
            raise BadValue(
                Problem(
                    codes.BAD_TEXT,
                    f"path {shown(word.text)} has {'a space' if odd[0] == ' ' else f'`{odd[0]}`'} in it",
                    word.span,
                    help,
                )
            )


class DiskSource(AbsolutePath):
    """A path on the host with the placeholders of a disk."""

    words = "an absolute path with the placeholders `{vm}` and `{disk}`"
    placeholders: tuple[str, ...] = ("{vm}", "{disk}")

    def parse(self, word: Word) -> object:
        Text.parse(self, word)
        for found in re.findall(r"\{[^{}]*\}|[{}]", word.text):
            if found not in self.placeholders:
                help = (f"the only placeholders are {' and '.join(f'`{one}`' for one in self.placeholders)}",)
                raise BadValue(Problem(codes.BAD_TEXT, f"unknown placeholder {shown(found)}", word.span, help))
        self.check(word, re.sub(r"\{[a-z]+\}", "x", word.text))
        return word.text


class SocketPath(DiskSource):
    """A socket on the host with the placeholders of a NIC. Linux takes 107 bytes (sockaddr_un)."""

    words = "an absolute path with the placeholders `{vm}` and `{nic}`"
    placeholders = ("{vm}", "{nic}")


class Interface(Scalar):
    """A network interface of the host. Linux takes 15 bytes (IFNAMSIZ is 16 with the NUL)."""

    words = "a network interface such as `br0`"

    def parse(self, word: Word) -> object:
        if len(word.text) > 15:
            text = f"interface {shown(word.text)} has {len(word.text)} characters, Linux takes 15"
            raise BadValue(Problem(codes.BAD_TEXT, text, word.span))
        if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", word.text) is None:
            help = ("an interface has letters, digits, `.`, `_` and `-`, and begins with a letter, a digit or `_`",)
            raise BadValue(Problem(codes.BAD_TEXT, f"{shown(word.text)} is not {self.words}", word.span, help))
        return word.text


class Pci(Scalar):
    words = "a PCI address such as `0000:3b:00.0`"

    def parse(self, word: Word) -> object:
        try:
            return PciAddress.parse(word.text)
        except ValueError:
            help = ("write domain, bus, slot and function in hexadecimal, as `lspci -D` does",)
            raise BadValue(
                Problem(codes.BAD_PCI, f"{shown(word.text)} is not a PCI address", word.span, help)
            ) from None


class Machine(Scalar):
    """QEMU's own versions, RHEL's (`pc-q35-rhel9.4.0`) and Ubuntu's by code name (`pc-q35-noble`, `pc-q35-noble-v2`), or those of
    Arm's `virt`."""

    words = "a versioned machine such as `pc-q35-9.2`, or `virt-9.2` on Arm"

    _form = re.compile(
        r"(?:pc-q35|virt)-(?:[0-9]{1,2}\.[0-9]{1,2}(?:\.[0-9]{1,2})?|rhel[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}|[a-z]{5,9}(?:-v[0-9]{1,2})?)"
    )

    def parse(self, word: Word) -> object:
        if self._form.fullmatch(word.text) is not None:
            return word.text
        arm = word.text.startswith("virt")
        name, binary = ("virt-9.2", "aarch64") if arm else ("pc-q35-9.2", "x86_64")
        help = (f"name a version, such as `{name}`; `qemu-system-{binary} -machine help` lists what the host has",)
        if word.text in ("q35", "pc", "virt"):
            text = f"machine `{word.text}` is an alias, which means another machine on each QEMU"
        else:
            text = f"{shown(word.text)} is not {self.words}"
        raise BadValue(Problem(codes.BAD_MACHINE, text, word.span, help))


class CpuModel(Name):
    words = "`host-passthrough`, `host-model`, `maximum`, `baseline`, or the name of a CPU model"


class Mac(Scalar):
    """An address of one station, lower case."""

    words = "a MAC address such as `52:54:00:12:34:56`"

    def parse(self, word: Word) -> object:
        text = word.text.lower()
        if re.fullmatch(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", text) is None:
            raise BadValue(Problem(codes.BAD_MAC, f"{shown(word.text)} is not {self.words}", word.span))
        if int(text[:2], 16) & 1:
            help = (f"write `{int(text[:2], 16) & 0xFE:02x}{text[2:]}`",)
            problem = f"MAC address `{text}` is a group's, not a station's: its first byte is odd"
            raise BadValue(Problem(codes.BAD_MAC, problem, word.span, help))
        if text == "00:00:00:00:00:00":
            raise BadValue(Problem(codes.BAD_MAC, f"MAC address `{text}` is no station's", word.span))
        return text


class Uuid(Scalar):
    words = "a UUID such as `4dea22b3-1d52-48f3-9516-782e98ab3fa0`"

    def parse(self, word: Word) -> object:
        text = word.text.lower()
        if re.fullmatch(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is None:
            raise BadValue(Problem(codes.BAD_UUID, f"{shown(word.text)} is not {self.words}", word.span))
        if not text.strip("0-"):
            raise BadValue(Problem(codes.BAD_UUID, "the nil UUID names no guest", word.span))
        return text
