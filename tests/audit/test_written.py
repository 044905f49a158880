"""Trees as people write them, after several tools: nothing false is said of them, and what is planted is found where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from audit.golden import same, told
from kvmc.audit.check import audit_handwritten
from kvmc.audit.handwritten import Found, kind_of, read
from kvmc.diagnostics import Code, Diagnostic, Severity
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.values import PciAddress
from kvmc.topology import PciDevice, Sriov, Topology
from support.machines import machine

WRITTEN = Path(__file__).parent / "written"
_FAME = "KVMC077"
"""What is said of a knob by itself, true of it on any host; such knobs are in trees that people wrote, and have their own tests."""
_NIC = PciAddress.parse("0000:3b:00.0")
_GPU = (PciAddress.parse("0000:0b:00.0"), PciAddress.parse("0000:0b:00.1"))
_DESKTOP = machine(1, 1, 2, 4, memory_gib=64, pci=[PciDevice(one, node=0, class_id=0x030000) for one in _GPU])
_SERVER = machine(2, 1, 1, 16, memory_gib=256, pci=[PciDevice(_NIC, node=0, class_id=0x020000, sriov=Sriov(8, 16, 1))])
HOSTS: dict[str, Topology] = {
    "desktop": _DESKTOP,
    "gaming": _DESKTOP,
    "proxmox": machine(1, 1, 1, 8, memory_gib=64, numbering="siblings-adjacent"),
    "role": machine(1, 1, 1, 8, memory_gib=64, numbering="siblings-adjacent"),
    "nova": _SERVER,
    "realtime": _SERVER,
    "database": _SERVER,
    "dpdk": _SERVER,
    "inturn": machine(2, 1, 1, 12, memory_gib=128, numbering="round-robin"),
    "guide": machine(2, 1, 1, 12, memory_gib=64),
    "plain": _SERVER,
}


def found(host: str, changes: dict[str, tuple[str, str]] | None = None) -> tuple[list[Diagnostic], dict[str, str]]:
    """What is said of a tree, and its texts; changes: file -> what is replaced in it, by what."""
    texts = {str(Path(one.name).relative_to(WRITTEN / host)): one.text for one in read([WRITTEN / host])}
    for file, (old, new) in (changes or {}).items():
        assert texts[file].count(old) == 1, (file, old, texts[file].count(old))
        texts[file] = texts[file].replace(old, new)
    every = [Found(name, text, kind_of(name, text)) for name, text in texts.items()]
    items = audit_handwritten(host, every, HOSTS[host])
    return [item for item in items if not item.code.id.startswith(_FAME)], texts


def shown(items: list[Diagnostic]) -> list[str]:
    return [f"{item.code.id} {item.primary.span.file if item.primary else ''}: {item.message}" for item in items]


def test_every_tree_is_tried() -> None:
    assert {path.name for path in WRITTEN.iterdir()} == set(HOSTS)
    assert sum(1 for path in WRITTEN.rglob("*.xml")) > 25


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_false_is_said(host: str) -> None:
    items, _ = found(host)
    assert shown([item for item in items if item.severity is not Severity.NOTE]) == []


@dataclass(frozen=True)
class Planted:
    """A contradiction: `old` becomes `new` in a file. A finding of the code is at that line, or at the text `at` of the file."""

    host: str
    file: str
    old: str
    new: str
    code: Code
    at: str = ""


WIN, MAC, PG = "libvirt/qemu/win11.xml", "etc/libvirt/qemu/macos.xml", "domains/pg-a.xml"
NOVA_A, NOVA_B, DU, ENTRY = (
    "instances/a/libvirt.xml",
    "instances/b/libvirt.xml",
    "vms/du0.xml",
    "boot/loader/entries/4f2a-5.14.0-362.el9.x86_64.conf",
)
PLANTED = [
    Planted(
        "nova",
        "etc/tuned/cpu-partitioning-variables.conf",
        "cores=2-15,18-31,34-47,50-63",
        "cores=2-15,18-31,34-47,50-62",
        codes.SETS_UNEQUAL,
    ),
    Planted("desktop", WIN, "vcpu='3' cpuset='13'", "vcpu='3' cpuset='12'", codes.CPU_OWNED_TWICE),
    Planted("desktop", WIN, "vcpu='7' cpuset='15'", "vcpu='7' cpuset='11'", codes.OUTSIDE_POOL),
    Planted("desktop", WIN, "vcpu='6' cpuset='7'", "vcpu='6' cpuset='17'", codes.CPU_ABSENT),
    Planted("desktop", WIN, "<vcpupin vcpu='5' cpuset='14'/>", "", codes.PIN_MISSING, "<vcpu placement='static'>8"),
    Planted("desktop", WIN, "'0-3,8-11'", "'0-3,8-12'", codes.FLOATING_IN_ISOLATED),
    Planted("desktop", WIN, "cores='4' threads='2'", "cores='8' threads='2'", codes.GUEST_TOPOLOGY),
    Planted("desktop", WIN, "vcpu='1' cpuset='12'", "vcpu='1' cpuset='5'", codes.CPU_OWNED_TWICE),
    Planted("desktop", WIN, "iothreadpin iothread='1'", "iothreadpin iothread='2'", codes.STRAY),
    Planted(
        "desktop",
        WIN,
        "bus='0x0b' slot='0x00' function='0x1'",
        "bus='0x0c' slot='0x00' function='0x1'",
        codes.DEVICE_ABSENT,
    ),
    Planted("desktop", "etc/sysctl.d/10-hugepages.conf", "= 8192", "= 8000", codes.PAGES_SHORT),
    Planted("desktop", "etc/default/grub", "isolcpus=4-7,12-15", "isolcpus=0,4-7,12-15", codes.BOOT_CPU_ISOLATED),
    Planted("desktop", "etc/default/grub", "nohz_full=4-7,12-15", "nohz_full=3-7,12-15", codes.SETS_DISAGREE),
    Planted("desktop", "etc/default/grub", "rcu_nocbs=4-7,12-15", "rcu_nocbs=4-7,12-14", codes.SETS_UNEQUAL),
    Planted("desktop", "etc/default/grub", "quiet splash", "quiet hugepages=512", codes.KNOB_TWICE),
    Planted("desktop", "libvirt/qemu/debian-test.xml", "52:54:00:1e:02:03", "52:54:00:7C:11:01", codes.IDENTITY_TWICE),
    Planted("gaming", MAC, "vcpu='2' cpuset='4'", "vcpu='2' cpuset='2'", codes.CPU_OWNED_TWICE),
    Planted("gaming", MAC, "cores='6' threads='1'", "cores='3' threads='2'", codes.GUEST_TOPOLOGY),
    Planted("gaming", MAC, "/home/kim/mac_hdd_ng.img", "/var/lib/libvirt/images/fedora.qcow2", codes.DISK_OWNED_TWICE),
    Planted("nova", NOVA_B, 'vcpu="0" cpuset="4"', 'vcpu="0" cpuset="2"', codes.CPU_OWNED_TWICE),
    Planted("nova", NOVA_A, 'vcpu="3" cpuset="35"', 'vcpu="3" cpuset="51"', codes.FAR_FROM_MEMORY),
    Planted(
        "nova",
        NOVA_A,
        'cellid="0" mode="strict" nodeset="0"',
        'cellid="0" mode="strict" nodeset="2"',
        codes.NODE_ABSENT,
    ),
    Planted("nova", NOVA_B, 'memory="8388608"', 'memory="8386560"', codes.CELLS_WRONG, "8388608"),
    Planted("nova", NOVA_B, 'function="0x1"', 'function="0x0"', codes.DEVICE_OWNED_TWICE),
    Planted(
        "nova", "instances/c/libvirt.xml", 'cpuset="16-17,48-49"', 'cpuset="16-18,48-49"', codes.FLOATING_IN_ISOLATED
    ),
    Planted("nova", "etc/default/grub", "hugepages=128", "hugepages=16", codes.PAGES_SHORT),
    Planted(
        "nova",
        "etc/default/grub",
        "isolcpus=2-15,18-31,34-47,50-63",
        "isolcpus=2-15,18-31,34-47,50-64",
        codes.CPU_OUT_OF_RANGE,
    ),
    Planted("realtime", "etc/tuned/rt-host/tuned.conf", "domain,4-15,36-47", "domain,4-15,36-45", codes.SETS_DISAGREE),
    Planted("realtime", "etc/sysctl.d/99-rt.conf", "runtime_us=-1", "runtime_us=950000", codes.KNOB_TWICE),
    Planted("realtime", "etc/systemd/system.conf.d/affinity.conf", "0-3 16-35", "0-4 16-35", codes.SETS_DISAGREE),
    Planted("realtime", "etc/default/grub", "irqaffinity=0-3,", "irqaffinity=0-5,", codes.SETS_DISAGREE),
    Planted("realtime", DU, 'vcpus="1-5"', 'vcpus="1-6"', codes.STRAY),
    Planted("realtime", DU, "nodeset='0'", "nodeset='1'", codes.FAR_FROM_MEMORY),
    Planted("realtime", DU, 'emulatorpin cpuset="2,3"', 'emulatorpin cpuset="10,11"', codes.FLOATING_IN_ISOLATED),
    Planted("realtime", "vms/mgmt.xml", "'16-31,48-63'", "'4-31,48-63'", codes.FLOATING_IN_ISOLATED),
    Planted(
        "database",
        PG,
        "cellid='1' mode='strict' nodeset='1'",
        "cellid='1' mode='strict' nodeset='0'",
        codes.FAR_FROM_MEMORY,
    ),
    Planted("database", PG, "'0-3,16-19'", "'0-3'", codes.EMULATOR_FAR),
    Planted("database", PG, "<sibling id='0' value='32'/>", "<sibling id='0' value='20'/>", codes.GUEST_TOPOLOGY),
    Planted("database", PG, "cpus='12-23'", "cpus='11-23'", codes.CELLS_WRONG),
    Planted("database", ENTRY, "hugepages=0:96,1:96", "hugepages=0:128,1:32", codes.PAGES_SHORT),
    Planted("database", ENTRY, "hugepages=0:16384,1:16384", "hugepages=0:16384,2:16384", codes.BOOT_NODE_ABSENT),
    Planted("database", ENTRY, "transparent_hugepage=never", "transparent_hugepage=always", codes.KNOB_TWICE),
    Planted(
        "database",
        "domains/pg-b.xml",
        "<vcpupin vcpu='0' cpuset='0-3,32-35'/>",
        "<vcpupin vcpu='0' cpuset='0-4,32-35'/>",
        codes.HELPER_ON_GUEST,
    ),
    Planted("proxmox", "libvirt/web.xml", "vcpu='3' cpuset='11'", "vcpu='3' cpuset='12'", codes.CPU_OWNED_TWICE),
    Planted("proxmox", "libvirt/nas.xml", "vcpu='1' cpuset='13'", "vcpu='1' cpuset='1'", codes.HELPER_ON_GUEST),
    Planted("proxmox", "libvirt/web.xml", "'tank3'", "'tank'", codes.DISK_OWNED_TWICE),
    Planted("dpdk", "files/irqbalance", "2-15,34-47", "2-15,34-45", codes.SETS_DISAGREE),
    Planted(
        "dpdk",
        "vms/fw2.xml",
        '<page size="1" unit="G" nodeset="0"/>',
        '<page size="1" unit="G" nodeset="1"/>',
        codes.STRAY,
    ),
    Planted("dpdk", "vms/fw1.xml", '<page size="1" unit="G"', '<page size="4" unit="M"', codes.PAGE_SIZE_ABSENT),
    Planted("inturn", "domains/build1.xml", "cpuset='29'", "cpuset='28'", codes.CPU_OWNED_TWICE),
    Planted("inturn", "domains/build0.xml", "nodeset='0'", "nodeset='1'", codes.FAR_FROM_MEMORY),
    Planted("inturn", "etc/default/grub.d/50-hugepages.cfg", "hugepages=20480", "hugepages=10240", codes.PAGES_SHORT),
    Planted("role", "templates/recorder.xml", 'cpuset="13"', 'cpuset="9"', codes.CPU_OWNED_TWICE),
    Planted("role", "files/tuned-kvm.conf", "isolated_cores=4-15", "isolated_cores=4-14", codes.SETS_UNEQUAL),
    Planted("guide", "domains/app1.xml", "vcpu='2' cpuset='9'", "vcpu='2' cpuset='7'", codes.CPU_OWNED_TWICE),
    Planted(
        "guide",
        "etc/rc.d/rc.local",
        "4096 > /sys/devices/system/node/node0",
        "1024 > /sys/devices/system/node/node0",
        codes.PAGES_SHORT,
    ),
    Planted(
        "plain",
        "etc/sysctl.d/bridge.conf",
        "net.ipv6.conf.all.forwarding=1",
        "net.ipv6.conf.all.forwarding",
        codes.VALUE_UNREADABLE,
    ),
    Planted("plain", "etc/libvirt/qemu/git.xml", "000000000004", "000000000003", codes.IDENTITY_TWICE),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda one: f"{one.host} {one.new[:40]}")
def test_what_is_planted_is_found(planted: Planted, pytestconfig: pytest.Config) -> None:
    items, texts = found(planted.host, {planted.file: (planted.old, planted.new)})
    mine = [item for item in items if item.code is planted.code]
    assert mine, shown(items)
    spans = [label.span for item in mine for label in (item.primary, *item.secondary) if label is not None]
    mine_there = [span for span in spans if span.file == planted.file]
    text = texts[planted.file]
    start = text.index(planted.at or planted.new)
    line = text.count("\n", 0, start)
    there = [range(text.count("\n", 0, span.start), text.count("\n", 0, span.end) + 1) for span in mine_there]
    assert any(line in lines for lines in there), (line, there, shown(items))
    title, text = f"{planted.host} {planted.file}: {planted.old}", told(items, texts)
    assert same("written", title, text, update=pytestconfig.getoption("--update")), text
