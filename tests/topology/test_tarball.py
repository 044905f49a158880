"""Archives: every packing and tar format, and those made to hurt."""

from __future__ import annotations

import gzip
import io
import lzma
import resource
import tarfile
from pathlib import Path

import pytest

from kvmc.topology import unpack
from kvmc.topology.read import read_topology
from topology.topology_machines import CPU, Machine, add, write_tar, write_tree

MACHINE = Machine(nodes=2, cores=2, pci={"0000:3b:00.0": {"numa_node": "1", "iommu_group": "->../../7"}})


def refused(path: Path) -> tuple[str, str]:
    topology, bag = read_topology(path, "dump")
    assert topology is None
    assert len(bag) == 1, [item.message for item in bag]
    return bag.items[0].code.id, bag.items[0].message


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["dump.tar", "dump.tar.gz", "dump.tar.xz", "dump.tar.bz2", "no-ending"])
@pytest.mark.parametrize("prefix", ["", "./", "/", "root/", "x" * 50 + "/" + "y" * 50 + "/"])
def test_the_same_as_the_folder(tmp_path: Path, name: str, format: int, prefix: str) -> None:
    files = MACHINE.files()
    folder, first = read_topology(write_tree(tmp_path / "tree", files), "x")
    archive, second = read_topology(write_tar(tmp_path / name, files, prefix, format), "x")
    assert folder is not None and archive == folder
    assert not len(first) and not len(second)


def test_names_and_links_longer_than_a_header(tmp_path: Path) -> None:
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = write_tar(tmp_path / f"{format}.tar", MACHINE.files(), "p" * 300 + "/", format)
        topology, _ = read_topology(path, "x")
        assert topology is not None and topology.pci is not None and len(topology.pci) == 1


def test_folder_entries_and_unknown_files_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "dump.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("host", "host/sys", f"host/{CPU}", f"host/{CPU}/cpu0"):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
        add(archive, f"host/{CPU}/cpu0/crash_notes", "x" * 5000)
        for name, value in MACHINE.files().items():
            add(archive, f"host/{name}", value)
    with_more, _ = read_topology(path, "x")
    plain, _ = read_topology(write_tar(tmp_path / "plain.tar", MACHINE.files()), "x")
    assert with_more is not None and with_more == plain


def test_live_sysfs_is_padded_with_nul(tmp_path: Path) -> None:
    path = tmp_path / "dump.tar"
    with tarfile.open(path, "w") as archive:
        for name, value in MACHINE.files().items():
            if value.startswith("->"):
                add(archive, name, value)
                continue
            member = tarfile.TarInfo(name)
            member.size = 4096
            archive.addfile(member, io.BytesIO(f"{value}\n".encode().ljust(4096, b"\0")))
    padded, _ = read_topology(path, "x")
    plain, _ = read_topology(write_tar(tmp_path / "plain.tar", MACHINE.files()), "x")
    assert padded is not None and padded == plain


def test_hard_links_within_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "dump.tar"
    files = MACHINE.files()
    with tarfile.open(path, "w") as archive:
        for name, value in files.items():
            if name == f"{CPU}/cpu4/topology/core_cpus_list":
                member = tarfile.TarInfo(name)
                member.type = tarfile.LNKTYPE
                member.linkname = f"{CPU}/cpu0/topology/core_cpus_list"
                archive.addfile(member)
            else:
                add(archive, name, value)
    topology, _ = read_topology(path, "x")
    assert topology is not None and topology.cores is not None and str(topology.cores[0]) == "0,4"


