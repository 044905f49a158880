"""The examples and their generated trees, as the tests over them see them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples"

_WORDS = re.compile(r'^GRUB_CMDLINE_LINUX_DEFAULT="\$GRUB_CMDLINE_LINUX_DEFAULT ([^"]*)"$', re.M)


@dataclass(frozen=True)
class Host:
    """One host's generated files. files: path below `generated/<host>/` to text."""

    example: str
    name: str
    files: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.example}/{self.name}"

    def below(self, folder: str) -> dict[str, str]:
        """The files below a folder, as they are installed: absolute path to text."""
        return {f"/{path}": text for path, text in self.files.items() if path.startswith(f"{folder}/")}

    @property
    def domains(self) -> dict[str, str]:
        return {
            path: text for path, text in self.files.items() if path.startswith("domains/") and path.endswith(".xml")
        }

    @property
    def installed(self) -> dict[str, str]:
        """All that goes to the host's own folders."""
        return self.below("etc") | self.below("usr")

    @property
    def sysctl_text(self) -> str:
        return "".join(text for path, text in sorted(self.files.items()) if path.startswith("etc/sysctl.d/"))

    @property
    def grub_drop_ins(self) -> dict[str, str]:
        folder = "etc/default/grub.d/"
        return {path.removeprefix(folder): text for path, text in self.files.items() if path.startswith(folder)}

    @cached_property
    def line(self) -> tuple[str, ...]:
        """The words for the boot line, read from the file that holds them, not from what the boot loader makes of it."""
        for text in self.grub_drop_ins.values():
            found = _WORDS.search(text)
            assert found is not None, "the drop-in has no line that appends words"
            return tuple(shlex.split(found[1]))
        own = self.files.get("etc/kvmc/cmdline", "")
        return tuple(line for line in own.splitlines() if line and not line.startswith("#"))

    def value(self, key: str) -> str | None:
        """The value of the boot line's last word with this key."""
        return dict(word.partition("=")[::2] for word in self.line).get(key)

    @property
    def tuned_profiles(self) -> dict[str, str]:
        """Profiles by name. tuned below 2.23 looks in /etc/tuned, from then on in /etc/tuned/profiles."""
        found = {
            re.fullmatch(r"etc/tuned/(?:profiles/)?([^/]+)/tuned\.conf", path): text
            for path, text in self.files.items()
        }
        return {match[1]: text for match, text in found.items() if match is not None}


def sites() -> list[Path]:
    """The folders of examples, by name."""
    return sorted(path.parent for path in EXAMPLES.glob("*/site.kvmt"))


def hosts_of(site: Path) -> list[Host]:
    """Every host with a generated tree in a site's folder, by name."""
    found: list[Host] = []
    for folder in sorted((site / "generated").glob("*/")):
        files = {
            str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
        }
        found.append(Host(site.name, folder.name, files))
    return found


def hosts() -> list[Host]:
    """Every host of every example that has a generated tree, by name."""
    return [host for site in sites() for host in hosts_of(site)]
