"""The tutorial as a newcomer goes through it: every command of docs/tutorial.md, in its order, with the real git and pre-commit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.running import environment

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs/tutorial.md"
_FENCE = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def steps() -> Iterator[tuple[str, str, str]]:
    for match in _FENCE.finditer(TUTORIAL.read_text()):
        yield match[1], match[2] or "", match[3]


class Newcomer:
    """A person with an empty folder, git, pre-commit and kvmc."""

    def __init__(self, folder: Path) -> None:
        self.here = folder
        programs = folder / "bin"
        programs.mkdir()
        kvmc = programs / "kvmc"
        kvmc.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from kvmc.cli import main; main()" "$@"\n')
        kvmc.chmod(0o755)
        identity = {
            f"GIT_{who}_{what}": "a@example.net" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        self.environment = environment(PATH=path, HOME=str(folder), PRE_COMMIT_HOME=str(folder / "store"), **identity)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        if line.startswith("cd "):
            self.here /= line.removeprefix("cd ")
        return subprocess.run(
            ["sh", "-c", line if not line.startswith("cd ") else ":"],
            cwd=self.here, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def must(self, line: str) -> None:
        done = self.run(line)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"


@pytest.mark.xdist_group("pre-commit")
def test_every_command_does_what_the_page_says(tmp_path: Path) -> None:
    pytest.importorskip("pre_commit", reason="pre-commit is not installed")
    someone = Newcomer(tmp_path)
    for language, word, text in steps():
        lines = [line.removeprefix("$ ") for line in text.splitlines()]
        if language == "kvmt":
            action, _, name = word.partition("=")
            path = someone.here / name
            before = path.read_text()
            assert action == "append" or f"\n{text}" in before
            path.write_text(before + f"\n{text}" if action == "append" else before.replace(f"\n{text}", ""))
        elif word == "ci":
            someone.must("git clone -q . ../clone")
            there, someone.here = someone.here, someone.here.parent / "clone"
            for line in lines:
                someone.must(line)
            someone.here = there
        elif word != "later":
            for line in lines[:-1]:
                someone.must(line)
            if word == "fails":
                assert someone.run(lines[-1]).returncode != 0, lines[-1]
            else:
                someone.must(lines[-1])
    assert someone.run("git status --porcelain").stdout == "" and (someone.here / "plan.html").is_file()
    domains = sorted(path.name for path in someone.here.glob("generated/*/domains/*"))
    assert domains == ["first.xml", "second.xml"]


def test_the_workflow_runs_what_the_page_says(tmp_path: Path) -> None:
    someone = Newcomer(tmp_path)
    someone.must("kvmc init edge")
    text = (tmp_path / "edge/.github/workflows/kvmc.yml").read_text()
    asked = [line for _, word, lines in steps() if word == "ci" for line in lines.replace("$ ", "").splitlines()]
    assert re.findall(r"^      - run: (kvmc .*)$", text, re.MULTILINE) == asked


@pytest.mark.parametrize("topology", ["tiny/hosts/small.json", "telco-edge/hosts/edge-17a.json"])
def test_it_builds_for_a_host_of_one_s_own(tmp_path: Path, topology: str) -> None:
    someone = Newcomer(tmp_path)
    someone.must(f"kvmc init 'my site!' --topology {ROOT}/examples/{topology}")
    someone.here /= "my site!"
    for line in ("kvmc build .", "kvmc fmt --check site.kvmt", "kvmc build --check ."):
        someone.must(line)
    assert "site my-site" in (someone.here / "site.kvmt").read_text()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    someone = Newcomer(tmp_path)
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge/site.kvmt").write_text("mine\n")
    done = someone.run("kvmc init edge")
    assert done.returncode == 1 and "KVMC0660" in done.stderr
    assert [path.name for path in (tmp_path / "edge").iterdir()] == ["site.kvmt"]
    assert someone.run("kvmc init other --topology nowhere.json").returncode == 1 and not (tmp_path / "other").exists()
