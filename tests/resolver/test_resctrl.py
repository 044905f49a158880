"""Parts of L3 caches and of memory bandwidth: shared out over the guests of a host, within what resctrl and libvirt take."""

from __future__ import annotations

import random
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from typing import Any

import pytest

from kvmc.diagnostics import Bag
from kvmc.model.site import Host, Pinning, Site, Vm
from kvmc.resolver.keep import keep
from kvmc.resolver.placement import Placement
from kvmc.resolver.resctrl import Offer, room
from kvmc.resolver.scatter import Scattered, scatters
from kvmc.resolver.search import search
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import State
from kvmc.topology.model import CacheKind, Cpu, Resctrl, Topology
from support.locking import locks_of
from support.machines import machine
from support.sites import a_host, a_site, a_vm, origins_of

MIB = 1024
L3 = Resctrl("L3", 16, ways=16, min_ways=2)
MB = Resctrl("MB", 8, step_percent=10, min_percent=10)


def shape(*limits: Resctrl, l3: int = 2, size: int = 32 * MIB, ids: tuple[int, ...] | None = None) -> Topology:
    """One node with housekeeping and 8 cores of 2 threads in each L3 of 16 ways of 2 MiB."""
    bare = machine(1, 1, l3, 8, 2, 256)
    cache = CacheKind(3, "unified", size, bare.online)
    return replace(
        bare,
        cpu=Cpu("GenuineIntel"),
        caches=(cache,),
        resctrl=limits or (L3, MB),
        l3_ids=tuple(range(l3)) if ids is None else ids,
    )


def host(l3: int | None = 24, bandwidth: int = 60, **more: Any) -> Host:
    return a_host("kvm-a", resctrl_l3_kib=None if l3 is None else l3 * MIB, resctrl_bandwidth=bandwidth, **more)


def guest(name: str, ways: int = 0, percent: int = 0, **more: Any) -> Vm:
    """So many ways of 2 MiB."""
    values: dict[str, Any] = {"vcpus": 2, "memory_kib": 1024**2} | more
    return a_vm(name, cachetune=ways * 2 * MIB or None, memorytune=percent or None, **values)


def solved(
    vms: list[Vm], on: Host | None = None, topology: Topology | None = None
) -> tuple[Site, Placement | None, Bag]:
    site = a_site([on or host()], vms)
    placement, bag = resolve(site, {"kvm-a": topology or shape()}, {}, origins_of(site), search=True)
    return site, placement, bag


def caches(placement: Placement, topology: Topology) -> dict[str, list[int]]:
    """The L3s that each guest's pins are on."""
    return {
        vm: [
            index
            for index, cpus in enumerate(topology.l3 or ())
            if any(pin & cpus for cell in guest.cells for pin in cell.pins)
        ]
        for vm, guest in placement.guests.items()
    }


def codes_of(bag: Bag) -> list[str]:
    return [one.code.id for one in bag]


def test_guests_go_where_ways_are_left() -> None:
    vms = [guest("a", 7), guest("b", 7), guest("c", 5), guest("d", 5)]
    _, placement, _ = solved(vms)
    assert placement is not None
    found = caches(placement, shape())
    for index in (0, 1):
        assert sum(7 if vm in "ab" else 5 for vm, on in found.items() if index in on) == 12


def test_each_cache_of_a_guest_on_two_counts() -> None:
    _, placement, bag = solved([guest("wide", 7, vcpus=24), guest("a", 6)])
    assert placement is None
    assert "needs 6 of 2MiB, ways of each L3 cache that it runs on, most free is 5 of 12" in bag.items[0].message
    assert solved([guest("wide", 7, vcpus=24), guest("a", 5)])[1] is not None


def test_a_part_is_rounded_up_to_whole_ways_and_the_least_of_a_mask() -> None:
    offer = Offer({0: 0}, 12, 16, 2, 2 * 1024**2, 7, 60, 10, 20, split=False, floating=())
    assert [offer.ways_for(kib) for kib in (0, 1, 2 * MIB, 4 * MIB, 4 * MIB + 1, 8 * MIB)] == [0, 2, 2, 2, 3, 4]
    assert [offer.percent_for(one) for one in (0, 1, 20, 21, 30)] == [0, 20, 20, 30, 30]


def test_limits_of_bandwidth_add_up_to_no_more_than_is_offered() -> None:
    assert solved([guest("a", percent=30), guest("b", percent=30)], topology=shape(l3=1))[1] is not None
    _, placement, bag = solved([guest("a", percent=30), guest("b", percent=31)], topology=shape(l3=1))
    assert placement is None
    assert (
        "needs 40 % of the memory bandwidth behind each L3 cache that it runs on, most free is 30"
        in bag.items[0].message
    )


def test_no_more_guests_than_groups() -> None:
    few = shape(L3, replace(MB, closids=4))
    assert solved([guest(str(index), 2) for index in range(3)], topology=few)[1] is not None
    _, placement, bag = solved([guest(f"g{index}", 2) for index in range(4)], topology=few)
    assert placement is None
    assert "needs a group of resctrl, 0 of 3 free" in bag.items[0].message
    assert any("together 4 guests need at least 4 groups of resctrl" in note for note in bag.items[0].notes)


