"""The picture holds what the plan holds."""

from __future__ import annotations

from pathlib import Path

from kvmc.model.cpuset import CpuSet
from kvmc.view.fleet import fleet_view
from kvmc.view.model import HostView, Use
from view.plans import changed, example


def _cpus(host: HostView, *uses: Use) -> CpuSet:
    return CpuSet.of(thread.cpu for thread in host.threads() if thread.use in uses)


def test_every_cpu_once_and_with_its_owner(tmp_path: Path) -> None:
    outcome = example("telco-edge", tmp_path)
    assert outcome.placement is not None
    fleet = fleet_view(outcome)
    assert [host.name for host in fleet.hosts] == list(outcome.topologies)
    for host in fleet.hosts:
        cpus = [thread.cpu for thread in host.threads()]
        assert len(cpus) == len(set(cpus)) and CpuSet.of(cpus) == outcome.topologies[host.name].online
        pools = outcome.placement.pools[host.name]
        assert _cpus(host, Use.HOUSEKEEPING) == pools.housekeeping
        assert _cpus(host, Use.SHARED) == pools.shared
        assert _cpus(host, Use.GUEST, Use.IDLE, Use.EMULATOR, Use.SPARE) == pools.dedicated
        for vm, guest in outcome.placement.guests.items():
            if guest.host == host.name and vm != "ems-1" and vm != "ems-2":
                mine = CpuSet.of(t.cpu for t in host.threads() if t.guest == vm and t.use is Use.GUEST)
                assert mine == CpuSet.of(cpu for cell in guest.cells for pin in cell.pins for cpu in pin)
                assert CpuSet.of(t.cpu for t in host.threads() if t.guest == vm and t.use is Use.IDLE) == guest.idle


def test_amounts_are_the_plan_s(tmp_path: Path) -> None:
    fleet = fleet_view(example("telco-edge", tmp_path))
    near, far = fleet.hosts[0].nodes
    assert [(one.size_kib, one.offered, one.used) for one in near.pages] == [(1024**2, 96, 32)]
    assert [(one.size_kib, one.offered, one.used) for one in far.pages] == [(1024**2, 96, 24)]
    assert (near.shared_vcpus, near.shared_most, far.shared_vcpus) == (4, 16, 0)
    assert 8 * 1024**2 < near.normal_used_kib < 10 * 1024**2 < near.normal_kib
    taken = {device.address: device.guest for device in near.devices if device.guest}
    assert taken == {"0000:3b:01.0": "upf-1", "0000:3b:01.1": "upf-1"} and len(near.devices) == 8


def test_a_guest_says_what_it_asks_and_where(tmp_path: Path) -> None:
    outcome = example("telco-edge", tmp_path)
    upf = next(guest for guest in fleet_view(outcome).guests if guest.name == "upf-1")
    file, _, line = upf.source.partition(":")
    assert (file, outcome.texts[file].splitlines()[int(line) - 1]) == ("site.kvmt", "vm upf-1 : upf")
    assert upf.classes == ("upf", "realtime", "cnf")
    assert dict(upf.intent)["vcpus"] == "16" and dict(upf.intent)["scheduler"] == "fifo"
    assert "emulator" not in dict(upf.intent)  # nobody sets it


def test_what_changes_is_told_and_was_otherwise_before(tmp_path: Path) -> None:
    fleet = fleet_view(changed(tmp_path))
    changes = {guest.name: (guest.change, guest.cost) for guest in fleet.guests if guest.change}
    assert changes == {
        "pg-4": ("new", "guest start"),
        "pg-5": ("new", "guest start"),
        "osd-3": ("gone", "guest stop"),
    }
    before = {host.name: host for host in fleet.before}
    gone_from = next(guest.before for guest in fleet.guests if guest.name == "osd-3")
    assert any(thread.guest == "osd-3" for thread in before[gone_from].threads())
    assert all(thread.guest != "osd-3" for host in fleet.hosts for thread in host.threads())
    assert all(thread.guest not in ("pg-4", "pg-5") for host in fleet.before for thread in host.threads())


def test_nothing_before_where_nothing_changes(tmp_path: Path) -> None:
    fleet = fleet_view(example("database-ceph", tmp_path))
    assert not fleet.before and not any(guest.change for guest in fleet.guests)
