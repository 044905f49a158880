"""The kernel's numbers of L3 caches, which libvirt's parts of caches are named by: by each source that tells them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.topology import Topology
from kvmc.topology.read import read_topology
from kvmc.topology.snapshot import dumps, loads

CAPS = """<capabilities><host><cpu><arch>x86_64</arch></cpu>
<topology><cells num='1'><cell id='0'><memory unit='KiB'>1048576</memory><cpus num='4'>
<cpu id='0' socket_id='0' core_id='0' siblings='0'/><cpu id='1' socket_id='0' core_id='1' siblings='1'/>
<cpu id='2' socket_id='0' core_id='2' siblings='2'/><cpu id='3' socket_id='0' core_id='3' siblings='3'/>
</cpus></cell></cells></topology>
<cache>
<bank id='{first}' level='3' type='both' size='16' unit='MiB' cpus='2-3'>{control}</bank>
<bank id='{second}' level='3' type='both' size='16' unit='MiB' cpus='0-1'>{control}</bank>
<bank id='9' level='2' type='both' size='1' unit='MiB' cpus='0'/>
</cache></host></capabilities>"""
CONTROL = "<control granularity='1' unit='MiB' type='both' maxAllocs='16'/>"


def caps(folder: Path, first: int = 4, second: int = 0, control: str = CONTROL) -> Topology:
    path = folder / "caps.xml"
    path.write_text(CAPS.format(first=first, second=second, control=control))
    topology, bag = read_topology(path, "caps.xml")
    assert topology is not None and not len(bag), [item.message for item in bag]
    return topology


def tree(folder: Path, ids: tuple[str, str], *, mounted: bool = True) -> Topology:
    files = {
        "sys/devices/system/cpu/online": "0-3",
        "sys/devices/system/node/online": "0",
        "sys/devices/system/node/node0/cpulist": "0-3",
        "sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:       1048576 kB",
        **(
            {f"sys/fs/resctrl/info/L3/{name}": text for name, text in (("num_closids", "16"), ("cbm_mask", "7ff"))}
            if mounted
            else {}
        ),
    }
    for cpu in range(4):
        cache = f"sys/devices/system/cpu/cpu{cpu}/cache/index3"
        shared = ("0-1", "2-3")[cpu // 2]
        files |= {f"{cache}/level": "3", f"{cache}/type": "Unified", f"{cache}/size": "16384K"}
        files |= {f"{cache}/shared_cpu_list": shared, f"{cache}/id": ids[cpu // 2]}
        files[f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"] = str(cpu)
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + "\n")
    topology, _ = read_topology(folder, "tree")
    assert topology is not None
    return topology


def test_capabilities_tell_them_in_the_order_of_the_caches(tmp_path: Path) -> None:
    topology = caps(tmp_path)
    assert topology.l3 == (CpuSet.parse("0-1"), CpuSet.parse("2-3"))
    assert topology.l3_ids == (0, 4)


def test_two_caches_of_one_number_tell_nothing(tmp_path: Path) -> None:
    assert caps(tmp_path, 0, 0).l3_ids is None


def test_they_are_told_with_the_limits_alone(tmp_path: Path) -> None:
    assert caps(tmp_path, control="").l3_ids is None
    assert tree(tmp_path, ("3", "1")).l3_ids == (3, 1)
    (tmp_path / "bare").mkdir()
    assert tree(tmp_path / "bare", ("3", "1"), mounted=False).l3_ids is None


def test_a_snapshot_keeps_them(tmp_path: Path) -> None:
    topology = caps(tmp_path)
    text = dumps(topology)
    assert '  "l3_ids": [0, 4],\n' in text
    assert loads(text, "x")[0] == topology
    top = json.loads(text)
    top["l3"].reverse()
    top["l3_ids"].reverse()
    again = loads(json.dumps(top), "x")[0]
    assert again is not None and (again.l3, again.l3_ids) == (topology.l3, topology.l3_ids)


@pytest.mark.parametrize("ids", [[0], [0, 0], [0, 1, 2], [0, -1], [0, "1"]])
def test_a_snapshot_with_other_numbers_than_caches_is_refused(tmp_path: Path, ids: list[object]) -> None:
    top = json.loads(dumps(caps(tmp_path))) | {"l3_ids": ids}
    topology, bag = loads(json.dumps(top), "x")
    assert topology is None and all("l3_ids" in item.message for item in bag)


def test_a_recorded_machine_counts_with_gaps() -> None:
    """Of eight caches numbered 0, 2, ... 14 libvirt knows those below 8."""
    folder = Path(os.environ.get("KVMC_SHARED", Path(__file__).parents[3] / "shared")) / "topologies/epyc-resctrl-caps"
    if not folder.is_dir():
        pytest.skip("no folder of recorded machines (KVMC_SHARED)")
    topology, _ = read_topology(folder / "capabilities.xml", "caps")
    assert topology is not None and topology.l3_ids is not None
    assert sorted(topology.l3_ids) == list(range(0, 16, 2)) and topology.l3_ids[:2] == (0, 4)
