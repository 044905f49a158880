"""Passed devices: on the guest's nodes or not, and beside each other on one root complex."""

from __future__ import annotations

import random
from dataclasses import replace
from importlib.util import find_spec

import pytest

from kvmc.model.site import DevicePool, Hostdev, Locality, Near, NearDevice, Nic, Passed, Site, Strength, Vm
from kvmc.model.values import PciAddress
from kvmc.resolver.keep import keep
from kvmc.resolver.locks import HostLock
from kvmc.resolver.search import search
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import State
from kvmc.topology.model import Topology
from support.locking import locks_of
from support.machines import device, machine
from support.machines import nic as sriov
from support.sites import a_host, a_site, a_vm, origins_of, whole

GPUS = ("0000:10:00.0", "0000:20:00.0", "0000:90:00.0")
NICS = ("0000:21:00.0", "0000:91:00.0", "0000:a0:00.0")
PACKAGE = Locality.PACKAGE
address = PciAddress.parse
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


def close(
    name: str = "c",
    device: str | None = None,
    address: str = "",
    strength: Strength = Strength.REQUIRE,
    **more: Locality,
) -> dict[str, NearDevice]:
    """A guest's `nears`, of one device."""
    found = (PciAddress.parse(address),) if address else None
    return {name: NearDevice(name=name, device=device, address=found, strength=strength, **more)}


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


def four(*vms: Vm, **more: object) -> tuple[Site, dict[str, Topology]]:
    """Two packages of two nodes with 16 CPUs for guests each; a GPU on node 3, and a card there that no pool offers."""
    host = a_host("kvm-a", pages=64, devices=[whole("gpu", GPUS[2])])
    pci = [replace(device(address, node=3), root="0000:90") for address in (GPUS[2], "0000:a1:00.0")]
    return a_site([host], vms), {"kvm-a": machine(2, 2, 1, 9, 2, 128, pci=pci)}


def where(*vms: Vm) -> dict[str, list[int]]:
    site, machines = four(*vms)
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    return {vm: [cell.node for cell in guest.cells] for vm, guest in placement.guests.items()}


def test_a_guest_is_near_what_it_does_not_own() -> None:
    assert where(a_vm("a", nears=close(address="0000:a1:00.0"))) == {"a": [3]}
    assert where(a_vm("a", nears=close(device="gpu"))) == {"a": [3]}
    found = where(a_vm("a", 16, 32, nears=close(device="gpu")), a_vm("b", 4, nears=close("x", "gpu", within=PACKAGE)))
    assert found == {"a": [3], "b": [2]}, "the package is near enough for the second"
    assert 3 in where(a_vm("a", 8, nodes=2, nears=close(device="gpu")))["a"]


def test_a_passed_device_may_be_near_in_the_package() -> None:
    one = Hostdev(name="gpu", device="gpu", within=PACKAGE)
    full = a_vm("full", 16, 32, nears=close(device="gpu"))
    assert where(full, a_vm("a", 8, hostdevs=[one])) == {"full": [3], "a": [2]}
    site, machines = four(full, a_vm("a", 8, hostdevs=[Hostdev(name="gpu", device="gpu")]))
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is None
    assert "`within = package` for hostdev `gpu` of `a`" in [line for item in bag for line in item.help]


def test_what_cannot_be_near_is_told_with_what_would_help() -> None:
    site, machines = four(*(a_vm(name, 16, 32, nears=close(device="gpu")) for name in "ab"))
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is None
    text = " node 3: needs 8 free cores for 16 vCPUs, 0 free; it alone is near the device of `near c`"
    assert text in bag.items[0].message
    help = list(bag.items[0].help)
    assert "`within = package` in `near c` of `b`" in help and "`strength = prefer` in `near c` of `b`" in help
    for near, text in (
        (close(address="0000:ff:00.0"), "`kvm-a`: has no `0000:ff:00.0`, and `near c` asks for it"),
        (close(device="other"), "`kvm-a`: has no device pool `other`"),
    ):
        site, machines = four(a_vm("a", nears=near))
        placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
        assert placement is None and text in bag.items[0].message, bag.items[0].message


