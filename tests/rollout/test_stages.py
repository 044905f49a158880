"""Which hosts go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Domain, Place
from kvmc.resolver.placement import GuestPlacement, Placement
from kvmc.rollout.stages import rollout_stages
from support.sites import a_host, a_site


def _stages(number: int, groups: Mapping[str, Sequence[int]], canary: int) -> list[list[str]]:
    """The stages of hosts h0, h1, ... where each group has a guest on each of its hosts."""
    hosts = [a_host(f"h{index}") for index in range(number)]
    guests: dict[str, GuestPlacement] = {}
    places = []
    for group, where in groups.items():
        names = tuple(f"{group}-{host}" for host in where)
        for name, host in zip(names, where, strict=True):
            guests[name] = GuestPlacement(name, f"h{host}", (), CpuSet(), CpuSet(), {})
        places.append(Place(name=group, relation="apart", vms=names, across=Domain.HOST))
    site = a_site(hosts, []).model_copy(update={"places": {place.name: place for place in places}})
    return [list(stage) for stage in rollout_stages(site, Placement({}, guests), canary)]


@pytest.mark.parametrize(
    ("number", "canary", "sizes"), [(1, 20, [1]), (2, 20, [1, 1]), (10, 20, [2, 8]), (10, 100, [10]), (3, 1, [1, 2])]
)
def test_the_canary_is_a_share_and_one_at_least(number: int, canary: int, sizes: list[int]) -> None:
    assert [len(stage) for stage in _stages(number, {}, canary)] == sizes


def test_a_group_is_never_in_one_stage() -> None:
    groups = {"db": [0, 1, 2], "dns": [2, 3], "mq": [3, 4, 5]}
    for canary in (20, 50, 100):
        stages = _stages(6, groups, canary)
        assert sorted(host for stage in stages for host in stage) == [f"h{index}" for index in range(6)]
        for stage in stages:
            for where in groups.values():
                assert sum(f"h{host}" in stage for host in where) <= 1
        assert len(stages) <= 4
