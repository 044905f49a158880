"""The SCSI controller of a guest: its I/O thread, depth and length of requests, from disks to the domain and its audit."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from lxml import etree

from kvmc.audit.check import audit_site
from kvmc.diagnostics import Severity
from kvmc.driver.stages import plan_site
from kvmc.model.site import Site
from verify.simulate import Built, built

BASE = Path(__file__).parents[1] / "diagnostics/base"
GUEST = """
vm three : db {
  disk root {
    iothread = shared
  }
  disk log {
    storage = disks
    iothread = own
  }
  disk a {
    storage     = disks
    bus         = scsi
    iothread    = shared
    max_sectors = 2048
    cmd_per_lun = 64
  }
  disk b {
    storage     = disks
    bus         = scsi
    max_sectors = 1024
  }
}
"""


@pytest.fixture(scope="module")
def scsi(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Site]:
    folder = tmp_path_factory.mktemp("scsi") / "site"
    shutil.copytree(BASE, folder)
    with (folder / "site.kvmt").open("a") as file:
        file.write(GUEST)
    made = built(folder)
    site = plan_site(folder / "site.kvmt").site
    assert site is not None
    return made, site


def drivers(one: Built) -> Mapping[str, Mapping[str, str]]:
    """By the disk's source, and of the controller."""
    root = etree.fromstring(one.trees["a"]["domains/three.xml"].encode())
    found: dict[str, dict[str, str]] = {}
    for node in root.iterfind("devices/disk"):
        (source,), (driver,) = node.findall("source"), node.findall("driver")
        found[str(source.get("dev")).rpartition("-")[2]] = _attributes(driver)
    (controller,) = root.findall("devices/controller[@type='scsi']/driver")
    return found | {"controller": _attributes(controller)}


def _attributes(node: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in node.attrib.items()}


def test_one_thread_serves_the_controller_and_the_disks_that_share(scsi: tuple[Built, Site]) -> None:
    found = drivers(scsi[0])
    assert found["controller"] == {"cmd_per_lun": "64", "max_sectors": "1024", "iothread": "1"}
    assert (found["root"]["iothread"], found["log"]["iothread"]) == ("1", "2")
    assert all("iothread" not in found[name] and "max_sectors" not in found[name] for name in "ab")
    assert "<iothreads>2</iothreads>" in scsi[0].trees["a"]["domains/three.xml"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('max_sectors="1024"', 'max_sectors="2048"'),
        ('max_sectors="1024" ', ""),
        ('max_sectors="1024" iothread="1"', 'max_sectors="1024"'),
        ('max_sectors="1024" iothread="1"', 'max_sectors="1024" iothread="2"'),
        ('cmd_per_lun="64"', 'cmd_per_lun="128"'),
    ],
)
def test_each_damage_is_found(old: str, new: str, scsi: tuple[Built, Site]) -> None:
    made, site = scsi
    assert [item for item in audit_site(made.trees, made.topologies, site) if item.severity is Severity.ERROR] == []
    files = dict(made.trees["a"])
    assert files["domains/three.xml"].count(old) == 1
    files["domains/three.xml"] = files["domains/three.xml"].replace(old, new)
    found = audit_site({"a": files}, made.topologies, site)
    assert [item for item in found if item.severity is Severity.ERROR]
