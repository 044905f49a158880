"""What runs against what was compiled: a host that matches has no difference, and each deviation is named alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kvmc.diagnostics.text import render
from kvmc.verify.capture import capture
from kvmc.verify.check import Verdict, verify_host
from kvmc.verify.difference import Kind, textfile
from kvmc.verify.root import TextRoot
from verify.deviations import DEVIATIONS, Deviation
from verify.rich import build_rich
from verify.simulate import Built, build_example, simulate

HOSTS = [
    ("tiny", "small"),
    ("telco-edge", "edge-17a"),
    ("telco-edge", "edge-17b"),
    ("database-ceph", "db-a"),
    ("database-ceph", "db-b"),
    ("database-ceph", "db-c"),
    ("rich", "edge-17a"),
]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    folder = tmp_path_factory.mktemp("examples")
    names = sorted({one for one, _ in HOSTS})
    return {name: build_rich(folder) if name == "rich" else build_example(name, folder) for name in names}


def verify(example: Built, host: str, root: dict[str, str]) -> Verdict:
    return verify_host(host, example.trees[host], TextRoot(root))


def told(verdict: Verdict) -> list[str]:
    return [f"{one.kind}: {one.message}" for one in verdict.differences] + [
        f"{item.code.id} {item.message}" for item in verdict.bag if item.code.id == "KVMC0831"
    ]


@pytest.mark.parametrize(("example", "host"), HOSTS)
@pytest.mark.parametrize("running", [True, False])
def test_a_host_that_runs_as_compiled_has_no_difference(
    example: str, host: str, running: bool, examples: dict[str, Built]
) -> None:
    one = examples[example]
    verdict = verify(one, host, simulate(host, one.trees[host], one.topologies[host], running=running))
    assert told(verdict) == []
    assert verdict.equal


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda one: one.name.replace(" ", "-"))
def test_one_deviation_is_named_and_nothing_else(deviation: Deviation, examples: dict[str, Built]) -> None:
    name, host = deviation.host
    example = examples[name]
    texts = example.trees[host]
    root = simulate(host, texts, example.topologies[host], running=deviation.running)
    deviation.change(root)
    verdict = verify(example, host, root)
    assert len(verdict.differences) == 1, told(verdict)
    one = verdict.differences[0]
    assert one.kind is deviation.kind
    assert all(text in one.message for text in deviation.says), one.message
    assert (one.effect, one.pending) == (deviation.effect, deviation.pending)
    if deviation.line:
        assert one.place is not None
        text = verdict.sources.texts[one.place.file]
        line = text[text.rfind("\n", 0, one.place.start) + 1 :].partition("\n")[0]
        assert deviation.line in line, line
    shown = render(verdict.bag, verdict.sources)
    assert one.message in shown
    assert all(text in shown for text in deviation.more), shown
    metrics = textfile(host, verdict.differences)
    assert f'kvmc_verify_differences{{host="{host}",kind="{one.kind}"}} 1\n' in metrics
    assert metrics.count("} 1\n") == 2 + deviation.pending


def test_a_capture_holds_all_that_is_compared(examples: dict[str, Built], tmp_path: Path) -> None:
    """The files of a host that runs as compiled, captured: what comes from files is there, and verify finds nothing missing."""
    rich = examples["rich"]
    host = "edge-17a"
    root = simulate(host, rich.trees[host], rich.topologies[host])
    made = {path: text for path, text in root.items() if path.startswith(("kvmc/", "proc/4"))}
    for path, text in root.items():
        if path not in made:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
    taken = {path: data.decode() for path, data in capture(str(tmp_path)).items()}
    assert root.keys() - made.keys() <= taken.keys()
    assert told(verify(rich, host, taken | made)) == []
    (tmp_path / "etc/sysctl.d/90-kvmc.conf").unlink()
    again = {path: data.decode() for path, data in capture(str(tmp_path)).items()}
    assert taken.keys() - again.keys() == {
        "etc/sysctl.d/90-kvmc.conf",
        "proc/sys/net/core/rmem_max",
        "proc/sys/net/ipv4/conf/all/rp_filter",
        "proc/sys/net/ipv4/conf/eth0/rp_filter",
    }
    verdict = verify(rich, host, again | made)
    assert {one.subject for one in verdict.differences} == {
        "sysctl `net.core.rmem_max`",
        "sysctl `net.ipv4.conf.*.rp_filter`",
    }
    for one in verdict.differences:
        assert one.setters == ("`/etc/sysctl.d/90-kvmc.conf` is not installed",)
        assert "install" in one.steps[0] and "as root" not in one.steps[0]


def test_a_key_of_its_own_is_not_judged_by_a_pattern(examples: dict[str, Built]) -> None:
    rich = examples["rich"]
    texts = dict(rich.trees["edge-17a"])
    path = "etc/sysctl.d/90-kvmc.conf"
    texts[path] += "net.ipv4.conf.eth0.rp_filter = 2\n"
    root = simulate("edge-17a", texts, rich.topologies["edge-17a"])
    root["proc/sys/net/ipv4/conf/eth0/rp_filter"] = "2\n"
    assert verify_host("edge-17a", texts, TextRoot(root)).differences == ()
    root["proc/sys/net/ipv4/conf/eth0/rp_filter"] = "0\n"
    (one,) = verify_host("edge-17a", texts, TextRoot(root)).differences
    assert one.subject == "sysctl `net.ipv4.conf.eth0.rp_filter`"


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian's package `prometheus`) is not installed"
)
@pytest.mark.parametrize("read", [True, False])
def test_prometheus_takes_the_metrics(read: bool) -> None:
    """No error, and nothing that its linter would have otherwise; a name of a host may hold anything."""
    text = textfile('a "host"\\\nof many', [], read=read)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_thirty_deviations_at_least() -> None:
    assert len(DEVIATIONS) >= 30
    assert len({one.name for one in DEVIATIONS}) == len(DEVIATIONS)
    assert {one.kind for one in DEVIATIONS} == set(Kind) - {Kind.NOT_TOLD}
