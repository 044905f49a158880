"""What a file is, said by its content; and files that are no topology, or made to hurt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kvmc.topology.read import read_topology
from topology.topology_machines import CPU, Machine, capabilities, write_tree


def refused(path: Path) -> tuple[str, str]:
    topology, bag = read_topology(path, "hosts/a")
    assert topology is None
    assert len(bag) == 1, [item.message for item in bag]
    item = bag.items[0]
    assert item.primary is None
    assert item.message.startswith("`hosts/a`: ") and "\n" not in item.message and len(item.message) < 300
    return item.code.id, item.message


@pytest.mark.parametrize(
    ("content", "code", "word"),
    [
        (b"", "KVMC0303", "empty"),
        (b"<domain type='kvm'><name>x</name></domain>", "KVMC0302", "a domain's XML"),
        (b"<?xml version='1.0'?>\n<!-- c -->\n<topology version='2.0'/>", "KVMC0302", "hwloc XML"),
        (
            b'<?xml version="1.0"?>\n<!DOCTYPE topology SYSTEM "hwloc2.dtd">\n<topology version="3.0"/>',
            "KVMC0302",
            "hwloc XML",
        ),
        (b"<domainCapabilities/>", "KVMC0302", "domain capabilities"),
        (b"<html><body/></html>", "KVMC0302", "`<html>`"),
        (b"<capabilities><host>", "KVMC0303", "line 1"),
        (b"<capabilities", "KVMC0303", "truncated"),
        (b'{"lscpu": []}', "KVMC0306", "`lscpu -J`"),
        (b'{"cpus": []}', "KVMC0306", "`lscpu -J -e`"),
        (b"{}", "KVMC0302", "without `kvmc_topology`"),
        (b"[1]", "KVMC0302", "not an object"),
        (b'{"kvmc_topology": 1,', "KVMC0303", "line 1, column"),
        (b'{"kvmc_topology": 1, "online": "\xff"}', "KVMC0303", "UTF-8 at byte"),
        (b"available: 2 nodes (0-1)\nnode 0 cpus: 0\n", "KVMC0303", "`numactl -H`"),
        (b"Architecture:        x86_64\n", "KVMC0302", "`lscpu`"),
        (b"hello\x1b[31m world\n", "KVMC0302", "hello\\x1b[31m world"),
        (b"\x00\x01\x02", "KVMC0302", "binary"),
        (b"PK\x03\x04....", "KVMC0302", "zip"),
        (b"(\xb5/\xfd....", "KVMC0302", "zstd"),
        (b"[" * 100_000, "KVMC0304", "deep"),
        (b'{"kvmc_topology": ' + b"9" * 10_000 + b"}", "KVMC0307", "digits"),
        (b'{"kvmc_topology": NaN}', "KVMC0307", "NaN"),
        (b"[" + b"[]," * 2_000_000 + b"[]]", "KVMC0304", "characters"),
    ],
)
def test_other_kinds(tmp_path: Path, content: bytes, code: str, word: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    found, message = refused(path)
    assert found == code and word in message, message


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    assert refused(tmp_path / "missing") == ("KVMC0301", "`hosts/a`: no such file or folder")
    assert refused(tmp_path / ("x" * 5000))[0] == "KVMC0301"
    assert refused(Path("a\0b"))[0] == "KVMC0301"
    file = tmp_path / "file"
    file.write_text("x")
    assert refused(file / "below")[0] == "KVMC0301"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert refused(loop)[0] == "KVMC0301"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_of_someone_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(0)
    assert refused(path)[0] == "KVMC0301"


def test_pipes_and_devices_do_not_hold_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe")[0] == "KVMC0302"
    assert refused(Path("/dev/zero"))[0] == "KVMC0302"


def test_a_folder_without_sysfs(tmp_path: Path) -> None:
    code, message = refused(tmp_path)
    assert code == "KVMC0306" and "sys/devices/system/cpu" in message
    (tmp_path / "sys/devices/system/cpu").mkdir(parents=True)
    assert refused(tmp_path) == ("KVMC0306", "`hosts/a`: the tree names no online CPU")


def test_the_sys_folder_itself(tmp_path: Path) -> None:
    write_tree(tmp_path, Machine(nodes=2).files())
    whole, _ = read_topology(tmp_path, "x")
    inner, _ = read_topology(tmp_path / "sys", "x")
    assert whole is not None and whole == inner


def test_links_out_of_the_folder_are_missing(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "core_cpus_list").write_text("0-7\n")
    root = write_tree(tmp_path / "root", Machine(nodes=1).files())
    value = root / CPU / "cpu0/topology/core_cpus_list"
    value.unlink()
    value.symlink_to(outside / "core_cpus_list")
    cache = root / CPU / "cpu0/cache"
    cache.rename(outside / "cache")
    cache.symlink_to(outside / "cache")
    os.mkfifo(root / CPU / "cpu1/topology/die_cpus_list")
    topology, _ = read_topology(root, "x")
    assert topology is not None
    assert [str(core) for core in topology.cores or ()] == ["0,4", "1,5", "2,6", "3,7"], "from the masks"
    (root / "sys").rename(outside / "sys")
    (root / "sys").symlink_to(outside / "sys")
    topology, bag = read_topology(root, "x")
    assert topology is None and [item.code.id for item in bag] == ["KVMC0306"]


ENTITY = "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><capabilities><host>&e;</host></capabilities>"
LAUGHS = (
    "<!DOCTYPE x [<!ENTITY a 'ha'>"
    + "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(12))
    + "]><capabilities a='&m;'>&m;</capabilities>"
)


@pytest.mark.parametrize(
    "text",
    [
        ENTITY,
        LAUGHS,
        "<?xml version='1.0'?>\n<!-- <capabilities> -->\n<?pi x?> <!DOCTYPE capabilities SYSTEM 'http://192.0.2.1/x.dtd'><capabilities/>",
        "\ufeff<!DOCTYPE capabilities><capabilities/>",
        "<!--" + " " * 70_000 + "-->" + ENTITY,
    ],
)
def test_document_types_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.xml"
    path.write_text(text)
    code, message = refused(path)
    assert code == "KVMC0305" and "DOCTYPE" in message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (capabilities(Machine()) + " " * 33 * 1024**2, "KVMC0304"),
        ("<capabilities>" + "<a/>" * 1_100_000 + "</capabilities>", "KVMC0304"),
        ("<capabilities>" + "<a>" * 100_000, "KVMC0303"),
        ("<!--" + " " * 70_000 + "-->" + LAUGHS, "KVMC0303"),
        ("<?xml version='1.0' encoding='UTF-7'?><capabilities>+ADw-x", "KVMC0303"),
    ],
)
def test_large_and_deep_xml(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "x.xml"
    path.write_text(text)
    assert refused(path)[0] == code


def test_200_mb_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    with path.open("wb") as file:
        file.write(b"<capabilities>")
        file.truncate(200 * 1024**2)
    script = (
        "import resource, sys; from pathlib import Path; from kvmc.topology.read import read_topology\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 * 1024**2,) * 2)\n"
        "print([item.code.id for item in read_topology(Path(sys.argv[1]), 'x')[1]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=30,
    )
    assert done.stdout == "['KVMC0304']\n", done.stderr


def test_lxml_is_loaded_for_xml_alone(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", Machine(nodes=1).files())
    script = (
        "import sys; from pathlib import Path; from kvmc.topology.read import read_topology\n"
        "print(read_topology(Path(sys.argv[1]), 'x')[0] is not None, 'lxml' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tree)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=30,
    )
    assert done.stdout == "True False\n", done.stderr


def test_the_shown_name_is_one_printable_line(tmp_path: Path) -> None:
    _, bag = read_topology(tmp_path / "x", "a\n`b`" + "c" * 400)
    assert bag.items[0].message.startswith("`a\\n'b'ccc") and len(bag.items[0].message) < 120
