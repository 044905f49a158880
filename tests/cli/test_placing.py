"""What the commands tell of places: why a guest is where it is, what a plan changes, what a replan moves, what is stranded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kvmc.cli.app import app
from sample_site import make_site, site_text

runner = CliRunner()
ISOLATED = "class iso : big {\n  threads = isolate\n}\nvm quiet : iso\n"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    site = make_site(tmp_path)
    run("build", site)
    return site


def run(*arguments: str | Path, status: int = 0) -> str:
    done = runner.invoke(app, [str(one) for one in arguments])
    assert done.exit_code == status, done.output
    return done.stdout


def told(*arguments: str | Path) -> Any:
    return json.loads(run(*arguments))


def test_why_a_guest_is_where_it_is(built: Path) -> None:
    lines = run("explain", "vm", "db-1", built).splitlines()
    assert lines[0] == "db-1"
    assert [line.split()[0] for line in lines[1 : lines.index("")]][:2] == ["host", "node"]
    assert lines[lines.index("") + 1] == "elsewhere"
    assert any(line.split()[:3] == ["kvm-a", "node", "1"] for line in lines)
    assert any(line.split()[0] == "kvm-b" for line in lines if line.startswith("  "))
    whole = told("explain", "vm", "db-1", "--format", "json", built)
    assert whole["guest"] == "db-1" and whole["facts"]["host"].startswith("kvm-a")
    assert {one["place"] for one in whole["elsewhere"]} >= {"kvm-a node 1", "kvm-b"}
    done = runner.invoke(app, ["explain", "vm", "db-9", str(built)])
    assert done.exit_code == 1 and "the site has no guest `db-9`" in done.stderr and done.stdout == ""


def test_a_plan_as_data(built: Path) -> None:
    built.write_text(site_text(vms={"db-2": "big", "db-3": "big", "web-1": "small"}) + ISOLATED)
    whole = told("plan", "--json", built)
    assert {"hosts", "guests", "changes", "stranded"} <= whole.keys()
    assert [row["host"] for row in whole["hosts"]] == ["kvm-a", "kvm-b"]
    assert whole["hosts"][0]["pages"] == [{"node": node, "size_kib": 1048576, "count": 8} for node in (0, 1)]
    assert {row["guest"] for row in whole["guests"]} == {"db-2", "db-3", "web-1", "quiet"}
    changes = {row["guest"]: (row["change"], row["cost"]) for row in whole["changes"]}
    assert changes == {"db-1": ("gone", "guest stop"), "db-3": ("new", "guest start"), "quiet": ("new", "guest start")}
    assert not (built.parent / "generated/kvm-a/domains/db-3.xml").exists(), "a plan writes nothing"


def test_stranded_cpus_and_pages_are_shown(built: Path) -> None:
    built.write_text(site_text() + ISOLATED)
    rows = told("plan", "--json", built)["stranded"]
    idle = [row for row in rows if row["why"] == "idle siblings of their guests' cores"]
    assert [row["stranded"] for row in idle] == ["4 CPUs"]
    text = run("plan", built)
    assert "stranded" in text and "idle siblings of their guests' cores" in text


@pytest.mark.parametrize(
    ("vcpus", "gib", "row"),
    [
        (14, 3, ("pages 5 * 1GiB", "no CPU of the node is free")),
        (4, 8, ("5 cores", "no huge page of the node is free")),
    ],
)
def test_pages_without_cpus_and_cpus_without_pages(tmp_path: Path, vcpus: int, gib: int, row: tuple[str, str]) -> None:
    text = site_text(("kvm-a",), {"db-1": "big", "db-2": "big"}).replace("cores      = 1", "cores      = 0")
    text = text.replace("vcpus   = 4\n  memory  = 4GiB", f"vcpus   = {vcpus}\n  memory  = {gib}GiB")
    rows = told("plan", "--json", make_site(tmp_path, text))["stranded"]
    assert [(one["node"], one["stranded"], one["why"]) for one in rows] == [("0", *row), ("1", *row)]


def test_a_replan_of_a_guest_moves_no_other(built: Path) -> None:
    before = told("plan", "--json", built)["guests"]
    text = run("replan", "--vm", "db-2", built)
    assert text.startswith("no guest moves\n")
    assert told("plan", "--json", built)["guests"] == before
    done = runner.invoke(app, ["replan", "--vm", "db-9", str(built)])
    assert done.exit_code == 1 and "the site has no guest `db-9`" in done.stderr
    done = runner.invoke(app, ["replan", "--host", "kvm-z", str(built)])
    assert done.exit_code == 1 and "the site has no host `kvm-z`" in done.stderr
    assert runner.invoke(app, ["replan", "--conflicts", "--vm", "db-1", str(built)]).exit_code == 2


def test_a_replan_of_a_host_tells_which_hosts_reboot(built: Path) -> None:
    built.write_text(site_text().replace("pages     = 8 * 1GiB", "pages     = 9 * 1GiB"))
    rows = [line.split() for line in run("replan", "--host", "kvm-a", "--check", built, status=1).splitlines()]
    assert ["-", "settings", "kvm-a", "kvm-a", "host", "reboot"] in rows
    run("replan", built)
    assert run("replan", "--host", "kvm-a", built).startswith("no guest moves\n")


def test_merged_locks_that_claim_the_same_cpus(built: Path) -> None:
    """Two branches each add a guest; merged, both have the same CPUs. The newer one moves, no other does."""
    site, locks = built.parent, built.parent / "locks/kvm-a.json"
    base = {path: path.read_bytes() for path in (site / "locks").iterdir()}
    guests = []
    for name in ("left", "right"):
        for path, text in base.items():
            path.write_bytes(text)
        built.write_text(site_text() + f"vm {name} : big\n")
        run("build", built)
        guests.append(json.loads(locks.read_text())["guests"])
    merged = json.loads(locks.read_text())
    merged["guests"] = guests[0] | guests[1]
    locks.write_text(json.dumps(merged))
    built.write_text(site_text() + "vm left : big\nvm right : big\n")
    assert runner.invoke(app, ["build", str(built)]).exit_code == 1
    run("replan", "--conflicts", built)
    after = json.loads(locks.read_text())["guests"]
    kept = {name: one for name, one in after.items() if name != "right"}
    assert kept == {name: merged["guests"][name] for name in kept}
    assert after["right"] != guests[1]["right"]
    run("build", "--check", built)
