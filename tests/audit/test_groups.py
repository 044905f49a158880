"""IOMMU groups: a guest has all of a group but its bridges, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.small_tree import DU, HOST, RT
from audit.support import CARD, GPU, NIC, topology
from kvmc.audit.check import audit_host
from kvmc.diagnostics import Diagnostic
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.values import PciAddress
from kvmc.topology import PciDevice, Topology

AUDIO, BRIDGE = PciAddress.parse("0000:af:00.1"), PciAddress.parse("0000:ae:00.0")


def grouped(**groups: int | None) -> Topology:
    """The host with its GPU, the GPU's audio function, and the bridge above them, in groups; all but the GPU are near any node."""
    host = topology()
    pci = dict(host.pci or {})
    pci[GPU] = replace(pci[GPU], iommu_group=groups.get("gpu"))
    pci[AUDIO] = PciDevice(AUDIO, node=None, class_id=0x040300, iommu_group=groups.get("audio"))
    pci[BRIDGE] = PciDevice(BRIDGE, node=None, class_id=0x060400, iommu_group=groups.get("bridge"))
    pci[CARD] = replace(pci[CARD], node=None, iommu_group=groups.get("card"))
    pci[NIC] = replace(pci[NIC], iommu_group=groups.get("nic"))
    return replace(host, pci=pci)


def given(text: str, *addresses: PciAddress) -> str:
    devices = "".join(
        f"<hostdev mode='subsystem' type='pci'><source><address domain='0x{one.domain:x}' bus='0x{one.bus:x}' "
        f"slot='0x{one.slot:x}' function='0x{one.function:x}'/></source></hostdev>"
        for one in addresses
    )
    return text.replace("</devices>", f"{devices}</devices>")


def found(host: Topology, du: str = DU, rt: str = RT) -> list[Diagnostic]:
    return list(audit_host(HOST, {"domains/du-1.xml": du, "domains/rt-1.xml": rt}, host, None))


@pytest.mark.parametrize(
    "groups",
    [
        {},
        {"gpu": 7},
        {"gpu": 7, "audio": 8},
        {"gpu": 7, "bridge": 7},
        {"audio": 7, "card": 7, "bridge": 7},
    ],
)
def test_a_group_that_is_given_whole_is_right(groups: dict[str, int]) -> None:
    assert found(grouped(**groups)) == []


def test_a_part_of_a_group_is_told_once() -> None:
    (one,) = found(grouped(gpu=0, audio=0, card=0))
    assert one.code is codes.GROUP_SPLIT and one.primary is not None
    assert one.message == "`du-1` is given 0000:af:00.0 of IOMMU group 0 and not 0000:3c:00.0, which is of it too"
    assert DU[one.primary.span.start :].startswith("<address domain='0x0000' bus='0xaf'")
    assert one.secondary == ()
    two = given(DU, AUDIO)
    assert [item.message for item in found(grouped(gpu=3, audio=3), two)] == []
    assert [item.code for item in found(grouped(gpu=3, audio=3, nic=3), two)] == [codes.GROUP_SPLIT]


def test_two_groups_are_two_findings() -> None:
    host = grouped(gpu=1, audio=1, card=2)
    unknown = PciDevice(BRIDGE, node=None, class_id=None, iommu_group=2)
    host = replace(host, pci={**(host.pci or {}), BRIDGE: unknown})
    told = found(host, given(DU, CARD))
    assert [item.code for item in told if item.code is codes.GROUP_SPLIT] == [codes.GROUP_SPLIT] * 2
    assert "group 2 and not 0000:ae:00.0" in told[-1].message


def test_who_has_the_rest_is_told() -> None:
    told = [item for item in found(grouped(gpu=5, audio=5), rt=given(RT, AUDIO)) if item.code is codes.GROUP_SPLIT]
    assert [item.message.split()[0] for item in told] == ["`du-1`", "`rt-1`"]
    assert [[label.text for label in item.secondary] for item in told] == [["`rt-1` has it"], ["`du-1` has it"]]