def test_a_wish_to_be_near_gives_way_and_is_told() -> None:
    wish = close(device="gpu", strength=Strength.PREFER)
    site, machines = four(a_vm("a", nears=wish), a_vm("b", 16, 32, nears=wish))
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None
    nodes = {vm: guest.cells[0].node for vm, guest in placement.guests.items()}
    far = next(vm for vm, node in nodes.items() if node != 3)
    assert sorted(nodes.values())[1] == 3
    (note,) = bag
    text = f"`near c` of `{far}` is preferred, and the guest is on node {nodes[far]} of `kvm-a`"
    assert (note.code.id, note.message) == ("KVMC0431", text)


def test_a_lock_holds_only_where_it_is_near() -> None:
    site, machines = four(a_vm("a"))
    first, _ = resolve(site, machines, {}, origins_of(site), search=True)
    assert first is not None and first.guests["a"].cells[0].node != 3
    site, machines = four(a_vm("a", nears=close(device="gpu")))
    _, bag = resolve(site, machines, locks_of(first, machines), origins_of(site), search=False)
    assert "are not near the device of `near c`" in bag.items[0].message
    site, machines = four(a_vm("a", nears=close(device="gpu", strength=Strength.PREFER)))
    kept, _ = resolve(site, machines, locks_of(first, machines), origins_of(site), search=False)
    assert kept == first, "a wish moves nobody"


def test_all_devices_of_a_guest_on_one_root_complex() -> None:
    pair = [gpu(), rdma()]
    assert placed(a_vm("a", hostdevs=pair, passed=Passed(beside=Near.REQUIRE))) == {
        "a": {"gpu": GPUS[1], "rdma": NICS[0]}
    }
    assert placed(a_vm("a", hostdevs=pair, passed=Passed(beside=Near.PREFER))) == {
        "a": {"gpu": GPUS[1], "rdma": NICS[0]}
    }
    assert placed(a_vm("a", hostdevs=pair))["a"]["gpu"] == GPUS[0], "nobody asked"
    three = [a_vm(name, hostdevs=[gpu(), rdma(near=Near.ANY)], passed=Passed(beside=Near.PREFER)) for name in "abc"]
    site, machines = a_case(*three)
    placement, (note,) = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None
    assert note.message.startswith("the passed devices of `c` are preferred beside each other and are on 2 root")
    strict, machines = a_case(*(vm.model_copy(update={"passed": Passed(beside=Near.REQUIRE)}) for vm in three))
    placement, bag = resolve(strict, machines, {}, origins_of(strict), search=True)
    assert placement is None
    assert any(line.startswith("`beside = prefer` in `passed` of") for line in bag.items[0].help)


PORTS = ("0000:3b:00.0", "0000:3c:00.0", "0000:90:00.0")


def ports(*vms: Vm, nodes: int = 2) -> tuple[Site, dict[str, Topology]]:
    """One pool of virtual functions: two ports on node 0, one on node 1, four functions each."""
    pool = DevicePool(name="lan", parent=address(PORTS[0]), vfs=4, addresses=(), others=tuple(map(address, PORTS[1:])))
    pci = [sriov(one, node=int(one > "0000:80")) for one in PORTS]
    return a_site([a_host("kvm-a", pages=64, devices=[pool])], vms), {
        "kvm-a": machine(nodes, 1, 1, 17, 2, 128, pci=pci)
    }


def port_of(function: PciAddress) -> str:
    """Its port: of these cards a function's bus is its port's."""
    return next(one for one in PORTS if address(one).bus == function.bus)


