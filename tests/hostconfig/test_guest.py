"""Guests' plans: what the platform lacks is told at the line that asked for it; the rest is derived."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kvmc.diagnostics import Bag, Diagnostic
from kvmc.hostconfig.plan import GuestPlan, HostdevPlan, NicPlan
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Iothread, Pinning, Scheduler
from kvmc.model.values import PciAddress
from kvmc.topology import Cpu, PciDevice
from support.guests import GIB, PARENT, WHOLE, cell, derive, disk, nic, platform, siblings, topology, vm

CELLS = [cell(0, 0, [1, 2, 3, 4])]
VF = PciAddress(0, 0x3B, 2, 0)


def run(
    *, on: dict[str, Any] | None = None, paths: tuple[tuple[str, ...], ...] = (), **changes: Any
) -> tuple[GuestPlan, Bag]:
    return derive(vm(**changes), CELLS, on=platform(**(on or {})), paths=paths)


def only(bag: Bag) -> Diagnostic:
    (item,) = bag
    return item


def test_a_plain_guest_is_told_nothing_of() -> None:
    plan, bag = run()
    assert not bag
    assert (plan.title, plan.blocks) == ("db-1 (fra-edge)", ("vm db-1", "class pg"))
    assert [str(pin) for pin in plan.pins] == ["1", "2", "3", "4"]
    assert (plan.cpu_features, plan.viommu, plan.iothreads) == ((), False, 0)


@pytest.mark.parametrize(
    ("machine", "qemu", "code"),
    [
        ("pc-q35-7.2", "7.2", None),
        ("pc-q35-6.2", "7.2..9.0", None),
        ("pc-q35-10.0", "9.2", "KVMC0556"),
        ("pc-q35-10.0", "7.2..10.0", "KVMC0556"),
        ("pc-q35-9.2", "10.0", None),
        ("pc-q35-rhel9.4.0", "8.2", "KVMC0557"),
        ("pc-q35-noble", "8.2", "KVMC0557"),
        ("pc-q35-4.0.1", "7.2", None),
    ],
)
def test_machine_against_qemu(machine: str, qemu: str, code: str | None) -> None:
    path = ("vm", "db-1", "machine")
    _, bag = run(machine=machine, on={"qemu": qemu}, paths=(path, ("platform", "deb12", "qemu")))
    assert [item.code.id for item in bag] == ([code] if code else [])
    if code == "KVMC0556":
        assert "10.0" in only(bag).message and qemu in only(bag).message
        assert only(bag).secondary[0].text == "the platform's version"


@pytest.mark.parametrize(
    ("changes", "on", "message"),
    [
        ({"cpu": "maximum"}, {"libvirt": "7.0"}, "`cpu = maximum` needs libvirt 7.1, platform `deb12` of host `h` has 7.0"),
        ({"firmware": "uefi"}, {"libvirt": "7.0..9.0"},
         "`firmware = uefi` needs libvirt 7.2, platform `deb12` of host `h` has 7.0..9.0"),
        ({"disks": [disk("a", io="io_uring")]}, {"libvirt": "6.2"},
         "`io = io_uring` needs libvirt 6.3, platform `deb12` of host `h` has 6.2"),
        ({"disks": [disk("a", io="io_uring")], "machine": "pc-q35-4.2"}, {"qemu": "4.2"},
         "`io = io_uring` needs QEMU 5.0, platform `deb12` of host `h` has 4.2"),
        ({"disks": [disk("a", queues=2)]}, {"libvirt": "3.8"},
         "`queues` of a disk needs libvirt 3.9, platform `deb12` of host `h` has 3.8"),
        ({"disks": [disk("a", queues=5)]}, {}, "`disk a` of guest `db-1` has 5 queues, the guest 4 vCPUs"),
        ({"nics": [nic("a", queues=5)]}, {}, "`nic a` of guest `db-1` has 5 queues, the guest 4 vCPUs"),
        ({"vcpus": 289}, {}, "guest `db-1` has 289 vCPUs, machine `pc-q35-7.2` takes 288"),
    ],
)  # fmt: skip
def test_what_is_refused(changes: dict[str, Any], on: dict[str, Any], message: str) -> None:
    _, bag = run(on=on, **changes)
    assert only(bag).message == message
    assert only(bag).primary is not None


@pytest.mark.parametrize("changes", [{"cpu": "maximum"}, {"firmware": "uefi"}, {"disks": [disk("a", io="io_uring")]}])
def test_what_the_platform_has_is_taken(changes: dict[str, Any]) -> None:
    assert not run(**changes)[1]


def test_a_foreign_host() -> None:
    _, bag = derive(vm(), CELLS, replace(topology(), arch="aarch64"))
    assert only(bag).code.id == "KVMC0568"


def test_iothreads_count_in_order() -> None:
    kinds = [Iothread.NONE, Iothread.OWN, Iothread.SHARED, Iothread.OWN, Iothread.SHARED]
    plan, bag = run(disks=[disk(f"d{n}", iothread=kind) for n, kind in enumerate(kinds)])
    assert [one.iothread for one in plan.disks] == [None, 1, 2, 3, 2]
    assert plan.iothreads == 3
    assert not bag


def test_defaults_of_virtio_disks_on_another_bus_are_no_wish() -> None:
    assert not run(disks=[disk("a", bus="sata", iothread=Iothread.SHARED)])[1]


def test_placeholders_are_filled_once() -> None:
    guest = vm("{disk}", disks=[disk("{vm}")])
    plan, _ = derive(guest, CELLS)
    assert plan.disks[0].source == "/dev/vg0/{disk}-{vm}"


def test_a_virtual_function_is_a_nic_and_a_whole_device_is_not() -> None:
    nics = [nic("oam"), nic("n3", network=None, device="n3"), nic("whole", network=None, device="gpu")]
    devices = {("nic", "n3"): VF, ("nic", "whole"): WHOLE}
    plan, bag = derive(vm(nics=nics), CELLS, devices=devices)
    assert not bag
    assert [(one.name, one.bridge, one.device) for one in plan.nics] == [("oam", "br-core", None), ("n3", None, VF)]
    assert plan.hostdevs == (HostdevPlan("whole", WHOLE, PciAddress(0, 3, 0, 0)),)
    assert len(plan.root_ports) == 4


def test_a_function_that_the_topology_knows_as_virtual_is_a_nic() -> None:
    host = replace(topology(), pci={WHOLE: PciDevice(WHOLE, parent_pf=PARENT)})
    plan, _ = derive(vm(nics=[nic("a", network=None, device="gpu")]), CELLS, host, devices={("nic", "a"): WHOLE})
    assert [type(one) for one in (*plan.nics, *plan.hostdevs)] == [NicPlan]


def test_a_whole_device_keeps_its_mac() -> None:
    guest = vm(nics=[nic("a", network=None, device="gpu", mac="52:54:00:00:00:01")])
    _, bag = derive(guest, CELLS, devices={("nic", "a"): VF})
    assert only(bag).message == "`mac` cannot be set: `nic a` of guest `db-1` is the whole device `0000:3b:02.0`"


def test_scheduler_and_cells() -> None:
    host = topology()
    cells = [cell(1, 0, siblings(host, [9]), 2 * GIB), cell(0, 2, siblings(host, [1]), 2 * GIB)]
    plan, bag = derive(vm(scheduler=Scheduler.FIFO, priority=3), cells, host, emulator=CpuSet.parse("0,8"))
    assert not bag
    assert (plan.scheduler, plan.priority, str(plan.emulator)) == ("fifo", 3, "0,8")
    assert [(one.id, one.vcpus, one.host_node, one.distances) for one in plan.cells] == [
        (0, (0, 1), 1, (10, 21)),
        (1, (2, 3), 0, (21, 10)),
    ]


def test_pins_follow_vcpu_numbers() -> None:
    first = replace(CELLS[0], vcpus=(1, 3), pins=(CpuSet.of([1]), CpuSet.of([2])))
    other = replace(CELLS[0], node=1, vcpus=(0, 2), pins=(CpuSet.of([8]), CpuSet.of([9])))
    plan, _ = derive(vm(), [first, other])
    assert [str(pin) for pin in plan.pins] == ["8", "1", "9", "2"]


def test_uneven_pins_give_one_note_at_the_guest() -> None:
    host = topology(nodes=1, l3s=2, cores=4)
    _, bag = derive(vm(vcpus=6), [cell(0, 0, siblings(host, [0, 1, 4]))], host)
    assert (only(bag).code.id, bag.has_errors) == ("KVMC0564", False)


@pytest.mark.parametrize(
    ("cpu", "host", "features"),
    [
        ("host-passthrough", Cpu("AuthenticAMD"), (("topoext", "require"),)),
        ("EPYC", Cpu(None), (("topoext", "require"),)),
        ("host-model", Cpu(None, None, frozenset({"svm"})), (("topoext", "require"),)),
        ("host-passthrough", Cpu("GenuineIntel"), ()),
        ("host-passthrough", Cpu(None), ()),
    ],
)
def test_amd_needs_topoext_to_show_threads(cpu: str, host: Cpu, features: tuple[tuple[str, str], ...]) -> None:
    shape = replace(topology(), cpu=host)
    plan, _ = derive(vm(cpu=cpu), [cell(0, 0, siblings(shape, [1, 2]))], shape)
    assert plan.cpu_features == features


def test_wide_apic_ids_need_an_iommu() -> None:
    host = topology(nodes=1, cores=256, threads=1)
    assert derive(vm(vcpus=256), [cell(0, 0, list(range(256)))], host)[0].viommu
    assert not derive(vm(vcpus=255), [cell(0, 0, list(range(255)))], host)[0].viommu


def test_shared_guests_get_a_balloon() -> None:
    plan, _ = derive(vm(pinning=Pinning.SHARED), [replace(CELLS[0], pins=(CpuSet.parse("1-2"),) * 4)])
    assert plan.balloon_address == PciAddress(0, 2, 0, 0)
    assert len(plan.root_ports) == 2
