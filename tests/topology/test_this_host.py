"""The running host, read from `/`, against what util-linux says of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.topology import Topology
from kvmc.topology.combine import read_topologies
from kvmc.topology.groups import of_keys
from kvmc.topology.scan import scan


@pytest.fixture(scope="module")
def host() -> Topology:
    if not Path("/sys/devices/system/cpu").is_dir():
        pytest.skip("no /sys on this machine")
    topology, bag = scan(Path("/"), "/")
    assert topology is not None, [item.message for item in bag]
    return topology


def run(*argv: str) -> str:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_cpus_cores_and_packages(host: Topology) -> None:
    rows = [
        line.split(",")
        for line in run("lscpu", "-p=CPU,CORE,SOCKET,NODE").splitlines()
        if line and not line.startswith("#")
    ]
    table = [tuple(int(cell) if cell else -1 for cell in row) for row in rows]
    assert host.online == CpuSet.of(row[0] for row in table)
    assert host.cores == of_keys({row[0]: row[1] for row in table})
    assert host.packages == of_keys({row[0]: row[2] for row in table})
    for node in host.nodes:
        assert node.cpus == CpuSet.of(row[0] for row in table if row[3] in (node.id, -1))


def test_vendor_model_and_features(host: Topology) -> None:
    fields = {item["field"].rstrip(":"): item["data"] for item in json.loads(run("lscpu", "-J"))["lscpu"]}
    if not fields.get("Flags"):
        pytest.skip("lscpu names no flags here")
    assert host.arch == fields["Architecture"]
    assert host.cpu.vendor == fields["Vendor ID"]
    assert host.cpu.model == fields["Model name"]
    assert host.cpu.features == frozenset(fields["Flags"].split())


def test_memory_and_distances(host: Topology) -> None:
    lines = run("numactl", "-H").splitlines()
    sizes = {int(line.split()[1]): int(line.split()[3]) for line in lines if " size: " in line}
    if not sizes:
        pytest.skip("numactl sees no nodes here")
    assert {node.id: (node.memory_kib or 0) // 1024 for node in host.nodes} == sizes


def test_what_each_tool_says_of_this_host_combines(host: Topology, tmp_path: Path) -> None:
    outputs = {"lscpu.json": ("lscpu", "-J"), "rows.json": ("lscpu", "-J", "-e"), "numactl.txt": ("numactl", "-H")}
    for name, command in outputs.items():
        (tmp_path / name).write_text(run(*command))
    topology, bag = read_topologies([(tmp_path / name, name) for name in outputs])
    assert topology is not None, [item.message for item in bag]
    for part in ("online", "packages", "cores"):
        assert getattr(topology, part) == getattr(host, part), part
    for one, other in zip(topology.nodes, host.nodes, strict=True):
        assert (one.id, one.cpus, one.distances) == (other.id, other.cpus, other.distances)


def test_pci_functions(host: Topology) -> None:
    folder = Path("/sys/bus/pci/devices")
    addresses = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if not addresses:
        pytest.skip("no PCI on this machine")
    assert [str(address) for address in host.pci or {}] == addresses
