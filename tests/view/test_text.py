"""Hosts as letters."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kvmc.view.fleet import fleet_view
from kvmc.view.model import CacheView, FleetView, Thread, Use
from kvmc.view.text import MOST_DRAWN, draw_host, drawn_hosts, overview_rows
from view.plans import changed, example


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> FleetView:
    return fleet_view(example("telco-edge", tmp_path_factory.mktemp("edge")))


def test_letters_stand_where_the_guests_are(edge: FleetView) -> None:
    text = draw_host(edge.hosts[0], colour=False)
    lines = text.splitlines()
    assert lines[0] == "edge-17a: Intel(R) Xeon(R) Gold 6338N CPU @ 2.20GHz, pool edge, rack a"
    assert "    L3 0  ## ## ~~ ~~ AA AA AA AA AA AA AA AA .. .. .. ..  (CPUs 0-31,64-95)" in lines
    assert "    L3 1  ## ## ~~ ~~ B- B- B- B- B- B- B- B- B- B- B- B-  (CPUs 32-63,96-127)" in lines
    assert "  key:  A upf-1  B du-1  # housekeeping  ~ shared  . spare  - idle sibling" in lines
    assert "  on shared CPUs: ems-1" in lines
    assert "    devices n3: 2 of 8 used: 0000:3b:01.0 upf-1, 0000:3b:01.1 upf-1" in lines
    assert "  stranded: node 1: 12 CPUs: idle siblings of their guests' cores" in lines
    assert all(len(line) <= 132 for line in lines)


def test_colour_adds_nothing_but_colour(edge: FleetView) -> None:
    for host in edge.hosts:
        coloured = draw_host(host, colour=True)
        assert "\x1b[36m" in coloured
        assert re.sub(r"\x1b\[[0-9]+m", "", coloured) == draw_host(host, colour=False)


def test_more_guests_than_letters(edge: FleetView) -> None:
    host, node = edge.hosts[0], edge.hosts[0].nodes[0]
    cores = tuple((Thread(cpu, Use.GUEST, f"g{cpu}"),) for cpu in range(60))
    crowded = replace(host, nodes=(replace(node, caches=(CacheView(0, cores),)),))
    text = draw_host(crowded, colour=False)
    assert "AA AB AC" in text and "BH g59" in text


def test_the_overview_adds_up(edge: FleetView) -> None:
    head, first, _ = overview_rows(edge)
    row = dict(zip(head, first, strict=True))
    assert row["dedicated"] == "40 of 112 CPUs" and row["pages"] == "56 of 192 * 1GiB"
    assert row["shared vCPUs"] == "4 of 32" and row["devices"] == "3 of 12" and row["guests"] == "3"


def test_of_a_large_fleet_what_changes_is_drawn(tmp_path: Path) -> None:
    fleet = fleet_view(changed(tmp_path))
    many = tuple(replace(fleet.hosts[0], name=f"h{index}") for index in range(MOST_DRAWN)) + fleet.hosts
    large = replace(fleet, hosts=many)
    moved = {name for guest in fleet.guests if guest.change for name in (guest.host, guest.before)}
    assert {host.name for host in drawn_hosts(large, ())} == moved - {"", "-"}
    assert [host.name for host in drawn_hosts(large, ["h3"])] == ["h3"]
    assert drawn_hosts(fleet, ()) == fleet.hosts


def test_a_mixed_guest_is_on_its_own_cpus_and_on_shared_ones(tmp_path: Path) -> None:
    """In the map by its letter, and named with those that float."""
    outcome = example("telco-edge", tmp_path, **{"pinning = shared": "pinning = mixed\n  dedicated = 0"})
    host = next(host for host in fleet_view(outcome).hosts if host.mixed)
    text = draw_host(host, colour=False)
    (name,) = host.mixed
    assert f"  on shared CPUs: {name} (in part)" in text.splitlines()
    assert re.search(rf"key:.* [A-Z] {name}\b", text)
