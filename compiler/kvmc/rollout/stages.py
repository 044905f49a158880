"""Which hosts go together: a canary share first, and never two hosts of one group that is kept apart."""

from __future__ import annotations

from collections.abc import Mapping

from kvmc.model.site import Site
from kvmc.resolver.placement import Placement


def rollout_stages(site: Site, placement: Placement, canary_percent: int) -> tuple[tuple[str, ...], ...]:
    """The hosts in stages, each in the site's order. canary_percent: of all hosts, at most that many are the first stage (one at
    least). Guests that are kept apart are redundant to each other: two hosts that hold some of one group are never in one stage.
    """
    foes = _foes(site, placement)
    hosts = list(site.hosts)
    most = max(len(hosts) * canary_percent // 100, 1)
    canary: list[str] = []
    for host in hosts:
        if len(canary) < most and not foes[host].intersection(canary):
            canary.append(host)
    stages: list[list[str]] = [canary]
    for host in hosts:
        if host in canary:
            continue
        stage = next((one for one in stages[1:] if not foes[host].intersection(one)), None)
        if stage is None:
            stages.append(stage := [])
        stage.append(host)
    return tuple(tuple(stage) for stage in stages if stage)


def _foes(site: Site, placement: Placement) -> Mapping[str, set[str]]:
    foes: dict[str, set[str]] = {host: set() for host in site.hosts}
    for place in site.places.values():
        if place.relation != "apart":
            continue
        there = {placement.guests[vm].host for vm in place.vms if vm in placement.guests}
        for host in there:
            foes[host] |= there - {host}
    return foes
