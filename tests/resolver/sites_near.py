"""Small sites about guests near devices that they do not own, devices of a package, and parts of L3 caches. For the goldens."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kvmc.model.site import L3, Hostdev, Locality, Near, NearDevice, Passed, Pinning, Strength, Vm
from kvmc.model.values import PciAddress
from kvmc.topology.model import CacheKind, Resctrl, Topology
from resolver.sites_cpus import built
from resolver.sites_locks import after, edited, lie, with_host, with_vm
from resolver.sites_memory import rooted
from resolver.telling import Step, fresh
from support.machines import machine
from support.sites import a_host, a_site, a_vm, whole

MIB = 1024
ON = machine(
    2, 2, 1, 5, 1, 32,
    pci=[rooted("10:00.0", 0, "r0"), rooted("11:00.0", 0, "r0"), rooted("20:00.0", 1, "r1"), rooted("90:00.0", 2, "r2")],
)  # fmt: skip
"""Two packages of two nodes; devices on the first three."""
POOLS = [whole("gpu", "10:00.0", "20:00.0", "90:00.0"), whole("rdma", "11:00.0")]


def near(
    device: str | None = None, *addresses: str, within: Locality = Locality.NODE, strength: Strength = Strength.REQUIRE
) -> Mapping[str, NearDevice]:
    found = tuple(PciAddress.parse(one) for one in addresses) or None
    return {"n": NearDevice(name="n", device=device, address=found, within=within, strength=strength)}


def near_a_device_of_another_guest_or_of_the_host() -> list[Step]:
    one: dict[str, Any] = {"vcpus": 2, "gib": 2}
    wide: dict[str, Any] = {"vcpus": 4, "gib": 2}
    prefer, package = Strength.PREFER, Locality.PACKAGE
    devices: dict[str, Any] = {"on": ON, "devices": POOLS, "pages": 8}
    return [
        *built(
            a_vm("a", nears=near(None, "90:00.0"), **one), a_vm("b", nears=near("rdma"), **one),
            a_vm("c", nears=near("gpu"), **one),
            explain=True, **devices,
        ),
        *built(
            a_vm("a", nears=near(None, "90:00.0"), **wide), a_vm("b", nears=near(None, "90:00.0", within=package), **wide),
            explain=True, **devices,
        ),
        *built(
            a_vm("a", nears=near(None, "90:00.0"), **wide), a_vm("b", nears=near(None, "90:00.0", strength=prefer), **wide),
            a_vm("c", nears=near(None, "90:00.0", within=package), **wide), a_vm("d", nears=near("gpu", within=package), **wide),
            explain=True, **devices,
        ),
        *built(a_vm("a", nears=near(None, "90:00.0"), **wide), a_vm("b", nears=near(None, "90:00.0"), **wide), **devices),
        *built(a_vm("a", nears=near(None, "90:00.0"), vcpus=5, gib=2), **devices),
        *built(a_vm("a", nears=near("gpu", within=package), vcpus=5, gib=2), **devices),
        *built(a_vm("a", nears=near(None, "91:00.0", "92:00.0"), **one), **devices),
        *built(a_vm("a", nears=near("none"), **one), **devices),
        *built(a_vm("a", nears=near(None, "90:00.0"), vcpus=4, gib=2, nodes=2), explain=True, **devices),
    ]  # fmt: skip


def passed_devices_of_a_package_and_of_one_root() -> list[Step]:
    def gpu(**more: Any) -> Hostdev:
        return Hostdev(name="gpu", device="gpu", **more)

    rdma = Hostdev(name="rdma", device="rdma")
    devices: dict[str, Any] = {"on": ON, "devices": POOLS, "pages": 8}
    package = Locality.PACKAGE

    def passed(beside: Near) -> Passed:
        return Passed(beside=beside)

    full = [a_vm(name, vcpus=4, gib=2, hostdevs=[gpu()]) for name in "ab"]
    return [
        *built(*full, a_vm("c", vcpus=4, gib=2, hostdevs=[gpu(within=package)]), explain=True, **devices),
        *built(*full, a_vm("c", vcpus=4, gib=2, hostdevs=[gpu()]), a_vm("d", vcpus=4, gib=2, hostdevs=[rdma]), **devices),
        *built(a_vm("a", vcpus=2, gib=2, hostdevs=[gpu(), rdma], passed=passed(Near.REQUIRE)), explain=True, **devices),
        *built(
            a_vm("a", vcpus=2, gib=2, hostdevs=[gpu()], nears=near(None, "10:00.0")),
            a_vm("b", vcpus=2, gib=2, hostdevs=[gpu(within=package), rdma], passed=passed(Near.REQUIRE)), **devices,
        ),
        *built(
            a_vm("a", vcpus=2, gib=2, hostdevs=[gpu()], nears=near(None, "10:00.0")),
            a_vm("b", vcpus=2, gib=2, hostdevs=[gpu(within=package), rdma], passed=passed(Near.PREFER)), explain=True, **devices,
        ),
    ]  # fmt: skip


def cached(ways: int = 8, l3: int = 2) -> Topology:
    """One node; L3s of four cores and so many ways of 2 MiB."""
    bare = machine(1, 1, l3, 4, 1, 64)
    limits = (Resctrl("L3", 6, ways=ways, min_ways=1), Resctrl("MB", 6, step_percent=10, min_percent=20))
    cache = CacheKind(3, "unified", ways * 2 * MIB, bare.online)
    return dataclasses.replace(bare, caches=(cache,), resctrl=limits, l3_ids=tuple(range(l3)))


def tuned(name: str, ways: int = 0, percent: int = 0, **more: Any) -> Vm:
    values: dict[str, Any] = {"vcpus": 1, "gib": 1, "cachetune": ways * 2 * MIB or None, "memorytune": percent or None}
    return a_vm(name, **(values | more))


def parts_of_caches_and_of_bandwidth() -> list[Step]:
    offer: dict[str, Any] = {"on": cached(), "resctrl_l3_kib": 12 * MIB, "resctrl_bandwidth": 60}
    return [
        *built(tuned("a", 4), tuned("b", 2, 15), tuned("c", 4, 35), tuned("d"), explain=True, **offer),
        *built(tuned("wide", 2, 20, vcpus=5), tuned("a", 4), tuned("b", 3), **offer),
        *built(tuned("a", 7), **offer),
        *built(tuned("a", 0, 65), **offer),
        *built(tuned("a", 4), tuned("b", 4), tuned("c", 4), **offer),
        *built(tuned("a", 0, 40), tuned("b", 0, 40), tuned("c", 0, 30), **offer),
        *built(*(tuned(name, 1) for name in "abcdef"), **offer),
        *built(
            tuned("float", 2, vcpus=2, pinning=Pinning.SHARED), tuned("a", 5), shared_cores=1, explain=True, **offer
        ),
        *built(tuned("a", 2), on=cached()),
        *built(tuned("a", 2), on=cached(), resctrl_bandwidth=60),
        *built(tuned("a", 2), **(offer | {"resctrl_l3_kib": 16 * MIB})),
        *built(tuned("a", 2), **(offer | {"resctrl_l3_kib": 1 * MIB})),
    ]


def locked_parts_of_caches() -> list[Step]:
    site = a_site(
        [a_host("kvm-a", pages=16, resctrl_l3_kib=12 * MIB, resctrl_bandwidth=60)],
        [tuned("a", 3, 30), tuned("b", 3, 30), tuned("c", 3, 30)],
    )
    return after(
        Step(site, {"kvm-a": cached()}, edit=fresh),
        ("as it was", site, None),
        ("more than the cache has", with_vm(site, "a", cachetune=14 * MIB), None),
        ("more than is left", with_vm(site, "a", cachetune=10 * MIB), None),
        ("more than is offered", with_host(site, resctrl_l3_kib=4 * MIB), None),
        ("less bandwidth", with_host(site, resctrl_bandwidth=40), None),
        ("all in one cache", site, edited("c", lie(0, "3"))),
        ("none of it", with_vm(site, "a", cachetune=None, memorytune=None), None),
        ("nothing offered", with_host(site, resctrl_l3_kib=None, resctrl_bandwidth=0), None),
    )


def ways_that_scatter() -> list[Step]:
    offer: dict[str, Any] = {"on": cached(12), "resctrl_l3_kib": 20 * MIB}
    return [
        *built(
            tuned("a", 2, host="kvm-a"), tuned("b", 3), tuned("c", 5, l3=L3.REQUIRE), **{**offer, "on": cached(12, 1)}
        ),
        *built(tuned("a", 2), tuned("b", 2), tuned("c", 2), **offer),
    ]


CASES = {
    one.__name__.replace("_", " "): one
    for one in (
        near_a_device_of_another_guest_or_of_the_host, passed_devices_of_a_package_and_of_one_root,
        parts_of_caches_and_of_bandwidth, locked_parts_of_caches, ways_that_scatter,
    )
}  # fmt: skip
