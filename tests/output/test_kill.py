"""A build killed anywhere ends, with the next build, in the old tree or the new one."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
from pathlib import Path

import pytest

from kvmc.diagnostics import Severity
from kvmc.output import JOURNAL
from kvmc.output.transaction import hold, interrupted, recover
from kvmc.output.tree import Layout, compare
from output.dying import DyingDisk, run, wanted_of

OLD = {
    "hosts": {
        "a": {
            "etc/sysctl.d/90-kvmc.conf": "x = 1\n",
            "etc/old/only.conf": "gone\n",
            "domains/db-1.xml": "old\n",
            "vfs.sh": "1\n",
        },
        "c": {"etc/c.conf": "of a host that goes\n"},
    },
    "locks": {"a": "{}\n", "c": "{}\n"},
}
NEW = {
    "hosts": {
        "a": {
            "etc/sysctl.d/90-kvmc.conf": "x = 2\n",
            "domains/db-1.xml": "new\n",
            "domains/db-2.xml": "n\n",
            "vfs.sh": "1\n",
        },
        "b": {"etc/b.conf": "of a new host\n"},
    },
    "locks": {"a": '{"n": 2}\n', "b": "{}\n"},
    "gone": ["c"],
}
FOREIGN = {"generated/a/etc/other.conf": "someone's\n", "generated/c/notes.txt": "keep\n", "locks/README": "mine\n"}


def tree(site: Path) -> dict[str, tuple[str, int]]:
    return {
        path.relative_to(site).as_posix(): (path.read_text(), path.stat().st_mode & 0o777)
        for path in site.rglob("*")
        if path.is_file()
    }


def built(site: Path, *specs: dict[str, object]) -> dict[str, tuple[str, int]]:
    """A site's folder after the builds, with foreign files in it."""
    site.mkdir()
    for path, text in FOREIGN.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    for spec in specs:
        run(site, spec, DyingDisk())
    return tree(site)


def killed(site: Path, spec: dict[str, object], when: str, number: int) -> bool:
    """Build in a child that dies; whether it did."""
    child = multiprocessing.get_context("fork").Process(target=run, args=(site, spec, DyingDisk(when, number)))
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL), child.exitcode
    return child.exitcode != 0


def operations(tmp_path: Path) -> int:
    built(tmp_path / "count", OLD)
    disk = DyingDisk()
    run(tmp_path / "count", NEW, disk)
    return disk.count


@pytest.mark.parametrize("when", ["before", "within"])
def test_killed_at_each_operation_then_recovered(tmp_path: Path, when: str) -> None:
    old = built(tmp_path / "old", OLD)
    new = built(tmp_path / "new", OLD, NEW)
    ends: list[str] = []
    for number in range(1, operations(tmp_path) + 1):
        site = tmp_path / "site"
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(tmp_path / "old", site)
        assert killed(site, NEW, when, number), number
        at_kill = (site / JOURNAL).exists()
        assert [item.code.id for item in interrupted(site)] == (["KVMC0605"] if at_kill else []), number
        with hold(site) as bag:
            assert not bag.has_errors
            assert not recover(site).has_errors
        after = tree(site)
        assert after in (old, new), (number, sorted(after))
        ends.append("new" if after == new else "old")
        assert not interrupted(site).has_errors
        run(site, NEW, DyingDisk())
        assert tree(site) == new
        assert not (site / "generated/c/etc").exists()
    assert ends == sorted(ends, reverse=True), "once committed, a build is never undone"
    assert {"old", "new"} == set(ends)


def test_killed_again_while_recovering(tmp_path: Path) -> None:
    old = built(tmp_path / "old", OLD)
    new = built(tmp_path / "new", OLD, NEW)
    total = operations(tmp_path)
    for number in range(3, total, 3):
        site = tmp_path / "site"
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(tmp_path / "old", site)
        assert killed(site, NEW, "within", number)
        for again in (1, 2, 4, 6):
            killed(site, NEW, "before", again)
        with hold(site):
            recover(site)
        assert tree(site) in (old, new), number


def test_the_first_build_killed_leaves_no_trace_once_undone(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    number = 0
    while True:
        number += 1
        if not killed(site, OLD, "within", number):
            break
        committed = (site / JOURNAL).exists() and json.loads((site / JOURNAL).read_text())["phase"] == "commit"
        with hold(site):
            recover(site)
        changes, _ = compare(Layout.of(site), wanted_of(OLD))
        if committed or not changes:
            assert not changes
            shutil.rmtree(site)
            site.mkdir()
        else:
            assert list(site.iterdir()) == [], number
    assert number > 10


def test_an_edit_made_between_kill_and_recovery_is_kept(tmp_path: Path) -> None:
    site = tmp_path / "site"
    built(site, OLD)
    number = 1
    while True:
        assert killed(site, NEW, "before", number)
        if (site / JOURNAL).exists() and json.loads((site / JOURNAL).read_text())["phase"] == "commit":
            break
        with hold(site):
            recover(site)
        number += 1
    edited = site / "generated/a/etc/sysctl.d/90-kvmc.conf"
    edited.write_text(edited.read_text() + "vm.swappiness = 1\n")
    only = site / "generated/a/etc/old/only.conf"
    only.write_text("mine now\n")
    with hold(site):
        assert not recover(site).has_errors
    assert edited.read_text().endswith("vm.swappiness = 1\n")
    assert only.read_text() == "mine now\n"
    _, bag = compare(Layout.of(site), wanted_of(NEW))
    assert [item.code.id for item in bag if item.severity is Severity.ERROR] == ["KVMC0602"]
