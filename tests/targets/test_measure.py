"""The plans of measurement: what they say derives from the plan, and their scripts do what they are for, with tools of our own."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path

import pytest

from kvmc.artifacts import Seal, inspect, seal
from kvmc.driver.stages import plan_site
from kvmc.hostconfig.plan import GuestPlan, HostPlan
from kvmc.model.cpuset import CpuSet, union
from kvmc_targets.measure import TARGET

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def plans() -> dict[str, HostPlan]:
    found: dict[str, HostPlan] = {}
    for name in ("database-ceph", "telco-edge", "tiny"):
        outcome = plan_site(EXAMPLES / name / "site.kvmt", search=False)
        assert outcome.ok
        found |= {plan.host: plan for plan in outcome.plans}
    return found


def rendered(plan: HostPlan) -> dict[str, str]:
    return {made.path: made.text for made in TARGET.render(plan)}


def guest_of(plan: HostPlan, name: str) -> GuestPlan:
    return next(guest for guest in plan.guests if guest.name == name)


def test_every_guest_has_its_plan(plans: dict[str, HostPlan]) -> None:
    for plan in plans.values():
        files = rendered(plan)
        for guest in plan.guests:
            folder = f"measure/guests/{guest.name}/"
            assert {
                f"{folder}host.sh",
                f"{folder}guest.sh",
                *(f"{folder}disk-{disk.name}.fio" for disk in guest.disks),
            } <= set(files)
        assert not [made for made in TARGET.render(plan) if made.steps], "nothing is applied"
        assert all(path.startswith("measure/") for path in files), "nothing is installed"
        assert all(inspect(seal(made)) is Seal.OURS for made in TARGET.render(plan))


def test_the_words_are_those_of_the_plan(plans: dict[str, HostPlan]) -> None:
    plan = plans["db-b"]
    guest = guest_of(plan, "pg-1")
    text = rendered(plan)["measure/guests/pg-1/host.sh"]
    for vcpu, pin in enumerate(guest.pins):
        assert f"vCPU {vcpu} on CPU {pin}" in text
    assert f"{guest.memory_kib >> 10} MB on node {guest.cells[0].host_node}, and none elsewhere" in text
    assert f"CPUs {union(guest.pins)} run nothing else" in text
    assert "vcpu.0 to vcpu.7 do not grow" in text
    assert f"one of CPUs {guest.emulator}" in text


def test_a_guest_of_two_nodes_names_both(plans: dict[str, HostPlan]) -> None:
    files = rendered(plans["db-a"])
    assert "98304 MB on node 0, 98304 MB on node 1" in files["measure/guests/reports/host.sh"]
    assert "step numa " in files["measure/guests/reports/guest.sh"]
    assert "step numa " not in files["measure/guests/pg-3/guest.sh"]


def test_only_realtime_guests_measure_latency(plans: dict[str, HostPlan]) -> None:
    edge, db = rendered(plans["edge-17a"]), rendered(plans["db-a"])
    guest = guest_of(plans["edge-17a"], "upf-1")
    assert f"--threads={guest.vcpus} " in edge["measure/guests/upf-1/guest.sh"]
    assert "CLS of the vCPUs is FF and RTPRIO 1" in edge["measure/guests/upf-1/host.sh"]
    assert "cyclictest" not in edge["measure/guests/ems-1/guest.sh"]
    assert "cyclictest" in edge["measure/host.sh"] and "cyclictest" not in db["measure/host.sh"]


def test_shared_guests_are_promised_nothing(plans: dict[str, HostPlan]) -> None:
    text = rendered(plans["db-a"])["measure/guests/mon-1/host.sh"]
    assert "contend" in text and "do not grow" not in text and "stays at nothing" not in text


def test_a_log_is_written_in_a_directory_and_no_device_is(plans: dict[str, HostPlan]) -> None:
    for plan in plans.values():
        for path, text in rendered(plan).items():
            if not path.endswith(".fio"):
                continue
            writes = "rw=write" in text
            assert writes == ("/commit-" in path)
            assert ("directory=${KVMC_DIRECTORY}" in text) == writes
            assert not writes or not re.search(r"^filename=/", text, re.MULTILINE)
    assert "measure/guests/pg-1/commit-log.fio" in rendered(plans["db-b"])
    assert "measure/guests/pg-1/commit-data.fio" not in rendered(plans["db-b"]), "it shares its I/O thread"


def test_no_number_is_promised(plans: dict[str, HostPlan]) -> None:
    """What a step should show is a fact of the plan or a comparison: no percentage, no factor."""
    for plan in plans.values():
        for path, text in rendered(plan).items():
            shows = re.findall(r"^(?:directory_of .* && )?step \S+ '([^']*)'", text, re.MULTILINE)
            assert not path.endswith(".sh") or shows
            assert not [one for one in shows if "%" in one or re.search(r"\b[0-9.]+ ?(?:x|times|us|ms)\b", one)]


def test_the_form_holds_no_value_and_names_files_that_the_steps_make(plans: dict[str, HostPlan]) -> None:
    for plan in plans.values():
        files = rendered(plan)
        body = json.loads(files["measure/baseline.json"])
        assert (
            body["format"] == 1
            and body["host"] == plan.host
            and set(body["guests"]) == {guest.name for guest in plan.guests}
        )
        made = {"host": files["measure/host.sh"]}
        for guest in plan.guests:
            for where in ("host", "guest"):
                made[f"guests/{guest.name}/{where}"] = files[f"measure/guests/{guest.name}/{where}.sh"]
        names = [row["name"] for row in body["measures"]]
        assert len(names) == len(set(names))
        for row in body["measures"]:
            folder, _, step = row["file"].rpartition("/")
            name = step.removesuffix(".json").removesuffix(".yaml")
            assert f"step {name} '" in made[folder], row["name"]
            assert name == step or f'"$folder/{step}"' in made[folder]
            assert row["measured"] is None and row["better"] in ("lower", "higher")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


FAKE = '#!/bin/sh\nprintf "%s\\n" "$0" "$@" >> "$LOG"\necho out\n[ "${0##*/}" != "$BROKEN" ]\n'


def run(text: str, tmp_path: Path, *words: str, broken: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script with tools that only write down what they are given."""
    bin = tmp_path / "bin"
    bin.mkdir(exist_ok=True)
    for name in (
        "virsh",
        "ps",
        "numastat",
        "pidstat",
        "perf",
        "lscpu",
        "numactl",
        "mpstat",
        "stress-ng",
        "cyclictest",
        "fio",
    ):
        (bin / name).write_text(FAKE)
        (bin / name).chmod(0o755)
    script = tmp_path / "script.sh"
    script.write_text(text)
    env = {"PATH": f"{bin}:/usr/bin:/bin", "LOG": str(tmp_path / "log"), "BROKEN": broken}
    return subprocess.run(
        ["sh", str(script), *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )


def test_the_guests_script_runs_its_steps(plans: dict[str, HostPlan], tmp_path: Path) -> None:
    text = rendered(plans["db-b"])["measure/guests/pg-1/guest.sh"]
    done = run(text, tmp_path, "out", "log=/srv/a b")
    assert done.returncode == 0, done.stderr
    assert {"cpus", "steal", "compute", "bandwidth", "disk-root", "disk-data", "disk-log", "commit-log"} <= names(
        tmp_path / "out"
    )
    assert "should show: steal of each vCPU stays at nothing" in done.stdout
    again = run(text, tmp_path, "other")
    assert "log: left out; give log=DIRECTORY" in again.stdout
    assert "commit-log" not in names(tmp_path / "other")
    assert again.returncode == 0


def test_a_step_that_fails_is_told_and_the_others_go_on(plans: dict[str, HostPlan], tmp_path: Path) -> None:
    text = rendered(plans["db-b"])["measure/guests/pg-1/guest.sh"]
    done = run(text, tmp_path, "out", broken="mpstat")
    assert done.returncode == 1
    assert "failed, see out/steal.err" in done.stderr
    assert "disk-log" in names(tmp_path / "out")


def test_without_a_running_guest_nothing_is_measured(plans: dict[str, HostPlan], tmp_path: Path) -> None:
    done = run(rendered(plans["db-b"])["measure/guests/pg-1/host.sh"], tmp_path, "out")
    assert done.returncode == 1 and "pg-1.pid" in done.stderr
    assert not (tmp_path / "log").exists()


def test_hostile_paths_reach_no_shell_and_no_job(plans: dict[str, HostPlan]) -> None:
    plan = plans["db-b"]
    hostile = ("/dev/vg0/x;id", "/dev/$(id)", "/dev/a\nrw=write", "/dev/a:b", "/dev/'a'", "/dev/${HOME}/x")
    for source in hostile:
        guests = tuple(
            dataclasses.replace(guest, disks=tuple(dataclasses.replace(disk, source=source) for disk in guest.disks))
            for guest in plan.guests
        )
        files = rendered(dataclasses.replace(plan, guests=guests))
        assert not [path for path, text in files.items() if source in text and path != "measure/baseline.json"]
        assert "measure/storage.fio" not in files


def test_a_host_without_pools_or_guests_has_a_plan_still(plans: dict[str, HostPlan]) -> None:
    plan = plans["small"]
    pools = dataclasses.replace(plan.pools, dedicated=CpuSet(), housekeeping=CpuSet())
    files = rendered(dataclasses.replace(plan, pools=pools, guests=()))
    assert set(files) == {"measure/host.sh", "measure/baseline.json"}
    assert "stress-ng" not in files["measure/host.sh"]
