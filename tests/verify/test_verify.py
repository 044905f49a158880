"""What runs against what was compiled: a host that matches has no difference, and each deviation is named alone."""

from __future__ import annotations

import pytest

from kvmc.diagnostics.text import render
from kvmc.verify.check import Verdict, verify_host
from kvmc.verify.difference import Kind, textfile
from kvmc.verify.root import TextRoot
from verify.deviations import DEVIATIONS, Deviation
from verify.simulate import Built, build_example, simulate

HOSTS = [
    ("tiny", "small"),
    ("telco-edge", "edge-17a"),
    ("telco-edge", "edge-17b"),
    ("database-ceph", "db-a"),
    ("database-ceph", "db-b"),
    ("database-ceph", "db-c"),
]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    folder = tmp_path_factory.mktemp("examples")
    return {name: build_example(name, folder) for name in sorted({one for one, _ in HOSTS})}


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


def test_thirty_deviations_at_least() -> None:
    assert len(DEVIATIONS) >= 30
    assert len({one.name for one in DEVIATIONS}) == len(DEVIATIONS)
    assert {one.kind for one in DEVIATIONS} == set(Kind) - {Kind.NOT_TOLD}
