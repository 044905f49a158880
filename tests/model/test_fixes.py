"""Fixes: each replacement that a diagnostic offers makes its error go, and brings no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvmc.diagnostics import Diagnostic
from kvmc.diagnostics.fixes import fixes
from model.support import BASE, load

VM = BASE + "vm a : base {\n%s\n}\n"
CASES = {
    "setting": (VM % "memroy = 4GiB", ["did you mean `memory`?"]),
    "parent": (BASE + "vm a : bas\n", ["write `base`"]),
    "reference": (VM % "nic n {\nnetwork = nett\n}", ["write `net`"]),
    "reference, nothing near": (VM % "nic n {\nnetwork = zzz\n}", ["write `net`"]),
    "block": (BASE + "networc x {\nbridge = br1\n}\n", ["did you mean `network`?"]),
    "word": (VM % "firmware = UEFI", ["write `uefi`", "write `bios`"]),
    "flag": (VM % "locked = yes", ["write `true`"]),
    "unit": (VM % "memory = 4GB", ["write `4GiB`"]),
    "fraction": (VM % "memory = 1.5GiB", ["write `1536MiB`"]),
    "no unit": (VM % "memory = 4", ["write `4GiB`", "write `4MiB`"]),
    "list": (BASE.replace('"s.example.net"', '"s.example.net"\n  targets = libvirt'), ["write `[libvirt]`"]),
    "mac": (VM % "nic n {\nnetwork = net\nmac = 53:54:00:00:00:01\n}", ["write `52:54:00:00:00:01`"]),
    "division": (VM % "memory = 3GiB\npages = 1GiB\nnodes = 2", ["write `2GiB`", "write `4GiB`"]),
    "parent of what has none": (BASE + "network x : net {\nbridge = br1\n}\n", ["delete it, with its `:`"]),
    "header": (BASE.removeprefix("kvmt 1\n"), ["write `kvmt 1` as its first line"]),
    "version": (BASE.replace("kvmt 1", "kvmt 2"), ["write `kvmt 1`"]),
    "escape": (BASE.replace('"s.example.net"', r'"s\.net"'), ["write `\\\\` for a backslash"]),
    "twice": (VM % "memory = 4GiB\nmemory = 5GiB", ["keep the first", "keep this one"]),
    "item twice": (BASE + "vm a : base\nvm b : base\nplace apart p {\nvms = [a, b, a]\n}\n", ["delete it here"]),
    "page size": (VM % "pages = 3MiB", ["write `2MiB`", "write `1GiB`"]),
    "parent of another kind": (BASE + "vm a : compute\n", ["write `base`"]),
    "quote": (BASE.replace('"s.example.net"', '"s.example.net'), ['end it with `"`']),
    "invisible": (VM % "memory = 4\u200bGiB", ["delete it"]),
    "brace": (BASE + "}\n", ["delete it"]),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fix_makes_its_error_go(tmp_path: Path, name: str) -> None:
    text, titles = CASES[name]
    loaded = load(tmp_path, text)
    assert len(loaded.bag) == 1, [item.message for item in loaded.bag]
    found = fixes(loaded.bag.items[0], loaded.sources)
    assert [fix.title for fix in found] == titles
    for fix in found:
        mended = text[: fix.span.start] + fix.text + text[fix.span.end :]
        assert [(one.code.id, one.message) for one in load(tmp_path, mended).bag] == []


def test_diagnostics_are_equal_with_the_same_fixes(tmp_path: Path) -> None:
    text = VM % "firmware = UEFI"
    (first,), (second,) = load(tmp_path, text).bag, load(tmp_path, text).bag
    assert first == second and isinstance(first, Diagnostic) and hash(first) == hash(second)
