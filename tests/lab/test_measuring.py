"""What the plans of measurement run, put before the tools: every fio job, and each kind of command of every example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kvmc.driver.stages import plan_site
from kvmc_targets.measure import TARGET
from lab.examples import sites
from lab.measuring import job_error, run_error, steps
from lab.needs import needs

TOOLS = needs("measuring")
_NUMBERS = re.compile(r"[0-9]+(?:[-,][0-9]+)*")


@pytest.fixture(scope="module")
def plans() -> dict[str, str]:
    """The files of every host of every example, whether it has the target or not."""
    found: dict[str, str] = {}
    for site in sites():
        outcome = plan_site(site / "site.kvmt", search=False)
        assert outcome.ok
        for plan in outcome.plans:
            found |= {f"{site.name}/{plan.host}/{made.path}": made.text for made in TARGET.render(plan)}
    return found


def commands(plans: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """One of each kind: those that differ in numbers, names of files and guests alone are one."""
    found: dict[str, tuple[str, ...]] = {}
    for path, text in plans.items():
        for name, run in steps(text).items() if path.endswith(".sh") else ():
            if run[0] in ("fio", "cat"):
                continue  # fio's jobs are judged by themselves, and files of sysfs are read
            found.setdefault(
                _NUMBERS.sub("N", " ".join(run[:-1] if run[0] == "virsh" else run)), (f"{path} {name}", *run)
            )
    return found


@TOOLS
def test_fio_takes_every_job(plans: dict[str, str], tmp_path: Path) -> None:
    jobs = {path: text for path, text in plans.items() if path.endswith(".fio")}
    assert any("commit" in path for path in jobs) and len(jobs) > 20
    texts = {re.sub(r"^#.*\n", "", text, flags=re.MULTILINE) for text in jobs.values()}
    assert {text: error for text in texts if (error := job_error(text, tmp_path))} == {}


@TOOLS
def test_the_tools_take_every_command(plans: dict[str, str], tmp_path: Path) -> None:
    kinds = commands(plans)
    programs = {run[1] for run in kinds.values()}
    assert programs == {
        *(
            "cyclictest",
            "lscpu",
            "mpstat",
            "numactl",
            "numastat",
            "perf",
            "pidstat",
            "ps",
            "sleep",
            "stress-ng",
            "turbostat",
            "virsh",
        )
    }
    assert {run[0]: error for run in kinds.values() if (error := run_error(run[1:], tmp_path))} == {}


@TOOLS
@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("[a]\nrw=randomread\nfilename=/dev/vda\n", "randomread"),
        ("[a]\nrw=read\nfilename=/dev/vda\nio_depth=3\n", "io_depth"),
        ("[a]\nrw=write\ndirectory=/no/such/place\nfilename=x\nbs=fast\nsize=1m\n", "bs=fast"),
        ("rw=read\n", ""),
    ],
)
def test_fio_refuses(job: str, said: str, tmp_path: Path) -> None:
    error = job_error(job, tmp_path)
    assert error is not None and said in error


@TOOLS
@pytest.mark.parametrize(
    "run",
    [
        ("stress-ng", "--matrix", "2", "--matrix-method", "fast"),
        ("stress-ng", "--matrices", "2"),
        ("cyclictest", "--no-such-option"),
        ("pidstat", "-wt", "-p", "nobody", "$seconds", "1"),
        ("mpstat", "-P", "ALL", "-o", "YAML", "$seconds", "1"),
        ("numastat", "--no-such-option"),
        ("numactl", "--no-such-option"),
        ("lscpu", "-e=CPU,HEAT"),
        ("ps", "-L", "-o", "tid,psr,heat", "-p", "$pid"),
        ("perf", "kvm", "stat", "record", "--speed", "sleep", "$seconds"),
        ("perf", "kvm", "-i", "$folder/x", "stat", "report", "--happening=vmexit"),
        ("turbostat", "--quiet", "--cpus", "0"),
        ("virsh", "-c", "test:///default", "domstats", "--vcpus", "test"),
    ],
    ids=" ".join,
)
def test_the_tools_refuse(run: tuple[str, ...], tmp_path: Path) -> None:
    assert run_error(run, tmp_path) is not None
