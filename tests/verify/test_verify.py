"""What runs against what was compiled: a host that matches has no difference, and each deviation is named alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvmc.verify.check import Verdict, verify_host
from kvmc.verify.root import TextRoot
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
