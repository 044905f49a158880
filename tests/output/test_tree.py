"""Whose files a build may touch, and what it makes of the rest."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from kvmc.diagnostics import Bag
from kvmc.output.diff import FILE_LINES, describe, unified
from kvmc.output.transaction import write
from kvmc.output.tree import Changes, Layout, OutputFile, Place, Root, Wanted, compare
from output.dying import DyingDisk, run, wanted_of

SPEC: dict[str, Any] = {
    "hosts": {"a": {"etc/x.conf": "x = 1\n", "run.sh": "echo\n"}, "b": {"etc/y.conf": "y = 1\n"}},
    "locks": {"a": "{}\n", "b": "{}\n"},
}
ONLY_A: dict[str, Any] = {"hosts": {"a": SPEC["hosts"]["a"]}, "locks": {"a": "{}\n"}, "gone": ["b"]}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    run(tmp_path, SPEC, DyingDisk())
    return tmp_path


def ids(bag: Bag) -> list[str]:
    return [item.code.id for item in bag]


def against(site: Path, spec: dict[str, Any] = SPEC, *, force: bool = False, prune: bool = True) -> tuple[Changes, Bag]:
    return compare(Layout.of(site), wanted_of(spec, prune=prune), force=force)


def names(changes: Changes, site: Path) -> list[tuple[str, str]]:
    return describe(Layout.of(site), changes)


def test_a_second_build_touches_nothing(site: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*")}
    changes, bag = against(site)
    assert not changes and not bag.items
    assert changes.same == 5
    run(site, SPEC, DyingDisk())
    assert {path: path.stat().st_mtime_ns for path in site.rglob("*")} == before


def test_modes_do_not_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        run(tmp_path, SPEC, DyingDisk())
    finally:
        os.umask(old)
    modes = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {
        **dict.fromkeys(
            ("generated", "generated/a", "generated/a/etc", "generated/b", "generated/b/etc", "locks"), 0o755
        ),
        **dict.fromkeys(("generated/a/etc/x.conf", "generated/b/etc/y.conf", "locks/a.json", "locks/b.json"), 0o644),
        "generated/a/run.sh": 0o755,
    }


def test_a_lost_executable_bit_is_mended_and_a_group_bit_left_alone(site: Path) -> None:
    (site / "generated/a/run.sh").chmod(0o644)
    (site / "generated/a/etc/x.conf").chmod(0o664)
    changes, _ = against(site)
    assert names(changes, site) == [("generated/a/run.sh", "mode")]
    assert unified(Layout.of(site), changes).endswith("mode 644 -> 755\n")
    run(site, SPEC, DyingDisk())
    assert stat.S_IMODE((site / "generated/a/run.sh").stat().st_mode) == 0o755


def test_files_that_are_wanted_no_more_go_with_their_folders(site: Path) -> None:
    run(site, ONLY_A, DyingDisk())
    assert sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()) == [
        "generated/a/etc/x.conf",
        "generated/a/run.sh",
        "locks/a.json",
    ]
    assert not (site / "generated/b").exists()


def test_without_pruning_nothing_is_removed(site: Path) -> None:
    changes, bag = against(site, ONLY_A, prune=False)
    assert not changes and not bag.items


def test_a_hand_edit_is_neither_overwritten_nor_removed_unless_forced(site: Path) -> None:
    for path in ("generated/a/etc/x.conf", "generated/b/etc/y.conf"):
        (site / path).write_text((site / path).read_text() + "by hand\n")
    changes, bag = against(site, ONLY_A)
    assert ids(bag) == ["KVMC0602", "KVMC0602"]
    assert "`generated/a/etc/x.conf` was edited by hand" in bag.items[0].message
    assert "no longer generated" in bag.items[1].message
    assert "+++ b/generated/a/etc/x.conf" in unified(Layout.of(site), changes)
    changes, bag = against(site, ONLY_A, force=True)
    assert not bag.items
    assert not write(Layout.of(site), changes).items
    assert "by hand" not in (site / "generated/a/etc/x.conf").read_text()
    assert not (site / "generated/b").exists()


def test_an_edit_that_breaks_the_encoding_is_an_edit(site: Path) -> None:
    path = site / "generated/a/etc/x.conf"
    path.write_bytes(path.read_bytes() + b"\xff\xfe\n")
    assert ids(against(site)[1]) == ["KVMC0602"]


def test_line_ends_changed_by_a_checkout_are_an_edit(site: Path) -> None:
    path = site / "generated/a/etc/x.conf"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert ids(against(site)[1]) == ["KVMC0602"]


def test_foreign_files_stay(site: Path) -> None:
    for path in (
        "generated/README",
        "generated/a/etc/mine.conf",
        "generated/b/notes",
        "locks/notes.txt",
        "generated/z/q",
    ):
        (site / path).parent.mkdir(exist_ok=True)
        (site / path).write_text("foreign\n")
    changes, bag = against(site, ONLY_A)
    assert ids(bag) == ["KVMC0650"]
    assert bag.items[0].notes == ("`generated/b/notes`",)
    assert not write(Layout.of(site), changes).items
    for path in (
        "generated/README",
        "generated/a/etc/mine.conf",
        "generated/b/notes",
        "locks/notes.txt",
        "generated/z/q",
    ):
        assert (site / path).read_text() == "foreign\n"
    assert not (site / "generated/b/etc").exists()


@pytest.mark.parametrize("force", [False, True])
def test_a_foreign_file_where_ours_belongs_is_an_error(site: Path, force: bool) -> None:
    (site / "generated/a/etc/x.conf").write_text("foreign\n")
    assert ids(against(site, force=force)[1]) == ["KVMC0603"]


def test_something_that_is_no_file_in_the_way(site: Path) -> None:
    path = site / "generated/a/etc/x.conf"
    path.unlink()
    path.mkdir()
    (site / "generated/b/etc/y.conf").unlink()
    os.mkfifo(site / "generated/b/etc/y.conf")
    assert [item.message for item in against(site)[1]] == [
        "`generated/a/etc/x.conf` is not a file",
        "`generated/b/etc/y.conf` is not a file",
    ]
    (site / "generated/b/etc/y.conf").unlink()
    (site / "generated/b/etc").rmdir()
    (site / "generated/b/etc").write_text("a file\n")
    assert against(site)[1].items[1].message == "`generated/b/etc` is not a folder"


@pytest.mark.parametrize(
    "link", ["generated/a/etc/x.conf", "generated/a/etc", "generated/a", "generated", "locks", "locks/a.json"]
)
def test_never_through_a_link(site: Path, tmp_path_factory: pytest.TempPathFactory, link: str) -> None:
    outside = tmp_path_factory.mktemp("outside") / "there"
    (site / link).rename(outside)
    (site / link).symlink_to(outside)
    before = sorted((path, path.read_text()) for path in [outside, *outside.rglob("*")] if path.is_file())
    changed = {
        **SPEC,
        "hosts": {"a": {"etc/x.conf": "x = 2\n"}, "b": SPEC["hosts"]["b"]},
        "locks": {"a": "{ }\n", "b": "{}\n"},
    }
    changes, bag = against(site, changed, force=True)
    assert ids(bag) == ["KVMC0604"]
    assert f"`{link}` is a symbolic link" in bag.items[0].message
    assert not [remove for remove in changes.removes if link in f"generated/{remove.place.path}"]
    assert sorted((path, path.read_text()) for path in [outside, *outside.rglob("*")] if path.is_file()) == before


def test_a_link_beside_our_files_is_left_alone_and_not_followed(
    site: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    sealed = (site / "generated/a/etc/x.conf").read_text()
    (outside / "ours.conf").write_text(sealed)
    (site / "generated/a/more").symlink_to(outside)
    (site / "generated/a/one.conf").symlink_to(outside / "ours.conf")
    changes, bag = against(site)
    assert not changes and not bag.items


def test_a_moved_tree_leaves_the_sites_own_and_its_neighbours_alone(
    site: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("target")
    (target / "z").mkdir()
    (target / "z/ours.conf").write_text((site / "generated/a/etc/x.conf").read_text())
    layout = Layout.of(site, target / "deep/er")
    changes, bag = compare(layout, wanted_of(SPEC))
    assert not bag.items and len(changes.writes) == 3
    assert not write(layout, changes).items
    assert (target / "deep/er/a/etc/x.conf").read_text() == (site / "generated/a/etc/x.conf").read_text()
    layout = Layout.of(site, target)
    changes, _ = compare(layout, wanted_of(SPEC))
    assert not changes.removes
    assert Layout.of(site, site / "generated") == Layout.of(site)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a//b", "a/./b", "", "a/../../b", "a\nb", "a\0b"])
def test_a_path_that_could_leave_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="plain relative path"):
        Place(Root.TREE, path)


def test_debris_without_a_journal_is_cleared_away(site: Path) -> None:
    debris = site / "generated/a/etc/.x.conf.kvmc-new"
    debris.write_text("half a te")
    run(site, SPEC, DyingDisk())
    assert not debris.exists()


def test_the_diff_says_what_is_missing_stale_and_extra_and_is_bounded(site: Path) -> None:
    (site / "generated/b/etc/y.conf").unlink()
    spec = {"hosts": {"a": {"etc/x.conf": "x = 2\n" + "z\n" * 1000}, "b": SPEC["hosts"]["b"]}, "locks": SPEC["locks"]}
    changes, _ = against(site, spec)
    assert names(changes, site) == [
        ("generated/a/etc/x.conf", "stale"),
        ("generated/b/etc/y.conf", "missing"),
        ("generated/a/run.sh", "extra"),
    ]
    text = unified(Layout.of(site), changes)
    assert "-x = 1\n" in text and "+x = 2\n" in text
    assert "--- /dev/null\n+++ b/generated/b/etc/y.conf\n" in text
    assert "--- a/generated/a/run.sh\n+++ /dev/null\n" in text
    assert "more lines in this file\n" in text
    assert len(text.splitlines()) < FILE_LINES + 30


def test_the_diff_of_a_huge_tree_is_bounded_too(tmp_path: Path) -> None:
    wanted = Wanted({"a": {f"f{number:04}": OutputFile("line\n" * 100) for number in range(100)}}, {})
    changes, _ = compare(Layout.of(tmp_path), wanted)
    text = unified(Layout.of(tmp_path), changes)
    assert len(text.splitlines()) <= 2001
    assert text.endswith("more files\n")
