"""The pages of the codes, and how their examples run.

An example is laid over `base/`: one host `a` of two nodes, a pool `compute`, the guests `one`, `two` and `web`. Its fence says how:

- `kvmt`: blocks that stand in place of those of the same kind and name, or beside them. One that begins with `kvmt` is the whole
  site file. Behind lines `-- PATH --` follow other files.
- `json`, `xml`: the host's topology file, `hosts/a.json`.
- `console`: commands behind `$ `, run by a shell (`kvmc` in this process); files behind `-- PATH --` are there before. One that is
  mended goes on where the failing one ended.

What is judged is the last command; that of the other fences is `kvmc build .`.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kvmc.cli import app as commands
from kvmc.cli import bringing, planning, results
from kvmc.diagnostics import Bag, Sources, explain
from kvmc.driver.outcome import Outcome

BASE = Path(__file__).parent / "base"
PAGES = Path(explain.__file__).parent
HEADINGS = ("What it means", "Why it matters", "An example that fails", "Mended")
COMMAND = "kvmc build ."

_FENCE = re.compile(r"^```(kvmt|json|xml|console),(fails|ok)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^-- (\S+) --\n", re.MULTILINE)
_BLOCK = re.compile(r"^\w.*(?:\n(?![\w#]).*)*\n", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One fence of a page."""

    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """title: the first line. headings: those of the second level, in order. examples: by `fails` and `ok`."""

    title: str
    headings: tuple[str, ...]
    examples: dict[str, Example]

    @classmethod
    def read(cls, code: str) -> Page:
        text = (PAGES / f"{code}.md").read_text()
        outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        headings = tuple(re.findall(r"^## (.*)$", outside, re.MULTILINE))
        found = [(match[2], Example(match[1], match[3])) for match in _FENCE.finditer(text)]
        assert len(found) == len(dict(found)) == len(re.findall("^```.", text, re.MULTILINE)), f"{code}: odd fences"
        return cls(text.partition("\n")[0], headings, dict(found))


@dataclass(frozen=True)
class Found:
    """What the judged command told. names: how spans' files are named from where it ran."""

    bag: Bag
    sources: Sources
    exit_code: int
    folder: Path
    tree: Path | None

    @property
    def codes(self) -> list[str]:
        return [item.code.id for item in self.bag]


class Stage:
    """A folder in which examples run, one behind the other."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.command = COMMAND
        monkeypatch.chdir(folder)

    def fresh(self) -> None:
        """Back to the base."""
        for entry in self.folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        shutil.copytree(BASE, self.folder, dirs_exist_ok=True)

    def run(self, example: Example) -> Found:
        """Run an example; the command that is judged stays in `command`."""
        head, *files = _FILE.split(example.text)
        for name, text in zip(files[::2], files[1::2], strict=True):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.command = COMMAND
        if example.language == "console":
            *first, self.command = re.findall(r"^\$ (.*)$", head, re.MULTILINE)
            for line in first:
                self.shell(line)
        elif example.language == "kvmt":
            self.lay(head)
        else:
            (self.folder / "hosts/a.json").write_text(head)
        return self.kvmc(self.command)

    def lay(self, text: str) -> None:
        """Put blocks in place of the base's, or a whole file."""
        if text.startswith("kvmt"):
            (self.folder / "site.kvmt").write_text(text)
        elif text.strip():
            names = [_name(block) for block in _BLOCK.findall(text)]
            kept = [block for block in _BLOCK.findall((BASE / "site.kvmt").read_text()) if _name(block) not in names]
            (self.folder / "site.kvmt").write_text("".join(kept) + text)

    def shell(self, line: str) -> None:
        if line.startswith("kvmc "):
            assert self.kvmc(line).exit_code == 0, line
        else:
            subprocess.run(["sh", "-ec", line], cwd=self.folder, check=True)

    def kvmc(self, line: str) -> Found:
        """Run kvmc here, and give what it would show."""
        shown: list[Found] = []

        def show(outcome: Outcome, format: object, folder: Path, *_: object, tree: Path | None = None) -> None:
            shown.append(Found(outcome.bag, outcome.sources, results.status(outcome), folder, tree))

        words = shlex.split(line)
        held = words[:2] == ["flock", "."]
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            if held:
                fcntl.flock(handle, fcntl.LOCK_EX)
            with self.monkeypatch.context() as patch:
                patch.setattr(results, "show", show)
                patch.setattr(commands, "show", show)
                patch.setattr(planning, "show", show)
                patch.setattr(bringing, "show", show)
                result = CliRunner().invoke(commands.app, words[words.index("kvmc") + 1 :], catch_exceptions=False)
        finally:
            os.close(handle)
        (found,) = shown
        assert result.exit_code == found.exit_code
        return found


def _name(block: str) -> str:
    """Kind and labels."""
    return " ".join(re.split(r"[:{#]", block.partition("\n")[0], maxsplit=1)[0].split())
