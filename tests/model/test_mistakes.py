"""One mistake, one diagnostic, at its place. The fragments follow a site that is good."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.support import BASE, load, one

DISK = "\n  disk {} {{\n    storage = disks\n    {}\n  }}\n"
DISK_X = "\n  disk d {\n    storage = x\n  }\n"
UUID = "4dea22b3-1d52-48f3-9516-782e98ab3fa0"

PAIR = "vm a : base\nvm b : base\n"

CASES: list[tuple[str, str]] = [
    # names of settings and blocks
    ("KVMC0201", "vm a : base {\n  «memry» = 8GiB\n}\n"),
    ("KVMC0201", "«x» = 1\n"),
    ("KVMC0202", "«pol» x {\n}\n"),
    ("KVMC0202", "pool x {\n  «houskeeping» {\n  }\n}\n"),
    ("KVMC0203", "pool x {\n  «vfs» = 4\n}\n"),
    ("KVMC0203", "pool x {\n  «housekeeping = 2»\n}\n"),
    ("KVMC0203", "class x {\n  «memory» {\n  }\n}\n"),
    ("KVMC0203", "«disk root» {\n  storage = disks\n}\n"),
    ("KVMC0203", "class x {\n  «vm a»\n}\n"),
    ("KVMC0203", 'class x {\n  «import "y.kvmt"»\n}\n'),
    ("KVMC0203", "«kvmt 1»\n"),
    ("KVMC0203", "class x {\n  «uuid» = 4dea22b3-1d52-48f3-9516-782e98ab3fa0\n}\n"),
    ("KVMC0203", "class x {\n  «host» = kvm-a\n}\n"),
    ("KVMC0204", "class x {\n  vcpus = 1\n  «vcpus = 2»\n}\n"),
    # what is missing
    ("KVMC0205", "platform x {\n  kernel = 6.1\n  libvirt = 9.0\n  «qemu = 7.2»\n}\n"),
    ("KVMC0205", "«platform x» {\n  libvirt = 9.0\n  qemu = 7.2\n  tuned = 2.20\n}\n"),
    ("KVMC0205", "vm a {\n  «vcpus = 1»\n  machine = pc-q35-9.2\n}\n"),
    ("KVMC0205", "vm a : base {\n  «disk root» {\n  }\n}\n"),
    ("KVMC0205", "vm a : base {\n  «hostdev gpu» {\n  }\n}\n"),
    ("KVMC0205", "«host x : compute»\n"),
    ("KVMC0205", '«host x» {\n  topology = "x.json"\n}\n'),
    ("KVMC0242", "«network x»\n"),
    ("KVMC0205", "host x : compute {\n  topology = x.json\n  devices y {\n    «parent = 0000:5e:00.0»\n  }\n}\n"),
    # labels
    ("KVMC0207", "«network» {\n  bridge = br1\n}\n"),
    ("KVMC0207", "network x «y» {\n  bridge = br1\n}\n"),
    ("KVMC0207", "pool x {\n  shared «y» {\n  }\n}\n"),
    ("KVMC0207", "place «near» x {\n  vms = [a, b]\n}\n"),
    ("KVMC0207", "«place apart» {\n}\n"),
    # twice
    ("KVMC0208", "«network net» {\n  bridge = br1\n}\n"),
    ("KVMC0208", '«site t» {\n  identity = "t"\n}\n'),
    ("KVMC0208", "class x {\n  disk a {\n  }\n  «disk a» {\n  }\n}\n"),
    ("KVMC0208", "pool x {\n  shared {\n  }\n  «shared» {\n  }\n}\n"),
    ("KVMC0209", "host «KVM-A» : compute {\n  topology = x.json\n}\n"),
    ("KVMC0209", "vm db : base\nvm «Db» : base\n"),
    # inheritance
    ("KVMC0210", "«class a : b»\nclass b : c\nclass c : a\nvm x : b\n"),
    ("KVMC0210", "«class a : a»\n"),
    ("KVMC0211", "vm a : «bas»\n"),
    ("KVMC0211", "host x : «comput»\n"),
    ("KVMC0212", "vm a : «compute»\n"),
    ("KVMC0212", "vm a : base\nvm b : «a»\n"),
    ("KVMC0212", "network x : «net» {\n  bridge = br1\n}\n"),
    # references
    ("KVMC0211", "vm a : base {\n  host = «kvm-b»\n}\n"),
    ("KVMC0211", "vm a : base {\n  pool = «storage»\n}\n"),
    ("KVMC0211", "pool x {\n  platform = «deb12»\n}\n"),
    ("KVMC0211", "class x {\n  nic n {\n    network = «nett»\n  }\n}\n"),
    ("KVMC0211", "vm a : base {\n  nic n {\n    device = «fv»\n  }\n}\n"),
    ("KVMC0211", "vm a : base {\n  hostdev n {\n    device = «gpu»\n  }\n}\n"),
    ("KVMC0211", "pool x {\n  devices g {\n    addresses = [5e:00.0]\n  }\n}\nclass y {\n  nic n {\n    device = «g»\n  }\n}\n"),
    ("KVMC0211", "class x {\n  disk n {\n    storage = «disk»\n  }\n}\n"),
    ("KVMC0211", "vm a : base\nplace apart x {\n  vms = [a, «b»]\n}\n"),
    # shapes and words
    ("KVMC0220", "class x {\n  vcpus = «[1]»\n}\n"),
    ("KVMC0220", "class x {\n  memory = «2 * 1GiB»\n}\n"),
    ("KVMC0220", "vm a : base\nplace apart x {\n  vms = «a»\n}\n"),
    ("KVMC0221", "class x {\n  threads = «prefered»\n}\n"),
    ("KVMC0221", "pool x {\n  isolation = «any»\n}\n"),
    ("KVMC0221", "class x {\n  pmu = «yes»\n}\n"),
    # numbers and sizes
    ("KVMC0222", "class x {\n  vcpus = «0»\n}\n"),
    ("KVMC0222", "class x {\n  vcpus = «1025»\n}\n"),
    ("KVMC0222", "class x {\n  vcpus = «4;»\n}\n"),
    ("KVMC0222", f"class x {{\n  vcpus = «{'9' * 5000}»\n}}\n"),
    ("KVMC0222", "class x {\n  priority = «-1»\n}\n"),
    ("KVMC0222", "pool x {\n  devices y {\n    parent = 0000:5e:00.0\n    vfs = «257»\n  }\n}\n"),
    ("KVMC0223", "class x {\n  memory = «64G»\n}\n"),
    ("KVMC0223", "class x {\n  memory = «64GB»\n}\n"),
    ("KVMC0223", "class x {\n  memory = «65536»\n}\n"),
    ("KVMC0223", "class x {\n  memory = «1.5GiB»\n}\n"),
    ("KVMC0223", "class x {\n  memory = «65TiB»\n}\n"),
    ("KVMC0223", "class x {\n  memory = «512KiB»\n}\n"),
    ("KVMC0223", "class x {\n  memory = «lots»\n}\n"),
    ("KVMC0224", "class x {\n  pages = «4KiB»\n}\n"),
    ("KVMC0224", "class x {\n  pages = «3MiB»\n}\n"),
    ("KVMC0224", "pool x {\n  pages = «1GiB»\n}\n"),
    ("KVMC0222", "pool x {\n  pages = «some» * 1GiB\n}\n"),
    ("KVMC0231", "pool x {\n  pages = [1 * 1GiB, «2 * 1GiB»]\n}\n"),
    # versions, addresses, paths
    ("KVMC0225", "platform x {\n  kernel = «6»\n  libvirt = 9.0\n  qemu = 7.2\n  tuned = 2.20\n}\n"),
    ("KVMC0225", "platform x {\n  kernel = «6.12..6.1»\n  libvirt = 9.0\n  qemu = 7.2\n  tuned = 2.20\n}\n"),
    ("KVMC0225", "platform x {\n  kernel = «6.12-rt»\n  libvirt = 9.0\n  qemu = 7.2\n  tuned = 2.20\n}\n"),
    ("KVMC0226", "pool x {\n  devices y {\n    parent = «0000:5e:00.8»\n    vfs = 1\n  }\n}\n"),
    ("KVMC0226", "pool x {\n  devices y {\n    addresses = [0000:5e:00.0, «eth0»]\n  }\n}\n"),
    ("KVMC0231", "pool x {\n  devices y {\n    addresses = [0000:5e:00.0,«5e:00.0»]\n  }\n}\n"),
    ("KVMC0227", "network x {\n  bridge = «a-bridge-too-far»\n}\n"),
    ("KVMC0227", 'network x {\n  bridge = «"br 0"»\n}\n'),
    ("KVMC0227", "network x {\n  bridge = «br/0»\n}\n"),
    ("KVMC0227", 'storage x {\n  source = «"/dev/{host}"»\n}\n'),
    ("KVMC0227", 'storage x {\n  source = «"/dev/{vm"»\n}\n'),
    ("KVMC0227", "storage x {\n  source = «vg0/y»\n}\n"),
    ("KVMC0227", 'storage x {\n  source = «"/dev/../{vm}"»\n}\n'),
    ("KVMC0227", 'storage x {\n  source = «"/dev/{vm} $(id)"»\n}\n'),
    ("KVMC0227", "host x : compute {\n  topology = «/etc/x.json»\n}\n"),
    ("KVMC0228", "class x {\n  machine = «q35»\n}\n"),
    ("KVMC0228", "class x {\n  machine = «pc»\n}\n"),
    ("KVMC0228", "class x {\n  machine = «pc-i440fx-9.2»\n}\n"),
    ("KVMC0229", "class x {\n  nic n {\n    network = net\n    mac = «52:54:00:12:34»\n  }\n}\n"),
    ("KVMC0229", "class x {\n  nic n {\n    network = net\n    mac = «53:54:00:12:34:56»\n  }\n}\n"),
    ("KVMC0229", "class x {\n  nic n {\n    network = net\n    mac = «00:00:00:00:00:00»\n  }\n}\n"),
    ("KVMC0230", "vm a : base {\n  uuid = «4dea22b3»\n}\n"),
    ("KVMC0230", "vm a : base {\n  uuid = «00000000-0000-0000-0000-000000000000»\n}\n"),
    ("KVMC0231", "vm a : base\nplace apart x {\n  vms = [a, «a»]\n}\n"),
    ("KVMC0232", "vm a : base\nplace apart x {\n  vms = «[a]»\n}\n"),
    # intents
    ("KVMC0240", "vm a : base {\n  pinning = shared\n  «threads = isolate»\n}\n"),
    ("KVMC0240", "vm a : base {\n  pinning = shared\n  «threads = require»\n}\n"),
    ("KVMC0240", "vm a : base {\n  pinning = shared\n  «l3 = require»\n}\n"),
    ("KVMC0240", "vm a : base {\n  pinning = shared\n  «isolation = boot»\n}\n"),
    ("KVMC0240", "vm a : base {\n  pinning = shared\n  «emulator = own»\n}\n"),
    ("KVMC0240", "vm a : base {\n  pinning = shared\n  «scheduler = fifo»\n}\n"),
    ("KVMC0240", "vm a : base {\n  «scheduler = fifo»\n}\n"),
    ("KVMC0240", "vm a : base {\n  isolation = none\n  «scheduler = fifo»\n}\n"),
    ("KVMC0240", "vm a : base {\n  «type = qemu»\n}\n"),
    ("KVMC0240", "vm a : base {\n  «nodes = 5»\n  memory = 5GiB\n}\n"),
    ("KVMC0240", "vm a : base {\n  disk d {\n    storage = disks\n    «cache = writeback»\n  }\n}\n"),
    ("KVMC0240", "vm a : base {\n  disk d {\n    storage = disks\n    cache = writethrough\n    «io = native»\n  }\n}\n"),
    ("KVMC0240", "vm a : base {\n  disk d {\n    storage = disks\n    bus = sata\n    «iothread = own»\n  }\n}\n"),
    ("KVMC0240", "vm a : base {\n  disk d {\n    storage = disks\n    bus = sata\n    «queues = 2»\n  }\n}\n"),
    ("KVMC0240", "vm a : base {\n  nic n {\n    device = vf\n    «queues = 2»\n  }\n}\n"),
    ("KVMC0240", "host x : compute {\n  topology = x.json\n  «profile = realtime»\n}\n"),
    ("KVMC0240", "pool y\nvm a : base {\n  «host = kvm-a»\n  pool = y\n}\n"),
    ("KVMC0240", f"vm a : base {{{DISK.format('c', 'boot = 1')}{DISK.format('d', '«boot = 1»')}}}\n"),
    ("KVMC0240", "host x : compute {\n  topology = x.json\n  devices y {\n    addresses = [5e:00.0]\n    «vfs = 2»\n  }\n}\n"),
    ("KVMC0241", "vm a : base {\n  «memory = 9GiB»\n  pages = 2GiB\n}\n"),
    ("KVMC0241", "vm a : base {\n  «memory = 9GiB»\n  pages = 1GiB\n  nodes = 2\n}\n"),
    ("KVMC0241", "vm a : base {\n  «memory = 9GiB»\n  nodes = 4\n  vcpus = 4\n  pages = 512MiB\n}\n"),
    ("KVMC0242", "vm a : base {\n  «nic n» {\n  }\n}\n"),
    ("KVMC0242", "vm a : base {\n  nic n {\n    network = net\n    «device = vf»\n  }\n}\n"),
    ("KVMC0242", "host x : compute {\n  topology = x.json\n  «devices y» {\n  }\n}\n"),
    ("KVMC0242", "host x : compute {\n  topology = x.json\n  devices vf {\n    «addresses = [5e:00.0]»\n  }\n}\n"),
    ("KVMC0243", f"vm a : base {{\n  uuid = {UUID}\n}}\nvm b : base {{\n  «uuid = {UUID.upper()}»\n}}\n"),
    ("KVMC0243", "class n : base {\n  nic n {\n    network = net\n    «mac = 52:54:00:12:34:56»\n  }\n}\nvm a : n\nvm b : n\n"),
    ("KVMC0244", "host x : compute {\n  topology = x.json\n  devices gpu {\n    «addresses = [3b:00.0]»\n  }\n}\n"),
    ("KVMC0245", f"storage x {{\n  «source = \"/dev/{{disk}}\"»\n}}\nvm a : base {{{DISK_X}}}\nvm b : base {{{DISK_X}}}\n"),
    ("KVMC0240", "vm a : base {\n  nic n {\n    network = net\n    «near = any»\n  }\n}\n"),
    ("KVMC0240", "vm a : base {\n  nic n {\n    network = net\n    «beside = gpu»\n  }\n}\n"),
    ("KVMC0283", "vm a : base {\n  hostdev gpu {\n    device = vf\n    «beside = nic»\n  }\n}\n"),
    ("KVMC0283", "vm a : base {\n  hostdev gpu {\n    device = vf\n    «beside = gpu»\n  }\n}\n"),
    # relations
    ("KVMC0280", "vm a : base\nvm b : base\nplace apart x {\n  vms = [a, b]\n  «within = node»\n}\n"),
    ("KVMC0280", "vm a : base\nvm b : base\nplace together x {\n  vms = [a, b]\n  «across = node»\n}\n"),
    ("KVMC0281", f"{PAIR}place together y {{\n  vms = [a, b]\n  within = node\n}}\n«place apart x» {{\n  vms = [a, b]\n}}\n"),
    ("KVMC0281", f"{PAIR}vm c : base\nplace together y {{\n  vms = [a, b]\n}}\nplace together z {{\n  vms = [b, c]\n}}\n"
     "place apart x {\n  vms = [a, c]\n  «across = rack»\n}\n"),
    ("KVMC0282", f"{PAIR}vm c : base {{\n  nodes = 2\n  vcpus = 2\n  memory = 2GiB\n}}\n"
     "place together x {\n  vms = [a, c]\n  «within = node»\n}\n"),
    ("KVMC0282", f"{PAIR}vm c : base {{\n  pinning = shared\n}}\nplace apart x {{\n  vms = [a, c]\n  «across = l3»\n}}\n"),
    ("KVMC0282", "vm a : base {\n  host = kvm-a\n}\nvm b : base {\n  host = kvm-a\n}\n«place apart x» {\n  vms = [a, b]\n}\n"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "fragment"), CASES, ids=range(len(CASES)))
def test_a_mistake_is_told_once_at_its_place(tmp_path: Path, code: str, fragment: str) -> None:
    told = one(tmp_path, BASE + fragment)
    assert told.code.id == code, told
    assert told.message == told.message.strip().rstrip(".")
    assert len(told.message) < 400 and told.message.isprintable()


NAMES = ['"../../etc/x"', '"a b"', '"$(id)"', '"${f:exec:id}"', '"{{7*7}}"', '"%n"', '"--"', '"-rf"', '".a"', '"a..b"', '""',
    '"a/b"', '"é"', f'"{"a" * 300}"', f"{'a' * 64}", "$(id)", "--", '"`id`"', '"a\\"b"', '"a\'b"', '"a&b"', '"<b>"']  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("usage", ["vm «{}» : base\n", "vm a : base {{\n  disk «{}» {{\n    storage = disks\n  }}\n}}\n",
    "vm a : base {{\n  nic «{}» {{\n    network = net\n  }}\n}}\n", "host «{}» : compute {{\n  topology = x.json\n}}\n",
    "host x : compute {{\n  topology = x.json\n  rack = «{}»\n}}\n"])  # fmt: skip
def test_a_hostile_name_is_told_once_at_its_place(tmp_path: Path, name: str, usage: str) -> None:
    told = one(tmp_path, BASE + usage.format(name))
    assert told.code.id == "KVMC0206", told
    assert told.help


def test_a_name_with_a_newline_is_told_once(tmp_path: Path) -> None:
    told = one(tmp_path, BASE + 'vm «"»a\nb" : base\n')
    assert told.code.id == "KVMC0104"


def test_several_mistakes_are_told_in_one_run(tmp_path: Path) -> None:
    text = BASE + "vm a : base {\n  vcpus = x\n  memory = 1G\n  cpus = 2\n}\nvm b : bse\nnetwork n {\n}\n"
    assert [item.code.id for item in load(tmp_path, text).bag] == [
        "KVMC0222",
        "KVMC0223",
        "KVMC0201",
        "KVMC0211",
        "KVMC0242",
    ]


def test_a_bad_value_of_a_class_is_told_once_for_all_its_guests(tmp_path: Path) -> None:
    told = one(
        tmp_path, BASE + "class x : base {\n  memory = «12XB»\n}\n" + "".join(f"vm v-{n} : x\n" for n in range(50))
    )
    assert told.code.id == "KVMC0223"


def test_a_contradiction_within_a_class_is_told_once_and_names_a_guest(tmp_path: Path) -> None:
    fragment = "class x : base {\n  pinning = shared\n  «l3 = require»\n}\nvm a : x\nvm b : x\n"
    told = one(tmp_path, BASE + fragment)
    assert [label.text for label in told.secondary] == ["set by class x", "used here"]


def test_a_contradiction_with_a_class_is_told_at_the_guest(tmp_path: Path) -> None:
    told = one(tmp_path, BASE + "class x : base {\n  l3 = require\n}\nvm a : x {\n  «pinning = shared»\n}\n")
    assert [label.text for label in told.secondary] == ["set by class x"]


def test_a_default_that_takes_part_is_named(tmp_path: Path) -> None:
    told = one(tmp_path, BASE + "vm a : base {\n  «scheduler = fifo»\n}\n")
    assert "`isolation = any` is the default" in told.notes


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("64G", "64GiB"),
        ("64GB", "64GiB"),
        ("64gib", "64GiB"),
        ("64", "64GiB"),
        ("1.5GiB", "1536MiB"),
        ("512m", "512MiB"),
    ],
)
def test_a_size_gets_its_right_spelling(tmp_path: Path, wrong: str, right: str) -> None:
    told = one(tmp_path, BASE + f"class x {{\n  memory = «{wrong}»\n}}\n")
    assert f"`{right}`" in told.help[0]


@pytest.mark.parametrize(
    ("fragment", "near"),
    [
        ("class x {\n  memry = 1GiB\n}\n", "`memory`"),
        ("vm a : bsae\n", "`base`"),
        ("class x {\n  nic n {\n    device = vff\n  }\n}\n", "`vf`"),
        ("pool x {\n  vfs = 4\n}\n", "`devices`"),
        ("class x {\n  housekeeping {\n  }\n}\n", "`pool` or `host`"),
        ("clas x\n", "`class`"),
    ],
)
def test_help_names_what_is_near(tmp_path: Path, fragment: str, near: str) -> None:
    assert near in one(tmp_path, BASE + fragment).help[0]


def test_the_chain_of_a_cycle_is_told(tmp_path: Path) -> None:
    told = one(tmp_path, BASE + "«class a : b»\nclass b : c\nclass c : a\n")
    assert "`a` : `b` : `c` : `a`" in told.message
    assert len(told.secondary) == 2


def test_a_site_without_a_site_block(tmp_path: Path) -> None:
    assert one(tmp_path, "«k»vmt 1\nnetwork n {\n  bridge = br0\n}\n").code.id == "KVMC0214"


def test_guests_of_one_class_lack_a_setting_together(tmp_path: Path) -> None:
    guests = "".join(f"vm v-{n} : thin\n" for n in range(50))
    thin = "class thin {\n  «vcpus = 1»\n  machine = pc-q35-9.2\n}\n"
    told = one(tmp_path, BASE + thin + guests)
    assert told.code.id == "KVMC0205" and told.primary is not None
    assert told.primary.text == "class thin sets this, and no `memory`"
    assert told.notes == ("49 more of class `thin` have none",)


def test_guests_of_all_classes_of_one_lack_a_setting_together(tmp_path: Path) -> None:
    base = BASE.replace("  machine = pc-q35-9.2\n", "").replace("class base", "«class base»")
    told = one(tmp_path, base + "class mid : base\nvm a : mid\nvm b : base\n")
    assert (told.code.id, told.message) == ("KVMC0205", "vm `a` has no `machine`")
    assert told.notes == ("1 more of class `base` have none",)
    # where one guest has it, the class is not to blame
    told = one(
        tmp_path, base.replace("«", "").replace("»", "") + "vm a : base {\n  machine = pc-q35-9.2\n}\n«vm b : base»\n"
    )
    assert told.code.id == "KVMC0205"


def test_a_chain_of_parents_has_an_end(tmp_path: Path) -> None:
    chain = "".join(f"class c{n} : {f'c{n - 1}' if n else 'base'}\n" for n in range(64))
    assert one(tmp_path, BASE + chain + "«class last : c63»\nclass more : last\nvm a : more\n").code.id == "KVMC0213"
