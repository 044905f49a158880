"""Limits to the number: what is still taken at the limit, and what is told one beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from kvmc.model.site import Iothread
from support.guests import cell, derive, disk, nic, platform, vm

CELLS = [cell(0, 0, [1, 2, 3, 4])]


def told(on: dict[str, Any], **changes: Any) -> list[str]:
    _, bag = derive(vm(**changes), CELLS, on=platform(**on))
    return [item.message for item in bag]


def test_as_many_queues_as_vcpus_are_taken() -> None:
    assert told({}, disks=[disk("a", queues=4)], nics=[nic("b", queues=4)]) == []
    assert len(told({}, disks=[disk("a", queues=5)])) == len(told({}, nics=[nic("b", queues=5)])) == 1


@pytest.mark.parametrize(
    ("name", "since"),
    [("rx_queue_size", {"libvirt": "2.3", "qemu": "2.7"}), ("tx_queue_size", {"libvirt": "3.7", "qemu": "2.10"})],
)
def test_rings_since_their_versions(name: str, since: dict[str, str]) -> None:
    """Only what is said of the ring counts: so old a platform lacks more."""

    def of_ring(on: dict[str, str]) -> list[str]:
        return [one for one in told(on, nics=[nic("a", **{name: 512})]) if one.startswith(f"`{name}`")]

    assert of_ring(since) == []
    for program, version in since.items():
        major, minor = map(int, version.split("."))
        before = f"{major}.{minor - 1}"
        (message,) = of_ring(since | {program: before})
        assert f"needs {program} {version}, " in message.lower() and message.endswith(before)


@pytest.mark.parametrize(
    ("libvirt", "qemu", "threads"),
    [("10.0", "9.0", (1, 2, 3)), ("9.10", "9.0", (1,)), ("10.0", "8.2", (1,)), ("11.1", "10.0", (1, 2, 3))],
)
def test_queues_are_spread_over_threads_since(libvirt: str, qemu: str, threads: tuple[int, ...]) -> None:
    asked = vm(disks=[disk("a", iothread=Iothread.OWN, iothreads=3, queues=3)])
    paths = (("vm", "db-1", "disk", "a", "iothreads"), ("platform", "deb12", "libvirt"), ("platform", "deb12", "qemu"))
    plan, bag = derive(asked, CELLS, on=platform(libvirt=libvirt, qemu=qemu), paths=paths)
    assert plan.iothreads == len(threads)
    assert plan.disks[0].iothreads == (threads if len(threads) > 1 else ())
    assert [item.code.id for item in bag] == ([] if len(threads) > 1 else ["KVMC0526"])
    for item in bag:
        assert libvirt in item.message and qemu in item.message
