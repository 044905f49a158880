"""How soon the page of a large plan is there: 100 hosts with 2,000 guests, opened in Chromium.

    python benchmarks/page.py [--hosts N] [--keep FILE]

Prints the time to plan and to draw, the page's size, and how long Chromium takes from the call to a page that answers. Exits 1
above 5 MB or 3 s.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from kvmc.driver.stages import plan_site
from kvmc.view.fleet import fleet_view
from kvmc.view.html import render

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 5_000_000
MOST_SECONDS = 3.0
_SIZES = (2, 4, 4, 4, 4, 4, 4, 4, 4, 6, 4, 4, 4, 4, 4, 4, 4, 8, 8, 8)
"""vCPUs of the 20 guests of one host."""


def site_text(hosts: int) -> str:
    """So many of the database example's hosts, and 20 guests for each."""
    text = """kvmt 1

site fleet {
  identity = "fleet.example.net"
}

platform deb12 {
  kernel  = "6.1"
  libvirt = "9.0"
  qemu    = "7.2"
  tuned   = "2.20"
}

pool compute {
  platform = deb12
  pages    = [120 * 1GiB]
}

class guest {
  machine = pc-q35-7.2
  pages   = 1GiB
}
"""
    parts = [text]
    for host in range(hosts):
        parts.append(f'host kvm-{host:03} : compute {{\n  topology = "host.json"\n  rack = r{host // 10}\n}}\n')
        for guest, vcpus in enumerate(_SIZES):
            parts.append(f"vm g{host:03}-{guest:02} : guest {{\n  vcpus = {vcpus}\n  memory = {vcpus * 2}GiB\n}}\n")
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--keep", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "examples/database-ceph/hosts/epyc-7543.json", folder / "host.json")
        (folder / "site.kvmt").write_text(site_text(options.hosts))
        start = time.process_time()
        outcome = plan_site(folder / "site.kvmt")
        planned = time.process_time() - start
        if not outcome.ok:
            print([item.message for item in outcome.bag][:3], file=sys.stderr)
            return 1
        start = time.process_time()
        page = options.keep or folder / "plan.html"
        page.write_text(render(fleet_view(outcome)))
        drawn = time.process_time() - start
        size = page.stat().st_size
        opened = _open(page, 20 * options.hosts)
    print(
        f"{options.hosts} hosts, {20 * options.hosts} guests: planned in {planned:.1f} s, drawn in {drawn:.2f} s of CPU time"
    )
    print(f"{size / 1e6:.2f} MB (limit {MOST_BYTES / 1e6:.0f}), opened in {opened:.2f} s (limit {MOST_SECONDS:.0f})")
    return 0 if size <= MOST_BYTES and opened <= MOST_SECONDS else 1


def _open(page: Path, guests: int) -> float:
    """Seconds from the call until the last guest was found by its name and drawn."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1600, "height": 1000})
        start = time.monotonic()
        tab.goto(page.resolve().as_uri())
        last = tab.locator("#guest-table tbody tr th").nth(guests - 1).text_content()
        tab.fill("#find", last or "")
        assert tab.inner_text("#guest-name") == last
        tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        elapsed = time.monotonic() - start
        browser.close()
    return elapsed


if __name__ == "__main__":
    sys.exit(main())
