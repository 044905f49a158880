"""Files made to hang, to blow up, or to reach outside: a clear error in bounded time and memory, and nothing else."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from kvmc.topology.read import read_topology
from topology.topology_machines import CPU, Machine, add, write_tree

HERE = Path(__file__).parents[2]
LAUGHS = '<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
PUS = '<object type="PU" os_index="0" cpuset="0x1"/>'


def refused(path: Path, seconds: float = 2) -> tuple[str, str]:
    start = time.process_time()
    topology, bag = read_topology(path, "file")
    assert topology is None and len(bag) == 1, [item.message for item in bag]
    assert time.process_time() - start < seconds
    return bag.items[0].code.id, bag.items[0].message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"<!DOCTYPE topology [{LAUGHS}]><topology>&i;</topology>", "KVMC0305"),
        (f"<!DOCTYPE capabilities [{LAUGHS}]><capabilities>&i;</capabilities>", "KVMC0305"),
        ('<!DOCTYPE topology SYSTEM "http://x/hwloc2.dtd"><topology/>', "KVMC0305"),
        ('<!DOCTYPE topology SYSTEM "hwloc2.dtd" [<!ENTITY a SYSTEM "file:///etc/passwd">]><topology>&a;</topology>', "KVMC0305"),
        ('<!DOCTYPE topology SYSTEM "hwloc2.dtd"><!DOCTYPE topology [<!ENTITY a "b">]><topology/>', "KVMC0305"),
        ('<!DOCTYPE topology SYSTEM "hwloc2.dtd"><topology version="2.0">&a;</topology>', "KVMC0303"),
        ("<topology version='2.0'>" + "<object>" * 5000, "KVMC0303"),
        ("<topology version='2.0'>" + "<a/>" * 1_100_000 + "</topology>", "KVMC0304"),
        (f'<topology version="2.0"><object type="Machine" cpuset="0x{"f" * 100_000}">{PUS}</object></topology>', "KVMC0307"),
        (f'<topology version="2.0"><object type="Machine" cpuset="{"," * 100_000}">{PUS}</object></topology>', "KVMC0307"),
    ],
)  # fmt: skip
def test_xml(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "x.xml"
    path.write_text(text)
    if "cpuset=" in text:
        # the machine's own set is looked at only for what is hidden
        path.write_text(text.replace("cpuset=", 'cpuset="0x1" complete_cpuset=', 1))
    assert refused(path)[0] == code


def test_an_xml_of_200_mb_is_not_read(tmp_path: Path) -> None:
    """In a process that may not have more than half a GiB."""
    path = tmp_path / "big.xml"
    with path.open("wb") as file:
        file.write(b"<topology version='2.0'>")
        file.truncate(200 * 1024**2)
    script = (
        "import sys; from pathlib import Path; from kvmc.topology.read import read_topology\n"
        "print([item.code.id for item in read_topology(Path(sys.argv[1]), 'x')[1]])"
    )
    limit = 512 * 1024**2
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(HERE / "compiler")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.stdout.strip() == "['KVMC0304']", done.stderr


def test_the_document_type_is_blanked_only_where_it_is_whole(tmp_path: Path) -> None:
    """In a comment or a value it is a text like any other, and a later one is still refused."""
    path = tmp_path / "x.xml"
    body = f'<topology version="2.0"><object type="Machine" cpuset="0x1">{PUS}</object></topology>'
    path.write_text(f'<!-- <!DOCTYPE topology SYSTEM "hwloc2.dtd"> --><!DOCTYPE a SYSTEM "b">{body}')
    assert refused(path)[0] == "KVMC0305"
    path.write_text(f'<!-- a --><!DOCTYPE topology SYSTEM "hwloc2.dtd">{body}')
    assert read_topology(path, "x")[0] is not None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"lscpu": ' + "[" * 50_000, "KVMC0304"),
        ('{"lscpu": [{"field": "On-line CPU(s) list:", "data": "0-1000000000"}]}', "KVMC0307"),
        ('{"lscpu": [{"field": "On-line CPU(s) list:", "data": "0\\u0000-3"}]}', "KVMC0306"),
        ('{"cpus": [' + '{"cpu": 1, "online": true},' * 700_000 + "{}]}", "KVMC0304"),
        ("available: 1 nodes (0)\nnode 0 cpus: " + "0 " * 200_000 + "1000000000\n", "KVMC0307"),
        ("available: 1 nodes (0)\nnode 0 cpus: 0\0 1\n", "KVMC0307"),
        ("available: 9999 nodes (0-9998)\n", "KVMC0307"),
        ("available: 1 nodes (0-1000000000)\n", "KVMC0307"),
        ("available: 1 nodes (0)\n" + "7\n" * 500_000, "KVMC0303"),
    ],
)
def test_texts(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "text"
    path.write_text(text)
    assert refused(path, 4)[0] == code


def test_values_of_sysfs(tmp_path: Path) -> None:
    base = Machine(nodes=1, cores=1, threads=1).files()
    for number, (name, value, code) in enumerate(
        [
            (f"{CPU}/online", "0" * 10 * 1024**2, "KVMC0304"),
            (f"{CPU}/online", "0-1000000000", "KVMC0307"),
            (f"{CPU}/cpu1000000000/online", "1", "KVMC0307"),
            ("sys/devices/system/node/node1000000000/cpulist", "0", "KVMC0307"),
            (f"{CPU}/cpu0/topology/core_cpus_list", "0\0,1", "KVMC0307"),
            (f"{CPU}/cpu0/cpu_capacity", "9" * 30, "KVMC0307"),
            (f"{CPU}/cpu0/topology/core_cpus_list", "0-", "KVMC0307"),
            ("sys/fs/resctrl/info/L3/num_closids", "many", "KVMC0307"),
        ]
    ):
        root = write_tree(tmp_path / str(number), base | {name: value})
        assert refused(root)[0] == code, name


def test_a_tree_that_points_out_of_itself(tmp_path: Path) -> None:
    outside = write_tree(tmp_path / "outside", Machine(nodes=4).files())
    root = write_tree(tmp_path / "root", Machine(nodes=1, cores=1, threads=1).files())
    (root / "sys/devices/system/node/node7").symlink_to(outside / "sys/devices/system/node/node1")
    (root / "sys/fs").symlink_to(outside)
    (root / "sys/bus/dax/devices").mkdir(parents=True)
    (root / "sys/bus/dax/devices/dax0.0").symlink_to("/etc")
    os.mkfifo(root / f"{CPU}/cpu0/cpu_capacity")
    topology, bag = read_topology(root, "x")
    assert topology is not None, [item.message for item in bag]
    assert [node.id for node in topology.nodes if node.cpus or node.memory_kib] == [0]


@pytest.mark.parametrize(
    ("name", "kind", "link", "code"),
    [
        (f"../{CPU}/online", tarfile.REGTYPE, "", "KVMC0305"),
        (f"host/{CPU}/../cpu/online", tarfile.REGTYPE, "", None),
        (f"host/{CPU}/cpu0/topology/core_cpus_list", tarfile.SYMTYPE, "/etc/passwd", None),
        (f"host/{CPU}/cpu0/topology/core_cpus_list", tarfile.LNKTYPE, "/etc/passwd", None),
        (f"host/{CPU}/cpu0/topology/core_cpus_list", tarfile.CHRTYPE, "", None),
        (f"host/{CPU}/cpu0/topology/core_cpus_list", tarfile.FIFOTYPE, "", None),
        ("host/sys/bus/dax/devices/dax0.0", tarfile.SYMTYPE, "../../../../../etc/passwd", None),
    ],
)
def test_entries_of_an_archive(tmp_path: Path, name: str, kind: bytes, link: str, code: str | None) -> None:
    """None: such an entry tells nothing, and what it names is never opened."""
    path = tmp_path / "dump.tar"
    with tarfile.open(path, "w") as archive:
        for key, value in Machine(nodes=1, cores=1, threads=1).files().items():
            if not name.endswith(key):
                add(archive, f"host/{key}", value)
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        archive.addfile(entry, io.BytesIO() if kind == tarfile.REGTYPE else None)
    before = {one.name for one in tmp_path.iterdir()}
    if code is None:
        topology, bag = read_topology(path, "x")
        assert topology is not None and topology.cores == (topology.online,), [item.message for item in bag]
    else:
        assert refused(path)[0] == code
    assert {one.name for one in tmp_path.iterdir()} == before
