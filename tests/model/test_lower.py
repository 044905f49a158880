"""What a good source means: values, defaults, inheritance, and where each value came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvmc.model.load import load_site
from kvmc.model.site import L3, Iothread, Isolation, Pinning
from kvmc.model.values import PageCount, PciAddress, Version, VersionRange
from model.support import BASE, good, load


def test_values_are_typed(tmp_path: Path) -> None:
    site = good(
        tmp_path,
        """
pool big : compute {
  pages = [64 * 1GiB, 512 * 2MiB]
  isolation = boot
  reserve {
    pages = 2 * 1GiB
    memory = 1536MiB
  }
  devices gpu {
    addresses = [5e:00.0,0001:5f:00.1]
  }
}
host b : big {
  topology = b.json
  rack = r-2
  pages = [32 * 1GiB]
}
host c : big {
  topology = c.json
  pages = none
  devices gpu {
    addresses = ["5e:00.0"]
  }
}
vm a : base {
  memory = 1TiB
  pages = 1GiB
  uuid = 4DEA22B3-1d52-48f3-9516-782e98ab3fa0
  host = b
  pool = big
  nic n {
    network = net
    mac = 52:54:00:AB:cd:ef
  }
}
""",
    )
    assert site.platforms["deb13"].kernel == VersionRange(Version(6, 12), Version(6, 12))
    assert site.platforms["deb13"].tuned == VersionRange(Version(2, 25), Version(2, 25))
    b, c = site.hosts["b"], site.hosts["c"]
    assert (b.pages, b.reserve_pages, b.reserve_memory_kib) == (
        (PageCount(32, 1048576),),
        (PageCount(2, 1048576),),
        1536 * 1024,
    )
    assert (b.rack, b.pool, b.platform, b.isolation, b.shared_overcommit) == ("r-2", "big", "deb13", Isolation.BOOT, 4)
    assert b.devices["vf"].parent == PciAddress(0, 0x3B, 0, 0) and b.devices["vf"].vfs == 4
    assert b.devices["gpu"].addresses == (PciAddress(0, 0x5E, 0, 0), PciAddress(1, 0x5F, 0, 1))
    assert c.pages == () and c.devices["gpu"].addresses == (PciAddress(0, 0x5E, 0, 0),)
    vm = site.vms["a"]
    assert (vm.memory_kib, vm.pages_kib, vm.uuid) == (1024**3, 1024**2, "4dea22b3-1d52-48f3-9516-782e98ab3fa0")
    assert vm.nics["n"].mac == "52:54:00:ab:cd:ef"


def test_a_version_is_no_decimal_number(tmp_path: Path) -> None:
    versions = 'platform x {\n  kernel = 6.10\n  libvirt = "6.1..6.12.3"\n  qemu = 7.2..10.0\n  tuned = "2.2"\n}\n'
    platform = good(tmp_path, versions).platforms["x"]
    assert str(platform.kernel) == "6.10" and platform.kernel.since(6, 9)
    assert (str(platform.libvirt), str(platform.qemu)) == ("6.1..6.12", "7.2..10.0")


def test_classes_merge_setting_by_setting_and_labelled_blocks_by_label(tmp_path: Path) -> None:
    site = good(
        tmp_path,
        """
