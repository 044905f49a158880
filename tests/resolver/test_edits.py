"""Random lives of a site: guests come, go and grow, hosts are lost, branches are merged. No guest moves that need not, each
conflict is minimal, and each change that is proposed fits when it is made."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kvmc.diagnostics.codes import placement as codes
from kvmc.model.site import L3, Pinning, Site, Threads, Vm
from kvmc.resolver.advice import edited, propose
from kvmc.resolver.conflict import without
from kvmc.resolver.diagnose import find_causes
from kvmc.resolver.keep import keep
from kvmc.resolver.locks import HostLock
from kvmc.resolver.merged import without_newer
from kvmc.resolver.moves import cheapest_moves
from kvmc.resolver.placement import Placement
from kvmc.resolver.search import search
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import State
from kvmc.resolver.variant import Trials, Variant, before_of
from kvmc.topology.model import Topology
from support.locking import locks_of
from support.machines import machine
from support.rules import broken_rules
from support.sites import a_host, a_site, a_vm, origins_of

Locks = Mapping[str, HostLock]


def a_guest(chance: random.Random, name: str, hosts: tuple[str, ...]) -> Vm:
    return a_vm(
        name,
        vcpus=chance.choice((2, 4, 4, 6, 8, 12)),
        gib=chance.choice((1, 2, 4, 8)),
        host=chance.choice(hosts) if chance.random() < 0.15 else None,
        threads=chance.choice((Threads.PREFER, Threads.PREFER, Threads.ISOLATE, Threads.REQUIRE)),
        l3=chance.choice((L3.PREFER, L3.PREFER, L3.REQUIRE)),
        pinning=Pinning.SHARED if chance.random() < 0.1 else Pinning.DEDICATED,
    )


class Life:
    """One site over its edits; `site` and `locks` are always those of the last build that fitted."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        names = ("kvm-a", "kvm-b", "kvm-c")[: chance.choice((1, 2, 2, 3))]
        shape: dict[str, Any] = {
            "packages": chance.choice((1, 2)),
            "l3_per_node": chance.choice((1, 2)),
            "cores_per_l3": chance.choice((4, 6)),
        }
        self.machines: dict[str, Topology] = {name: machine(memory_gib=64, **shape) for name in names}
        pages = chance.choice((8, 16, 32))
        self.site = a_site([a_host(name, pages=pages, shared_cores=1) for name in names], [])
        self.locks: Locks = {}
        self.failures = self.proposals = self.edits = 0
        self.count = 0

    def build(self, site: Site, locks: Locks) -> Placement | None:
        machines = {name: self.machines[name] for name in site.hosts}
        placement, _ = resolve(site, machines, locks, origins_of(site), search=True)
        if placement is not None:
            assert broken_rules(site, machines, placement) == []
        return placement

    def new(self) -> Vm:
        self.count += 1
        return a_guest(self.chance, f"vm-{self.count:02}", tuple(self.site.hosts))

    def edit(self) -> None:
        self.edits += 1
        kind = self.chance.choice(("add", "add", "add", "remove", "resize", "lose", "merge"))
        vms = dict(self.site.vms)
        hosts = dict(self.site.hosts)
        if kind == "merge":
            return self.merge()
        if kind == "add" or not vms:
            vm = self.new()
            vms[vm.name] = vm
        elif kind == "remove":
            del vms[self.chance.choice(list(vms))]
        elif kind == "resize":
            vm = self.chance.choice(list(vms.values()))
            vms[vm.name] = vm.model_copy(update={"vcpus": vm.vcpus + self.chance.choice((2, 4, 8))})
        elif len(hosts) > 1:
            lost = self.chance.choice(list(hosts))
            del hosts[lost]
            vms = {name: vm.model_copy(update={"host": None}) if vm.host == lost else vm for name, vm in vms.items()}
        return self.take(a_site(hosts.values(), vms.values()))

    def take(self, site: Site) -> None:
        locks = {name: lock for name, lock in self.locks.items() if name in site.hosts}
        machines = {name: self.machines[name] for name in site.hosts}
        kept, _ = keep(site, machines, locks, origins_of(site))
        assert kept is not None
        placement = self.build(site, locks)
        if placement is None:
            self.failures += 1
            self.fails(site, locks)
            return
        for vm, guest in kept.guests.items():
            assert placement.guests[vm] == guest, f"{vm} moved without need"
        self.site, self.locks = site, locks_of(placement, machines, locks)

    def fails(self, site: Site, locks: Locks) -> None:
        """Judge the explanation of a site that does not fit."""
        machines = {name: self.machines[name] for name in site.hosts}
        origins = origins_of(site)
        kept, _ = keep(site, machines, locks, origins)
        assert kept is not None
        state = State(kept.machines)
        for vm, choice in kept.choices.items():
            state.place(kept.demands[vm], choice)
        left = search(kept.demands, list(kept.missing), state, before_of(kept))
        assert left
        causes = find_causes(site, machines, kept, left, state, origins)
        assert sorted(vm for cause in causes for vm in (cause.head, *cause.also)) == sorted(left)
        for cause in causes:
            if cause.conflict is None:
                continue
            assert cause.conflict.minimal and cause.head in cause.conflict.guests
            trial = Trials(machines, kept.guests)
            assert not trial.fits(cause.conflict.variant, limit=20_000)
            for line in cause.conflict.lines:
                assert self.fits(without(cause.conflict.variant, line), kept.guests, locks), (line, cause.conflict)
            whole = Variant(site, frozenset(kept.guests)).only(
                vm for vm in site.vms if vm not in left or vm == cause.head or vm in cause.also
            )
            for change in propose(cause.conflict, whole, cause.head, Trials(machines, kept.guests, before_of(kept))):
                self.proposals += 1
                after = edited(whole, change)
                for name in after.site.hosts:
                    self.machines.setdefault(name, next(iter(machines.values())))
                assert self.build(after.site, locks) is not None, change
            moves = cheapest_moves(whole, kept, Trials(machines, kept.guests, before_of(kept)))
            if moves and cause.code is codes.NOT_PLACED:
                free = {move.vm for move in moves}
                placement = self.build(whole.site, unlocked(locks, free))
                assert placement is not None, moves
                assert all(
                    placement.guests[vm] == one
                    for vm, one in kept.guests.items()
                    if vm not in free and vm in placement.guests
                )
                for vm in free:
                    fewer = unlocked(locks, free - {vm})
                    assert self.build(whole.site, fewer) is None, f"{vm} need not move: {moves}"

    def fits(self, variant: Variant, guests: Mapping[str, object], locks: Locks) -> bool:
        """Whether a variant fits, by the resolver itself where it is a site."""
        if variant.no_cpus or variant.no_memory:
            known = {vm: one.placement for lock in locks.values() for vm, one in lock.guests.items()}
            return Trials({name: self.machines[name] for name in variant.site.hosts}, known).fits(variant, limit=20_000)
        return (
            self.build(
                variant.site, unlocked(locks, set(guests) - variant.locked | (set(variant.site.vms) - variant.locked))
            )
            is not None
        )

    def merge(self) -> None:
        """Two branches add a guest each; their locks are merged entry by entry."""
        branches: list[tuple[Vm, Locks]] = []
        for _ in range(2):
            vm = self.new().model_copy(update={"host": None})
            site = a_site(self.site.hosts.values(), [*self.site.vms.values(), vm])
            placement = self.build(site, self.locks)
            if placement is None:
                return
            branches.append((vm, locks_of(placement, self.machines, self.locks)))
        (one, ours), (two, theirs) = branches
        merged = {
            host: dataclasses.replace(lock, guests={**lock.guests, **theirs[host].guests})
            for host, lock in ours.items()
        }
        site = a_site(self.site.hosts.values(), [*self.site.vms.values(), one, two])
        machines = {name: self.machines[name] for name in site.hosts}
        settled = without_newer(site, machines, merged, origins_of(site))
        gone = {vm for host, lock in merged.items() for vm in lock.guests if vm not in settled[host].guests}
        assert gone <= {two.name}, "an older guest gave way"
        placement = self.build(site, settled)
        clash = self.build(site, merged) is None
        if placement is None:
            return
        assert clash or not gone
        for lock in settled.values():
            for name, entry in lock.guests.items():
                assert placement.guests[name] == entry.placement
        self.site, self.locks = site, locks_of(placement, machines, settled)


def unlocked(locks: Locks, vms: set[str]) -> dict[str, HostLock]:
    return {
        host: dataclasses.replace(lock, guests={vm: one for vm, one in lock.guests.items() if vm not in vms})
        for host, lock in locks.items()
    }


def live(seed: int) -> Life:
    life = Life(seed)
    for _ in range(life.chance.randint(8, 14)):
        life.edit()
    return life


def test_forty_sequences() -> None:
    lives = [live(seed) for seed in range(40)]
    assert sum(life.failures for life in lives) > 20
    assert sum(life.proposals for life in lives) > 20


@pytest.mark.proof
@pytest.mark.parametrize("block", range(10))
def test_five_hundred_sequences(block: int, record_property: Callable[[str, object], None]) -> None:
    lives = [live(seed) for seed in range(1000 + block * 50, 1050 + block * 50)]
    failures, proposals = (sum(getattr(one, name) for one in lives) for name in ("failures", "proposals"))
    record_property(
        "edits",
        f"{len(lives)} sequences, {sum(one.edits for one in lives)} edits, {failures} refused, "
        f"{proposals} changes proposed that fit",
    )
    assert failures > 20
    assert proposals > 20