def chosen(site: Site, machines: dict[str, Topology], locks: dict[str, HostLock]) -> dict[str, list[str]]:
    placement, bag = resolve(site, machines, locks, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    return {vm: [port_of(function) for function in guest.devices.values()] for vm, guest in placement.guests.items()}


@pytest.mark.parametrize("within", list(Locality), ids=str)
def test_functions_are_shared_out_over_the_ports_of_a_node(within: Locality) -> None:
    nics = [Nic(name="n", network=None, device="lan", mac=None, queues=None, within=within)]
    site, machines = ports(*(a_vm(f"v{index}", nics=nics, nears=close(address=PORTS[0])) for index in range(4)))
    found = [port for some in chosen(site, machines, {}).values() for port in some]
    assert sorted(found) == sorted(PORTS[:2] * 2)


def test_a_guest_has_its_functions_of_several_ports() -> None:
    nics = [Nic(name=name, network=None, device="lan", mac=None, queues=None) for name in "abc"]
    site, machines = ports(a_vm("v", nics=nics[:2], nears=close(address=PORTS[0])))
    assert chosen(site, machines, {}) == {"v": list(PORTS[:2])}
    site, machines = ports(a_vm("w", nics=nics, nodes=2))
    assert chosen(site, machines, {}) == {"w": list(PORTS)}


def test_a_new_guest_gets_the_port_that_carries_least_and_the_others_keep_theirs() -> None:
    def vm(name: str) -> Vm:
        nic = Nic(name="n", network=None, device="lan", mac=None, queues=None)
        return a_vm(name, nics=[nic], nears=close(address=PORTS[0]))

    site, machines = ports(*map(vm, "abc"))
    first, _ = resolve(site, machines, {}, origins_of(site), search=True)
    assert first is not None
    before = {name: guest.devices["nic", "n"] for name, guest in first.guests.items()}
    lone = next(name for name in before if [port_of(one) for one in before.values()].count(port_of(before[name])) == 1)
    crowd = port_of(next(address for name, address in before.items() if name != lone))
    fewer, machines = ports(*(vm(name) for name in "abc" if name != lone), vm("d"))
    again, _ = resolve(fewer, machines, locks_of(first, machines), origins_of(fewer), search=True)
    assert again is not None
    assert port_of(again.guests["d"].devices["nic", "n"]) == port_of(before[lone]) != crowd
    assert all(again.guests[name].devices["nic", "n"] == before[name] for name in before if name != lone)


def test_each_port_must_make_its_functions() -> None:
    site, machines = ports(a_vm("v"))
    for wrong, code in ((sriov(PORTS[1], vfs=0), "KVMC0409"), (sriov(PORTS[1], vfs=2), "KVMC0410"), (None, "KVMC0408")):
        pci = {one: device for one, device in (machines["kvm-a"].pci or {}).items() if one != address(PORTS[1])}
        if wrong is not None:
            pci[wrong.address] = wrong
        changed = {"kvm-a": replace(machines["kvm-a"], pci=pci)}
        placement, bag = resolve(site, changed, {}, origins_of(site), search=True)
        assert placement is None and [(item.code.id, PORTS[1] in item.message) for item in bag] == [(code, True)]


@pytest.mark.skipif(find_spec("ortools") is None, reason="needs OR-Tools")
def test_both_searches_agree_on_what_is_near() -> None:
    from kvmc.resolver.exact import decide

    fits = 0
    for seed in range(40):
        rng = random.Random(seed)
        vms = []
        for index in range(rng.randint(1, 4)):
            within = rng.choice(tuple(Locality))
            nears = close(device="gpu", within=within) if rng.random() < 0.6 else {}
            some = [Hostdev(name="gpu", device="gpu", within=rng.choice(tuple(Locality)))] if rng.random() < 0.4 else []
            size = rng.choice((4, 8, 16))
            vms.append(a_vm(f"v{index}", size, nodes=rng.choice((1, 1, 2)), nears=nears, hostdevs=some))
        site, machines = four(*vms)
        kept, _ = keep(site, machines, {}, origins_of(site))
        assert kept is not None
        left = search(kept.demands, list(kept.missing), State(kept.machines), {})
        answer = decide(list(kept.demands.values()), State(kept.machines))
        assert answer.proven and (answer.choices is not None) == (not left), f"seed {seed}"
        fits += not left
    assert 8 < fits < 36


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
