"""The shape of one fact, and the questions asked of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import Version, VersionRange

CarrierName = Literal["cmdline", "sysctl", "tuned", "modprobe", "systemd"]
"""What kvmc hands a host its settings with."""
LayerName = Literal[
    "cmdline", "sysctl", "tuned", "modprobe", "systemd", "sysfs", "debugfs", "cgroup", "libvirt", "daemon", "qemu"
]
"""Where a knob is: a carrier of kvmc's, a file of the kernel, libvirt's domain XML, libvirt's qemu.conf, or QEMU's own options."""
ToolName = Literal["kernel", "tuned", "libvirt", "qemu"]
EffectName = Literal["live", "restart", "reboot"]
Arch = Literal["x86_64", "aarch64"]

INTEL = ("GenuineIntel",)
AMD = ("AuthenticAMD", "HygonGenuine")


class Status(StrEnum):
    """What kvmc does with a knob."""

    EMITTED = "written by kvmc"
    RAW = "taken as a raw setting"
    KNOWN = "known, not written"
    MOVED = "moved"
    """It was there up to `until`; `instead` says where it is now."""
    REMOVED = "removed"
    """It was there up to `until`, and nothing took its place under another name."""
    NEVER = "never existed"
    GARBLED = "garbled"
    """Something real, with a name, a place or a value that it does not have."""


class Kind(StrEnum):
    """What a knob takes as its value."""

    CPUS = "cpus"
    """The kernel's CPU list: `0-3,8`."""
    ISOLCPUS = "isolcpus"
    """`isolcpus=`: flags, then a CPU list."""
    MASK = "mask"
    """Hexadecimal CPU mask in groups of 32 bits: `ff,ffffffff`."""
    INTEGER = "integer"
    WORD = "word"
    PAGE_SIZE = "page size"
    """A huge page size as the command line has it: `2M`, `1G`."""
    NODE_COUNTS = "node counts"
    """Counts by node: `0:96,1:96`."""
    FLAG = "no value"
    BOOL = "yes or no"
    """As the kernel reads one: `0`, `1`, `y`, `n`, `on`, `off`, in either letter case."""
    TEXT = "text"
    """Printable characters without white space."""


_PATTERNS = {
    Kind.MASK: re.compile(r"[0-9a-f]{1,8}(,[0-9a-f]{8})*"),
    Kind.INTEGER: re.compile(r"-?[0-9]{1,18}"),
    Kind.WORD: re.compile(r"[A-Za-z0-9_.=-]+"),
    Kind.PAGE_SIZE: re.compile(r"[1-9][0-9]*[KMG]"),
    Kind.NODE_COUNTS: re.compile(r"[0-9]+:[1-9][0-9]*(,[0-9]+:[1-9][0-9]*)*"),
    Kind.FLAG: re.compile(r""),
    Kind.BOOL: re.compile(r"[01yn]|on|off", re.IGNORECASE),
    Kind.TEXT: re.compile(r"[!-~]{1,1024}"),
}
_ISOLCPUS = re.compile(r"(?:(?:nohz|domain|managed_irq),)*([0-9,-]+)")


@dataclass(frozen=True, slots=True)
class Knob:
    """One knob of a host or a guest.

    key: as its layer spells it; `*` stands for numbers. since, until: first and last release (inclusive) of `tool` that has
    it, None for no such end in what was read. optional: a host may go without it where the release lacks it; any other knob
    that lacks is an error. arch, vendors: where it exists; empty is everywhere. use, harm: when to take it and when not to.
    words: the values that it takes, where they are a closed set. source: who says so. instead: for a knob that moved or is gone,
    what to write. config: the kernel's option without which it does nothing. by: the setting of the language that has it written.
    """

    carrier: LayerName
    key: str
    kind: Kind
    effect: EffectName
    use: str
    harm: str
    source: str
    low: int | None = None
    high: int | None = None
    words: tuple[str, ...] = ()
    tool: ToolName = "kernel"
    since: Version | None = None
    until: Version | None = None
    optional: bool = False
    arch: tuple[Arch, ...] = ()
    vendors: tuple[str, ...] = ()
    status: Status = Status.EMITTED
    instead: str = ""
    config: str = ""
    by: str = ""

    def matches(self, carrier: str, key: str) -> bool:
        return carrier == self.carrier and (key == self.key or ("*" in self.key and fnmatchcase(key, self.key)))

    def exists_in(self, versions: VersionRange) -> bool:
        """Whether every release of the range has it."""
        return (self.since is None or versions.low >= self.since) and (
            self.until is None or versions.high <= self.until
        )

    def runs_on(self, arch: str, vendor: str | None) -> bool:
        return (not self.arch or arch in self.arch) and (not self.vendors or vendor in self.vendors)

    def accepts(self, value: str) -> bool:
        """Whether the value has the knob's form and lies in its range."""
        if self.kind is Kind.CPUS:
            return _is_cpu_list(value)
        if self.kind is Kind.ISOLCPUS:
            match = _ISOLCPUS.fullmatch(value)
            return match is not None and _is_cpu_list(match[1])
        if self.words and self.kind is Kind.WORD:
            return value in self.words
        if _PATTERNS[self.kind].fullmatch(value) is None:
            return False
        if self.kind is Kind.INTEGER:
            number = int(value)
            return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)
        return not self.words or value in self.words


def _is_cpu_list(text: str) -> bool:
    try:
        return bool(CpuSet.parse(text)) and text == str(CpuSet.parse(text))
    except ValueError:
        return False
