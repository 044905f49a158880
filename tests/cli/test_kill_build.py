"""Real builds killed at random times: the next build ends in the old tree or the new one, foreign files untouched."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cli.running import COMMAND, environment
from kvmc.output import JOURNAL
from kvmc.output.transaction import hold, recover
from sample_site import make_site, site_text

OLD = site_text(vms={"db-1": "big", "db-2": "big", "web-1": "small"})
NEW = site_text(hosts=("kvm-a", "kvm-c"), vms={"db-2": "big", "db-3": "big", "web-1": "small", "web-2": "small"})
FOREIGN = "generated/kvm-b/etc/mine.conf"


def build(site: Path, text: str) -> subprocess.Popen[bytes]:
    site.write_text(text)
    return subprocess.Popen([*COMMAND, "build", str(site)], stdout=subprocess.DEVNULL, env=environment())


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "site.kvmt"
    }


def _kill_at_random(tmp_path: Path, points: int, seed: int) -> None:
    chance = random.Random(seed)
    site = make_site(tmp_path / "old", OLD)
    assert build(site, OLD).wait() == 0
    (tmp_path / "old" / FOREIGN).write_text("foreign\n")
    old = tree(tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    begin = time.monotonic()
    assert build(tmp_path / "new/site.kvmt", NEW).wait() == 0
    length = time.monotonic() - begin
    new = tree(tmp_path / "new")
    assert new[FOREIGN] == "foreign\n" and new != old
    killed = 0
    for point in range(points):
        work = tmp_path / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(tmp_path / "old", work)
        running = build(work / "site.kvmt", NEW)
        if point % 4 == 0:  # anywhere; the others while it writes, which is a small part of its time
            time.sleep(chance.uniform(0, length))
        else:
            while running.poll() is None and not os.path.lexists(work / JOURNAL):
                time.sleep(0.0002)
            time.sleep(chance.uniform(0, 0.03))
        running.kill()
        killed += running.wait() != 0
        shutil.copytree(work, tmp_path / "copy", symlinks=True)
        with hold(tmp_path / "copy") as bag:
            assert not bag.items
            recover(tmp_path / "copy")
        assert tree(tmp_path / "copy") in (old, new), point
        shutil.rmtree(tmp_path / "copy")
        for text, expected in ((OLD, old), (NEW, new)) if point % 10 == 0 else ((NEW, new),):
            assert build(work / "site.kvmt", text).wait() == 0
            if expected is new:
                assert tree(work) == new, point
            assert (work / FOREIGN).read_text() == "foreign\n"
    assert killed > points // 3, "too few of the builds were still running when they were killed"


def test_killed_a_few_times(tmp_path: Path) -> None:
    _kill_at_random(tmp_path, 6, seed=1)


@pytest.mark.proof
def test_killed_at_100_random_points(tmp_path: Path) -> None:
    _kill_at_random(tmp_path, 100, seed=2)
