"""Where guests go, one intent at a time."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Sequence

import pytest

from kvmc.diagnostics import Bag, Severity
from kvmc.model.site import (
    L3,
    Domain,
    Emulator,
    Host,
    Hostdev,
    Iothread,
    Isolation,
    Pinning,
    Place,
    Scheduler,
    Threads,
    Vm,
)
from kvmc.resolver.placement import GuestPlacement, Placement
from kvmc.resolver.solve import resolve
from kvmc.topology.model import Topology
from support.machines import device, machine, nic
from support.rules import broken_rules
from support.sites import a_disk, a_host, a_nic, a_platform, a_site, a_vm, apart, origins_of, vfs, whole


def solved(
    hosts: Host | Sequence[Host], topology: Topology, vms: Sequence[Vm], places: Sequence[Place] = ()
) -> tuple[Placement, Bag]:
    hosts = [hosts] if isinstance(hosts, Host) else hosts
    site = a_site(hosts, vms, places)
    machines = {host.name: topology for host in hosts}
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    assert broken_rules(site, machines, placement) == []
    return placement, bag


def one(hosts: Host | Sequence[Host], topology: Topology, vm: Vm) -> GuestPlacement:
    return solved(hosts, topology, [vm])[0].guests[vm.name]


def pins(guest: GuestPlacement) -> str:
    return " ".join(str(pin) for cell in guest.cells for pin in cell.pins)


def test_prefer_puts_siblings_side_by_side_and_keeps_the_spare_one() -> None:
    guest = one(a_host("kvm-a"), machine(cores_per_l3=4), a_vm("one", vcpus=5))
    assert pins(guest) == "1 9 2 10 3"
    assert str(guest.idle) == "11"
    assert str(guest.emulator) == "0,8"


def test_isolate_leaves_siblings_idle() -> None:
    guest = one(a_host("kvm-a"), machine(cores_per_l3=4), a_vm("one", vcpus=3, threads=Threads.ISOLATE))
    assert pins(guest) == "1 2 3"
    assert str(guest.idle) == "9-11"


def test_nodes_split_vcpus_and_memory_the_rest_to_the_first() -> None:
    guest = one(a_host("kvm-a"), machine(), a_vm("one", vcpus=5, gib=7, nodes=2))
    assert [(cell.node, cell.vcpus, cell.memory_kib >> 20) for cell in guest.cells] == [
        (0, (0, 1, 2), 4),
        (1, (3, 4), 3),
    ]
    assert str(guest.emulator) == "0,16,32,48"


def test_nodes_of_one_package_are_taken_together() -> None:
    topology = machine(packages=2, nodes_per_package=2, cores_per_l3=8)
    vms = [a_vm("one", vcpus=8, nodes=1), a_vm("two", vcpus=12, nodes=2)]
    two = solved(a_host("kvm-a"), topology, vms)[0].guests["two"]
    assert {cell.node // 2 for cell in two.cells} in ({0}, {1})


def test_one_l3_where_one_holds_it_and_the_tightest_one() -> None:
    topology = machine(packages=1, l3_per_node=3, cores_per_l3=4)
    placement, _ = solved(
        a_host("kvm-a"), topology, [a_vm("six", vcpus=6), a_vm("eight", vcpus=8), a_vm("big", vcpus=8)]
    )
    assert {pins(guest).split()[0] for guest in placement.guests.values()} == {"1", "4", "8"}
    assert pins(placement.guests["six"]).split()[0] == "1"


def test_more_l3s_only_where_they_must() -> None:
    topology = machine(packages=1, l3_per_node=4, cores_per_l3=4)
    guest = one(a_host("kvm-a"), topology, a_vm("one", vcpus=16))
    used = {
        next(index for index, l3 in enumerate(topology.l3 or ()) if pin.issubset(l3)) for pin in guest.cells[0].pins
    }
    assert len(used) == 2


def test_any_fills_the_rests_first() -> None:
    topology = machine(packages=1, l3_per_node=3, cores_per_l3=4)
    vms = [a_vm("tight", vcpus=8, l3=L3.REQUIRE), a_vm("loose", vcpus=6, l3=L3.ANY)]
    placement, _ = solved(a_host("kvm-a"), topology, vms)
    assert pins(placement.guests["loose"]) == "1 13 2 14 3 15"


def test_shared_guests_float_over_the_shared_cpus_of_their_node_and_spread() -> None:
    vms = [a_vm(name, vcpus=4, pinning=Pinning.SHARED, pages_kib=None) for name in ("one", "two")]
    placement, _ = solved(a_host("kvm-a", shared_cores=2), machine(), vms)
    assert [[str(pin) for pin in guest.cells[0].pins] for guest in placement.guests.values()] == [
        ["1-2,33-34"] * 4,
        ["17-18,49-50"] * 4,
    ]


def test_an_emulator_of_its_own_gets_a_whole_core_a_node() -> None:
    guest = one(a_host("kvm-a"), machine(cores_per_l3=4), a_vm("one", vcpus=4, nodes=2, emulator=Emulator.OWN))
    assert pins(guest) == "1 9 5 13"
    assert str(guest.emulator) == "2,6,10,14"


def test_a_device_draws_its_guest_to_its_node_and_others_stay_away() -> None:
    host = a_host("kvm-a", devices=[vfs("n3", "3b:00.0", 8)])
    vms = [a_vm("db", vcpus=8), a_vm("upf", vcpus=8, nics=[a_nic("n3", device="n3"), a_nic("n6", device="n3")])]
    placement, _ = solved(host, machine(pci=[nic("3b:00.0", node=1)]), vms)
    upf = placement.guests["upf"]
    assert [cell.node for cell in upf.cells] == [1]
    assert {key: str(address) for key, address in upf.devices.items()} == {
        ("nic", "n3"): "0000:3b:01.0",
        ("nic", "n6"): "0000:3b:01.1",
    }
    assert placement.guests["db"].cells[0].node == 0


def test_a_device_without_a_node_is_near_every_node() -> None:
    host = a_host("kvm-a", devices=[whole("gpu", "01:00.0")])
    topology = machine(pci=[device("01:00.0", node=None)])
    assert one(host, topology, a_vm("one", hostdevs=[Hostdev(name="g", device="gpu")])).devices


def test_an_iommu_group_goes_to_one_guest_whole() -> None:
    host = a_host("kvm-a", devices=[whole("gpu", "01:00.0", "02:00.0"), whole("audio", "02:00.1", "01:00.1")])
    pci = [device(f"0{bus}:00.{fn}", group=bus) for bus in (1, 2) for fn in (0, 1)]
    both = [Hostdev(name="g", device="gpu"), Hostdev(name="a", device="audio")]
    placement, _ = solved(host, machine(pci=pci), [a_vm("one", hostdevs=both), a_vm("two", hostdevs=both)])
    for guest in placement.guests.values():
        assert len({address.bus for address in guest.devices.values()}) == 1
    site = a_site([host], [a_vm("half", hostdevs=both[:1])])
    found, bag = resolve(site, {"kvm-a": machine(pci=pci)}, {}, origins_of(site), search=True)
    assert found is None
    assert "IOMMU group" in next(iter(bag)).message


def test_apart_over_hosts_and_racks() -> None:
    hosts = [a_host("kvm-a", rack="r1"), a_host("kvm-b", rack="r1"), a_host("kvm-c", rack="r2")]
    placement, _ = solved(
        hosts, machine(), [a_vm("one"), a_vm("two")], [apart("quorum", "one", "two", across=Domain.RACK)]
    )
    assert {placement.guests["one"].host, placement.guests["two"].host} == {"kvm-a", "kvm-c"}


def test_host_pool_isolation_and_realtime_restrict_hosts() -> None:
    hosts = [
        a_host("kvm-a"),
        a_host("kvm-b", pool="edge", isolation=Isolation.BOOT, platform="rt"),
        a_host("kvm-c", pool="edge"),
    ]
    vms = [
        a_vm("tied", host="kvm-c"),
        a_vm("pooled", pool="edge", isolation=Isolation.NONE),
        a_vm("boot", isolation=Isolation.BOOT),
        a_vm("fifo", scheduler=Scheduler.FIFO),
    ]
    site = a_site(hosts, vms, platforms=[a_platform(), a_platform("rt", realtime=True)])
    placement, bag = resolve(site, {host.name: machine() for host in hosts}, {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    assert [guest.host for guest in placement.guests.values()] == ["kvm-c", "kvm-c", "kvm-b", "kvm-b"]


def test_guests_make_room_for_one_that_only_fits_there() -> None:
    """Two nodes of 12 cores: largest first and tightest fit strands 2 and 1 of them, and the last guest needs 3."""
    topology = machine(packages=2, cores_per_l3=13, threads=1)
    vms = [a_vm(f"vm-{index}", vcpus=vcpus) for index, vcpus in enumerate((6, 4, 4, 4, 3, 3))]
    placement, _ = solved(a_host("kvm-a"), topology, vms)
    assert len(placement.guests) == 6


def test_too_many_threads_on_housekeeping_is_a_warning_with_numbers() -> None:
    disks = [a_disk("root", Iothread.SHARED), a_disk("data", Iothread.SHARED), a_disk("log", Iothread.OWN)]
    vms = [a_vm("one", disks=disks, nics=[a_nic("eth0", network="core", queues=4)])]
    _, bag = solved(a_host("kvm-a", housekeeping_threads=1), machine(), vms)
    (warning,) = bag
    assert warning.severity is Severity.WARNING
    assert "runs 7 emulator, I/O and vhost threads on 4 housekeeping CPUs, 4 are budgeted" in warning.message
    vms = [a_vm("one", disks=disks, emulator=Emulator.OWN, nics=[a_nic("eth0", network="core", queues=4)])]
    assert not len(solved(a_host("kvm-a", housekeeping_threads=1), machine(), vms)[1])


def test_cores_with_fewer_threads_are_not_mixed_where_they_need_not_be() -> None:
    topology = machine(packages=1, cores_per_l3=6)
    cores = tuple(
        core if core.first < 4 else dataclasses.replace(core, mask=1 << core.first) for core in topology.cores or ()
    )
    hybrid = dataclasses.replace(
        topology, cores=cores, allowed=dataclasses.replace(topology.online, mask=sum(c.mask for c in cores))
    )
    guest = one(a_host("kvm-a"), hybrid, a_vm("one", vcpus=6, threads=Threads.REQUIRE))
    assert pins(guest) == "1 7 2 8 3 9"


@pytest.mark.parametrize("hosts", [10])
def test_two_hundred_guests_on_ten_hosts_are_quick(hosts: int) -> None:
    def run(guests: int, count: int) -> float:
        site = a_site(
            [a_host(f"h{index:02}", pages=400, rack=f"r{index % 5}") for index in range(count)],
            [
                a_vm(
                    f"v{index:03}", (4, 8, 2, 12, 4)[index % 5], 8, threads=(Threads.PREFER, Threads.REQUIRE)[index % 2]
                )
                for index in range(guests)
            ],
            [apart(f"p{index}", f"v{index:03}", f"v{index + 7:03}", across=Domain.RACK) for index in range(5)],
        )
        machines = {name: machine(l3_per_node=2, memory_gib=512) for name in site.hosts}
        start = time.process_time()
        placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
        spent = time.process_time() - start
        assert placement is not None, [one.message for one in bag]
        assert broken_rules(site, machines, placement) == []
        return spent

    assert run(hosts * 20, hosts) < 3.0


@pytest.mark.parametrize("enabled", [True, False])
def test_collecting_garbage_goes_on_as_it_was(enabled: bool) -> None:
    site = a_site([a_host("kvm-a")], [a_vm("a")])
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        resolve(site, {"kvm-a": machine()}, {}, origins_of(site), search=True)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
