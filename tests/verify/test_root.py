"""Captures that are hostile, damaged or not whole: findings, never an exception."""

from __future__ import annotations

import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from kvmc.diagnostics.text import render
from kvmc.verify.check import verify_host
from kvmc.verify.difference import Kind
from kvmc.verify.root import MAX_FILE_BYTES, FolderRoot, TextRoot, open_root
from kvmc.verify.run import verify_tree
from verify.simulate import Built, build_example, simulate

HOST = "edge-17a"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_example("telco-edge", tmp_path_factory.mktemp("edge"))


@pytest.fixture
def root(edge: Built) -> dict[str, str]:
    return simulate(HOST, edge.trees[HOST], edge.topologies[HOST])


def write(folder: Path, root: dict[str, str]) -> Path:
    for path, text in root.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder


def archive(path: Path, root: dict[str, str], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, text in root.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def test_folder_archive_and_texts_are_one(edge: Built, root: dict[str, str], tmp_path: Path) -> None:
    tree = edge.folder / "generated"
    for place in (
        write(tmp_path / "capture", root),
        archive(tmp_path / "c.tar.gz", root),
        archive(tmp_path / "c.tar", root, "w"),
    ):
        assert verify_tree(tree, HOST, place).equal
    replaced = root | {"proc/sys/kernel/hostname": f"{HOST}.example.net\n"}
    assert verify_tree(tree, None, archive(tmp_path / "named.tar", replaced, "w")).equal


@pytest.mark.parametrize(
    "text", ["", "\0\1\2", "9" * 400, "-1\n", "4-2\n", "x" * 5000, "0-99999999\n", "\udcff\n", "<a>" * 3000]
)
def test_rubbish_in_every_file(text: str, edge: Built, root: dict[str, str]) -> None:
    for every in (1, 3):
        spoiled = {path: text if index % every == 0 else old for index, (path, old) in enumerate(sorted(root.items()))}
        verdict = verify_host(HOST, edge.trees[HOST], TextRoot(spoiled))
        assert not verdict.equal
        assert render(verdict.bag, verdict.sources)


def test_each_missing_file_is_a_finding_or_nothing(edge: Built, root: dict[str, str]) -> None:
    """Without any one file nothing breaks; without the state of a compiled knob it is said."""
    needed = {
        "proc/cmdline",
        "proc/1/status",
        "proc/sys/vm/swappiness",
        "etc/tuned/active_profile",
        "sys/kernel/mm/ksm/run",
    }
    kinds = [
        path
        for path in root
        if "task" not in path and "/irq/" not in path and "cpufreq" not in path and "/power/" not in path
    ]
    for path in kinds:
        verdict = verify_host(
            HOST, edge.trees[HOST], TextRoot({name: text for name, text in root.items() if name != path})
        )
        if path in needed:
            assert [one.kind for one in verdict.differences] == [Kind.NOT_TOLD], path
            assert not verdict.readable


def test_an_empty_capture_tells_nothing_and_is_not_equal(edge: Built) -> None:
    verdict = verify_host(HOST, edge.trees[HOST], TextRoot({}))
    assert not verdict.equal and not verdict.readable
    assert {one.kind for one in verdict.differences} <= {Kind.NOT_TOLD, Kind.FILE}


def test_random_damage(edge: Built, root: dict[str, str]) -> None:
    dice = random.Random(7)
    paths = sorted(root)
    for _ in range(40):
        damaged = dict(root)
        for path in dice.sample(paths, 12):
            text = damaged[path]
            at = dice.randrange(len(text) + 1)
            damaged[path] = (
                text[:at]
                + dice.choice(["", "\0", "<", "é", "999999999999999999999", ",", "\n"])
                + text[at + dice.randrange(9) :]
            )
        verdict = verify_host(HOST, edge.trees[HOST], TextRoot(damaged))
        assert render(verdict.bag, verdict.sources) or verdict.equal


def test_links_leave_no_capture(edge: Built, root: dict[str, str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not show\n")
    folder = write(tmp_path / "capture", root)
    for path in ("proc/sys/vm/swappiness", "etc/tuned/active_profile"):
        (folder / path).unlink()
        (folder / path).symlink_to(secret)
    (folder / "sys/kernel/mm/ksm/run").unlink()
    os.mkfifo(folder / "sys/kernel/mm/ksm/run")
    (folder / "proc/irq/link").symlink_to("..")
    (folder / "kvmc/domains/loop.live.xml").symlink_to("loop.live.xml")
    huge = folder / "proc/sys/vm/stat_interval"
    with huge.open("w") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    verdict = verify_tree(edge.folder / "generated", HOST, folder)
    assert [one.kind for one in verdict.differences] == [Kind.NOT_TOLD] * 4
    assert "do not show" not in render(verdict.bag, verdict.sources)
    assert FolderRoot(folder).read("../secret") is None
    assert FolderRoot(folder).find("../*") == []


def test_what_is_no_capture(edge: Built, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive")
    (tmp_path / "cut.tar.gz").write_bytes(archive(tmp_path / "whole.tar.gz", {"a": "b" * 9000}).read_bytes()[:40])
    for name in ("text", "cut.tar.gz", "nowhere"):
        assert isinstance(open_root(tmp_path / name), str)
        verdict = verify_tree(edge.folder / "generated", HOST, tmp_path / name)
        assert [item.code.id for item in verdict.bag] == ["KVMC0830"]
        assert not verdict.equal


def test_an_archive_is_never_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind, target in (
            ("../out", tarfile.REGTYPE, ""),
            ("/etc/x", tarfile.REGTYPE, ""),
            ("l", tarfile.SYMTYPE, "/etc/passwd"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
    opened = open_root(path)
    assert isinstance(opened, TextRoot)
    assert opened.read("l") is None
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bad.tar"]


def test_what_could_not_be_compared_is_no_zero(edge: Built, root: dict[str, str], tmp_path: Path) -> None:
    tree = edge.folder / "generated"
    assert verify_tree(tree, None, tmp_path / "nowhere").summary == "this host: could not be compared\n"
    assert verify_tree(tree, "nosuch", tmp_path).summary == "nosuch: could not be compared\n"
    texts = edge.trees["edge-17a"]
    changed = root | {"proc/sys/vm/swappiness": "60\n"}
    assert verify_host("edge-17a", texts, TextRoot(changed)).summary == "edge-17a: 1 difference\n"
    del changed["proc/irq/default_smp_affinity"]
    told = verify_host("edge-17a", texts, TextRoot(changed)).summary
    assert told == "edge-17a: 2 differences, and not all could be compared\n"
    broken = verify_host("edge-17a", dict(texts) | {"domains/du-1.xml": "<domain"}, TextRoot(root))
    assert broken.summary == "edge-17a: 1 difference, and not all could be compared\n"


def test_a_host_that_nobody_compiled(edge: Built, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    verdict = verify_tree(edge.folder / "generated", "edge-99", tmp_path / "empty")
    assert [item.code.id for item in verdict.bag] == ["KVMC0832"]
