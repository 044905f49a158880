"""Which changes are tried for a guest without a place: those of a kind that is short, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from kvmc.model.site import Host, Site, Vm
from kvmc.resolver.advice import edited, propose
from kvmc.resolver.conflict import find_conflict
from kvmc.resolver.variant import LIMIT, Fitted, Trials, Variant
from kvmc.topology.model import Topology
from support.machines import machine
from support.sites import a_host, a_site, a_vm, origins_of


class Counted(Trials):
    """Trials that keep the sites they were asked for."""

    def __init__(self, topologies: Mapping[str, Topology]) -> None:
        super().__init__(topologies, {})
        self.asked: list[Site] = []

    def solve(self, variant: Variant, *, limit: int = LIMIT) -> Fitted | None:
        self.asked.append(variant.site)
        return super().solve(variant, limit=limit)


def tried(hosts: Sequence[Host], vms: Sequence[Vm]) -> tuple[list[str], list[Site], Site]:
    """The changes proposed for the last guest, the sites tried for them, and the site itself."""
    site = a_site(hosts, vms)
    machines = {host.name: machine(packages=1, cores_per_l3=8, memory_gib=64) for host in hosts}
    whole = Variant(site)
    conflict = find_conflict(whole, vms[-1].name, Trials(machines, {}), origins_of(site))
    assert conflict is not None
    trials = Counted(machines)
    changes = propose(conflict, whole, vms[-1].name, trials)
    asked = list(trials.asked)
    trials.topologies = {**{change.edits[0][0][1]: machines[hosts[0].name] for change in changes}, **trials.topologies}
    for change in changes:
        assert trials.fits(edited(whole, change))
    return [change.text for change in changes], asked, site


def pages_tried(asked: Sequence[Site], site: Site) -> list[Site]:
    return [
        one
        for one in asked
        if any(one.hosts[name].pages != host.pages for name, host in site.hosts.items() if name in one.hosts)
    ]


def kept_tried(asked: Sequence[Site], site: Site, field: str) -> list[Site]:
    return [
        one
        for one in asked
        if any(getattr(one.hosts[name], field) != getattr(host, field) for name, host in site.hosts.items())
    ]


def test_where_cores_are_short_no_pages_and_no_memory_are_tried() -> None:
    hosts = [a_host(f"kvm-{index}", pages=16) for index in range(6)]
    texts, asked, site = tried(hosts, [a_vm(f"vm-{index}", vcpus=14, gib=2) for index in range(7)])
    assert not pages_tried(asked, site)
    assert not kept_tried(asked, site, "reserve_memory_kib")
    assert texts[-1] == "one more host like `kvm-0`"
    assert len(asked) < 12


def test_where_pages_are_short_more_of_them_are_the_first_change() -> None:
    texts, asked, site = tried(
        [a_host("kvm-0", pages=16)], [a_vm(f"vm-{index}", vcpus=2, gib=10) for index in range(2)]
    )
    assert texts[0] == "`pages = 20 * 1GiB` on `kvm-0` (host reboot)"
    assert pages_tried(asked, site)
    assert not any(text.startswith("`vcpus") for text in texts)


def test_of_many_hosts_that_keep_cores_each_for_itself_a_few_are_tried() -> None:
    hosts = [a_host(f"kvm-{index}", pages=16, vswitch_cores=1) for index in range(9)]
    _, asked, site = tried(
        hosts, [a_vm(f"vm-{index}", vcpus=12, gib=2) for index in range(9)] + [a_vm("big", vcpus=16, gib=2)]
    )
    changed = {
        name
        for one in kept_tried(asked, site, "vswitch_cores")
        for name in site.hosts
        if not one.hosts[name].vswitch_cores
    }
    assert len(changed) <= 4


@pytest.mark.parametrize("vcpus", [16, 40])
def test_what_never_fits_gets_no_change_of_another_kind(vcpus: int) -> None:
    texts, asked, site = tried([a_host("kvm-0", pages=16)], [a_vm("big", vcpus=vcpus, gib=4)])
    assert not pages_tried(asked, site)
    assert any(text.startswith("`vcpus = 14`") for text in texts)


def test_what_is_tried_is_bounded_in_guests_placed() -> None:
    """One step a trial and one a guest of it; behind the last step nothing fits any more."""
    site = a_site([a_host("kvm-0", pages=16)], [a_vm("a"), a_vm("b")])
    trials = Trials({"kvm-0": machine(packages=1, cores_per_l3=8, memory_gib=64)}, {}, steps=4)
    assert trials.fits(Variant(site)) and (trials.steps, trials.spent) == (1, False)
    assert trials.fits(Variant(site)) and (trials.steps, trials.spent) == (-2, True)
    assert not trials.fits(Variant(site)) and trials.steps == -2
