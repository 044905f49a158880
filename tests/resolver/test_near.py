"""Passed devices: on the guest's nodes or not, and beside each other on one root complex."""

from __future__ import annotations

import random
from dataclasses import replace
from importlib.util import find_spec

import pytest

from kvmc.model.site import Hostdev, Near, Site, Vm
from kvmc.resolver.keep import keep
from kvmc.resolver.search import search
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import State
from kvmc.topology.model import Topology
from support.locking import locks_of
from support.machines import device, machine
from support.sites import a_host, a_site, a_vm, origins_of, whole

GPUS = ("0000:10:00.0", "0000:20:00.0", "0000:90:00.0")
NICS = ("0000:21:00.0", "0000:91:00.0", "0000:a0:00.0")
ROOTS = ("0000:10", "0000:20", "0000:90", "0000:20", "0000:90", "0000:a0")


def shape(nodes: int = 2) -> Topology:
    """GPUs on two roots of node 0 and one of node 1; NICs beside the second and third, and one alone."""
    parts = [
        replace(device(address, node=min(int(address > "0000:80"), nodes - 1)), root=root)
        for address, root in zip((*GPUS, *NICS), ROOTS, strict=True)
    ]
    return machine(nodes, 1, 1, 9, 2, 128, pci=parts)


def gpu(name: str = "gpu", near: Near = Near.REQUIRE, beside: str | None = None) -> Hostdev:
    return Hostdev(name=name, device="gpu", near=near, beside=beside)


def rdma(name: str = "rdma", near: Near = Near.REQUIRE, beside: str | None = None) -> Hostdev:
    return Hostdev(name=name, device="rdma", near=near, beside=beside)


def a_case(*vms: Vm) -> tuple[Site, dict[str, Topology]]:
    host = a_host("kvm-a", pages=64, devices=[whole("gpu", *GPUS), whole("rdma", *NICS)])
    return a_site([host], vms), {"kvm-a": shape()}


def placed(*vms: Vm) -> dict[str, dict[str, str]]:
    site, machines = a_case(*vms)
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    return {
        vm: {label: str(address) for (_, label), address in guest.devices.items()}
        for vm, guest in placement.guests.items()
    }


def test_a_gpu_and_its_nic_share_a_root_complex() -> None:
    assert placed(a_vm("a", hostdevs=[gpu(beside="rdma"), rdma()])) == {"a": {"gpu": GPUS[1], "rdma": NICS[0]}}


def test_a_pair_on_each_of_two_nodes() -> None:
    pairs = [gpu("g0", beside="r0"), rdma("r0"), gpu("g1", beside="r1"), rdma("r1")]
    found = placed(a_vm("a", nodes=2, hostdevs=pairs))["a"]
    assert {(found["g0"], found["r0"]), (found["g1"], found["r1"])} == {(GPUS[1], NICS[0]), (GPUS[2], NICS[1])}


def test_what_shares_none_is_told() -> None:
    site, machines = a_case(*(a_vm(name, hostdevs=[gpu(near=Near.PREFER, beside="rdma"), rdma()]) for name in "abc"))
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is None
    assert "no free function of `gpu` is on one root complex with that of `rdma`" in bag.items[0].message
    assert any(one.startswith("no `beside` for hostdev `gpu` of") for one in bag.items[0].help)


def test_near_is_offered_as_what_may_give_way() -> None:
    site, machines = a_case(a_vm("a", hostdevs=[gpu("g0"), gpu("g1"), gpu("g2")]))
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is None
    assert any(one.startswith("`near = prefer` for hostdev") for one in bag.items[0].help)


def test_a_device_may_be_far() -> None:
    site, machines = a_case(a_vm("big", 16, 32, hostdevs=[]), a_vm("a", 16, 32, hostdevs=[gpu(near=Near.ANY)]))
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None and not list(bag)
    assert placed(a_vm("a", hostdevs=[gpu("g0"), gpu("g1"), gpu("g2", near=Near.ANY)]))


def test_a_preferred_one_is_near_where_it_can_be_and_told_where_not() -> None:
    site, machines = a_case(a_vm("a", hostdevs=[gpu(f"g{index}", near=Near.PREFER) for index in range(3)]))
    placement, (note,) = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None
    assert placement.guests["a"].cells[0].node == 0
    assert (note.code.id, note.message) == (
        "KVMC0431",
        "hostdev `g2` of `a` is preferred near and is on none of its nodes",
    )


def test_a_lock_with_a_far_device_holds_only_while_it_may_be_far() -> None:
    three = [gpu(f"g{index}", near=Near.ANY) for index in range(3)]
    site, machines = a_case(a_vm("a", hostdevs=three))
    first, _ = resolve(site, machines, {}, origins_of(site), search=True)
    assert first is not None
    again, bag = resolve(site, machines, locks_of(first, machines), origins_of(site), search=False)
    assert again is not None and not list(bag)
    strict, machines = a_case(a_vm("a", hostdevs=[gpu(f"g{index}") for index in range(3)]))
    _, bag = resolve(strict, machines, locks_of(first, machines), origins_of(strict), search=False)
    assert "not on its own" in bag.items[0].message


@pytest.mark.skipif(find_spec("ortools") is None, reason="needs OR-Tools")
def test_the_searches_agree() -> None:
    from kvmc.resolver.exact import decide

    fits = 0
    for seed in range(60):
        rng = random.Random(seed)
        vms = []
        for index in range(rng.randint(1, 3)):
            nears = [rng.choice((Near.REQUIRE, Near.REQUIRE, Near.PREFER, Near.ANY)) for _ in range(2)]
            one = gpu(near=nears[0], beside=rng.choice((None, "rdma")))
            some = [one, rdma(near=nears[1])] if rng.random() < 0.8 else [gpu(near=nears[0])]
            vms.append(a_vm(f"v{index}", rng.choice((4, 8, 16)), nodes=rng.choice((1, 1, 2)), hostdevs=some))
        site, machines = a_case(*vms)
        kept, _ = keep(site, machines, {}, origins_of(site))
        assert kept is not None
        left = search(kept.demands, list(kept.missing), State(kept.machines), {})
        answer = decide(list(kept.demands.values()), State(kept.machines))
        assert answer.proven and (answer.choices is not None) == (not left), f"seed {seed}"
        fits += not left
    assert 10 < fits < 55
