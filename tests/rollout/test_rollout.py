"""A rollout end to end: Ansible brings the example to throw-away hosts, a bad canary stops it, the way back restores the bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.running import environment, kvmc
from kvmc.audit.tree import read_tree
from lab.needs import needs
from rollout.hosts import Fleet
from verify.simulate import shape, simulate

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/telco-edge"
HOSTS = ("edge-17a", "edge-17b")

pytestmark = [needs("scratch", "ansible", "grub"), pytest.mark.xdist_group("machines")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("site") / "edge"
    shutil.copytree(EXAMPLE, copy)
    done = kvmc("rollout", copy)
    assert done.returncode == 0, done.stderr
    return copy


@pytest.fixture
def fleet(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    with Fleet(HOSTS, tmp_path) as made:
        trees = read_tree(site / "generated")
        for name in HOSTS:
            made.simulate(name, simulate(name, trees[name], shape(site / f"hosts/{name}.json")))
        yield made


def _recap(text: str) -> dict[str, dict[str, int]]:
    lines = re.findall(r"^(\S+)\s+: (ok=.*)$", text.partition("PLAY RECAP")[2], re.MULTILINE)
    return {host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", rest)} for host, rest in lines}


def test_stage_by_stage_then_nothing_then_back(site: Path, fleet: Fleet) -> None:
    before = {name: fleet.state(name) for name in HOSTS}
    first = fleet.play(site / "rollout", "rollout.yml")
    assert first.returncode == 0, first.stdout[-4000:]
    assert first.stdout.index("Stage 1 of 2") < first.stdout.index("edge-17a") < first.stdout.index("Stage 2 of 2")
    for name in HOSTS:
        tree = site / "generated" / name
        for file in tree.rglob("etc/**/*"):
            if file.is_file():
                there = fleet.hosts[name].path(f"/{file.relative_to(tree)}")
                assert there.read_bytes() == file.read_bytes()
                assert there.stat().st_mode & 0o777 == file.stat().st_mode & 0o777
        calls = fleet.calls(name)
        assert "systemctl daemon-reload" in calls and "tuned-adm profile kvmc" in calls
        assert sum("define" in call for call in calls) == 3
        assert len(fleet.sysctls(name)) > 1
        menu = fleet.hosts[name].path("/boot/grub/grub.cfg").read_text()
        entries = re.split(r"^menuentry ", menu, flags=re.MULTILINE)
        fallback = next(entry for entry in entries if entry.startswith("'before kvmc changed the boot line'"))
        assert "isolcpus" in entries[1] and "isolcpus" not in fallback and "linux\t" in fallback
    again = fleet.play(site / "rollout", "rollout.yml")
    assert again.returncode == 0
    assert {host: row["changed"] for host, row in _recap(again.stdout).items()} == dict.fromkeys(HOSTS, 0)
    assert [fleet.calls(name) for name in HOSTS] == [[], []]
    back = fleet.play(site / "rollout", "rollback.yml")
    assert back.returncode == 0, back.stdout[-4000:]
    assert {name: fleet.state(name) for name in HOSTS} == before
    assert [fleet.sysctls(name) for name in HOSTS] == [{"60"}, {"60"}]


@pytest.mark.proof
def test_what_cannot_be_taken_back_is_told(site: Path, fleet: Fleet) -> None:
    fleet.hosts["edge-17a"].write("/opt/broken", "")
    fleet.hosts["edge-17a"].write("/opt/stuck", "")
    done = fleet.play(site / "rollout", "rollout.yml")
    assert done.returncode != 0
    assert "edge-17a has its files back, but not all of what runs: " in done.stdout and "is stuck" in done.stdout
    assert "the host refuses" in done.stdout and "edge-17b" not in _recap(done.stdout)
    fleet.hosts["edge-17a"].run("rm", "/opt/broken", "/opt/stuck")
    assert fleet.play(site / "rollout", "rollout.yml").returncode == 0


def test_a_host_that_is_not_what_was_compiled_for_is_left_alone(site: Path, fleet: Fleet) -> None:
    fleet.hosts["edge-17a"].run("sh", "-c", "mkdir -p /run && touch /run/ostree-booted")
    before = fleet.state("edge-17a")
    done = fleet.play(site / "rollout", "rollout.yml")
    assert done.returncode != 0
    assert "its platform needs `boot = bootc`. Nothing was changed" in done.stdout
    assert fleet.state("edge-17a") == before
    assert fleet.calls("edge-17a") == []
    fleet.hosts["edge-17a"].run("rm", "/run/ostree-booted")
    assert fleet.play(site / "rollout", "rollout.yml").returncode == 0
    taken = fleet.state("edge-17a")
    tree = site / "generated/edge-17a/apply.json"
    text = tree.read_text()
    tree.write_text(text.replace('"format": 1', '"format": 2'))
    try:
        assert "that this role can read (format 1)" in fleet.play(site / "rollout", "rollout.yml").stdout
    finally:
        tree.write_text(text)
    assert fleet.state("edge-17a") == taken  # the way back from a run that never began would undo the one before


@pytest.mark.parametrize("fault", [pytest.param("a step fails", marks=pytest.mark.proof), "the comparison differs"])
def test_a_bad_canary_stops_all_and_goes_back(site: Path, fleet: Fleet, fault: str) -> None:
    if fault == "a step fails":
        fleet.hosts["edge-17a"].write("/opt/broken", "")
    else:
        fleet.hosts["edge-17a"].write("/opt/captured/sys/devices/system/cpu/online", "0-3\n")
    before = {name: fleet.state(name) for name in HOSTS}
    done = fleet.play(site / "rollout", "rollout.yml")
    assert done.returncode != 0
    assert "edge-17a is as it was before; no later stage is touched" in done.stdout
    assert ("the host refuses" if fault == "a step fails" else "was compiled") in done.stdout
    assert "edge-17b" not in _recap(done.stdout)
    assert fleet.calls("edge-17b") == [] and fleet.calls("edge-17a") != []
    assert {name: fleet.state(name) for name in HOSTS} == before
    if fault == "a step fails":
        fleet.hosts["edge-17a"].run("rm", "/opt/broken")
        assert fleet.play(site / "rollout", "rollout.yml").returncode == 0


def test_the_project_is_clean(site: Path) -> None:
    bin = Path(sys.executable).parent
    path = f"{bin}:/usr/bin:/bin"
    lint = subprocess.run(
        [str(bin / "ansible-lint"), "--offline", "--profile", "production", "--nocolor"],
        cwd=site / "rollout", env={"PATH": path, "HOME": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert lint.returncode == 0, lint.stdout + lint.stderr
    for playbook in ("rollout.yml", "rollback.yml"):
        checked = subprocess.run(
            [str(bin / "ansible-playbook"), "--syntax-check", playbook],
            cwd=site / "rollout", env={"PATH": path, "HOME": str(site)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stderr
