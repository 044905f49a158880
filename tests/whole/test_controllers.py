"""I/O threads beside the controller of their storage: from the source to the audit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kvmc.driver.audit import audit_tree
from kvmc.driver.build import build_site
from kvmc_targets import BUILTIN

BASE = Path(__file__).parents[1] / "diagnostics/base"
NIC, GPU = "0000:3b:00.0", "0000:b0:00.0"
"""PCI devices of the base host's node 0 and node 1."""
NEAR = {NIC: "0,12", GPU: "6,18"}
"""The housekeeping CPUs of their nodes."""


def a_site(folder: Path, controller: str, isolation: str = "boot") -> Path:
    (folder / "hosts").mkdir()
    (folder / "hosts/a.json").write_text((BASE / "hosts/a.json").read_text())
    text = (BASE / "site.kvmt").read_text().replace("isolation = boot", f"isolation = {isolation}")
    text = text.replace('{vm}-{disk}"\n', f'{{vm}}-{{disk}}"\n  controller = {controller}\n')
    text = text.replace("  disk root {\n", "  disk root {\n    iothread = own\n", 1)
    (folder / "site.kvmt").write_text(text)
    return folder / "site.kvmt"


def pins(folder: Path) -> dict[str, list[str]]:
    """CPUs of the I/O threads, by guest."""
    return {
        path.stem: re.findall(r'iothreadpin iothread="\d+" cpuset="([^"]*)"', path.read_text())
        for path in sorted((folder / "generated/a/domains").iterdir())
    }


@pytest.mark.parametrize("isolation", ["boot", "none"])
@pytest.mark.parametrize("device", [NIC, GPU])
def test_the_threads_are_on_the_controllers_node(tmp_path: Path, device: str, isolation: str) -> None:
    outcome = build_site(a_site(tmp_path, f'"{device}"', isolation), BUILTIN)
    assert not list(outcome.bag), [one.message for one in outcome.bag]
    assert pins(tmp_path) == {"one": [NEAR[device]], "two": [NEAR[device]], "web": []}


def test_the_host_has_one_of_several(tmp_path: Path) -> None:
    build_site(a_site(tmp_path, f'["0000:41:00.0", "{NIC}"]'), BUILTIN)
    assert pins(tmp_path)["one"] == [NEAR[NIC]]


def test_the_audit_tells_a_thread_on_another_node(tmp_path: Path) -> None:
    site = a_site(tmp_path, f'"{NIC}"')
    build_site(site, BUILTIN)
    path = tmp_path / "generated/a/domains/one.xml"
    path.write_text(path.read_text().replace('iothread="1" cpuset="0,12"', 'iothread="1" cpuset="6,18"'))
    found = [item.message for item in audit_tree(tmp_path / "generated", site, {}).bag]
    assert found == ["`one` asks for I/O thread 1 beside its controller, on CPUs 0,12, and it may run on 6,18"]
