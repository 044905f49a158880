"""The writer where the disk refuses, where two build at once, and where a journal is not its own."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kvmc.output import JOURNAL
from kvmc.output.disk import Disk
from kvmc.output.journal import JOURNAL_TEMP
from kvmc.output.transaction import hold, interrupted, recover, write
from kvmc.output.tree import Layout, compare
from output.dying import DyingDisk, run, wanted_of
from output.test_kill import NEW, OLD, built, tree


class RefusingDisk(DyingDisk):
    """Fails at the operation of its number as a full disk does."""

    def step(self) -> bool:
        self.count += 1
        if self.count == self.number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some/name")
        return False


def test_a_disk_that_fills_up_at_any_point_leaves_the_old_tree(tmp_path: Path) -> None:
    site = tmp_path / "site"
    old = built(site, OLD)
    layout = Layout.of(site)
    number = 0
    while True:
        number += 1
        changes, _ = compare(layout, wanted_of(NEW))
        bag = write(layout, changes, RefusingDisk("", number))
        if not bag.has_errors:
            break
        assert [item.code.id for item in bag] == ["KVMC0608"]
        assert "no space left on device" in bag.items[0].message
        if "cannot finish" in bag.items[0].message:
            assert interrupted(site).has_errors
            assert not recover(site).has_errors
            assert not compare(layout, wanted_of(NEW))[0]
            return
        assert tree(site) == old, number
        assert not (site / JOURNAL).exists()
    pytest.fail("no operation behind the commit was refused")


def test_no_permission(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        _no_permission(tmp_path)
        return
    # root may write everywhere: a child gives its rights up
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    tmp_path.chmod(0o777)
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            _no_permission(tmp_path)
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _no_permission(tmp_path: Path) -> None:
    site = tmp_path / "site"
    old = built(site, OLD)
    layout = Layout.of(site)
    changes, _ = compare(layout, wanted_of(NEW))
    for closed in ("generated/a/domains", "generated/c/etc", "generated", "locks"):
        (site / closed).chmod(0o555)
        bag = write(layout, changes)
        (site / closed).chmod(0o755)
        assert [item.code.id for item in bag] == ["KVMC0608"], closed
        assert "permission denied" in bag.items[0].message
        assert tree(site) == old, closed
        assert not (site / JOURNAL).exists()
    secret = site / "generated/a/etc/sysctl.d/90-kvmc.conf"
    secret.chmod(0o000)
    _, bag = compare(layout, wanted_of(NEW))
    assert [item.message for item in bag] == ["cannot read `generated/a/etc/sysctl.d/90-kvmc.conf`: permission denied"]
    secret.chmod(0o644)
    (site / "generated/a/etc").chmod(0o000)
    _, bag = compare(layout, wanted_of(NEW))
    assert {item.code.id for item in bag} == {"KVMC0652"}
    (site / "generated/a/etc").chmod(0o755)


def test_a_second_build_at_the_same_time_fails(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kvmc.output.transaction import hold\n"
        "with hold(Path(sys.argv[1])) as bag: print([item.code.id for item in bag])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def other() -> str:
        return subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    with hold(tmp_path) as bag:
        assert not bag.items
        assert other() == "['KVMC0607']"
    assert other() == "[]"
    with hold(tmp_path, shared=True):
        assert other() == "['KVMC0607']"
        with hold(tmp_path, shared=True) as bag:
            assert not bag.items
    assert list(tmp_path.iterdir()) == []


def _journal(site: Path, **fields: Any) -> None:
    whole = {"journal": 1, "phase": "commit", "tree": "generated", "folders": [], "entries": []}
    (site / JOURNAL).write_text(json.dumps({**whole, **fields}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"journal": 2}',
        '{"journal": 1}',
        "[" * 100_000,
        '{"journal": 1, "phase": "x", "tree": "", "folders": [], "entries": []}',
    ],
)
def test_a_journal_that_is_none_is_an_error_and_nothing_is_done(tmp_path: Path, text: str) -> None:
    (tmp_path / JOURNAL).write_text(text)
    for bag in (recover(tmp_path), interrupted(tmp_path)):
        assert [item.code.id for item in bag] == ["KVMC0651"]
    assert (tmp_path / JOURNAL).read_text() == text


@pytest.mark.parametrize("path", ["../../victim", "/etc/passwd", "a/../../victim", 7, None])
def test_a_journal_can_not_lead_outside(tmp_path: Path, path: object) -> None:
    site = tmp_path / "deep/site"
    site.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("keep")
    _journal(site, entries=[["tree", path, None, None]])
    assert [item.code.id for item in recover(site)] == ["KVMC0651"]
    assert victim.read_text() == "keep"


def test_a_journal_can_not_remove_or_replace_what_it_does_not_know(tmp_path: Path) -> None:
    folder = tmp_path / "generated/a"
    folder.mkdir(parents=True)
    (folder / "mine").write_text("keep")
    (folder / "other").write_text("keep")
    (folder / ".other.kvmc-new").write_text("evil")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("keep")
    (tmp_path / "generated/link").symlink_to(outside)
    digest = "0" * 64
    _journal(
        tmp_path,
        entries=[
            ["tree", "a/mine", digest, None],
            ["tree", "a/other", digest, digest],
            ["tree", "link/mine", "6ca7ea2feefc88ecb5ed6356ed963f47dc9137f82526fdd25d618ea626d0803f", None],
        ],
    )
    assert [item.code.id for item in recover(tmp_path)] == ["KVMC0606"]
    assert (folder / "mine").read_text() == (folder / "other").read_text() == (outside / "mine").read_text() == "keep"
    assert not (tmp_path / JOURNAL).exists()


def test_a_journal_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("{}")
    (tmp_path / JOURNAL).symlink_to(tmp_path / "real")
    assert [item.code.id for item in recover(tmp_path)] == ["KVMC0651"]
    assert (tmp_path / "real").read_text() == "{}"


def test_half_a_journal_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_TEMP).write_text('{"jour')
    assert not recover(tmp_path).items
    assert not (tmp_path / JOURNAL_TEMP).exists()


def test_a_site_that_moved_between_kill_and_recovery_is_finished_where_it_is(tmp_path: Path) -> None:
    site = tmp_path / "site"
    built(site, OLD)
    layout = Layout.of(site)
    changes, _ = compare(layout, wanted_of(NEW))

    class StopError(Exception):
        pass

    class Stopping(Disk):
        renames = 0

        def rename(self, old: Path, new: Path) -> None:
            Stopping.renames += 1
            if Stopping.renames == 4:
                raise StopError
            super().rename(old, new)

    with pytest.raises(StopError):
        write(layout, changes, Stopping())
    moved = site.rename(tmp_path / "elsewhere")
    assert [item.code.id for item in interrupted(moved)] == ["KVMC0605"]
    assert [item.code.id for item in recover(moved)] == ["KVMC0606"]
    assert not compare(Layout.of(moved), wanted_of(NEW))[0]


def test_ctrl_c_before_the_commit_undoes_at_once(tmp_path: Path) -> None:
    site = tmp_path / "site"
    old = built(site, OLD)
    layout = Layout.of(site)
    changes, _ = compare(layout, wanted_of(NEW))

    class Stopping(Disk):
        def write_new(self, path: Path, text: str, mode: int) -> None:
            if path.name == ".db-2.xml.kvmc-new":
                raise KeyboardInterrupt
            super().write_new(path, text, mode)

    with pytest.raises(KeyboardInterrupt):
        write(layout, changes, Stopping())
    assert tree(site) == old
    run(site, NEW, DyingDisk())


def test_everything_is_on_the_medium_before_what_relies_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    built(site, OLD)
    layout = Layout.of(site)
    changes, _ = compare(layout, wanted_of(NEW))
    log: list[tuple[str, str]] = []

    def noted(handle: int) -> None:
        log.append(("fsync", str(Path(f"/proc/self/fd/{handle}").readlink()).removeprefix(f"{site}").lstrip("/")))

    class Noting(Disk):
        def rename(self, old: Path, new: Path) -> None:
            log.append(("rename", str(new.relative_to(site))))
            super().rename(old, new)

        def unlink(self, path: Path) -> None:
            if path.exists():
                log.append(("unlink", str(path.relative_to(site))))
            super().unlink(path)

    monkeypatch.setattr(os, "fsync", noted)
    assert not write(layout, changes, Noting()).items
    prepared, committed = (index for index, entry in enumerate(log) if entry == ("rename", JOURNAL))
    dropped = log.index(("unlink", JOURNAL))
    for entry in changes.writes:
        temp, folder = (str(layout.path(place).relative_to(site)) for place in (entry.place.temp, entry.place))
        assert prepared < log.index(("fsync", temp)) < committed
        assert ("fsync", str(Path(folder).parent)) in log[log.index(("fsync", temp)) : committed]
        moved = log.index(("rename", folder))
        assert committed < moved < dropped
        assert ("fsync", str(Path(folder).parent)) in log[moved:dropped]
    for gone in changes.removes:
        path = layout.path(gone.place).relative_to(site)
        assert ("fsync", str(path.parent)) in log[log.index(("unlink", str(path))) : dropped]
    assert log[committed + 1] == ("fsync", "")
    assert log[-1] == ("fsync", "")
