"""Raw elements beside, below and instead of what kvmc writes; networks, NIC models, USB and shared memory, which they go with."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from hostconfig.test_raw import build, raw, site, told
from kvmc.diagnostics import Code
from kvmc.diagnostics.codes import host as codes
from kvmc.driver.audit import audit_tree

CDROM = (
    "<disk type='file' device='cdrom'><source file='/iso/seed.iso'/><target dev='{dev}' bus='sata'/><readonly/></disk>"
)
MAC = "52:54:00:00:00:01"
DISK = "  disk extra {\n    storage = disks\n    bus = sata\n    boot = 1\n  }\n"
NICS = """  usb = xhci
  shared_memory = true
  nic lan {
    network = virt
    model = e1000e
  }
  nic wan {
    network = card
  }
"""


def one(name: str, at: str, text: str) -> str:
    return raw("xml", name, text, "why", at)


def domain(folder: Path, vm: str) -> etree._Element:
    """What is built, which the audit takes as asked for."""
    path = site(folder, vm=vm)
    networks = "network virt {\n  network = default\n}\nnetwork card {\n  direct = eno1\n  mode = vepa\n}\n"
    path.write_text(path.read_text() + networks)
    build(path)
    assert not list(audit_tree(folder / "generated", path, {}).bag)
    return etree.parse(folder / "generated/a/domains/web.xml").getroot()


@pytest.mark.parametrize(
    ("at", "text", "code"),
    [
        ("devices", CDROM.format(dev="sdc"), None),
        ("devices", "<disk type='file' device='disk'><source file='/a'/><target dev='vdz'/></disk>", codes.RAW_OWNED),
        ("devices", "<disk type='file'><source file='/a b'/><target dev='vdz'/></disk>", None),
        ("devices", "<disk type='file'><driver type='vmdk'/><source file='/a'/><target dev='vdz'/></disk>", None),
        ("devices", "<disk type='file'><source file='/a'/><target dev='sdz' bus='usb'/></disk>", codes.RAW_LACKS),
        ("devices", "<disk type='file'><source file='/a b'/></disk>", codes.RAW_XML),
        ("devices", "<disk type='network'><source protocol='nbd' name='a'/><target dev='vdz'/></disk>", None),
        ("devices", f"<interface type='user'><mac address='{MAC}'/></interface>", None),
        ("devices", "<interface type='user'/>", codes.RAW_XML),
        ("devices", f"<interface type='bridge'><mac address='{MAC}'/></interface>", codes.RAW_OWNED),
        ("devices", "<hostdev type='pci'/>", codes.RAW_OWNED),
        ("devices", "<hostdev type='scsi'/>", None),
        ("devices", "<hostdev type='usb'/>", codes.RAW_LACKS),
        ("devices", "<redirdev bus='usb' type='spicevmc'/>", codes.RAW_LACKS),
        ("devices", "<input type='tablet' bus='usb'/>", codes.RAW_LACKS),
        ("devices", "<input type='tablet' bus='virtio'/>", None),
        ("devices", "<input type='keyboard' bus='ps2'/>", codes.RAW_OWNED),
        ("devices", "<input type='mouse'/>", codes.RAW_OWNED),
        ("devices", "<controller type='virtio-serial' index='0'/>", None),
        ("devices", "<controller type='usb' index='1'/>", codes.RAW_OWNED),
        ("devices", "<controller type='ide' index='0'/>", codes.RAW_OWNED),
        ("devices", "<filesystem><driver type='virtiofs'/></filesystem>", codes.RAW_LACKS),
        ("devices", "<filesystem><driver type='path'/></filesystem>", None),
        ("devices", "<memballoon model='virtio'><stats period='5'/></memballoon>", None),
        ("disk root", "<serial>x1</serial>", None),
        ("disk root", "<driver detect_zeroes='unmap'/>", None),
        ("disk root", "<driver cache='unsafe'/>", codes.RAW_OWNED),
        ("disk root", "<boot order='1'/>", codes.RAW_OWNED),
        ("disk rot", "<serial>x1</serial>", codes.RAW_XML),
        ("nic eth0", "<mtu size='1400'/>", codes.RAW_XML),
        ("clock", "<timer name='tsc' mode='native'/>", None),
        ("clock", "<timer name='hpet' present='yes'/>", None),
        ("domain", "<on_crash>preserve</on_crash>", None),
        ("domain", "<memory>1</memory>", codes.RAW_OWNED),
        ("os", "<boot dev='network'/>", None),
        ("memoryBacking", "<nosharepages/>", None),
        ("memoryBacking", "<access mode='shared'/>", None),
        ("metadata", "<a:b xmlns:a='http://a.example/1'>c</a:b>", None),
        ("metadata", "<b/>", codes.RAW_XML),
        ("metadata", "<a:b xmlns:a='urn:kvmc:domain:1'/>", codes.RAW_XML),
    ],
)
def test_what_may_stand_where(tmp_path: Path, at: str, text: str, code: Code | None) -> None:
    bag, _ = told(site(tmp_path, vm=one("own", at, text)))
    assert [item.code for item in bag] == ([code] if code else [])


def test_boot_devices_and_boot_orders_exclude_each_other(tmp_path: Path) -> None:
    bag, _ = told(site(tmp_path, vm=DISK + one("own", "os", "<boot dev='network'/>")))
    assert [item.code for item in bag] == [codes.RAW_OWNED]


def test_what_is_below_a_device_is_added_to_it(tmp_path: Path) -> None:
    vm = one("a", "disk root", "<serial>x1</serial>") + one("b", "disk root", "<driver detect_zeroes='unmap'/>")
    vm += "  nic eth0 {\n    network = lan\n  }\n" + one("c", "nic eth0", "<boot order='2'/>")
    vm += one("d", "nic eth0", "<source portid='p'><x/></source>")
    root = domain(tmp_path, vm)
    assert root.findtext("devices/disk/serial") == "x1"
    (driver,) = root.iterfind("devices/disk/driver")
    assert (driver.get("detect_zeroes"), driver.get("cache")) == ("unmap", "none")
    (source,) = root.iterfind("devices/interface/source")
    assert (source.get("bridge"), source.get("portid"), len(source)) == ("br0", "p", 1)
    assert root.find("devices/interface/boot") is not None
    assert root.find("os/boot") is None  # libvirt takes one of the two


def test_what_stands_instead_leaves_nothing_of_kvmcs(tmp_path: Path) -> None:
    vm = one("a", "devices", "<serial type='tcp'><source mode='bind' host='127.0.0.1' service='1'/></serial>")
    vm += one("b", "clock", "<timer name='hpet' present='yes'/>") + one("c", "domain", "<on_crash>preserve</on_crash>")
    vm += one("d", "os", "<boot dev='network'/>") + one("e", "os", "<boot dev='hd'/>")
    vm += one("f", "metadata", "<a:b xmlns:a='http://a.example/1'>c</a:b>")
    root = domain(tmp_path, vm)
    assert [one.get("type") for one in root.iterfind("devices/serial")] == ["tcp"]
    assert len(root.findall("devices/console")) == 1
    timers = {one.get("name"): one.get("present") for one in root.iterfind("clock/timer")}
    assert timers == {"rtc": None, "pit": None, "hpet": "yes"}
    assert [one.text for one in root.iterfind("on_crash")] == ["preserve"]
    assert [one.get("dev") for one in root.iterfind("os/boot")] == ["network", "hd"]
    assert len(root.findall("metadata/*")) == 2


def test_a_disk_takes_no_name_that_a_raw_one_has(tmp_path: Path) -> None:
    sata = "  disk extra {\n    storage = disks\n    bus = sata\n  }\n"
    root = domain(tmp_path, sata + one("cd", "devices", CDROM.format(dev="sda")))
    names = {one.get("dev") for one in root.iterfind("devices/disk/target")}
    assert names == {"vda", "sda", "sdb"}


def test_networks_models_usb_and_shared_memory(tmp_path: Path) -> None:
    tablet = one("tablet", "devices", "<input type='tablet' bus='usb'/>")
    root = domain(tmp_path, NICS + tablet + one("fs", "devices", "<filesystem><driver type='virtiofs'/></filesystem>"))
    nics = {
        nic.get("type"): (dict(next(nic.iterchildren("source")).attrib), next(nic.iterchildren("model")).get("type"))
        for nic in root.iterfind("devices/interface")
    }
    assert nics == {
        "network": ({"network": "default"}, "e1000e"),
        "direct": ({"dev": "eno1", "mode": "vepa"}, "virtio"),
    }
    (usb,) = (one for one in root.iterfind("devices/controller") if one.get("type") == "usb")
    assert (usb.get("model"), usb.get("ports"), usb.find("address") is not None) == ("qemu-xhci", "15", True)
    assert [one.get("mode") for one in root.iterfind("memoryBacking/access")] == ["shared"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('network="default"', 'network="other"'),
        ('mode="vepa"', 'mode="bridge"'),
        ('<model type="e1000e"/>', '<model type="virtio"/>'),
        ("qemu-xhci", "nec-xhci"),
        ('<access mode="shared"/>', ""),
        ("serial>x1<", "serial>x2<"),
        ('detect_zeroes="unmap"', ""),
        ('hpet" present="yes"', 'hpet" present="no"'),
    ],
)
def test_the_audit_misses_what_is_changed(tmp_path: Path, old: str, new: str) -> None:
    vm = NICS + one("a", "disk root", "<serial>x1</serial>") + one("b", "disk root", "<driver detect_zeroes='unmap'/>")
    domain(tmp_path, vm + one("c", "clock", "<timer name='hpet' present='yes'/>"))
    path = tmp_path / "generated/a/domains/web.xml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert audit_tree(tmp_path / "generated", tmp_path / "site.kvmt", {}).bag.has_errors
