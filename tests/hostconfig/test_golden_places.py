"""What is thought of each raw element at each place: whether a setting says it, what it lacks, what it stands instead of."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from hostconfig.shown import golden
from kvmc.hostconfig.raw_places import device, lacks, stands_instead, told_by_settings, unsound
from kvmc.model.site import Pinning, Vm
from support.guests import disk, nic, vm

GUESTS: dict[str, Vm] = {
    "plain": vm(disks=[disk("root")], nics=[nic("eth0")], hostdevs=["gpu"]),
    "shared": vm(pinning=Pinning.SHARED, disks=[disk("root", boot=1)], nics=[nic("eth0")]),
    "rich": vm(hyperv=True, usb="xhci", shared_memory=True, disks=[disk("root", boot=2)]),
}
DOMAIN = ["title", "on_poweroff", "on_reboot", "on_crash", "pm", "vcpu", "launchSecurity", "sysinfo", "keywrap"]
INNER = [
    ("os", "<boot dev='hd'/>"), ("os", "<bios useserial='yes'/>"), ("features", "<apic/>"), ("features", "<vmport/>"),
    ("features", "<ioapic/>"), ("features", "<pae/>"),
    ("clock", "<timer name='hypervclock'/>"), ("clock", "<timer name='hpet'/>"),
    ("memoryBacking", "<nosharepages/>"), ("memoryBacking", "<discard/>"),
    *(("devices", f"<{tag}/>")
      for tag in ("serial", "console", "rng", "watchdog", "audio", "iommu", "memballoon", "tpm", "vsock")),
    *(("devices", f"<disk type='{kind}'><target dev='vdz'/></disk>") for kind in ("block", "file", "network", "volume")),
    ("devices", "<disk type='file' device='cdrom'><target dev='sdz'/></disk>"),
    ("devices", "<disk type='block' device='disk'><target dev='vdz'/></disk>"),
    ("devices", "<disk/>"),
    *(("devices", f"<interface type='{kind}'/>")
      for kind in ("bridge", "network", "direct", "vhostuser", "hostdev", "user", "vdpa")),
    *(("devices", f"<hostdev type='{kind}'/>") for kind in ("pci", "usb", "scsi", "scsi_host", "mdev")),
    *(("devices", f"<controller type='{kind}'/>")
      for kind in ("pci", "usb", "sata", "scsi", "ccid", "virtio-serial")),
    *(("devices", f"<input type='{kind}'/>") for kind in ("mouse", "keyboard", "tablet")),
    ("devices", "<input type='mouse' bus='usb'/>"), ("devices", "<input type='mouse' bus='ps2'/>"),
    *(("devices", f"<{tag}/>") for tag in ("redirdev", "hub", "smartcard", "channel")),
    ("devices", "<disk device='cdrom'><target dev='sdz' bus='usb'/></disk>"),
    ("devices", "<disk device='cdrom'><target dev='sdz' bus='sata'/></disk>"),
    ("devices", "<filesystem><driver type='virtiofs'/></filesystem>"),
    ("devices", "<filesystem><driver type='path'/></filesystem>"),
    ("devices", "<filesystem/>"), ("devices", "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"),
    ("devices", "<interface type='user'><mac/></interface>"),
    *((f"disk {name}", f"<{tag}/>") for name in ("root",) for tag in ("boot", "address", "serial", "driver", "source", "target")),
    *(("disk root", f"<driver {name}='x'/>")
      for name in ("name", "type", "cache", "io", "discard", "iothread", "queues", "queue_size", "detect_zeroes")),
    *(("disk root", f"<source {name}='x'/>") for name in ("dev", "file", "protocol", "name", "index")),
    *(("disk root", f"<target {name}='x'/>") for name in ("dev", "bus", "tray")),
    *(("nic eth0", f"<{part}/>") for part in (
        "address", "boot", "mac address='x'", "mac type='x'", "model type='x'", "model x='y'", "driver name='x'",
        "driver queues='2'",
        "driver rx_queue_size='2'", "driver tx_queue_size='2'", "driver txmode='x'", "bandwidth",
        *(f"source {name}='x'" for name in ("bridge", "network", "dev", "mode", "type", "path", "portid")),
    )),
    *(("hostdev gpu", f"<{part}/>") for part in ("source", "address", "driver name='x'", "driver model='x'", "rom bar='off'")),
]  # fmt: skip


@pytest.mark.parametrize("name", GUESTS)
def test_places(name: str, pytestconfig: pytest.Config) -> None:
    guest = GUESTS[name]
    rows = []
    for at, text in [*(("domain", f"<{tag}/>") for tag in DOMAIN), *INNER]:
        element = ET.fromstring(text)
        told = told_by_settings(guest, at, element)
        said = {None: "no opinion", True: "a setting says it", False: "no setting says it"}[told]
        parts = [
            said,
            unsound(element),
            " for ".join(filter(None, lacks(guest, element))),
            str(stands_instead(at, element) or ""),
        ]
        rows.append(f"{at}: {text}: {'; '.join(filter(None, parts))}")
    golden("places", name, "\n".join(rows), update=pytestconfig.getoption("--update"))


def test_devices_by_their_labels() -> None:
    guest = GUESTS["plain"]
    assert [device(guest, at) for at in ("disk root", "nic eth0", "hostdev gpu")] == [
        ("disk", "root"), ("nic", "eth0"), ("hostdev", "gpu"),
    ]  # fmt: skip
    assert [device(guest, at) for at in ("disk", "disk log", "nic root", "devices", "mdev gpu", "hostdev")] == [
        None
    ] * 6
