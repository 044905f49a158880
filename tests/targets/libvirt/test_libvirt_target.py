"""What a domain says, read back by a parser."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from lxml import etree

from kvmc.artifacts import Comment, Phase, Seal, inspect, seal
from kvmc.hostconfig.plan import Effect
from kvmc_targets.libvirt import TARGET
from support.guests import cell, derive, disk, host_plan, nic, platform, vm
from targets.libvirt.cases import CASES


def tree(case: str, **on: Any) -> etree._Element:
    return etree.fromstring(TARGET.render(host_plan([CASES[case]], platform(**on)))[0].text)


def values(root: etree._Element, path: str) -> list[str]:
    found = root.xpath(path)
    assert isinstance(found, list)
    return [str(value) for value in found]


def test_an_artifact_a_guest_in_order_with_its_step() -> None:
    plans = [CASES["plain"], CASES["fifo"], CASES["emulated"]]
    first, _, last = TARGET.render(host_plan(plans))
    assert (first.path, last.path, first.comment) == ("domains/plain.xml", "domains/tcg.xml", Comment.XML)
    (step,) = last.steps
    assert (step.phase, step.effect) == (Phase.GUESTS, Effect.RESTART)
    assert step.argv == ("virsh", "-c", "qemu:///system", "define", "--validate", "domains/tcg.xml")


@pytest.mark.parametrize("case", CASES)
def test_the_text_is_sealed_and_the_same_twice(case: str) -> None:
    first, second = (seal(TARGET.render(host_plan([CASES[case]]))[0]) for _ in range(2))
    assert first == second
    assert first.endswith("</domain>\n")
    assert inspect(first) is Seal.OURS
    assert etree.fromstring(first.encode()).findtext("name") == CASES[case].name


def test_pins() -> None:
    root = tree("passed devices")
    assert values(root, "vcpu/@cpuset") == ["1-2,17-18"]
    assert values(root, "cputune/vcpupin/@cpuset") == ["1", "17", "2", "18"]
    assert values(root, "cputune/emulatorpin/@cpuset") == ["0"]
    assert values(root, "cputune/iothreadpin/@iothread") == ["1", "2"]
    assert values(root, "cputune/vcpusched/@*") == ["0-3", "fifo", "1"]
    assert values(tree("plain"), "cputune/vcpusched") == []


def test_memory_of_two_cells() -> None:
    root = tree("2 cells")
    assert values(root, "numatune/memory/@*") == ["strict", "0-1"]
    assert values(root, "numatune/memnode/@nodeset") == ["0", "1"]
    assert values(root, "memoryBacking/hugepages/page/@*") == ["2048", "KiB", "0-1"]
    assert values(root, "cpu/numa/cell/@cpus") == ["0-3", "4-7"]
    assert values(root, "cpu/numa/cell/distances/sibling/@value") == ["10", "21", "21", "10"]
    assert values(root, "cpu/topology/@*") == ["2", "1", "2", "2"]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("2 cells", ["hugepages", "nosharepages", "locked"]),
        ("plain", ["nosharepages"]),
        ("no cores shared", []),
    ],
)
def test_memory_backing(case: str, expected: list[str]) -> None:
    assert [str(child.tag) for child in tree(case).iterfind("memoryBacking/*")] == expected


@pytest.mark.parametrize(
    ("case", "dedicated"), [("plain", True), ("no cores shared", False), ("named model", False), ("emulated", False)]
)
def test_the_dedicated_hint_is_for_pinned_host_cpus(case: str, dedicated: bool) -> None:
    assert bool(values(tree(case), "features/kvm/hint-dedicated/@state")) == dedicated


@pytest.mark.parametrize(
    ("case", "cpu"),
    [
        ("plain", ["host-passthrough", "none", "on"]),
        ("no cores shared", ["host-model", "partial"]),
        ("emulated uefi", ["maximum", "none", "on"]),
        ("named model", ["custom", "exact", "partial"]),
    ],
)
def test_cpu_modes(case: str, cpu: list[str]) -> None:
    assert values(tree(case), "cpu/@*") == cpu


@pytest.mark.parametrize(
    ("libvirt", "names"),
    [
        ("6.0", ["sockets", "cores", "threads"]),
        ("9.0", ["sockets", "dies", "cores", "threads"]),
        ("9.0..11.0", ["sockets", "dies", "cores", "threads"]),
        ("10.1", ["sockets", "dies", "clusters", "cores", "threads"]),
    ],
)
def test_levels_that_the_platform_knows(libvirt: str, names: list[str]) -> None:
    (topology,) = tree("plain", libvirt=libvirt).iterfind("cpu/topology")
    assert list(topology.attrib) == names


@pytest.mark.parametrize(
    ("libvirt", "expected"),
    [
        ("6.4", {"audio": 0, "watchdog": 0, "migratable": 0}),
        ("7.2", {"audio": 1, "watchdog": 0, "migratable": 1}),
        ("9.0..11.3", {"audio": 1, "watchdog": 0, "migratable": 1}),
        ("11.3", {"audio": 1, "watchdog": 1, "migratable": 1}),
    ],
)
def test_words_that_the_platform_knows(libvirt: str, expected: dict[str, int]) -> None:
    root = tree("plain", libvirt=libvirt)
    paths = {"audio": "devices/audio", "watchdog": "devices/watchdog[@model='itco']", "migratable": "cpu/@migratable"}
    assert {name: len(values(root, path)) for name, path in paths.items()} == expected


def test_queues_of_scsi_disks_are_the_controllers() -> None:
    root = tree("scsi queues")
    assert values(root, "devices/controller[@type='scsi']/driver/@queues") == ["4"]
    assert values(root, "devices/disk/driver/@queues") == []


def test_the_target_is_there_without_lxml() -> None:
    """Start-up of commands that render nothing does not pay for it."""
    code = "import sys, kvmc_targets.libvirt; sys.exit('lxml' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False).returncode
        == 0
    )


def test_caches() -> None:
    assert values(tree("a whole L3"), "cpu/cache/@mode") == ["passthrough"]
    assert values(tree("uneven L3s"), "cpu/cache/@mode") == ["disable"]
    assert values(tree("L3 caches as dies"), "cpu/cache/@mode") == []
    assert values(tree("L3 caches as dies"), "cpu/feature/@*") == ["require", "topoext"]


def test_every_device_has_an_address_of_its_own() -> None:
    for case in CASES:
        root = tree(case)
        found = [
            tuple(int(part, 16) for part in (one.get("bus", ""), one.get("slot", ""), one.get("function", "")))
            for one in root.iterfind("devices/*/address[@type='pci']")
        ]
        assert len(found) == len(set(found))
        ports = values(root, "devices/controller[@model='pcie-root-port']/@index")
        assert ports == [str(number) for number in range(1, len(ports) + 1)]
        assert all(bus <= len(ports) and (bus == 0 or (slot, function) == (0, 0)) for bus, slot, function in found)


def test_only_function_0_is_multifunction() -> None:
    ports = tree("60 virtio disks").iterfind("devices/controller[@model='pcie-root-port']/address")
    assert {(one.get("function"), one.get("multifunction")) for one in ports} == {("0x0", "on")} | {
        (f"0x{number}", None) for number in range(1, 8)
    }


def test_devices_of_the_host() -> None:
    root = tree("passed devices")
    assert values(root, "devices/interface/@type") == ["bridge", "hostdev"]
    assert values(root, "devices/interface[@type='hostdev']/source/address/@*") == [
        "pci",
        "0x0000",
        "0x3b",
        "0x02",
        "0x0",
    ]
    assert values(root, "devices/hostdev/source/address/@bus") == ["0x5e", "0x5f"]
    assert values(root, "devices/*/@managed") == ["yes"] * 3
    assert values(root, "devices/memballoon/@model") == ["none"]


def test_boot_order_is_said_once() -> None:
    assert values(tree("passed devices"), "os/boot") == []
    assert values(tree("passed devices"), "devices/disk/boot/@order") == ["1", "2"]
    assert values(tree("plain"), "os/boot/@dev") == ["hd"]


def test_uefi_without_secure_boot() -> None:
    root = tree("emulated uefi")
    assert values(root, "os/@firmware") == ["efi"]
    assert values(root, "os/firmware/feature[@enabled='no']/@name") == ["enrolled-keys", "secure-boot"]
    assert values(tree("plain"), "os/@firmware") == []


def test_wide_guests_remap_interrupts() -> None:
    root = tree("256 vCPUs")
    assert values(root, "devices/iommu/driver/@*") == ["on", "on"]
    assert values(root, "features/ioapic/@driver") == ["qemu"]
    assert values(tree("plain"), "devices/iommu") == values(tree("plain"), "features/ioapic") == []


def test_disks_on_files_leave_defaults_out() -> None:
    root = tree("disk files")
    assert values(root, "devices/disk/source/@file") == ["/srv/disks/d0.img", "/srv/disks/d1.img"]
    assert next(dict(one.attrib) for one in root.iterfind("devices/disk/driver")) == {
        "name": "qemu",
        "type": "qcow2",
        "io": "threads",
        "discard": "ignore",
    }


def test_hostile_texts_stay_texts() -> None:
    name = "]]></name><!--&lt;\"'\n\t"
    guest = vm(name, nics=[nic("a")], disks=[disk("<d>")], lineage=("</kvmc:block>",))
    plan, _ = derive(guest, [cell(0, 0, [1, 2, 3, 4])])
    root = etree.fromstring(seal(TARGET.render(host_plan([plan]))[0]).encode())
    assert root.findtext("name") == name
    assert values(root, "devices/disk/source/@dev") == [f"/dev/vg0/{name}-<d>"]
    assert [element.text for element in root.iterfind("metadata/*/*")] == [f"vm {name}", "class </kvmc:block>"]
