"""Passed devices on the guest's own nodes, behind expander buses: from the source to the audit, the lock and libvirt."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from kvmc.driver.audit import audit_tree
from kvmc.driver.build import build_site
from kvmc_targets import BUILTIN
from lab import initramfs, kernel
from lab.libvirtd import Libvirtd
from lab.needs import needs
from whole.effect_site import text_of, write_folder

GPU = "0000:b1:00.0"
WIDE = """vm wide2 : base {
  host  = kvm-b
  nodes = 2
  hostdev gpu {
    device = gpu
  }
  nic vf {
    device = n3
  }
  passed {
    expander = EXPANDER
  }
}
"""


def a_site(folder: Path, expander: str = "true", more: str = "") -> Path:
    """A guest of two nodes with a virtual function of node 0 and a device of node 1 on a host of two nodes."""
    if not (folder / "hosts").exists():
        write_folder(folder)
    text = text_of({"devices": {"parent": '"0000:3b:00.0"'}, "near": {"strength": "prefer"}})
    start, end = text.index("vm db-2"), text.index("vm db-3")
    wide = WIDE.replace("EXPANDER", expander).replace("  passed {", f"{more}  passed {{")
    (folder / "site.kvmt").write_text(text[:start] + wide + text[end:])
    return folder / "site.kvmt"


def built(folder: Path, expander: str = "true", more: str = "") -> etree._Element:
    outcome = build_site(a_site(folder, expander, more), BUILTIN)
    assert outcome.ok, [one.message for one in outcome.bag]
    return etree.parse(str(domain(folder))).getroot()


def domain(folder: Path) -> Path:
    return folder / "generated/kvm-b/domains/wide2.xml"


def bus_of(root: etree._Element, path: str) -> int:
    (found,) = root.findall(f"devices/{path}/address")
    return int(found.get("bus", ""), 0)


def audited(folder: Path) -> list[str]:
    return [item.message for item in audit_tree(folder / "generated", folder / "site.kvmt", {}).bag]


def locked(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "locks/kvm-b.json").read_text())["guests"]["wide2"]["addresses"]
    return found


def test_each_device_is_on_the_guest_node_of_its_own(tmp_path: Path) -> None:
    root = built(tmp_path)
    pci = {one.get("index"): one for one in root.iterfind("devices/controller[@type='pci']")}
    assert list(pci) == [str(index) for index in range(len(pci))], "libvirt would fill a gap with ports of its own"
    on: dict[str, tuple[str | None, str | None]] = {}
    for path in ("hostdev", "interface[@type='hostdev']"):
        bus = bus_of(root, path)
        port = pci[str(bus)]
        assert port.get("model") == "pcie-root-port"
        above = pci[str(int(port.find("address").get("bus"), 0))]  # type: ignore[union-attr, arg-type]
        assert above.get("model") == "pcie-expander-bus"
        on[path] = (above.findtext("target/node"), above.find("target").get("busNr"))  # type: ignore[union-attr]
    nodes = {one.get("cellid"): one.get("nodeset") for one in root.iterfind("numatune/memnode")}
    assert nodes == {"0": "0", "1": "1"}
    assert on == {"hostdev": ("1", "232"), "interface[@type='hostdev']": ("0", "240")}
    assert all(bus_of(root, path) < 9 for path in ("disk", "interface[@type='bridge']", "rng"))
    assert audited(tmp_path) == []


def test_a_guest_that_does_not_ask_stays_as_it_was(tmp_path: Path) -> None:
    plain = etree.tostring(built(tmp_path, "false"))
    assert b"expander" not in plain
    before = locked(tmp_path)
    asked = built(tmp_path, "true")
    moved = {key for key, address in locked(tmp_path).items() if before.get(key, address) != address}
    assert moved == {"hostdev gpu", "nic vf"}, "the others keep their addresses"
    assert bus_of(asked, "rng") == int(before["rng"].split(":")[1], 16)
    assert audited(tmp_path) == []


def test_what_is_added_or_taken_away_moves_nothing_else(tmp_path: Path) -> None:
    built(tmp_path)
    before = locked(tmp_path)
    more = "".join(f"  nic eth{number} {{\n    network = core\n  }}\n" for number in range(1, 9))
    built(tmp_path, more=more)
    after = locked(tmp_path)
    assert before.items() <= after.items()
    runs = {name: (int(after[name].split(":")[1], 16) - 1) // 8 for name in after}
    assert {runs["expander 0"], runs["expander 1"]}.isdisjoint(
        runs[name] for name in after if not name.startswith("expander") and name not in ("hostdev gpu", "nic vf")
    )
    assert audited(tmp_path) == []
    built(tmp_path)
    assert locked(tmp_path) == before


def test_more_devices_than_a_bus_has_ports_take_another(tmp_path: Path) -> None:
    more = "".join(f"  nic v{number} {{\n    device = n3\n  }}\n" for number in range(9))
    a_site(tmp_path, more=more)
    path = tmp_path / "site.kvmt"
    path.write_text(path.read_text().replace("vfs = 4", "vfs = 16"))
    outcome = build_site(path, BUILTIN)
    assert outcome.ok, [one.message for one in outcome.bag]
    names = [name for name in locked(tmp_path) if name.startswith("expander")]
    assert names == ["expander 0", "expander 0 2", "expander 1"]
    assert audited(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            r"(<target busNr=\"232\">\s*<node>)1",
            r"\g<1>0",
            f"`wide2` sees {GPU} on its node 0, which is on node 0 of the host; the device is on node 1",
        ),
        (r"busNr=\"240\"", 'busNr="255"', "the expander bus 255 of `wide2` has 7 ports behind it, and 255 is the last"),
        (
            r"busNr=\"232\"",
            'busNr="239"',
            "the expander bus 239 of `wide2` has 1 port behind it, and bus 240 is the next",
        ),
        (r"busNr=\"232\"", 'busNr="3"', "the expander bus 3 of `wide2` is one of the buses of its first root complex"),
        (r"<node>0</node>", "<node>7</node>", "an expander bus is on node 7 of `wide2`, which is not there"),
    ],
)
def test_the_audit_tells_a_wrong_bus(tmp_path: Path, old: str, new: str, message: str) -> None:
    built(tmp_path)
    path = domain(tmp_path)
    text, count = re.subn(old, new, path.read_text())
    assert count == 1
    path.write_text(text)
    found = audited(tmp_path)
    assert any(line.startswith(message) for line in found), found


def test_the_audit_knows_who_asks(tmp_path: Path) -> None:
    built(tmp_path)
    site = tmp_path / "site.kvmt"
    text = site.read_text()
    site.write_text(text.replace("expander = true", "expander = false"))
    assert any(f"asks for no expander bus and sees {GPU} behind one" in line for line in audited(tmp_path))
    built(tmp_path, "false")
    site.write_text(text)
    assert any(f"asks to see {GPU} on its node 1 and sees it on none" in line for line in audited(tmp_path))


def test_other_machines_have_none(tmp_path: Path) -> None:
    site = a_site(tmp_path)
    site.write_text(site.read_text().replace("  nodes = 2\n", "  nodes = 2\n  machine = virt-7.2\n"))
    told = [item for item in build_site(site, BUILTIN).bag if "expander" in item.message]
    assert [item.message for item in told] == [
        "`expander = true` on machine `virt-7.2`, which has no PCIe expander bus"
    ]


def emulated(root: etree._Element) -> etree._Element:
    """The domain with all that is the host's taken away, and an emulated device at the address of each: this machine has none to
    pass. What is judged, controllers and cells, stays as it is but for sizes."""
    devices = root.find("devices")
    assert devices is not None
    for tag in ("hostdev", "interface", "disk", "rng"):
        for one in devices.findall(tag):
            address = one.find("address")
            assert address is not None
            devices.remove(one)
            rng = etree.SubElement(devices, "rng", model="virtio")
            etree.SubElement(rng, "backend", model="random").text = "/dev/urandom"
            rng.append(address)
    for path in (
        "memoryBacking",
        "cputune",
        "numatune",
        "iothreads",
        "features/kvm",
        "devices/iommu",
        "metadata",
        "cpu/cache",
    ):
        for one in root.findall(path):
            one.getparent().remove(one)  # type: ignore[union-attr]
    root.set("type", "qemu")
    for one in root.findall("cpu"):
        one.set("mode", "maximum")
    for one in root.findall("vcpu"):
        one.attrib.pop("cpuset")
    for size in (*root.iterfind("memory"), *root.iterfind("currentMemory")):
        size.text = str(512 * 1024)
    for cell in root.iterfind("cpu/numa/cell"):
        cell.set("memory", str(256 * 1024))
    return root


def controllers(root: etree._Element) -> dict[str | None, tuple[object, ...]]:
    """By index what each PCI controller but the first is: model, QEMU's name, target, node."""
    return {
        one.get("index"): (one.get("model"), *[dict(part.attrib) for part in one][:2], one.findtext("target/node"))
        for one in root.iterfind("devices/controller[@type='pci']")
        if one.get("index") != "0"
    }


