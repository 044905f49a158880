"""The hooks, run by the real pre-commit: installed from a clone of the project, in a config repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvmc.topology.snapshot import dumps
from support.machines import machine

pytestmark = pytest.mark.xdist_group("pre-commit")  # one environment of the hooks for all

ROOT = Path(__file__).parents[2]
CONFIG = """\
repos:
  - repo: {repo}
    rev: {rev}
    hooks:
      - id: kvmc-fmt
      - id: kvmc-check
      - id: kvmc-build
"""
SITE = """\
kvmt 1

site s {
  identity = "s.example.net"
}

platform deb12 {
  kernel  = "6.1"
  libvirt = "9.0"
  qemu    = "7.2"
  tuned   = "2.20"
}

host a {
  platform = deb12
  topology = "hosts/a.json"
}

class base {
  machine = pc-q35-7.2
  vcpus   = 2
  memory  = 1GiB
}

vm m-1 : base

vm m-2 : base
"""
LIBRARY = """
import "std/throughput.kvmt"

class busy : throughput {
  machine = pc-q35-7.2
  vcpus   = 2
  memory  = 1GiB
  pages   = none
}

vm m-3 : busy
"""


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.net"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of pre-commit, with a store of its own."""
    pytest.importorskip("pre_commit", reason="pre-commit is not installed")
    store = tmp_path_factory.mktemp("store")
    yield {**os.environ, "PRE_COMMIT_HOME": str(store)}
    shutil.rmtree(store, ignore_errors=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a user's pre-commit gets it: what is committed."""
    folder = tmp_path_factory.mktemp("clone") / "kvmc"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True, capture_output=True)
    return folder


def build(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "kvmc.cli", "build", "."], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def repository(tmp_path: Path, clone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config repository whose generated tree is right and committed."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(ROOT / name) for name in ("compiler", "grammar", "targets")))
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts/a.json").write_text(dumps(machine(packages=1, cores_per_l3=8, memory_gib=32)))
    (tmp_path / "site.kvmt").write_text(SITE)
    rev = git(clone, "rev-parse", "HEAD")
    (tmp_path / ".pre-commit-config.yaml").write_text(CONFIG.format(repo=clone, rev=rev))
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, "Start")
    return tmp_path


def commit(folder: Path, message: str) -> None:
    build(folder)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--no-verify", "-m", message)


def run(folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """All hooks over all files, as in CI."""
    clean = {key: value for key, value in environment.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files"],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_right_tree_passes(repository: Path, hooks: dict[str, str]) -> None:
    code, told = run(repository, hooks)
    assert code == 0, told
    assert told.count("Passed") == 3
    assert git(repository, "status", "--porcelain") == ""


def test_a_clone_brings_the_standard_library(repository: Path, hooks: dict[str, str]) -> None:
    (repository / "site.kvmt").write_text(SITE + LIBRARY)
    commit(repository, "Take a class of the library")
    code, told = run(repository, hooks)
    assert code == 0 and told.count("Passed") == 3, told


def test_a_source_in_another_form_is_rewritten_and_told(repository: Path, hooks: dict[str, str]) -> None:
    """As pre-commit's own formatters do: the hook fails, names the file, and the next run passes."""
    site = repository / "site.kvmt"
    site.write_text(SITE.replace("  vcpus   = 2", "\tvcpus=2  # both"))
    commit(repository, "Write it untidily")
    code, told = run(repository, hooks)
    assert code == 1 and told.count("Passed") == 2, told
    assert "site.kvmt: formatted" in told and "files were modified by this hook" in told
    assert site.read_text() == SITE.replace("  vcpus   = 2", "  vcpus   = 2  # both")
    commit(repository, "Take the canonical form")
    code, told = run(repository, hooks)
    assert code == 0, told


def test_a_source_that_cannot_be_read_fails_every_hook(repository: Path, hooks: dict[str, str]) -> None:
    site = repository / "site.kvmt"
    site.write_text(SITE.replace("vcpus   = 2", "vcpus   = = 2"))
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "--no-verify", "-m", "Break it")
    code, told = run(repository, hooks)
    assert code == 1 and "Passed" not in told and told.count("KVMC0101") == 3, told
    assert git(repository, "status", "--porcelain") == ""


def stale(folder: Path) -> str:
    site = folder / "site.kvmt"
    site.write_text(site.read_text().replace("vm m-2 : base", "vm m-2 : base {\n  memory = 2GiB\n}"))
    return "generated/a/domains/m-2.xml"


def edited(folder: Path) -> str:
    path = folder / "generated/a/domains/m-1.xml"
    path.write_text(path.read_text().replace('vcpupin vcpu="0"', 'vcpupin vcpu="1"', 1))
    return "generated/a/domains/m-1.xml"


def missing(folder: Path) -> str:
    (folder / "generated/a/etc/sysctl.d/90-kvmc.conf").unlink()
    return "generated/a/etc/sysctl.d/90-kvmc.conf"


@pytest.mark.parametrize("damage", [stale, edited, missing])
def test_a_wrong_tree_fails_and_stays_as_it_is(damage: object, repository: Path, hooks: dict[str, str]) -> None:
    assert callable(damage)
    named = damage(repository)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "--no-verify", "-m", "Damage")
    code, told = run(repository, hooks)
    assert code == 1
    assert named in told
    assert git(repository, "status", "--porcelain") == ""


def test_two_merged_branches_that_claim_one_cpu(repository: Path, hooks: dict[str, str]) -> None:
    """Each branch is right. Their sources and locks merge cleanly; only the seals of the lists of steps differ."""
    site = repository / "site.kvmt"
    git(repository, "checkout", "-q", "-b", "one")
    site.write_text(SITE.replace("vm m-1 : base", "vm a-new : base\n\nvm m-1 : base"))
    commit(repository, "Add a-new")
    assert run(repository, hooks)[0] == 0
    git(repository, "checkout", "-q", "main")
    git(repository, "checkout", "-q", "-b", "two")
    site.write_text(SITE + "\nvm z-new : base\n")
    commit(repository, "Add z-new")
    assert run(repository, hooks)[0] == 0
    merge = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.net", "merge", "-q", "one"]
    subprocess.run(merge, cwd=repository, capture_output=True)
    conflicts = git(repository, "diff", "--name-only", "--diff-filter=U").split()
    assert set(conflicts) <= {"generated/a/apply.json"}
    for path in conflicts:
        git(repository, "checkout", "--ours", path)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "--no-verify", "-m", "Merge one")
    code, told = run(repository, hooks)
    assert code == 1
    assert "KVMC0615" in told and "a-new" in told and "z-new" in told