def test_floating_guests_have_a_part_of_the_caches_of_their_shared_cpus() -> None:
    on = host(shared_cores=2)
    floats = guest("floats", 6, pinning=Pinning.SHARED)
    _, placement, _ = solved([floats, guest("a", 6), guest("b", 7)], on)
    assert placement is not None
    found = caches(placement, shape())
    assert found == {"floats": [0], "a": [0], "b": [1]}
    assert solved([floats, guest("a", 7), guest("b", 7)], on)[1] is None


def test_a_host_that_offers_nothing_is_none_for_the_guest() -> None:
    for on, vm, text in (
        (host(None), guest("a", 2), "offers no part of its L3 caches"),
        (host(bandwidth=0), guest("a", percent=10), "offers no memory bandwidth"),
    ):
        _, placement, bag = solved([vm], on)
        assert placement is None and codes_of(bag) == ["KVMC0403"]
        assert text in bag.items[0].message


def test_caches_that_libvirt_has_no_number_for_are_not_tuned() -> None:
    """It counts them: of two, those numbered 0 and 1."""
    sparse = shape(ids=(0, 2))
    _, placement, _ = solved([guest("a", 6), guest("b", 6)], topology=sparse)
    assert placement is not None and caches(placement, sparse) == {"a": [0], "b": [0]}
    assert solved([guest("a", 6), guest("b", 7)], topology=sparse)[1] is None


@pytest.mark.parametrize(
    ("topology", "on", "code", "text"),
    [
        (replace(shape(), resctrl=None), host(), "KVMC0440", "tells no limits of resctrl"),
        (replace(shape(), l3_ids=None), host(), "KVMC0440", "tells no numbers of its L3 caches"),
        (replace(shape(), caches=None), host(), "KVMC0440", "tells no one size of its L3 caches"),
        (shape(MB), host(bandwidth=0), "KVMC0440", "no ways of the L3 cache"),
        (shape(L3), host(None), "KVMC0440", "no limits of memory bandwidth"),
        (replace(shape(), cpu=Cpu("AuthenticAMD")), host(), "KVMC0442", "its CPU is `AuthenticAMD`"),
        (shape(), host(29), None, ""),
        (shape(), host(30), "KVMC0441", "which is 15 of its 16 ways; it can offer 2 to 14"),
        (shape(), host(3), "KVMC0441", "which is 1 of its 16 ways"),
        (shape(), host(4), None, ""),
    ],
)
def test_what_a_host_cannot_offer(topology: Topology, on: Host, code: str | None, text: str) -> None:
    _, placement, bag = solved([guest("a", 2) if on.resctrl_l3_kib else guest("a", percent=10)], on, topology)
    assert (placement is None) is (code is not None)
    assert codes_of(bag) == ([code] if code else [])
    assert all(text in one.message for one in bag)


def test_amd_has_ways_without_bandwidth() -> None:
    amd = replace(shape(L3), cpu=Cpu("AuthenticAMD"))
    assert solved([guest("a", 2)], host(bandwidth=0), amd)[1] is not None


def test_a_locked_guest_stays_and_is_placed_anew_where_its_cache_cannot_hold_it() -> None:
    site, placement, _ = solved([guest("a", 6), guest("b", 6)])
    assert placement is not None
    locks = locks_of(placement, {"kvm-a": shape()})
    again, _ = resolve(site, {"kvm-a": shape()}, locks, origins_of(site), search=False)
    assert again is not None and again.guests == placement.guests
    less = a_site([host(12)], site.vms.values())
    moved, bag = resolve(less, {"kvm-a": shape()}, locks, origins_of(less), search=True)
    on = caches(placement, shape())
    if on["a"] == on["b"]:
        assert moved is None and "12 ways of the L3 cache of CPU 0, 6 offered" in bag.items[0].message
    gone, bag = resolve(a_site([host(10)], [guest("a", 6)]), {"kvm-a": shape()}, locks, origins_of(site), search=False)
    assert gone is None and "the L3 cache of CPU" in bag.items[0].message


@pytest.mark.parametrize(("ways", "fits"), [(6, True), (7, False)])
def test_the_loss_of_a_host_counts_ways_too(ways: int, fits: bool) -> None:
    """Two guests a host: the other takes them in if each of its two caches holds two parts."""
    hosts = [
        a_host(name, resctrl_l3_kib=24 * MIB, resctrl_bandwidth=60, host_failures=1) for name in ("kvm-a", "kvm-b")
    ]
    site = a_site(hosts, [guest(f"g{index}", ways) for index in range(4)])
    placement, bag = resolve(site, dict.fromkeys(("kvm-a", "kvm-b"), shape()), {}, origins_of(site), search=True)
    assert (placement is not None) is fits
    assert codes_of(bag) == ([] if fits else ["KVMC0433"] * len(bag))


def test_an_error_names_the_guests_line_and_a_change_that_fits() -> None:
    _, placement, bag = solved([guest("a", 7, vcpus=24), guest("b", 7)])
    assert placement is None
    assert any("cachetune" in help for help in bag.items[0].help), bag.items[0].help