@needs("libvirtd", "qemu")
def test_libvirt_keeps_the_buses_and_qemu_starts_with_them(tmp_path: Path, libvirtd: Libvirtd) -> None:
    root = emulated(built(tmp_path))
    xml = etree.tostring(root, encoding="unicode")
    assert libvirtd.define_validate(xml) is None
    try:
        assert controllers(etree.fromstring(libvirtd.dumpxml("wide2").encode())) == controllers(root)
        assert libvirtd.start("wide2") is None
        libvirtd.destroy("wide2")
    finally:
        libvirtd.undefine("wide2")
    native = libvirtd.native(xml)
    assert '"bus_nr":240' in native and '"numa_node":1' in native


INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
for one in /sys/bus/pci/devices/*; do echo "PCI ${one##*/} $(cat $one/device) $(cat $one/numa_node)"; done
echo DONE
poweroff -f
"""


@pytest.mark.proof
@needs("libvirtd", "qemu", "kernel")
def test_a_linux_guest_sees_each_device_on_its_node(
    tmp_path: Path, libvirtd: Libvirtd, record_property: Callable[[str, object], None]
) -> None:
    """libvirt starts the guest with a kernel, which reads ACPI's word for each bus."""
    root = emulated(built(tmp_path))
    image = kernel.image()
    assert image is not None
    parts = tmp_path / "initramfs"
    parts.mkdir()
    for name, data in (
        ("vmlinuz", image.read_bytes()),
        ("initrd", initramfs.build(parts, initramfs.Payload(files={"/init": INIT})).read_bytes()),
    ):
        libvirtd.put(f"/tmp/{name}", data)
    for os in root.findall("os"):
        os.attrib.pop("firmware", None)
        for one in (*os.findall("firmware"), *os.findall("boot")):
            os.remove(one)
        etree.SubElement(os, "kernel").text = "/tmp/vmlinuz"
        etree.SubElement(os, "initrd").text = "/tmp/initrd"
        etree.SubElement(os, "cmdline").text = "console=ttyS0 quiet"
    for serial in root.findall("devices/serial"):
        serial.set("type", "file")
        serial.insert(0, etree.Element("source", path="/tmp/serial.log"))
    for console in root.findall("devices/console"):
        console.getparent().remove(console)  # type: ignore[union-attr]
    assert libvirtd.create(etree.tostring(root, encoding="unicode"), paused=False) is None
    said = ""
    deadline = time.monotonic() + 300
    while "DONE" not in said and time.monotonic() < deadline:
        time.sleep(1)
        said = libvirtd.run("cat", "/tmp/serial.log")
    # virtio's entropy device; behind the first port of bus 240, and of bus 232
    found = dict(re.findall(r"PCI (\S+) 0x1044 (-?\d+)", said))
    record_property("devices by guest address, each with its node", ", ".join(f"{a} {n}" for a, n in found.items()))
    assert {address: node for address, node in found.items() if address > "0000:80"} == {
        "0000:e9:00.0": "1",
        "0000:f1:00.0": "0",
    }
    assert all(node == "-1" for address, node in found.items() if address < "0000:80"), (
        "the first root complex tells none"
    )
