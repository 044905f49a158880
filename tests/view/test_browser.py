"""The page in a real browser: every guest found by name, all within reach of the keyboard, contrast AA, quiet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kvmc.view.fleet import fleet_view
from kvmc.view.html import render
from kvmc.view.model import CacheView, FleetView, Thread, Use
from lab.needs import needs
from view.plans import changed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [needs("chromium"), pytest.mark.xdist_group("browser")]

_CONTRAST = Path(__file__).with_name("contrast.js").read_text()
_ACTIVE = """() => {
  const node = document.activeElement;
  return node.dataset.guest ?? (node.dataset.host ? `host ${node.dataset.host}` : node.id || node.className);
}"""
_UNNAMED = """() =>
  [...document.querySelectorAll("button, input, [role=button], section, nav, aside, [role=region]")]
    .filter((node) => node.getClientRects().length && !node.textContent.trim())
    .filter((node) => !node.getAttribute("aria-label") && !node.labels?.length)
    .map((node) => node.outerHTML.slice(0, 80))"""
_DRAWN = "() => [...document.querySelectorAll('#maps svg text:not(.who)')].map((text) => text.textContent)"
_LISTED = "() => [...document.querySelectorAll('#maps td:nth-child(3)')].flatMap((cell) => cell.textContent.split(' '))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> FleetView:
    """The database cluster with changes, one of its hosts crowded so that every hue is there and names are cut."""
    plain = fleet_view(changed(tmp_path_factory.mktemp("db")))
    first, *hosts = plain.hosts
    names = [f"a-guest-with-a-long-name-{number}" for number in range(36)]
    cores = tuple(
        (Thread(2 * n, Use.GUEST, name), Thread(2 * n + 1, Use.EMULATOR, name)) for n, name in enumerate(names)
    )
    unused = ((Thread(90, Use.UNUSED), Thread(91, Use.VSWITCH)),)
    crowded = replace(
        first, name="crowded", nodes=(replace(first.nodes[0], caches=(CacheView(None, cores + unused),)),)
    )
    guests = tuple(replace(plain.guests[0], name=name, host="crowded", change="") for name in names)
    return replace(plain, hosts=(first, *hosts, crowded), guests=plain.guests + guests)


@pytest.fixture(scope="module")
def path(fleet: FleetView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page") / "plan.html"
    made.write_text(render(fleet))
    return made


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, path: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The open page; at the end it must have said nothing and asked for nothing but itself."""
    opened = browser.new_page(color_scheme=request.param, viewport={"width": 1600, "height": 1000})
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda asked: said.append(asked.url) if asked.url != path.as_uri() else None)
    opened.goto(path.as_uri())
    yield opened
    opened.close()
    assert said == []


def test_every_guest_is_found_by_its_name(page: Page, fleet: FleetView) -> None:
    for guest in fleet.guests:
        page.fill("#find", guest.name)
        assert page.inner_text("#guest-name") == guest.name
        assert page.inner_text("#host-name") == (guest.host or guest.before)
        assert guest.source in page.inner_text("#guest") or guest.change == "gone"
    page.fill("#find", "no such guest")
    assert page.inner_text("#found") == "0 guests, 0 hosts"


def test_the_keyboard_reaches_all(page: Page, fleet: FleetView) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate(_ACTIVE) == "skip"
    reached: list[str] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        where = page.evaluate(_ACTIVE)
        if where in ("skip", "") and reached:
            break
        reached.append(where)
    expected = page.evaluate(
        "() => [...document.querySelectorAll('#maps [data-guest]')].map((node) => node.dataset.guest)"
    )
    assert [one for one in reached if one.isdigit()] == expected and expected
    assert {"find", "as-map", "as-table", *(f"host {index}" for index in range(len(fleet.hosts)))} <= set(reached)
    page.focus("#hosts button")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.inner_text("#host-name") == fleet.hosts[1].name
    page.focus("#maps [data-guest]")
    index = int(page.evaluate("() => document.activeElement.dataset.guest"))
    assert page.inner_text("#guest-name") == fleet.guests[index].name


def test_contrast_and_names(page: Page, fleet: FleetView) -> None:
    for index in range(len(fleet.hosts)):
        page.click(f"#hosts button[data-host='{index}']")
        seen, bad = page.evaluate(_CONTRAST)
        assert bad == [] and seen > 100
    assert page.evaluate(_UNNAMED) == []


def test_map_and_table_tell_the_same(page: Page, fleet: FleetView) -> None:
    page.click(f"#hosts button[data-host='{len(fleet.hosts) - 1}']")
    drawn = page.evaluate(_DRAWN)
    page.click("#as-table")
    listed = page.evaluate(_LISTED)
    assert sorted(drawn, key=int) == sorted(listed, key=int) and len(drawn) == 74
    assert page.get_attribute("#as-table", "aria-pressed") == "true"


def test_before_and_after(page: Page, fleet: FleetView) -> None:
    host = next(guest.before for guest in fleet.guests if guest.change == "gone")
    page.click(f"#hosts button:has-text('{host}')")
    assert page.locator("#maps h3").all_inner_texts() == ["Before", "After"]
    before, after = page.locator("#maps .map").all()
    assert "osd-3" in before.inner_text() or before.locator("[aria-label^='guest osd-3, gone']").count()
    assert after.locator("[aria-label^='guest osd-3']").count() == 0
    assert before.locator(".run.changed").count() >= 1
