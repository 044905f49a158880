"""Bad input, from the command line to the disk: one error a cause, at its place, exit 1, nothing written.

A case changes one thing in a site that is right. Its error's code, the line it points at and what it must speak of are given; a
help, where one is due, by a part of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kvmc.cli.app import app
from kvmc.topology.snapshot import dumps
from support.machines import machine, nic

SITE = """\
kvmt 1
import "classes.kvmt"

site s {
  identity = "s.example.net"
}
platform deb12 {
  kernel  = "6.1"
  libvirt = "9.0"
  qemu    = "7.2"
  tuned   = "2.20"
}
pool p {
  platform = deb12
  pages    = 16 * 1GiB
  shared {
    cores = 1
  }
  devices nics {
    parent = "0000:3b:00.0"
    vfs    = 4
  }
}
host a : p {
  topology = "a.json"
}
network net {
  bridge = br0
}
storage disks {
  source = "/dev/vg/{vm}-{disk}"
}
vm one : db {
  memory = 8GiB
}
vm two : db
place apart pair {
  vms = [one, two]
}
"""
CLASSES = """\
kvmt 1
class base {
  machine = pc-q35-7.2
  disk root {
    storage = disks
  }
  nic eth0 {
    network = net
  }
}
class db : base {
  vcpus  = 4
  memory = 4GiB
  pages  = 1GiB
}
"""
HOST_B = 'host b : p {\n  topology = "b.json"\n}\n'
CAPABILITIES = """\
<capabilities><host><cpu><arch>x86_64</arch></cpu><topology><cells num="1"><cell id="0"><memory unit="KiB">67108864</memory>
<cpus num="2"><cpu id="0" socket_id="0" core_id="0" siblings="0"/><cpu id="1" socket_id="0" core_id="1" siblings="1"/></cpus>
</cell></cells></topology></host></capabilities>
"""


@dataclass(frozen=True)
class Case:
    """change: (file, old, new). files: texts put in place of those that are there. line: a part of the line pointed at."""

    name: str
    code: str
    line: str
    change: tuple[str, str, str] = ("site.kvmt", "", "")
    says: tuple[str, ...] = ()
    help: str = ""
    files: dict[str, str | bytes | None] = field(default_factory=dict)
    file: str = "site.kvmt"


def site(name: str, code: str, old: str, new: str, line: str, *says: str, help: str = "") -> Case:
    return Case(name, code, line, ("site.kvmt", old, new), says, help)


def classes(name: str, code: str, old: str, new: str, line: str, *says: str, help: str = "") -> Case:
    return Case(name, code, line, ("classes.kvmt", old, new), says, help, file="classes.kvmt")


def topology(name: str, code: str, text: str | bytes | None, *says: str) -> Case:
    return Case(name, code, 'topology = "a.json"', says=says, files={"a.json": text})


NAMES = {
    "a path": '"../../etc/x"',
    "a space": '"a b"',
    "a shell's substitution": '"$(id)"',
    "a tuned variable": '"${f:exec:id}"',
    "a template": '"{{7*7}}"',
    "a unit's specifier": '"%n"',
    "an option": '"--"',
    "a leading dash": "-rf",
    "a leading dot": '".hidden"',
    "300 characters": "n" * 300,
    "a quote": '"it\'s"',
    "no letter": '""',
}

CASES = [
    classes("a setting that is not there", "KVMC0201", "memory = 4GiB", "memroy = 4GiB", "memroy", help="memory"),
    site("a block that is not there", "KVMC0202", "network net", "netwrok net", "netwrok", help="network"),
    site("a class that is not there", "KVMC0211", "vm two : db", "vm two : dbb", "vm two : dbb", help="db"),
    site("a pool that is not there", "KVMC0211", "host a : p ", "host a : q ", "host a : q"),
    site("a platform that is not there", "KVMC0211", "platform = deb12", "platform = deb13", "deb13", help="deb12"),
    site("a host that is not there", "KVMC0211", "memory = 8GiB", "host = c", "host = c"),
    site("a guest that is not there", "KVMC0211", "[one, two]", "[one, tow]", "tow", help="two"),
    site("a guest twice", "KVMC0208", "vm two : db", "vm two : db\nvm two : db", "vm two : db"),
    site("a setting twice", "KVMC0204", "memory = 8GiB", "memory = 8GiB\n  memory = 9GiB", "9GiB"),
    classes("a class of its own", "KVMC0210", "class base {", "class base : db {", "class"),
    Case(
        "files that import each other",
        "KVMC0005",
        "import",
        ("classes.kvmt", "kvmt 1\n", 'kvmt 1\nimport "site.kvmt"\n'),
        file="classes.kvmt",
    ),
    Case("an import that is missing", "KVMC0003", 'import "gone.kvmt"', ("site.kvmt", "classes.kvmt", "gone.kvmt")),
    Case("an import from outside", "KVMC0004", 'import "../x.kvmt"', ("site.kvmt", "classes.kvmt", "../x.kvmt")),
    site("a decimal size", "KVMC0223", "8GiB", "8GB", "8GB", help="8GiB"),
    site("a size without a unit", "KVMC0223", "8GiB", "8", "memory = 8", help="GiB"),
    site("a version that is a word", "KVMC0225", '"6.1"', "six", "kernel  = six"),
    site("a PCI address that is none", "KVMC0226", '"0000:3b:00.0"', '"3b:zz.0"', "3b:zz.0"),
    site("a device that is not there", "KVMC0408", '"0000:3b:00.0"', '"0000:3c:00.0"', "0000:3c:00.0", "0000:3c:00.0"),
    site("more VFs than there are", "KVMC0410", "vfs    = 4", "vfs    = 99", "vfs", "99", "64"),
    site(
        "a device pool that is not there",
        "KVMC0211",
        "vm two : db",
        "vm two : db {\n  nic x {\n    device = nic\n  }\n}",
        "nic",
    ),
    site("more memory than a node", "KVMC0402", "8GiB", "64GiB", "vm one", "64", "16"),
    site("more CPUs than a node", "KVMC0402", "memory = 8GiB", "vcpus = 40", "vm one", "40"),
    site(
        "more normal memory than a node",
        "KVMC0402",
        "memory = 8GiB",
        "memory = 60GiB\n  pages = none",
        "vm one",
        "44GiB",
    ),
    site("more pages than a node", "KVMC0406", "16 * 1GiB", "80 * 1GiB", "80 * 1GiB", "80GiB", "64GiB"),
    site("more apart than hosts", "KVMC0414", "HOST_B", "", "place apart pair", "2", "1"),
    site("siblings of a shared guest", "KVMC0240", "memory = 8GiB", "pinning = shared\n  threads = require", "threads"),
    site(
        "two carriers of a disk",
        "KVMC0240",
        "memory = 8GiB",
        "disk root {\n    cache = writeback\n  }",
        "cache = writeback",
    ),
    site("a NIC of nothing", "KVMC0242", "memory = 8GiB", "nic more {\n  }", "nic more"),
    site("memory in no whole pages", "KVMC0241", "8GiB", "1536MiB", "1536MiB"),
    site("a machine by its alias", "KVMC0228", "memory = 8GiB", "machine = q35", "machine = q35", help="pc-q35"),
    site("a machine of a later QEMU", "KVMC0556", "memory = 8GiB", "machine = pc-q35-9.0", "pc-q35-9.0", "7.2"),
    site("a realtime guest on no realtime host", "KVMC0240", "memory = 8GiB", "scheduler = fifo", "scheduler = fifo"),
    site(
        "a word that is none of the setting's",
        "KVMC0221",
        "8GiB",
        "8GiB\n  threads = isolated",
        "isolated",
        help="isolate",
    ),
    site("a topology outside", "KVMC0020", '"a.json"', '"../a.json"', "../a.json"),
    topology("no topology", "KVMC0301", None, "a.json"),
    topology("an empty topology", "KVMC0303", "", "a.json"),
    topology("a truncated topology", "KVMC0303", dumps(machine())[:-100], "a.json"),
    topology("a truncated XML topology", "KVMC0303", CAPABILITIES[:200], "a.json"),
    topology("a topology of another kind", "KVMC0302", "<domain type='kvm'><name>x</name></domain>", "domain"),
    topology("a topology that is a picture", "KVMC0302", b"\x89PNG\r\n\x1a\n\x00\x00", "a.json"),
    topology(
        "a topology with an external entity",
        "KVMC0305",
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>\n' + CAPABILITIES.replace("67108864", "&e;"),
    ),
    topology(
        "a CPU list that is none", "KVMC0307", dumps(machine()).replace('"online": "0-63"', '"online": "0-"'), "online"
    ),
    *(
        site(f"a guest named with {name}", "KVMC0206", "vm two : db", f"vm two : db\nvm {text} : db", text[:20])
        for name, text in NAMES.items()
    ),
    *(
        classes(f"a disk named with {name}", "KVMC0206", "disk root", f"disk {text}", text[:20])
        for name, text in NAMES.items()
    ),
]


def lay_out(folder: Path) -> None:
    shape = dumps(machine(packages=2, cores_per_l3=16, memory_gib=64, pci=[nic("0000:3b:00.0")]))
    texts = {"site.kvmt": SITE.replace("network net", HOST_B + "network net"), "classes.kvmt": CLASSES}
    for name, text in {**texts, "a.json": shape, "b.json": shape}.items():
        (folder / name).write_text(text)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    return tmp_path


def test_the_site_is_right(folder: Path) -> None:
    result = CliRunner().invoke(app, ["build", str(folder)])
    assert result.exit_code == 0, result.output
    assert (folder / "generated/a/domains/one.xml").is_file()


@pytest.mark.parametrize("built", [False, True], ids=["never built", "built before"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_one_error_at_its_place(case: Case, built: bool, folder: Path) -> None:
    if built:
        assert CliRunner().invoke(app, ["build", str(folder)]).exit_code == 0
    name, old, new = case.change
    source = (folder / name).read_text()
    changed = source.replace(HOST_B, new, 1) if old == "HOST_B" else source.replace(old, new, 1)
    assert changed != source or case.files
    (folder / name).write_text(changed)
    for other, text in case.files.items():
        if text is None:
            (folder / other).unlink()
        else:
            (folder / other).write_bytes(text if isinstance(text, bytes) else text.encode())
    before = tree(folder)

    result = CliRunner().invoke(app, ["build", str(folder), "--format", "json"])

    assert result.exit_code == 1, result.output
    told = json.loads(result.stdout)["diagnostics"]
    errors = [item for item in told if item["severity"] == "error"]
    assert [item["code"] for item in errors] == [case.code], result.stdout
    (error,) = errors
    place = error["primary"]
    assert place["file"] == case.file
    text = (folder / place["file"]).read_text()
    lines = text.splitlines()[place["line"] - 1 : place["end_line"]]
    assert case.line in "\n".join(lines)
    for part in case.says:
        assert part in json.dumps(error)
    assert case.help in " ".join(error["help"])
    assert tree(folder) == before


def test_a_name_with_a_newline(folder: Path) -> None:
    """A text ends with its line: that is told there, and what is wrong further down is told too."""
    site = folder / "site.kvmt"
    text = site.read_text().replace("vm two : db", 'vm two : db\nvm "three\nfour" : db').replace("vms = [", "vms [")
    site.write_text(text)
    before = tree(folder)
    result = CliRunner().invoke(app, ["build", str(folder), "--format", "json"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)["diagnostics"]
    lines = {item["primary"]["line"] for item in told}
    assert {index for index, line in enumerate(text.splitlines(), 1) if '"three' in line or "vms [" in line} <= lines
    assert tree(folder) == before
