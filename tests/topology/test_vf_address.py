"""Where virtual functions appear."""

from __future__ import annotations

import pytest

from kvmc.model.values import PciAddress
from kvmc.topology import PciDevice, Sriov
from kvmc.topology.pci import vf_address


def pf(address: str, total: int, offset: int, stride: int) -> PciDevice:
    return PciDevice(PciAddress.parse(address), sriov=Sriov(total, offset, stride))


@pytest.mark.parametrize(
    ("device", "index", "expected"),
    [
        # Intel X710: offset 16 stride 1 on the first port; the second port's functions begin behind them
        (pf("0000:3b:00.0", 64, 16, 1), 0, "0000:3b:02.0"),
        (pf("0000:3b:00.0", 64, 16, 1), 15, "0000:3b:03.7"),
        (pf("0000:3b:00.1", 64, 79, 1), 0, "0000:3b:0a.0"),
        # Intel 82599 and I350: offset 128, stride 2 or 4
        (pf("0000:04:00.1", 63, 128, 2), 1, "0000:04:10.3"),
        (pf("0000:04:00.3", 7, 128, 4), 6, "0000:04:13.3"),
        # the routing id carries into the bus number
        (pf("0000:d8:00.0", 128, 1, 2), 127, "0000:d8:1f.7"),
        (pf("0000:d8:00.0", 256, 256, 1), 0, "0000:d9:00.0"),
        (pf("10001:d8:1f.7", 2, 1, 1), 1, "10001:d9:00.1"),
    ],
)
def test_addresses(device: PciDevice, index: int, expected: str) -> None:
    assert str(vf_address(device, index)) == expected


@pytest.mark.parametrize(
    ("device", "index", "message"),
    [
        (PciDevice(PciAddress.parse("0000:3b:00.0")), 0, "no physical function"),
        (pf("0000:3b:00.0", 4, 16, 1), 4, "4 virtual functions"),
        (pf("0000:3b:00.0", 4, 16, 1), -1, "4 virtual functions"),
        (pf("0000:ff:1f.7", 4, 1, 1), 0, "above bus ff"),
    ],
)
def test_addresses_that_do_not_exist(device: PciDevice, index: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vf_address(device, index)
