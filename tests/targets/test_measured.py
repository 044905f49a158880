"""Results into a form, and forms against each other: on what the real tools print, on damage, and on hostile input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.running import kvmc
from kvmc.artifacts import seal
from kvmc.diagnostics import Bag
from kvmc.driver.stages import plan_site
from kvmc.measured import form as forms
from kvmc.measured.compare import compare, table
from kvmc.measured.results import read
from kvmc_targets.measure import TARGET
from lab.measuring import run_error, steps
from lab.needs import needs

EXAMPLES = Path(__file__).parents[2] / "examples"
GUEST = "pg-1"


@pytest.fixture(scope="module")
def text() -> str:
    """The form of a host as it stands in the tree."""
    outcome = plan_site(EXAMPLES / "database-ceph/site.kvmt", search=False)
    plan = next(plan for plan in outcome.plans if plan.host == "db-b")
    return next(seal(made) for made in TARGET.render(plan) if made.path == "measure/baseline.json")


READS = {"iops": 1000.5, "bw_bytes": 4096000, "clat_ns": {"percentile": {"99.000000": 125000}}}
FIO = {"jobs": [{"read": READS}, {"read": READS | {"bw_bytes": 9000000}}]}
COMMIT = {"jobs": [{"sync": {"lat_ns": {"mean": 224216.3, "percentile": {"99.000000": 362496}}}}]}
LOADS = [
    {"cpu": "all", "steal": 0.1, "sys": 0.0, "irq": 0.0, "soft": 0.0},
    {"cpu": "0", "steal": 0.4, "sys": 1.5, "irq": 0.0, "soft": 0.2},
]
MPSTAT = {"sysstat": {"hosts": [{"statistics": [{"cpu-load": LOADS}]}]}}
STRESS = "metrics:\n    - stressor: matrix\n      bogo-ops: 1136\n      bogo-ops-per-second-real-time: 1135.872447\n"
STATS = "Domain: 'pg-1'\n  vcpu.current=8\n" + "".join(f"  vcpu.{n}.wait={{}}\n  vcpu.{n}.delay=7\n" for n in range(8))
NUMASTAT = """
Per-node process memory usage (in MBs) for PID 4711 (qemu-system-x86)
                           Node 0          Node 1           Total
                  --------------- --------------- ---------------
