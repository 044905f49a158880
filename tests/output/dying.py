"""A writer that dies at an operation of the test's choice.

A build is given as {"hosts": {host: {path: text}}, "locks": {host: text}, "gone": [host]}; texts get their seals here.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from kvmc.artifacts import Artifact, Comment, seal
from kvmc.output.disk import Disk
from kvmc.output.transaction import hold, recover, write
from kvmc.output.tree import Layout, OutputFile, Wanted, compare


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingDisk(Disk):
    """when: `before` the operation of that number, or `within` it (half of a text written; all done, the next not begun)."""

    def __init__(self, when: str = "", number: int = 0) -> None:
        self.when, self.number, self.count = when, number, 0

    def step(self) -> bool:
        """Count an operation; whether to die within it."""
        self.count += 1
        if self.count == self.number and self.when == "before":
            die()
        return self.count == self.number

    def make_folder(self, path: Path) -> None:
        if self.step():
            path.mkdir()
            die()
        super().make_folder(path)

    def write_new(self, path: Path, text: str, mode: int) -> None:
        if self.step():
            path.write_bytes(text.encode()[: len(text) // 2])
            die()
        super().write_new(path, text, mode)

    def rename(self, old: Path, new: Path) -> None:
        self.step()
        super().rename(old, new)
        if self.count == self.number:
            die()

    def unlink(self, path: Path) -> None:
        self.step()
        super().unlink(path)
        if self.count == self.number:
            die()

    def remove_folder(self, path: Path) -> bool:
        self.step()
        gone = super().remove_folder(path)
        if self.count == self.number:
            die()
        return gone

    def sync_folder(self, path: Path) -> None:
        self.step()
        super().sync_folder(path)
        if self.count == self.number:
            die()


def sealed(path: str, text: str) -> OutputFile:
    return OutputFile(seal(Artifact(path, text, Comment.HASH)), 0o755 if path.endswith(".sh") else 0o644)


def wanted_of(spec: dict[str, Any], *, prune: bool = True) -> Wanted:
    hosts = {host: {path: sealed(path, text) for path, text in of.items()} for host, of in spec["hosts"].items()}
    return Wanted(hosts, spec["locks"], spec.get("gone", ()), prune)


def run(site: Path, spec: dict[str, Any], disk: Disk) -> None:
    with hold(site) as bag:
        assert not bag.has_errors
        assert not recover(site, disk).has_errors
        layout = Layout.of(site)
        changes, bag = compare(layout, wanted_of(spec))
        assert not bag.has_errors, bag.items
        assert not write(layout, changes, disk).has_errors
