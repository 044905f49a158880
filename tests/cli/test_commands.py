"""The commands: exit status, streams, formats."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.running import COMMAND, environment, kvmc
from kvmc import __version__
from kvmc.cli.app import app
from sample_site import make_site, site_text

runner = CliRunner()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make_site(tmp_path)


@pytest.fixture
def built(site: Path) -> Path:
    assert runner.invoke(app, ["build", str(site)]).exit_code == 0
    return site


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_version_and_help() -> None:
    assert runner.invoke(app, ["--version"]).stdout == f"kvmc {__version__}\n"
    done = runner.invoke(app, ["build", "--help"])
    assert done.exit_code == 0
    for option in ("--check", "--host", "--target", "-o", "--locked", "--force", "--format"):
        assert option in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["chek"],
        ["build"],
        ["build", "x", "--format", "yaml"],
        ["build", "x", "--target", "nix"],
        ["audit", "x", "--topology", "=y"],
        ["audit", "x", "y"],
        ["audit", "x", "--topology", "y", "--site", "z"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert runner.invoke(app, arguments).exit_code == 2


def test_a_clean_road(site: Path) -> None:
    done = kvmc("check", site)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = kvmc("build", site.parent)  # the folder stands for the site in it
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "generated: 17 written, 0 removed, 0 unchanged\n"
    done = kvmc("build", "--check", site)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = kvmc("audit", site.parent / "generated")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 hosts audited\n", "")


def test_errors_go_to_standard_error_with_their_place(site: Path) -> None:
    site.write_text(site.read_text().replace("  vcpus   = 4\n", "  vcpu    = 4\n"))
    before = files(site.parent)
    for command in ("check", "build", "plan", "replan"):
        done = runner.invoke(app, [command, str(site)])
        assert (done.exit_code, done.stdout) == (1, "")
        assert "--> site.kvmt:" in done.stderr and "vcpu    = 4" in done.stderr
        assert done.stderr.count("error[") == done.stderr.count("error[KVMC02")
        assert "\x1b" not in done.stderr
    assert files(site.parent) == before


def test_check_shows_a_diff_and_writes_nothing(built: Path) -> None:
    built.write_text(site_text(vms={"db-1": "big", "db-2": "big", "web-2": "small"}))
    before = files(built.parent)
    done = runner.invoke(app, ["build", "--check", str(built)])
    assert done.exit_code == 1
    assert "--- /dev/null\n+++ b/generated/kvm-a/domains/web-2.xml\n" in done.stdout
    assert "--- a/generated/kvm-a/domains/web-1.xml\n+++ /dev/null\n" in done.stdout
    assert "--- a/locks/kvm-a.json\n+++ b/locks/kvm-a.json\n" in done.stdout
    assert "error[KVMC0601]: 4 files on disk are not what the site says" in done.stderr
    assert "etc/" not in done.stdout
    assert files(built.parent) == before


def test_a_hand_edit_stops_the_build_until_forced(built: Path) -> None:
    path = built.parent / "generated/kvm-a/domains/db-1.xml"
    path.write_text(path.read_text().replace("</domain>", "<!-- by hand --></domain>"))
    done = runner.invoke(app, ["build", str(built)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "error[KVMC0602]: `generated/kvm-a/domains/db-1.xml` was edited by hand" in done.stderr
    assert "by hand" in path.read_text()
    done = runner.invoke(app, ["build", "--force", str(built)])
    assert (done.exit_code, done.stdout) == (0, "generated: 1 written, 0 removed, 16 unchanged\n")
    assert "by hand" not in path.read_text()


@pytest.mark.parametrize("text", [site_text(), "kvmt 1\nsite {", None])
def test_check_is_the_same_with_typer_and_without(site: Path, text: str | None) -> None:
    site.unlink() if text is None else site.write_text(text)
    plain = kvmc("check", site)
    parsed = kvmc("check", "--format", "text", site)
    assert (plain.returncode, plain.stdout, plain.stderr) == (parsed.returncode, parsed.stdout, parsed.stderr)
    assert kvmc("check", "--", site).returncode == plain.returncode
    assert plain.returncode == (0 if text == site_text() else 1)


def test_one_json_object_a_run(built: Path) -> None:
    (built.parent / "generated/kvm-a/apply.json").unlink()
    done = runner.invoke(app, ["build", "--check", "--format", "json", str(built)])
    whole = json.loads(done.stdout)
    assert (done.exit_code, done.stderr) == (1, "")
    assert whole["errors"] == 1 and whole["written"] is False
    assert whole["files"] == [{"path": "generated/kvm-a/apply.json", "change": "missing"}]
    done = runner.invoke(app, ["build", "--format", "json", str(built)])
    assert json.loads(done.stdout)["written"] is True
    built.write_text("kvmt 1\nsite {")
    whole = json.loads(runner.invoke(app, ["check", "--format", "json", str(built)]).stdout)
    first = whole["diagnostics"][0]
    assert first["primary"]["file"] == "site.kvmt" and first["primary"]["line"] == 2


def test_the_plan_says_what_is_where(site: Path) -> None:
    done = runner.invoke(app, ["plan", str(site)])
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert next(line[:6] for line in lines if line[:2] == ["L3", "0"]) == ["L3", "0", "##", "~~", "AA", "AA"]
    assert ["kvm-a", "db-1", "0", "2-3,18-19", "0,16", "4GiB", "4", "*", "1GiB", "-"] in lines
    assert not (site.parent / "locks").exists()
    told = json.loads(runner.invoke(app, ["plan", "--json", str(site)]).stdout)
    assert [row["guest"] for row in told["guests"]] == ["db-1", "db-2", "web-1"]
    pools = {row["host"]: (row["housekeeping"], row["shared"], row["dedicated"]) for row in told["hosts"]}
    assert pools["kvm-a"] == ("0,8,16,24", "1,9,17,25", "2-7,10-15,18-23,26-31")


def test_the_plan_as_a_page(site: Path) -> None:
    page = site.parent / "plan.html"
    done = runner.invoke(app, ["plan", "--html", str(page), "--host", "kvm-a", str(site)])
    assert done.exit_code == 0 and page.read_text().startswith("<!doctype html>")
    done = runner.invoke(app, ["plan", "--html", str(site), str(site)])
    assert done.exit_code == 1 and "KVMC0040" in done.stderr and site.read_text().startswith("kvmt 1")
    done = runner.invoke(app, ["plan", "--host", "kvm-z", "--html", str(site.parent / "no.html"), str(site)])
    assert done.exit_code == 1 and "KVMC0021" in done.stderr and not (site.parent / "no.html").exists()


def test_another_place_for_the_tree(site: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("out") / "tree"
    done = runner.invoke(app, ["build", "-o", str(target), str(site)])
    assert done.exit_code == 0
    assert (target / "kvm-a/apply.json").is_file() and (site.parent / "locks/kvm-a.json").is_file()
    assert not (site.parent / "generated").exists()
    assert runner.invoke(app, ["build", "--check", "-o", str(target), str(site)]).exit_code == 0


def test_the_same_bytes_from_anywhere(site: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    trees = []
    for seed, locale in (("1", "C"), ("2", "C.UTF-8"), ("3", "tr_TR.UTF-8")):
        other = make_site(tmp_path_factory.mktemp("x") / f"a b {seed}")
        done = kvmc("build", "site.kvmt", cwd=other.parent, PYTHONHASHSEED=seed, LC_ALL=locale)
        assert done.returncode == 0, done.stderr
        trees.append(files(other.parent))
    assert trees[0] == trees[1] == trees[2]


def test_replan_and_targets(built: Path) -> None:
    built.write_text(site_text(vms={"db-2": "big"}))
    assert runner.invoke(app, ["build", str(built)]).exit_code == 0
    assert "4-5,20-21" in runner.invoke(app, ["plan", str(built)]).stdout
    replanned = runner.invoke(app, ["replan", "--vm", "db-2", str(built)])
    assert replanned.exit_code == 0 and replanned.stdout.startswith("no guest moves\n")
    assert "4-5,20-21" in runner.invoke(app, ["plan", str(built)]).stdout
    listed = runner.invoke(app, ["targets"]).stdout
    assert [line.split()[0] for line in listed.splitlines()][:3] == ["target", "libvirt", "cmdline"]


def test_topology_show(site: Path) -> None:
    path = site.parent / "hosts/x.json"
    assert "node" in runner.invoke(app, ["topology", "show", str(path)]).stdout
    assert runner.invoke(app, ["topology", "show", "--json", str(path)]).stdout == path.read_text()
    done = runner.invoke(app, ["topology", "show", str(site)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "error[KVMC03" in done.stderr


def test_an_audit_needs_topologies_and_finds_a_twisted_file(
    built: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = tmp_path_factory.mktemp("elsewhere") / "tree"
    (built.parent / "generated").rename(tree)
    assert runner.invoke(app, ["audit", str(tree)]).exit_code == 1
    named = [f"--topology={host}={built.parent / 'hosts/x.json'}" for host in ("kvm-a", "kvm-b")]
    assert runner.invoke(app, ["audit", str(tree), *named]).exit_code == 0
    path = tree / "kvm-a/domains/db-1.xml"
    path.write_text(path.read_text().replace('cpuset="2"', 'cpuset="4"').replace("cpuset='2'", "cpuset='4'"))
    done = runner.invoke(app, ["audit", str(tree), "--site", str(built)])
    assert done.exit_code == 1
    assert "error[KVMC07" in done.stderr and "--> kvm-a/domains/db-2.xml:" in done.stderr
    (tree / "kvm-b/apply.json").unlink()
    for path in sorted((tree / "kvm-b").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tree / "kvm-b").rmdir()
    assert (
        "host `kvm-b` of the site has no artifacts"
        in runner.invoke(app, ["audit", str(tree), "--site", str(built)]).stderr
    )


def test_a_bug_of_ours_is_70_and_shows_no_traceback(site: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    broken = tmp_path_factory.mktemp("broken")
    (broken / "sitecustomize.py").write_text(
        "import kvmc.driver.stages as s\ndef f(path): raise ZeroDivisionError('a\\x1bb')\ns.check_site = f\n"
    )
    roots = environment()["PYTHONPATH"] + os.pathsep + str(broken)
    done = kvmc("check", site, PYTHONPATH=roots)
    assert (done.returncode, done.stdout) == (70, "")
    assert "ZeroDivisionError: a\\x1bb\nthis is a bug in kvmc" in done.stderr and "Traceback" not in done.stderr
    done = kvmc("check", site, PYTHONPATH=roots, KVMC_TRACEBACK="1")
    assert done.returncode == 70 and "Traceback" in done.stderr


def test_a_reader_that_went_away_changes_nothing(built: Path) -> None:
    for command in (["plan", str(built)], ["targets"], ["--version"], ["build", str(built)]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [*COMMAND, *command], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment(), check=False
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, ""), command
    shell = '"$@" >&-'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *COMMAND, "plan", str(built)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_standard_output_is_told(built: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "plan", str(built)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "kvmc: cannot write to standard output: no space left on device\n"


def test_an_encoding_that_lacks_the_characters(built: Path) -> None:
    built.write_text(built.read_text() + "\n# ä\nvm é : big\n")
    done = kvmc("check", built, PYTHONIOENCODING="ascii")
    assert done.returncode == 1 and "Traceback" not in done.stderr and "\\xe9" in done.stderr


@pytest.mark.parametrize(("no_colour", "expected"), [("", True), ("1", False)])
def test_colour_on_a_terminal_alone(site: Path, no_colour: str, expected: bool) -> None:
    site.write_text("kvmt 1\nnonsense\n")
    ours, theirs = pty.openpty()
    subprocess.run(
        [*COMMAND, "check", str(site)], stderr=theirs, env=environment(NO_COLOR=no_colour, TERM="xterm"), check=False
    )
    os.close(theirs)
    assert (b"\x1b[" in os.read(ours, 65536)) is expected
    os.close(ours)


def test_a_check_loads_no_target_and_no_xml(built: Path) -> None:
    code = (
        "import sys\nfrom kvmc.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({name.split('.')[0] for name in sys.modules} & {'lxml', 'jinja2', 'rich', 'kvmc_targets'}))"
    )
    done = subprocess.run(
        [COMMAND[0], "-c", code, "check", str(built)], capture_output=True, text=True, env=environment(), check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n")