Huge                     65536.00            0.00        65536.00
Private                    120.50           12.25          132.75
----------------  --------------- --------------- ---------------
Total                    65656.50           12.25        65668.75
"""


def results(folder: Path) -> Path:
    guest = folder / "guests" / GUEST
    files = {
        "host/vcpus-before": STATS.format(*[100] * 8),
        "host/vcpus-after": STATS.format(*[100] * 7, 350),
        "host/memory": NUMASTAT,
        "guest/steal": json.dumps(MPSTAT),
        "guest/compute.yaml": STRESS,
        "guest/bandwidth.yaml": STRESS,
        **{f"guest/disk-{disk}": json.dumps(FIO) for disk in ("root", "data", "log")},
        "guest/commit-log": json.dumps(COMMIT),
    }
    for name, body in files.items():
        (guest / name).parent.mkdir(parents=True, exist_ok=True)
        (guest / name).write_text(body)
    (folder / "host").mkdir()
    (folder / "host/noise").write_text(json.dumps(MPSTAT))
    return folder


def test_every_format_is_read(text: str, tmp_path: Path) -> None:
    bag = Bag()
    found = read(forms.parse(text), results(tmp_path), bag)
    values = {name.removeprefix(f"{GUEST}/"): one for name, one in found.items() if name.startswith((GUEST, "host"))}
    assert values == {
        "host/noise-sys": 1.5,
        "host/noise-irq": 0.0,
        "host/noise-soft": 0.2,
        "host/storage /dev/vg0": None,
        "vcpu-wait": 250.0,
        "vcpu-delay": 0.0,
        "memory-elsewhere": 12.25,
        "steal": 0.4,
        "compute": 1135.872447,
        "bandwidth": 1135.872447,
        **{
            f"{disk}/{name}": one
            for disk in ("root", "data", "log")
            for name, one in (("random-read", 1000.5), ("random-read-p99", 125000.0), ("sequential-read", 9000000.0))
        },
        "log/commit-mean": 224216.3,
        "log/commit-p99": 362496.0,
    }
    told = [item.message for item in bag]
    assert all(item.code.id == "KVMC0511" for item in bag)
    assert any("host/storage" in one and "no such file" in one for one in told)
    assert len(told) == len({one.file for one in forms.parse(text).measures if found[one.name] is None}), "one a file"


def test_a_guest_that_was_started_anew_has_no_growth(text: str, tmp_path: Path) -> None:
    folder = results(tmp_path)
    (folder / f"guests/{GUEST}/host/vcpus-after").write_text(STATS.format(*[1] * 8))
    bag = Bag()
    assert read(forms.parse(text), folder, bag)[f"{GUEST}/vcpu-wait"] is None
    assert any("started anew" in item.message for item in bag)


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"[" * 100_000, b"{}", b'{"jobs": 3}', b"NaN", b"\0" * 100])
def test_damaged_results_are_told_and_never_raise(damage: bytes, text: str, tmp_path: Path) -> None:
    folder = results(tmp_path)
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(damage)
    bag = Bag()
    assert set(read(forms.parse(text), folder, bag).values()) == {None}
    assert not bag.has_errors and len(bag) > 5


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format": 1,\n  "host"', '"format": 2,\n  "host"'),
        ('"host": "db-b"', '"host": 7'),
        ('"better": "lower"', '"better": "best"'),
        ('"file": "host/noise"', '"file": "../../etc/shadow"'),
        ('"file": "host/noise"', '"file": "/etc/shadow"'),
        ('"measured": null', '"measured": "fast"'),
        ('"measured": null', '"measured": NaN'),
        ('"name": "host/noise-irq"', '"name": "host/noise-sys"'),
        ('"measures": [', '"measured": ['),
    ],
)
def test_what_is_no_form(old: str, new: str, text: str, tmp_path: Path) -> None:
    assert old in text
    file = tmp_path / "form.json"
    file.write_text(text.replace(old, new, 1))
    bag = Bag()
    assert forms.read(file, bag) is None
    assert [item.code.id for item in bag] == ["KVMC0510"]


def filled(text: str, **values: float) -> forms.Form:
    form = forms.parse(text)
    return forms.parse(
        forms.filled(form, {f"{GUEST}/{name.replace('_', '-')}": value for name, value in values.items()})
    )


def test_worse_is_worse_in_its_own_direction(text: str) -> None:
    bag = Bag()
    old, new = filled(text, compute=100, steal=1, vcpu_wait=0), filled(text, compute=80, steal=0.5, vcpu_wait=5)
    rows = {row.name.removeprefix(f"{GUEST}/"): row.verdict for row in compare(old, new, 0.1, bag)}
    found = [rows[name] for name in ("compute", "steal", "vcpu-wait", "bandwidth")]
    assert found == ["worse", "better", "worse", "not measured"]
    assert [item.code.id for item in bag] == ["KVMC0514", "KVMC0514"]


@pytest.mark.parametrize(("new", "verdict"), [(90, "same"), (89.9, "worse"), (110, "same"), (110.1, "better")])
def test_what_is_within_the_tolerance_is_the_same(new: float, verdict: str, text: str) -> None:
    rows = {row.name: row.verdict for row in compare(filled(text, compute=100), filled(text, compute=new), 0.1, Bag())}
    assert rows[f"{GUEST}/compute"] == verdict


def test_another_host_and_another_placement_are_told(text: str) -> None:
    bag = Bag()
    assert compare(forms.parse(text), forms.parse(text.replace('"host": "db-b"', '"host": "db-a"')), 0.1, bag) == []
    assert [item.code.id for item in bag] == ["KVMC0512"]
    moved = text.replace('"emulator": "0-1,64-65"', '"emulator": "0-1"', 1)
    bag = Bag()
    compare(forms.parse(text), forms.parse(moved), 0.1, bag)
    assert [item.code.id for item in bag] == ["KVMC0513"]


def test_a_table_shows_no_escape(text: str) -> None:
    hostile = forms.parse(text.replace("host/noise-sys", "a\\u001b[31m"))
    assert "\x1b" not in table(compare(hostile, hostile, 0.1, Bag()))


def test_the_commands(text: str, tmp_path: Path) -> None:
    form, made = tmp_path / "form.json", tmp_path / "base.json"
    form.write_text(text)
    folder = tmp_path / "results"
    folder.mkdir()
    done = kvmc("measure", "read", form, results(folder), "-o", made)
    assert done.returncode == 0, done.stderr
    assert json.loads(made.read_text())["host"] == "db-b"
    same = kvmc("measure", "compare", made, made)
    assert same.returncode == 0 and "worse" not in same.stdout and f"{GUEST}/compute" in same.stdout
    worse = tmp_path / "worse.json"
    worse.write_text(made.read_text().replace("1135.872447", "500"))
    other = kvmc("measure", "compare", made, worse)
    assert other.returncode == 1 and "KVMC0514" in other.stderr
    assert kvmc("measure", "compare", made, worse, "--tolerance", "90").returncode == 0
    nothing = kvmc("measure", "compare", made, tmp_path / "no")
    assert nothing.returncode == 1 and "KVMC0510" in nothing.stderr


@needs("measuring")
def test_what_the_tools_print_here_is_read(tmp_path: Path) -> None:
    """Of a realtime guest: real files of stress-ng, mpstat, numastat and cyclictest, each by its own row of the form."""
    outcome = plan_site(EXAMPLES / "telco-edge/site.kvmt", search=False)
    plan = next(plan for plan in outcome.plans if plan.host == "edge-17a")
    files = {made.path: made.text for made in TARGET.render(plan)}
    form = forms.parse(files["measure/baseline.json"])
    inside = tmp_path / "guests/upf-1/guest"
    inside.mkdir(parents=True)
    commands = steps(files["measure/guests/upf-1/guest.sh"])
    short = tuple("1" if word == "16" else word for word in commands["compute"])
    assert run_error(short, inside, dry=False) is None
    assert run_error(commands["latency"], inside) is None
    assert run_error(commands["steal"], inside, output=inside / "steal") is None
    beside = tmp_path / "guests/upf-1/host"
    beside.mkdir()
    assert run_error(steps(files["measure/guests/upf-1/host.sh"])["memory"], beside, output=beside / "memory") is None
    found = read(form, tmp_path, Bag())
    for name in ("compute", "latency", "steal", "memory-elsewhere"):
        value = found[f"upf-1/{name}"]
        assert value is not None and value >= 0, name
    assert (found["upf-1/compute"] or 0) > 0 and (found["upf-1/latency"] or 0) > 0
