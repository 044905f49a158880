"""One door for every format: the content says what a file is, never its name."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import topology as codes
from kvmc.topology.check import check
from kvmc.topology.failure import ReadFailure, quoted
from kvmc.topology.model import Topology

Read = tuple[Topology, "Format"]

_HEAD = 4096
_MAX_TEXT = 32 * 1024**2
_READS = (
    "kvmc reads its own snapshots, `virsh capabilities`, `lstopo --of xml`, `lscpu -J`, `lscpu -J -e`, `numactl -H`, "
    "and a sysfs tree as a folder or a tar archive"
)

_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_FOREIGN = {
    b"(\xb5/\xfd": "a zstd-compressed file",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf": "a 7-zip archive",
    b"\x7fELF": "a program",
    b"SQLite format": "an SQLite database",
}
_XML_KINDS = {
    "topologydiff": "the difference of two hwloc topologies, and no topology",
    "domain": "a domain's XML",
    "domainCapabilities": "domain capabilities (`virsh domcapabilities`), which tell of guests and not of the host",
    "sysinfo": "SMBIOS information (`virsh sysinfo`)",
    "network": "a network's XML",
    "pool": "a storage pool's XML",
    "device": "a node device's XML",
    "cpu": "a CPU's XML",
}


class Format(StrEnum):
    """What a file or folder is."""

    SNAPSHOT = "snapshot"
    CAPABILITIES = "capabilities"
    HWLOC = "hwloc"
    LSCPU = "lscpu"
    LSCPU_ROWS = "lscpu -e"
    NUMACTL = "numactl"
    SYSFS = "sysfs"


@dataclass(frozen=True, slots=True)
class Source:
    """One input of a host. shown: how messages name it."""

    topology: Topology
    format: Format
    shown: str


def read_topology(path: Path, shown: str) -> tuple[Topology | None, Bag]:
    """Read a host's topology from a file or folder of any known format.

    shown: how messages name it. No diagnostic has a label. None where the bag holds an error.
    """
    source, bag = read_source(path, shown)
    return (None if source is None else source.topology), bag


def read_source(path: Path, shown: str) -> tuple[Source | None, Bag]:
    """The same, with the format that was found."""
    bag = Bag()
    try:
        source = Source(*_read(path, shown, bag), shown)
    except ReadFailure as failure:
        failure.report(bag, shown)
        return None, bag
    if not bag.has_errors:
        bag.extend(check(source.topology, shown))
    return (None if bag.has_errors else source), bag


def _read(path: Path, shown: str, bag: Bag) -> Read:
    if "\0" in str(path):
        raise ReadFailure(codes.TOPOLOGY_UNREADABLE, "a file name can't hold a NUL byte")
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            from kvmc.topology.folder import read_folder
            from kvmc.topology.sysfs import read_sysfs

            return read_sysfs(read_folder(path), shown, bag), Format.SYSFS
        if not stat.S_ISREG(status.st_mode):
            raise ReadFailure(codes.TOPOLOGY_KIND, "not a file or folder, but a device, pipe or socket")
        if status.st_size == 0:
            raise ReadFailure(codes.TOPOLOGY_DAMAGED, "the file is empty")
        return _read_file(path, shown, bag)
    except FileNotFoundError as error:
        raise ReadFailure(codes.TOPOLOGY_UNREADABLE, "no such file or folder") from error
    except OSError as error:
        reason = (error.strerror or "input/output error").lower()
        raise ReadFailure(codes.TOPOLOGY_UNREADABLE, f"cannot be read: {reason}") from error


def _read_file(path: Path, shown: str, bag: Bag) -> Read:
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(0)
        if head.startswith(tuple(_PACKED)) or head[257:262] == b"ustar" or b"devices/system/cpu" in head[:100]:
            from kvmc.topology.sysfs import read_sysfs
            from kvmc.topology.tarball import read_tar

            return read_sysfs(read_tar(file), shown, bag), Format.SYSFS
        kind = next((kind for magic, kind in _FOREIGN.items() if head.startswith(magic)), None)
        if kind is not None:
            raise ReadFailure(codes.TOPOLOGY_KIND, f"{kind}, not a topology", help=(_READS,))
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if start[:1] == b"<":
            return _read_xml(_whole(file), shown, bag)
        if start[:1] in (b"{", b"["):
            return _read_json(_whole(file), shown, bag)
        if re.search(rb"^available: [0-9]+ nodes? \(", head, re.MULTILINE):
            from kvmc.topology.numactl import read_numactl

            return read_numactl(_text(_whole(file))), Format.NUMACTL
    raise ReadFailure(codes.TOPOLOGY_KIND, _text_kind(start), help=(_READS,))


def _whole(file: BinaryIO) -> bytes:
    data = file.read(_MAX_TEXT + 1)
    if len(data) > _MAX_TEXT:
        raise ReadFailure(codes.TOPOLOGY_TOO_LARGE, f"the file is larger than {_MAX_TEXT // 1024**2} MiB")
    return data


def _read_xml(data: bytes, shown: str, bag: Bag) -> Read:
    from kvmc.topology.xml import parse_xml, without_hwloc_doctype

    root = parse_xml(without_hwloc_doctype(data))
    if root.tag == "capabilities":
        from kvmc.topology.capabilities import read_capabilities

        return read_capabilities(root, shown, bag), Format.CAPABILITIES
    if root.tag == "topology":
        from kvmc.topology.hwloc import read_hwloc

        return read_hwloc(root, shown, bag), Format.HWLOC
    tag = str(root.tag)
    kind = _XML_KINDS.get(tag, f"an XML file of {quoted(f'<{tag}>')}, not a topology")
    raise ReadFailure(codes.TOPOLOGY_KIND, kind, help=(_READS,))


def _read_json(data: bytes, shown: str, bag: Bag) -> Read:
    from kvmc.topology.json_text import read_object

    top = read_object(_text(data))
    if "lscpu" in top or "cpus" in top:
        from kvmc.topology.lscpu import read_rows, read_summary

        return (read_summary(top), Format.LSCPU) if "lscpu" in top else (read_rows(top), Format.LSCPU_ROWS)
    from kvmc.topology.snapshot_read import parse_object

    return parse_object(top, shown, bag), Format.SNAPSHOT


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadFailure(codes.TOPOLOGY_DAMAGED, f"the text is not UTF-8 at byte {error.start}") from error


def _text_kind(start: bytes) -> str:
    if start.startswith(b"No NUMA available"):
        return "the output of `numactl -H` on a host without NUMA, which tells nothing"
    if re.match(rb"Architecture: |# The following is the parsable format", start):
        return "the text of `lscpu`, which is made for people"
    if b"\0" in start or not start:
        return "a binary file of unknown kind, not a topology"
    return f"a text that is no topology: it begins {quoted(start[:40].decode('utf-8', 'replace'))}"
