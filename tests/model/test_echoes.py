"""One cause, one diagnostic: what follows from a misspelling is not told beside it. And which pass tells a contradiction."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvmc.model.names import NearNames
from model.support import BASE, load, one


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("vm a {\n  vcpus = 2\n  «memroy» = 4GiB\n  machine = pc-q35-9.2\n}\n", "did you mean `memory`?"),
        ("class c {\n  vcpus = 2\n  machine = pc-q35-9.2\n  «memroy» = 4GiB\n}\nvm a : c\n", "did you mean `memory`?"),
        ("vm a : base {\n  nic n {\n    «netwrok» = net\n  }\n}\n", "did you mean `network`?"),
        ("«netwrok» o {\n  bridge = b1\n}\nvm a : base {\n  nic n {\n    network = o\n  }\n}\n", "did you mean `network`?"),
        ("«calss» c : base\nvm a : c\n", "did you mean `class`?"),
        ("«vmm» a : base\nvm b : base\nplace apart p {\n  vms = [a, b]\n}\n", "did you mean `vm`?"),
        ("vm a : base {\n  «dsik» d {\n  }\n}\n", "did you mean `disk`?"),
        ("«vmm» a : base {\n  vpcus = 1\n  memory = 1\n}\n", "did you mean `vm`?"),
    ],
)  # fmt: skip
def test_a_misspelling_has_no_echo(text: str, help: str, tmp_path: Path) -> None:
    assert help in one(tmp_path, BASE + text).help


def test_a_misspelling_beside_the_right_one_is_told_alone(tmp_path: Path) -> None:
    one(tmp_path, BASE + "vm a : base {\n  memory = 8GiB\n  «memroy» = 4GiB\n}\n")


def test_what_is_like_nothing_leaves_the_gap_told(tmp_path: Path) -> None:
    loaded = load(tmp_path, BASE + "vm a {\n  vcpus = 2\n  xyzzy = 4GiB\n  machine = pc-q35-9.2\n}\n")
    assert sorted(item.code.id for item in loaded.bag) == ["KVMC0201", "KVMC0205"]


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("tow", ["one", "two"], ("two",)),
        ("ab", ["ba", "xy"], ("ba",)),
        ("Tow", ["TWO"], ("TWO",)),
        ("zzz", ["one"], ()),
        ("", ["one"], ()),
    ],
)
def test_near_names_know_swapped_letters(name: str, known: list[str], near: tuple[str, ...]) -> None:
    assert NearNames().names(name, known) == near


@pytest.mark.parametrize(
    "text",
    [
        "host x : compute {\n  topology = x.json\n  profile = realtime\n  platform = rt\n}\n",
        "vm a : base {\n  disk d {\n    storage = disks\n    bus = scsi\n    «iothread = own»\n  }\n}\n",
        "vm a : base {\n  type = qemu\n  «cpu = host-model»\n}\n",
        "vm a : base {\n  disk d {\n    storage = disks\n    boot = 1\n  }\n"
        "  disk e {\n    storage = disks\n    «boot = 1»\n  }\n}\n",
    ],
)
def test_contradictions_within_a_block_are_the_schemas(text: str, tmp_path: Path) -> None:
    realtime = (
        'platform rt {\n  kernel = 6.12\n  libvirt = "11.3"\n  qemu = 10.0\n  tuned = 2.25\n  realtime = true\n}\n'
    )
    assert one(tmp_path, BASE + realtime + text).code.id == "KVMC0240"