def test_cut_anywhere_it_is_truncated(tmp_path: Path) -> None:
    for name in ("dump.tar", "dump.tar.gz", "dump.tar.xz", "dump.tar.bz2"):
        whole = write_tar(tmp_path / name, MACHINE.files()).read_bytes()
        end = len(whole) if name != "dump.tar" else len(whole.rstrip(b"\0"))
        for size in (600, 1024, end // 3, end // 2, end - 1):
            (tmp_path / name).write_bytes(whole[:size])
            code, message = refused(tmp_path / name)
            assert (code, message) == ("KVMC0303", "`dump`: the archive is truncated"), (name, size)


def test_bits_that_fell_over(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "dump.tar", MACHINE.files())
    data = bytearray(path.read_bytes())
    data[1024 + 5] ^= 0x20
    path.write_bytes(data)
    assert refused(path)[0] == "KVMC0303"
    packed = bytearray(write_tar(tmp_path / "dump.tar.xz", MACHINE.files()).read_bytes())
    packed[len(packed) // 2] ^= 0x10
    path.write_bytes(packed)
    assert refused(path)[0] == "KVMC0303"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../../sys/devices/system/cpu/cpu0/online", "KVMC0305"),
        ("host/../sys/devices/system/cpu/online", "KVMC0305"),
        ("other/sys/devices/system/cpu/online", "KVMC0302"),
    ],
)
def test_entries_outside_the_tree(tmp_path: Path, name: str, code: str) -> None:
    path = tmp_path / "dump.tar"
    with tarfile.open(path, "w") as archive:
        for own, value in (*MACHINE.files().items(),):
            add(archive, f"host/{own}", value)
        add(archive, name, "0-9")
    assert refused(path)[0] == code


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "dump.tar"
    files = MACHINE.files()
    secret = tmp_path / "secret"
    secret.write_text("0-7\n")
    with tarfile.open(path, "w") as archive:
        for name, value in files.items():
            if name.endswith("cpu0/topology/core_cpus_list"):
                add(archive, name, f"->{secret}")
            elif name.endswith("cpu1/topology/core_cpus_list"):
                device = tarfile.TarInfo(name)
                device.type = tarfile.CHRTYPE
                archive.addfile(device)
            else:
                add(archive, name, value)
    topology, _ = read_topology(path, "x")
    assert topology is not None and topology.cores is not None
    assert [str(core) for core in topology.cores] == ["0,4", "1,5", "2,6", "3,7"], "from the masks"


def test_a_value_of_10_mb(tmp_path: Path) -> None:
    files = MACHINE.files() | {f"{CPU}/cpu0/topology/core_cpus_list": "0," * 5_000_000}
    code, message = refused(write_tar(tmp_path / "dump.tar.gz", files))
    assert code == "KVMC0304" and "10000001 bytes" in message


def test_a_member_that_claims_more_than_there_is(tmp_path: Path) -> None:
    member = tarfile.TarInfo(f"{CPU}/online")
    member.size = 1 << 40
    (tmp_path / "dump.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT))
    assert refused(tmp_path / "dump.tar")[0] == "KVMC0304"
    member.size = 1 << 30
    member.name = "unwanted"
    (tmp_path / "dump.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    assert refused(tmp_path / "dump.tar") == ("KVMC0303", "`dump`: the archive is truncated")


def test_an_archive_that_unpacks_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_UNPACKED", 32 * 1024**2)
    member = tarfile.TarInfo("unwanted")
    member.size = 30 * 1024**2
    with gzip.open(tmp_path / "bomb.tar.gz", "wb", compresslevel=9) as file:
        for _ in range(3):
            file.write(member.tobuf())
            file.write(bytes(member.size))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(tmp_path / "bomb.tar.gz")[0] == "KVMC0304"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024, "KiB"


def test_xz_may_not_allocate_what_its_header_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "XZ_MEMORY", 16 * 1024**2)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 32 * 1024**2}]
    (tmp_path / "x.tar.xz").write_bytes(lzma.compress(bytes(10240), filters=filters))
    assert refused(tmp_path / "x.tar.xz")[0] == "KVMC0303"


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_compressed_but_no_archive(tmp_path: Path, size: int) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"<capabilities/>" + b" " * size))
    assert refused(tmp_path / "x.gz")[0] in ("KVMC0302", "KVMC0303")


def test_an_archive_without_sysfs(tmp_path: Path) -> None:
    code, message = refused(write_tar(tmp_path / "x.tar", {"etc/passwd": "root", "sys/kernel/x": "1"}))
    assert code == "KVMC0306" and "sys/devices/system/cpu" in message


def test_two_streams_in_one_file(tmp_path: Path) -> None:
    plain = write_tar(tmp_path / "dump.tar", MACHINE.files()).read_bytes()
    whole, _ = read_topology(tmp_path / "dump.tar", "x")
    for pack in (gzip.compress, lzma.compress):
        (tmp_path / "two").write_bytes(pack(plain[:5000]) + pack(plain[5000:]))
        topology, _ = read_topology(tmp_path / "two", "x")
        assert topology is not None and topology == whole