def test_a_room_takes_and_gives_back() -> None:
    site = a_site([host()], [guest("a", 6, 20)])
    kept, _ = keep(site, {"kvm-a": shape()}, {}, origins_of(site))
    assert kept is not None
    state = State(kept.machines)
    free = room(kept.machines["kvm-a"].resctrl)  # type: ignore[arg-type]
    assert state.hosts["kvm-a"].room == free
    assert search(kept.demands, ["a"], state, {}) == []
    held = state.hosts["kvm-a"].room
    assert held is not None and (held.groups, sorted(held.ways.values()), sorted(held.percent.values())) == (
        6,
        [6, 12],
        [40, 60],
    )
    state.remove(kept.demands["a"])
    assert held == free


@pytest.mark.skipif(find_spec("ortools") is None, reason="no OR-Tools")
def test_exact_search_decides_as_all_ways_to_share_out_do() -> None:
    """Guests of one core each on two caches: who fits by ways and percent alone."""
    from kvmc.resolver.exact import decide

    chance = random.Random(4)
    verdicts = []
    for _ in range(30):
        parts = [(chance.randrange(2, 8), chance.choice((0, 10, 20, 30))) for _ in range(chance.randrange(3, 6))]
        site = a_site([host()], [guest(f"g{index}", *one) for index, one in enumerate(parts)])
        kept, _ = keep(site, {"kvm-a": shape()}, {}, origins_of(site))
        assert kept is not None
        answer = decide(list(kept.demands.values()), State(kept.machines))
        fits = any(
            all(
                sum(ways for (ways, _), at in zip(parts, where, strict=True) if at == cache) <= 12
                and sum(percent for (_, percent), at in zip(parts, where, strict=True) if at == cache) <= 60
                for cache in (0, 1)
            )
            for where in product((0, 1), repeat=len(parts))
        )
        assert answer.proven and (answer.choices is not None) is fits, parts
        verdicts.append(fits)
        state = State(kept.machines)
        left = search(kept.demands, list(kept.demands), state, {})
        assert fits or left
        if answer.choices is not None:
            for vm, choice in answer.choices.items():
                State(kept.machines).place(kept.demands[vm], choice)
    assert {True, False} == set(verdicts)


def test_exact_search_counts_a_guest_once_in_a_cache() -> None:
    pytest.importorskip("ortools")
    from kvmc.resolver.exact import decide

    for ways, fits in ((12, True), (13, False)):
        site = a_site([host(28)], [guest("wide", ways, vcpus=24), guest("a", 14 - min(ways, 12) + 1 * (ways > 12))])
        kept, _ = keep(site, {"kvm-a": shape()}, {}, origins_of(site))
        assert kept is not None
        assert (decide(list(kept.demands.values()), State(kept.machines)).choices is not None) is fits


def _by_trial(sizes: list[int], ways: int) -> bool:
    """The same by maps of ways and every order of starts and stops, without a bound."""
    todo: list[tuple[int | None, ...]] = [(None,) * ways]
    seen = set(todo)
    while todo:
        held = todo.pop()
        for vm, size in enumerate(sizes):
            if vm in held:
                after = tuple(None if one == vm else one for one in held)
            else:
                runs = []
                start = None
                for at in range(ways + 1):
                    if at < ways and held[at] is None:
                        start = at if start is None else start
                    elif start is not None:
                        runs.append((at - start, start))
                        start = None
                able = sorted(one for one in runs if one[0] >= size)
                if not able:
                    return True
                after = tuple(vm if able[0][1] <= at < able[0][1] + size else one for at, one in enumerate(held))
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return False


def test_scattered_ways_are_found_as_by_trying_every_order() -> None:
    verdicts = set()
    chance = random.Random(2)
    for _ in range(40):
        sizes = [chance.randrange(1, 4) for _ in range(chance.randrange(2, 5))]
        ways = sum(sizes) + chance.randrange(2)
        found = scatters(sizes, ways) is not None
        assert found is _by_trial(sizes, ways), (sizes, ways)
        verdicts.add(found)
    assert verdicts == {True, False}


def test_parts_of_one_size_never_scatter() -> None:
    assert scatters([3] * 5, 16) is None
    assert scatters([], 0) is None


def test_a_warning_tells_of_parts_that_may_not_start_again() -> None:
    sizes = [2, 2, 3, 1, 4]
    found = scatters(sizes, 12)
    assert isinstance(found, Scattered) and found.size > max(found.runs) and sum(found.runs) >= found.size
    vms = [guest(f"g{size}-{index}", size) for index, size in enumerate((2, 2, 2, 3, 3))]
    _, placement, bag = solved(vms, topology=shape(l3=1))
    assert placement is not None and codes_of(bag) == ["KVMC0443"]
    assert "`g2-0`'s 2, `g2-1`'s 2, `g2-2`'s 2, `g3-3`'s 3, `g3-4`'s 3 ways fit into the 12" in bag.items[0].message
    _, placement, bag = solved(vms[:3], topology=shape(l3=1))
    assert placement is not None and codes_of(bag) == []
