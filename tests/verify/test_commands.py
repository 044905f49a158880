"""`kvmc verify` and `kvmc diff` as their users run them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from cli.running import kvmc
from verify.simulate import Built, build_example, simulate

HOST = "edge-17a"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_example("telco-edge", tmp_path_factory.mktemp("edge"))


@pytest.fixture
def capture(edge: Built, tmp_path: Path) -> Path:
    for path, text in simulate(HOST, edge.trees[HOST], edge.topologies[HOST]).items():
        place = tmp_path / "capture" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return tmp_path / "capture"


def test_verify_tells_whether_it_is_equal(edge: Built, capture: Path, tmp_path: Path) -> None:
    metrics = tmp_path / "kvmc.prom"
    words = ("verify", edge.folder / "generated", "--host", HOST, "--root", capture, "--textfile", metrics)
    equal = kvmc(*words)
    assert (equal.returncode, equal.stdout, equal.stderr) == (0, f"{HOST}: runs as it was compiled\n", "")
    assert re.fullmatch(
        r'(?:# (?:HELP|TYPE) [^\n]+\n|kvmc_verify_\w+\{host="edge-17a"(?:,\w+="[a-z_ ]+")?\} [01]\n)+',
        metrics.read_text(),
    )
    assert 'kvmc_verify_success{host="edge-17a"} 1\n' in metrics.read_text()
    (capture / "proc/sys/vm/swappiness").write_text("60\n")
    (capture / "proc/cmdline").write_text((capture / "proc/cmdline").read_text().replace("skew_tick=1", ""))
    differs = kvmc(*words)
    assert differs.returncode == 1
    assert differs.stdout == f"{HOST}: 2 differences, 1 pending a host reboot\n"
    assert "edge-17a/etc/sysctl.d/90-kvmc.conf:6:1" in differs.stderr
    assert 'kvmc_verify_differences{host="edge-17a",kind="sysctl"} 1\n' in metrics.read_text()
    assert 'kvmc_verify_pending{host="edge-17a",effect="host reboot"} 1\n' in metrics.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["capture", "kvmc.prom"] or len(list(tmp_path.iterdir())) == 2


def test_verify_for_programs(edge: Built, capture: Path) -> None:
    (capture / "proc/sys/vm/swappiness").write_text("60\n")
    done = kvmc("verify", "generated", "--host", HOST, "--root", capture, "--format", "json", cwd=edge.folder)
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)
    assert (told["errors"], told["host"], told["equal"]) == (1, HOST, False)
    (one,) = told["differences"]
    assert (one["kind"], one["runs"], one["compiled"], one["effect"], one["pending"]) == (
        "sysctl",
        "60",
        "10",
        "live",
        False,
    )
    assert (one["file"], one["line"]) == (f"{HOST}/etc/sysctl.d/90-kvmc.conf", 6)


def test_verify_of_nothing(edge: Built, capture: Path, tmp_path: Path) -> None:
    metrics = tmp_path / "kvmc.prom"
    done = kvmc("verify", tmp_path / "nowhere", "--host", HOST, "--root", capture, "--textfile", metrics)
    assert done.returncode == 1 and "KVMC0832" in done.stderr
    assert 'kvmc_verify_success{host="edge-17a"} 0\n' in metrics.read_text()
    assert kvmc("verify", edge.folder / "generated", "--host", HOST, "--root", tmp_path / "nowhere").returncode == 1
    gone = kvmc(
        "verify", edge.folder / "generated", "--host", HOST, "--root", capture, "--textfile", tmp_path / "no" / "x"
    )
    assert gone.returncode == 1 and "cannot write" in gone.stderr


def test_verify_on_this_machine(edge: Built) -> None:
    """Which is no host of the example: much differs, and nothing breaks."""
    done = kvmc("verify", edge.folder / "generated", "--host", HOST)
    assert done.returncode == 1
    assert "KVMC0801" in done.stderr and "internal error" not in done.stderr


def test_diff(edge: Built, tmp_path: Path) -> None:
    old = edge.folder / "generated"
    new = tmp_path / "new"
    shutil.copytree(old, new)
    same = kvmc("diff", old, new)
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "")
    path = new / HOST / "domains/ems-1.xml"
    path.write_text(path.read_text().replace('cache="none"', 'cache="writeback"'))
    text = kvmc("diff", old, new)
    assert text.returncode == 1
    assert text.stdout.startswith("edge-17a: guest restart; touches ems-1\n  guest restart  guest ems-1: disk vda: ")
    told = json.loads(kvmc("diff", old, new, "--format", "json").stdout)
    assert (told["effect"], told["guests"], len(told["changes"])) == ("guest restart", ["ems-1"], 1)
    assert told["changes"][0]["guest"] == "ems-1"
    nothing = kvmc("diff", old, tmp_path / "nowhere")
    assert (nothing.returncode, nothing.stdout) == (1, "") and "KVMC0840" in nothing.stderr
