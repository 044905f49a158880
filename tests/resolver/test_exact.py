"""The exact search by itself: where it places guests every rule holds, and where the fast one has a place for all, so has it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest

from kvmc.model.site import L3, Hostdev, Near, Site
from kvmc.resolver.keep import keep
from kvmc.resolver.search import search
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import State
from kvmc.topology.model import Topology
from resolver import test_near as near
from resolver import test_relations as relations
from resolver import test_shapes as shapes
from support.machines import device, machine
from support.rules import broken_rules
from support.sites import a_host, a_site, a_vm, origins_of, whole

exact = pytest.importorskip("kvmc.resolver.exact", reason="needs OR-Tools", exc_type=ImportError)
Case = Callable[[int], tuple[Site, dict[str, Topology]]]


def with_devices(seed: int) -> tuple[Site, dict[str, Topology]]:
    """Guests with GPUs and NICs, near and beside each other or not, and functions of one IOMMU group."""
    rng = random.Random(f"exact {seed}")
    vms = []
    for index in range(rng.randint(1, 3)):
        nears = [rng.choice((Near.REQUIRE, Near.REQUIRE, Near.PREFER, Near.ANY)) for _ in range(2)]
        some = [near.gpu(near=nears[0], beside=rng.choice((None, "rdma"))), near.rdma(near=nears[1])]
        vms.append(a_vm(f"v{index}", rng.choice((4, 8, 16)), nodes=rng.choice((1, 1, 2)), hostdevs=some))
    return near.a_case(*vms)


def of_groups(seed: int) -> tuple[Site, dict[str, Topology]]:
    """Two groups of two functions and one alone; guests take one or two."""
    rng = random.Random(f"groups {seed}")
    addresses = ["10:00.0", "10:00.1", "20:00.0", "20:00.1", "30:00.0"]
    parts = [device(one, node=int(one > "15"), group=int(one[0])) for one in addresses]
    labels = [["x", "y"][: rng.choice((1, 2, 2))] for _ in range(rng.randint(1, 3))]
    vms = [
        a_vm(
            f"v{n}",
            rng.choice((2, 6)),
            hostdevs=[Hostdev(name=one, device="gpu") for one in names],
            nodes=rng.choice((1, 1, 2)),
        )
        for n, names in enumerate(labels)
    ]
    site = a_site([a_host("kvm-a", pages=24, devices=[whole("gpu", *addresses)])], vms)
    return site, {"kvm-a": machine(2, 1, 1, 6, 1, 64, pci=parts)}


CASES: Mapping[str, Case] = {
    "shapes": shapes.a_case, "relations": relations.a_case, "devices": with_devices, "groups": of_groups,
}  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", CASES)
def test_what_it_places_keeps_every_rule_and_what_it_denies_nobody_places(kind: str, seed: int) -> None:
    site, machines = CASES[kind](seed)
    kept, bag = keep(site, machines, {}, origins_of(site))
    if kept is None:
        assert bag.has_errors
        return
    left = search(kept.demands, list(kept.missing), State(kept.machines), {})
    answer = exact.decide(list(kept.demands.values()), State(kept.machines))
    assert answer.proven
    if answer.choices is None:
        assert left, "the fast search places all"
        return
    assert answer.choices.keys() == kept.demands.keys()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kvmc.resolver.missing.search", lambda _, wanted, *__: list(wanted))
        placement, told = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in told]
    assert broken_rules(site, machines, placement) == []


def test_no_guest_lies_over_more_l3s_than_it_must() -> None:
    vms = [a_vm("a", 3), a_vm("b", 3), a_vm("c", 4), a_vm("d", 5, l3=L3.ANY)]
    site = a_site([a_host("kvm-a", pages=16)], vms)
    kept, _ = keep(site, {"kvm-a": machine(1, 1, 4, 4, 1, 64)}, {}, origins_of(site))
    assert kept is not None
    answer = exact.decide(list(kept.demands.values()), State(kept.machines))
    assert answer.choices is not None
    assert {vm: len(choice.cells[0].takes) for vm, choice in answer.choices.items()} == {"a": 1, "b": 1, "c": 1, "d": 2}


def test_it_says_when_its_limit_was_too_short() -> None:
    vms = [a_vm(f"vm-{n}", 2 + n % 4, 1 + n % 5) for n in range(40)]
    site = a_site([a_host("kvm-a", pages=60)], vms)
    kept, _ = keep(site, {"kvm-a": machine(2, 2, 4, 10, 1, 256)}, {}, origins_of(site))
    assert kept is not None
    answer = exact.decide(list(kept.demands.values()), State(kept.machines), 1e-6)
    assert (answer.choices, answer.proven) == (None, False)
