"""Where interrupts go, from nodes, pools and distances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hostconfig.host_samples import ARM, GIB, INTEL, PF, PF2, SINGLE, devices, pools, settle
from kvmc.diagnostics import Bag, Severity
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.guest_gates import Gate
from kvmc.hostconfig.host import HostSettings
from kvmc.hostconfig.irqs import asked_irqs
from kvmc.hostconfig.plan import Carrier, Effect
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import IrqAffinity, Near, Vm
from kvmc.model.values import PciAddress
from kvmc.topology import Node, PciDevice, Topology
from support.guests import WHOLE, cell, nic, origins_of, place, platform, site, topology, vm

BARE = 2
"""A node of memory alone."""


def placed(own: HostSettings) -> dict[str, str]:
    return {one.key: one.value for one in own.settings if one.key.startswith(("place-irqs", "irqbalance.Cond"))}


def bare(distances: dict[int, int], *found: PciDevice) -> Topology:
    node = Node(BARE, CpuSet(), 64 * GIB, distances, (2048, GIB))
    return replace(INTEL, nodes=(*INTEL.nodes, node), pci={one.address: one for one in found})


def of(where: Topology, **changes: Any) -> tuple[HostSettings, Bag]:
    return settle(where, irq_affinity=IrqAffinity.NODE, **changes)


def test_each_node_has_its_own_housekeeping_cpus() -> None:
    own, bag = of(INTEL)
    assert list(bag) == []
    assert placed(own) == {
        "place-irqs.rest": "0,16,32,48",
        "place-irqs.node0": "0,32",
        "place-irqs.node1": "16,48",
        "irqbalance.ConditionPathExists": "!/etc/kvmc/place-irqs",
    }
    some = [one for one in own.settings if one.key in placed(own)]
    assert {(one.carrier, one.effect) for one in some} == {(Carrier.SYSTEMD, Effect.LIVE)}
    assert all(one.why and "host edge-17a" in one.origin for one in some)


def test_shared_cpus_take_none() -> None:
    own, _ = of(SINGLE, of=pools(SINGLE, shared=2))
    assert placed(own)["place-irqs.node0"] == placed(own)["place-irqs.rest"] == "0,8"


def test_arm_is_alike_and_none_is_nothing() -> None:
    assert placed(of(ARM)[0])["place-irqs.node1"] == "32"
    assert placed(settle(INTEL)[0]) == {}


def test_a_node_without_housekeeping_has_the_nearest_and_says_so() -> None:
    card = PciDevice(PF, BARE, class_id=0x020000)
    own, bag = of(bare({0: 21, 1: 17, BARE: 10}, card))
    assert placed(own)["place-irqs.node2"] == "16,48"
    (one,) = list(bag)
    assert (one.code, one.severity) == (codes.IRQ_NODE_BARE, Severity.WARNING)
    assert "node 2" in one.message
    assert str(PF) in one.message
    assert one.message.endswith("of node 1")


def test_nodes_as_near_as_each_other_are_taken_together() -> None:
    own, _ = of(bare({0: 17, 1: 17, BARE: 10}))
    assert placed(own)["place-irqs.node2"] == "0,16,32,48"


def test_only_devices_with_many_interrupts_are_worth_a_warning() -> None:
    for class_id, warned in ((0x010802, 1), (0x020000, 1), (0x060400, 0), (None, 0)):
        assert len(of(bare({0: 21, 1: 17}, PciDevice(PF, BARE, class_id=class_id)))[1]) == warned
    # one that is passed is, whatever it is
    where = bare({0: 21, 1: 17}, PciDevice(PF, BARE, class_id=0x030000), PciDevice(PF2, 0, class_id=0x020000))
    assert [one.code for one in of(where, devices=devices(n3=4))[1]] == [codes.IRQ_NODE_BARE]


def test_many_devices_are_counted() -> None:
    found = [PciDevice(PciAddress(PF.domain, PF.bus, PF.slot, number), BARE, class_id=0x020000) for number in range(8)]
    assert "more" not in next(iter(of(bare({0: 21, 1: 17}, *found))[1])).message
    more = [*found, PciDevice(PF2, BARE, class_id=0x020000)]
    assert " and 1 more go to those of node 1" in next(iter(of(bare({0: 21, 1: 17}, *more))[1])).message


def test_without_distances_it_is_of_the_rest() -> None:
    own, bag = of(bare({}, PciDevice(PF, BARE, class_id=0x020000)))
    assert "place-irqs.node2" not in placed(own)
    assert next(iter(bag)).message.endswith("of any node")


def asked(guest: Vm, of_host: IrqAffinity = IrqAffinity.NODE, *nodes: int) -> tuple[str, Bag]:
    made = site([guest], platform())
    gate = Gate(guest, made.hosts["h"].model_copy(update={"irq_affinity": of_host}), platform(), origins_of(made))
    cells = [cell(node, index, [8 * node + 1]) for index, node in enumerate(nodes or (1,))]
    devices = {("nic", name): WHOLE for name, one in guest.nics.items() if one.device}
    where = place({guest.name: cells}, devices=devices).guests[guest.name]
    return str(asked_irqs(gate, where, topology(), CpuSet.parse("0,8,16,24"))), gate.bag


def test_a_guest_that_asks_has_those_of_its_own_nodes() -> None:
    guest = vm(nics=[nic("n3", network=None, device="n3", near=Near.ANY)], irq_affinity=IrqAffinity.VCPUS)
    assert asked(guest) == ("8,24", Bag())
    assert asked(guest, IrqAffinity.NODE, 0, 1) == ("0,8,16,24", Bag())
    assert asked(guest.model_copy(update={"irq_affinity": IrqAffinity.DEVICE})) == ("", Bag())
    cpus, bag = asked(guest, IrqAffinity.NONE)
    assert (cpus, [one.code for one in bag]) == ("", [codes.IRQ_NOT_PLACED])


def test_a_guest_without_devices_asks_for_nothing() -> None:
    assert asked(vm(irq_affinity=IrqAffinity.VCPUS), IrqAffinity.NONE) == ("", Bag())
