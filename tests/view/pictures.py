"""Draws the pictures of docs/plan.md anew: `PYTHONPATH=compiler:grammar:targets:tests python -m view.pictures`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

from kvmc.driver.outcome import Outcome
from kvmc.view.fleet import fleet_view
from kvmc.view.html import render
from view.plans import changed, example

IMAGES = Path(__file__).resolve().parents[2] / "docs/images"


def main() -> None:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        plans: tuple[tuple[str, Outcome, Literal["light", "dark"], str], ...] = (
            ("plan-light", example("telco-edge", folder), "light", "upf-1"),
            ("plan-dark", changed(folder), "dark", "pg-5"),
        )
        for picture, outcome, scheme, find in plans:
            page = folder / f"{picture}.html"
            page.write_text(render(fleet_view(outcome)))
            tab = browser.new_page(viewport={"width": 1500, "height": 900}, color_scheme=scheme)
            tab.goto(page.as_uri())
            tab.fill("#find", find)
            tab.screenshot(path=IMAGES / f"{picture}.png")
        browser.close()


if __name__ == "__main__":
    main()
