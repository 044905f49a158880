"""Differences by meaning, hosts that are alike, and what CPU models rule out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kvmc.cli.app import app
from kvmc.driver.stages import check_site
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology import Cpu, Node, PciDevice, Sriov, Topology
from kvmc.topology.alike import unlike
from kvmc.topology.check import check
from kvmc.topology.differences import differences
from kvmc.topology.model import CacheKind, CoreKind, Facts, Memory, Resctrl
from kvmc.topology.snapshot import dumps
from sample_site import make_site

PF = PciAddress.parse("0000:3b:00.0")


def machine(nodes: int = 2, size: int = 4, model: str = "A CPU", memory: int = 64 * 1024**2) -> Topology:
    parts = tuple(CpuSet.of(range(index * size, (index + 1) * size)) for index in range(nodes))
    return Topology(
        arch="x86_64",
        online=CpuSet.of(range(nodes * size)),
        nodes=tuple(Node(index, cpus, memory, {}, (2048,)) for index, cpus in enumerate(parts)),
        packages=parts,
        cores=tuple(CpuSet.of((cpu, cpu + 1)) for cpu in range(0, nodes * size, 2)),
        l3=parts,
        pci={PF: PciDevice(PF, 1, None, 0x020000, 0x8086, 0x1572, 27, Sriov(64, 16, 1))},
        cpu=Cpu("GenuineIntel", model, frozenset({"vmx"})),
    )


BASE = machine()


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (replace(BASE, arch="aarch64"), "architecture: x86_64 -> aarch64"),
        (replace(BASE, cpu=replace(BASE.cpu, features=frozenset({"smx"}))), "CPU features: -vmx +smx"),
        (replace(BASE, offline=CpuSet.parse("9")), "offline CPUs: not told -> 9"),
        (replace(BASE, allowed=CpuSet.parse("0-3")), "allowed CPUs: not told -> 0-3"),
        (replace(BASE, l3=(BASE.online,)), "L3 caches: 2 -> 1; other groups of CPUs: - 0-7; + 0-7"),
        (replace(BASE, cores=None), "cores: 4 -> not told"),
        (replace(BASE, modules=(BASE.online,)), "modules: not told -> 1"),
        (replace(BASE, core_kinds={CoreKind.PERFORMANCE: CpuSet.parse("0")}), "performance CPUs: not told -> 0"),
        (replace(BASE, nodes=(BASE.nodes[0],)), "node 1: only in the first"),
        (replace(BASE, nodes=(BASE.nodes[0], replace(BASE.nodes[1], memory_kib=5))), "node 1: memory: 67108864 KiB -> 5 KiB"),
        (replace(BASE, nodes=(BASE.nodes[0], replace(BASE.nodes[1], memory=Memory.HBM))),
         "node 1: kind of memory: not told -> hbm"),
        (replace(BASE, caches=(CacheKind(3, "unified", 1024, BASE.online),)), "cache L3 unified 1MiB: only in the second"),
        (replace(BASE, resctrl=(Resctrl("L3", 16),)), "resctrl L3: only in the second"),
        (replace(BASE, pci=None), "PCI devices: 1 -> not told"),
        (replace(BASE, pci={PF: PciDevice(PF, 0, None, 0x020000, 0x8086, 0x1572, 27, Sriov(64, 16, 1))}),
         "PCI 0000:3b:00.0: node: 1 -> 0"),
        (replace(BASE, facts=Facts()), "platform facts: not told -> told"),
    ],
)  # fmt: skip
def test_each_difference_is_one_line(changed: Topology, line: str) -> None:
    assert differences(BASE, changed) == (line,)
    assert differences(BASE, BASE) == differences(changed, changed) == ()
    assert len(differences(changed, BASE)) == 1


def test_facts() -> None:
    old = replace(BASE, facts=Facts("6.1", kernel_config={"HZ": "250"}, sysctls=("a", "b"), modules={"kvm": ("x",)}))
    new = replace(
        BASE, facts=Facts("6.12", kernel_config={"HZ": "1000"}, sysctls=("b", "c"), modules={"kvm": ("x", "y")})
    )
    assert differences(old, new) == (
        "kernel: 6.1 -> 6.12",
        "CONFIG_HZ: 250 -> 1000",
        "sysctls: -a +c",
        "parameters of kvm: +y",
    )


def test_what_is_the_same_of_many_devices_is_one_line() -> None:
    devices = {PciAddress(0, bus, 0, 0): PciDevice(PciAddress(0, bus, 0, 0), 0) for bus in range(20)}
    moved = {address: replace(device, node=1) for address, device in devices.items()}
    (line,) = differences(replace(BASE, pci=devices), replace(BASE, pci=moved))
    assert line.startswith("PCI 0000:00:00.0, ") and line.endswith(" and 12 more: node: 0 -> 1")


def test_diff_and_alike_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(dumps(BASE))
    (tmp_path / "b.json").write_text(dumps(machine(nodes=4, size=2)))
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    done = CliRunner().invoke(app, ["topology", "diff", *paths])
    assert done.exit_code == 1 and "node 2, 3: only in the second" in done.stdout
    done = CliRunner().invoke(app, ["topology", "alike", *paths])
    assert done.exit_code == 1 and "nodes with CPUs: 2 of 4 CPUs and 4 of 2 CPUs" in done.stdout
    done = CliRunner().invoke(app, ["topology", "alike", paths[0], paths[0]])
    assert (done.exit_code, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (machine(nodes=4, size=2), "nodes with CPUs"),
        (machine(model="Another"), "CPU: A CPU and Another"),
        (machine(memory=32 * 1024**2), "memory of node 0: 64.0 GiB and 32.0 GiB"),
        (replace(BASE, l3=(BASE.online,)), "L3 caches: 2 of 4 CPUs and 1 of 8 CPUs"),
        (replace(BASE, cores=tuple(CpuSet.of((cpu,)) for cpu in range(8))), "cores: 4 of 2 threads and 8 of 1 threads"),
        (replace(BASE, pci={}), "SR-IOV devices and accelerators: 1 8086:1572 on node 1 and none"),
    ],
)
def test_hosts_that_are_not_alike(other: Topology, words: str) -> None:
    assert any(line.startswith(words) for line in unlike(BASE, other)), unlike(BASE, other)


@pytest.mark.parametrize(
    "other",
    [
        BASE,
        machine(memory=63 * 1024**2),
        replace(BASE, cores=None, l3=None, pci=None, cpu=Cpu()),
        # even and odd CPUs: another numbering of the same shape
        replace(
            BASE,
            nodes=tuple(replace(node, cpus=CpuSet.of(range(node.id, 8, 2))) for node in BASE.nodes),
            l3=tuple(CpuSet.of(range(index, 8, 2)) for index in range(2)),
        ),
    ],
)
def test_hosts_that_are(other: Topology) -> None:
    assert unlike(BASE, other) == ()


def test_a_pool_of_unlike_hosts_is_a_warning_at_the_second(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    text = site.read_text()
    place = text.index("host kvm-b")
    site.write_text(text[:place] + text[place:].replace("hosts/x.json", "hosts/y.json", 1))
    from kvmc.topology.snapshot import loads

    topology, _ = loads((tmp_path / "hosts/x.json").read_text(), "x")
    assert topology is not None
    (tmp_path / "hosts/y.json").write_text(dumps(topology))
    assert "KVMC0315" not in [item.code.id for item in check_site(site).bag]
    (tmp_path / "hosts/y.json").write_text(dumps(replace(topology, cpu=Cpu(model="Another"))))
    (found,) = (item for item in check_site(site).bag if item.code.id == "KVMC0315")
    assert "`kvm-a` and `kvm-b`" in found.message and found.severity == "warning" and found.notes
    assert found.primary is not None and site.read_text()[found.primary.span.start :].startswith(
        'topology = "hosts/y.json"'
    )


@pytest.mark.parametrize(
    ("model", "nodes", "size", "packages", "word"),
    [
        ("13th Gen Intel(R) Core(TM) i7-1370P", 4, 2, 1, "4 nodes in a package"),
        ("13th Gen Intel(R) Core(TM) i7-1370P", 2, 4, 2, "2 packages"),
        ("AMD EPYC 7702P 64-Core Processor", 2, 4, 2, "2 packages"),
        ("Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz", 8, 2, 2, "4 nodes in a package"),
        ("Intel(R) Xeon(R) Platinum 8480+", 8, 2, 2, None),
        ("AMD EPYC 7763 64-Core Processor", 8, 2, 2, None),
        ("AMD EPYC 7763 64-Core Processor", 16, 2, 2, None),
        ("A CPU of tomorrow", 16, 2, 1, None),
    ],
)  # fmt: skip
def test_what_a_model_rules_out(model: str, nodes: int, size: int, packages: int, word: str | None) -> None:
    topology = machine(nodes, size, model)
    per = nodes // packages * size
    whole = tuple(CpuSet.of(range(index * per, (index + 1) * per)) for index in range(packages))
    topology = replace(topology, packages=whole)
    found = [item.message for item in check(topology, "x") if item.code.id == "KVMC0316"]
    assert len(found) == (word is not None) and all(word is not None and word in message for message in found), found
    guest = replace(topology, cpu=replace(topology.cpu, features=frozenset({"hypervisor"})))
    assert not [item for item in check(guest, "x") if item.code.id == "KVMC0316"]