class db : base {
  l3 = require
  memory = 16GiB
  disk root {
    storage = disks
    iothread = shared
  }
  disk log {
    storage = disks
  }
}
class big : db {
  memory = 32GiB
  disk root {
    queues = 4
  }
  disk extra {
    storage = disks
  }
}
vm a : big {
  l3 = any
  disk log {
    iothread = own
  }
}
vm b : db
""",
    )
    a, b = site.vms["a"], site.vms["b"]
    assert (a.lineage, b.lineage) == (("big", "db", "base"), ("db", "base"))
    assert (a.memory_kib, a.l3, a.vcpus, a.pinning) == (32 * 1024**2, L3.ANY, 4, Pinning.DEDICATED)
    assert (b.memory_kib, b.l3) == (16 * 1024**2, L3.REQUIRE)
    assert list(a.disks) == ["root", "log", "extra"]
    assert (a.disks["root"].iothread, a.disks["root"].queues, a.disks["log"].iothread) == (
        Iothread.SHARED,
        4,
        Iothread.OWN,
    )
    assert (b.disks["root"].queues, b.disks["log"].iothread) == (None, Iothread.NONE)


def test_origins_say_where_each_value_was_set(tmp_path: Path) -> None:
    text = BASE + "class db : base {\n  disk log {\n    storage = disks\n  }\n}\n"
    text += "vm a : db {\n  vcpus = 8\n  disk log {\n    queues = 2\n  }\n}\n"
    loaded = load(tmp_path, text + "vm b : db\nplace apart x {\n  vms = [a, b]\n}\n")

    def origin(*path: str) -> tuple[str, str, str, str | None]:
        found = loaded.origins.table[path]
        source = loaded.sources.texts[found.span.file]
        use = source[found.use.start : found.use.end] if found.use else None
        return source[found.span.start : found.span.end], source[found.value.start : found.value.end], found.block, use

    assert origin("vm", "a") == ("vm a : db", "vm a : db", "vm a", None)
    assert origin("vm", "a", "vcpus") == ("vcpus = 8", "8", "vm a", None)
    assert origin("vm", "a", "memory") == ("memory  = 8GiB", "8GiB", "class base", "vm a : db")
    assert origin("vm", "a", "disk", "log") == ("disk log", "disk log", "vm a", None)
    assert origin("vm", "a", "disk", "log", "storage") == ("storage = disks", "disks", "class db", "vm a : db")
    assert origin("vm", "b", "disk", "log") == ("disk log", "disk log", "class db", "vm b : db")
    assert origin("host", "kvm-a", "devices", "vf", "vfs") == (
        "vfs    = 4",
        "4",
        "pool compute",
        "host kvm-a : compute",
    )
    assert origin("site", "s", "identity")[1] == '"s.example.net"'
    assert origin("place", "x", "vms")[1] == "[a, b]"
    assert ("vm", "a", "pinning") not in loaded.origins.table
    assert loaded.origins.block("vm", "a", "pinning") == "vm a"


def test_every_origin_has_a_value_in_the_site(tmp_path: Path) -> None:
    loaded = load_site(Path(__file__).parents[2] / "examples/telco-edge/site.kvmt")
    for path, origin in loaded.origins.table.items():
        text = loaded.sources.texts[origin.span.file][origin.span.start : origin.span.end]
        assert text.startswith(path[-1]) or text.split()[0] in path


@pytest.mark.parametrize(
    "fragment",
    [
        "class unused {\n  disk d {\n  }\n  nic n {\n  }\n}\n",
        "pool unused {\n  devices d {\n  }\n}\n",
        "class fifo : base {\n  scheduler = fifo\n}\nvm a : fifo {\n  isolation = boot\n}\n",
        "class a : base\nvm a : a\n",
        "vm A.b_c-1 : base\nvm a.b_c-2 : base\n",
        'vm "quoted" : "base"\n',
        "vm a : base {\n  machine = pc-q35-rhel9.4.0\n}\n",
        "vm a : base {\n  type = qemu\n  cpu = maximum\n}\n",
        "vm a : base {\n  cpu = Skylake-Server-v4\n}\n",
        "vm a : base {\n  disk d {\n    storage = disks\n    cache = writeback\n    io = threads\n  }\n}\n",
        'storage x {\n  type = file\n  source = "/var/lib/libvirt/images/{vm}-{disk}.qcow2"\n}\n',
        'platform y {\n  kernel = 6.1\n  libvirt = 9.0\n  qemu = 7.2\n  tuned = 2.20\n  emulator = "/usr/libexec/qemu-kvm"\n}\n',
        "vm a : base {\n  nodes = 2\n  pages = 1GiB\n}\n",
        "vm b : base {\n  pages = none\n}\n",
        "host b : compute {\n  topology = ../shared/b.json\n}\n",
        "vm a : base {\n  host = kvm-a\n  pool = compute\n}\n",
    ],
    ids=range(16),
)
def test_what_is_no_mistake(tmp_path: Path, fragment: str) -> None:
    good(tmp_path, fragment)


def test_two_equal_sources_are_equal_sites(tmp_path: Path) -> None:
    assert good(tmp_path, "vm a : base\n") == good(tmp_path, "\n# moved\nvm a : base {\n}\n")
