"""Guests come and go within their pools: no other guest's file and no byte under `etc/` changes."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvmc.diagnostics.codes import host, placement
from kvmc.driver.build import build_site
from kvmc.topology.snapshot import dumps
from kvmc_targets import BUILTIN
from support.machines import machine, nic

EDITS = 250
"""In each of two runs: 500 in all."""

EXPECTED = {placement.NOT_PLACED, placement.HOUSEKEEPING_BUDGET, host.TOPOLOGY_FLAT}
"""A guest too many, and what a full host makes kvmc say."""

HEAD = """\
kvmt 1
site s {
  identity = "s.example.net"
}
platform deb12 {
  kernel  = "6.1"
  libvirt = "9.0"
  qemu    = "7.2"
  tuned   = "2.20"
  realtime = true
}
pool p {
  platform  = deb12
  isolation = ISOLATION
  profile   = PROFILE
  pages     = [24 * 1GiB, 8192 * 2MiB]
  shared {
    cores = 2
  }
  devices nics {
    parent = "0000:3b:00.0"
    vfs    = 8
  }
}
host a : p {
  topology = "a.json"
  rack     = one
}
host b : p {
  topology = "a.json"
  rack     = two
}
network net {
  bridge = br0
}
storage disks {
  source = "/dev/vg/{vm}-{disk}"
}
class base {
  machine = pc-q35-7.2
  disk root {
    storage = disks
  }
  nic eth0 {
    network = net
  }
}
"""
"""The two hosts are alike; the pools differ by run."""


def guest(name: str, dice: random.Random) -> str:
    """A random guest of a kind that the field has."""
    kind = dice.randrange(5)
    if kind == 0:
        body = f"pinning = shared\n  vcpus = {dice.randint(1, 6)}\n  memory = {dice.randint(1, 8)}GiB"
    elif kind == 1:
        body = (
            f"vcpus = {2 * dice.randint(1, 5)}\n  memory = {dice.randint(1, 8)}GiB\n  pages = 1GiB\n  threads = require"
        )
    elif kind == 2:
        body = f"vcpus = {dice.randint(1, 5)}\n  memory = {dice.randint(1, 4)}GiB\n  pages = 2MiB\n  threads = isolate"
    elif kind == 3:
        body = f"vcpus = {2 * dice.randint(1, 4)}\n  memory = {2 * dice.randint(1, 4)}GiB\n  nodes = 2\n  l3 = any"
    else:
        body = (
            f"vcpus = {dice.randint(1, 8)}\n  memory = {dice.randint(1, 8)}GiB\n  nic fast {{\n    device = nics\n  }}"
        )
    return f"vm {name} : base {{\n  {body}\n}}\n"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of builds wait for the disk at each of their files."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.mark.parametrize(("isolation", "profile", "seed"), [("boot", "realtime", 1), ("none", "throughput", 2)])
def test_no_other_file_changes(isolation: str, profile: str, seed: int, quick_path: Path) -> None:
    dice = random.Random(seed)
    shape = machine(packages=2, l3_per_node=4, cores_per_l3=4, threads=2, memory_gib=96, pci=[nic("0000:3b:00.0")])
    (quick_path / "a.json").write_text(dumps(shape))
    head = HEAD.replace("ISOLATION", isolation).replace("PROFILE", profile)
    site = quick_path / "site.kvmt"
    guests: dict[str, str] = {}
    before: dict[str, bytes] = {}
    added = removed = refused = 0
    while added + removed < EDITS:
        wanted = dict(guests)
        if guests and dice.random() < 0.45:
            name = dice.choice(sorted(guests))
            del wanted[name]
        else:
            name = dice.choice([f"g{number}" for number in range(100) if f"g{number}" not in guests])
            wanted[name] = guest(name, dice)
        site.write_text(head + "".join(wanted.values()))
        outcome = build_site(site, BUILTIN)
        found = {item.code for item in outcome.bag}
        if found:
            assert found <= EXPECTED, [item.message for item in outcome.bag]
        after = files(quick_path / "generated")
        if not outcome.ok:
            assert after == before
            refused += 1
            site.write_text(head + "".join(guests.values()))
            continue
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        if before:
            assert all(path.endswith(("/apply.json", f"/domains/{name}.xml")) for path in changed), changed
            assert any(path.endswith(f"/domains/{name}.xml") for path in changed)
        added += len(wanted) > len(guests)
        removed += len(wanted) < len(guests)
        guests, before = wanted, after
    assert min(added, removed) > EDITS // 3
    assert refused, "the hosts were never full: the run proves little"
