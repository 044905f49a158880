"""The page as bytes: whole, alone, the same each time, and safe with names that nobody should choose."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import html

from kvmc.view.fleet import fleet_view
from kvmc.view.html import render
from kvmc.view.model import FleetView
from view.plans import changed


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> FleetView:
    return fleet_view(changed(tmp_path_factory.mktemp("db")))


def test_it_needs_nothing_else(fleet: FleetView) -> None:
    page = render(fleet)
    tree = html.document_fromstring(page)
    assert (
        not tree.xpath("//@src")
        and not tree.xpath("//link")
        and not re.search(r"url\(|@import|https?:", page.replace("http://www.w3.org/2000/svg", ""))
    )
    policy = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy and policy[0].startswith("default-src 'none'")
    assert page == render(fleet) and page.endswith("</html>\n")


def test_tables_hold_all_without_a_script(fleet: FleetView) -> None:
    tree = html.document_fromstring(render(fleet))
    rows = {row.findtext("th"): row for row in tree.xpath("//table[@id='guest-table']/tbody/tr")}
    assert list(rows) == [guest.name for guest in fleet.guests if guest.change != "gone"]
    for guest in fleet.guests:
        if guest.change != "gone":
            assert {guest.host, guest.cpus, guest.source} <= {cell.text for cell in rows[guest.name].findall("td")}
    assert {cell.text for cell in tree.xpath("//section[.//h2='What changes']//tbody/tr/th")} == {
        "pg-4",
        "pg-5",
        "osd-3",
    }
    assert tree.xpath("//noscript")


def test_hostile_text_stays_text(fleet: FleetView) -> None:
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u2028"
    first, *rest = fleet.guests
    hostile = replace(
        fleet,
        site=bad,
        hosts=tuple(replace(host, model=bad, stranded=(bad,)) for host in fleet.hosts),
        guests=(replace(first, intent=(("machine", bad),), devices=bad, source=bad), *rest),
    )
    page = render(hostile)
    tree = html.document_fromstring(page)
    assert len(tree.xpath("//script")) == 2 and not tree.xpath("//img")
    data = json.loads(tree.xpath("//script[@type='application/json']")[0].text)
    assert data["hosts"][0]["facts"].startswith(bad) and data["guests"][0]["source"] == bad
    assert tree.findtext(".//h1") == bad


def test_what_the_page_may_write_over(tmp_path: Path) -> None:
    from kvmc.driver.page import write_page

    outcome = changed(tmp_path / "a")
    page = tmp_path / "plan.html"
    write_page(page, outcome)
    first = page.read_bytes()
    write_page(page, outcome)
    mine = tmp_path / "notes.html"
    mine.write_text("<p>mine</p>")
    (tmp_path / "link.html").symlink_to(page)
    (tmp_path / "empty.html").touch()
    write_page(tmp_path / "empty.html", outcome)
    assert outcome.ok
    for name, why in (
        ("notes.html", "is not a page of kvmc's"),
        ("link.html", "is a symbolic link"),
        ("a", "is a folder"),
        ("no/plan.html", "no such file or directory"),
    ):
        outcome = changed(tmp_path / f"of-{name.replace('/', '-')}")
        write_page(tmp_path / name, outcome)
        assert [item.code.id for item in outcome.bag] == ["KVMC0040"] and why in outcome.bag.items[0].message
    assert mine.read_text() == "<p>mine</p>" and page.read_bytes() == first
