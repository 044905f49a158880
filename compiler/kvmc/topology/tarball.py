"""A sysfs tree in a tar archive, read as a stream: nothing is extracted, and only the few values that tell are kept.

The archive's own names are keys and never become paths. The standard library's tarfile builds an object for each member, which
takes seconds for the 300 000 members of a large host's dump; this reader looks at the name first.
"""

from __future__ import annotations

import posixpath
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from kvmc.diagnostics.codes import topology as codes
from kvmc.topology import dump as names
from kvmc.topology.dump import Dump
from kvmc.topology.failure import ReadFailure, quoted
from kvmc.topology.unpack import MAX_UNPACKED, unpacked

_BLOCK = 512
_MAX_HEADER = 64 * 1024

_LEAVES = frozenset(
    name.encode()
    for name in (
        *names.TOPOLOGY_FILES,
        *names.CACHE_FILES,
        *names.NODE_FILES,
        *names.PCI_FILES,
        *names.PCI_LINKS,
        *names.OWN_FILES,
        *names.CPU_FILES,
        *names.RESCTRL_FILES,
        "cpus",
        "target_node",
        *names.CGROUP_FILES,
        *(path.rpartition("/")[2] for path in names.ROOT_FILES),
    )
)
_FOLDER = re.compile(rb"(?:.*/)?devices/system/(?:cpu/cpu|node/node)[0-9]+|(?:.*/)?hugepages-[0-9]+kB", re.DOTALL)
_WANTED = re.compile(
    (
        r"(?P<base>(?:.*/)?)"
        r"(?P<key>(?:"
        rf"devices/system/cpu/(?:{'|'.join(names.CPU_FILES)}|cpu[0-9]+/(?:{'|'.join(names.OWN_FILES)}|topology/[a-z_]+|cache/index[0-9]+/[a-z_]+))"
        rf"|devices/system/node/(?:online|node[0-9]+/(?:{'|'.join(names.NODE_FILES)}))"
        rf"|(?:devices/(?:.*/)?|bus/pci/devices/)(?P<address>{names.ADDRESS})/[a-z_]+"
        r"|devices/cpu_[a-z]+/cpus"
        rf"|devices/(?:.*/)?{names.DAX_NAME}/target_node"
        rf"|fs/resctrl/info/(?:{names.RESCTRL_NAME})/[a-z_]+"
        r"|kernel/cpu_byteorder"
        r"))"
    ).encode(),
    re.DOTALL,
)

_BUS_LINK = re.compile(rf"(?:^|/)bus/(?:pci/devices/{names.ADDRESS}|dax/devices/{names.DAX_NAME})$".encode())
_PCI_FOLDER = re.compile(rf"(sys/(?:devices|bus/pci/devices)/(?:.*/)?({names.ADDRESS}))/[a-z_]+$")


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive. `kind` is tar's type flag. `data` is None where the member was not wanted."""

    name: bytes
    kind: bytes
    link: bytes
    data: bytes | None


def read_tar(file: BinaryIO) -> Dump:
    """Lift the files that tell from an archive, unpacked by what its first bytes are. Raises ReadFailure."""
    kept: dict[str, bytes] = {}
    links: dict[str, str] = {}
    folders: set[str] = set()
    total = 0
    for member in _members(_Stream(unpacked(file))):
        name = _key(member.name)
        if ".." in name.split("/"):
            raise ReadFailure(codes.TOPOLOGY_UNSAFE, f"the archive's entry {quoted(name)} lies outside its tree")
        if member.kind == b"5":
            folders.add(name)
        elif member.kind == b"2":
            links[name] = member.link.decode("utf-8", "replace")
        elif member.kind == b"1":
            target = _key(member.link)
            if target in kept:
                kept[name] = kept[target]
        elif member.data is not None:
            kept[name] = member.data
            total += len(member.data) + len(name)
            if total > names.MAX_TOTAL:
                raise ReadFailure(
                    codes.TOPOLOGY_TOO_LARGE, f"more than {names.MAX_TOTAL // 1024**2} MiB of sysfs values"
                )
    return _dump(kept, links, folders)


def _key(name: bytes) -> str:
    text = name.decode("utf-8", "replace").strip("/")
    return (
        text
        if "./" not in text and "//" not in text
        else "/".join(part for part in text.split("/") if part not in ("", "."))
    )


def _dump(kept: dict[str, bytes], links: dict[str, str], folders: set[str]) -> Dump:
    """Cut off what stands before the host's root, which the CPU folder shows."""
    roots: set[str] = set()
    for name in (*kept, *folders):
        base, found, _ = name.partition("devices/system/cpu/")
        if found and (not base or base.endswith("/")):
            roots.add(base)
    if not roots:
        raise ReadFailure(
            codes.TOPOLOGY_INCOMPLETE,
            "an archive without `sys/devices/system/cpu`",
            help=("pack the host's `/sys` and `/proc` files, as `hwloc-gather-topology` does",),
        )
    if len(roots) > 1:
        shown = ", ".join(quoted(root) for root in sorted(roots)[:3])
        raise ReadFailure(codes.TOPOLOGY_KIND, f"an archive of {len(roots)} hosts' trees: {shown}")
    (sys,) = roots
    root = sys[:-4] if sys == "sys/" or sys.endswith("/sys/") else None
    dump = Dump()

    def key(name: str) -> str | None:
        if name.startswith(sys):
            return f"sys/{name[len(sys) :]}"
        return name[len(root) :] if root is not None and name.startswith(root) else None

    dump.files = {path: data for name, data in kept.items() if (path := key(name)) is not None}
    dump.links = {path: target for name, target in links.items() if (path := key(name)) is not None}
    dump.folders = {path for name in folders if (path := key(name)) is not None}
    for path in dump.files:
        match = re.match(r"(sys/devices/system/(?:cpu/cpu|node/node)[0-9]+)/", path)
        if path.endswith("/nr_hugepages"):
            dump.folders.add(path.rpartition("/")[0])
        elif match is not None:
            dump.folders.add(match[1])
        elif (function := _PCI_FOLDER.match(path)) is not None:
            dump.pci.setdefault(function[2], function[1])
    for path, target in dump.links.items():
        if path.startswith(f"{names.PCI_BUS}/"):
            # a function of which only the link was gathered, or none of the files that we read
            dump.pci.setdefault(path.rpartition("/")[2], posixpath.normpath(f"{names.PCI_BUS}/{target}"))
        elif path.startswith(f"{names.DAX_BUS}/"):
            node = dump.files.get(posixpath.normpath(f"{names.DAX_BUS}/{target}/target_node"))
            if node is not None:
                dump.files[f"{path}/target_node"] = node
    return dump


def _wanted(name: bytes, kind: bytes) -> bool:
    if kind == b"5":
        return _FOLDER.fullmatch(name.rstrip(b"/")) is not None
    if kind == b"2" and _BUS_LINK.search(name) is not None:
        return True
    leaf = name.rpartition(b"/")[2]
    if leaf not in _LEAVES:
        # the folder entry may be missing: page sizes are told by the folders' names
        return b"/hugepages-" in name and leaf == b"nr_hugepages"
    if _WANTED.fullmatch(name) is not None:
        return True
    text = name.decode("utf-8", "replace")
    return text.rpartition("/")[2] in names.CGROUP_FILES or text.endswith(names.ROOT_FILES)


def _members(stream: _Stream) -> Iterator[Member]:
    """The wanted members of a ustar, GNU or pax archive, in order."""
    long_name: bytes | None = None
    long_link: bytes | None = None
    size_override: int | None = None
    first = True
    while True:
        block = stream.read(_BLOCK)
        if not block[0] and block.count(0) == _BLOCK:
            stream.drain()
            return
        size = _header_size(block, first)
        first = False
        kind = block[156:157]
        if kind in (b"L", b"K", b"x", b"g"):
            if size > _MAX_HEADER:
                raise ReadFailure(codes.TOPOLOGY_TOO_LARGE, "the archive has a name longer than 64 KiB")
            text = stream.content(size)
            if kind == b"L":
                long_name = text.rstrip(b"\0")
            elif kind == b"K":
                long_link = text.rstrip(b"\0")
            elif kind == b"x":
                pax = _pax(text)
                long_name = pax.get(b"path", long_name)
                long_link = pax.get(b"linkpath", long_link)
                size_override = _pax_size(pax)
            continue
        name = long_name if long_name is not None else _short_name(block)
        link = long_link if long_link is not None else block[157:257].partition(b"\0")[0]
        size = size if size_override is None else size_override
        long_name = long_link = size_override = None
        if kind in (b"1", b"2", b"3", b"4", b"5", b"6"):
            size = 0
        wanted = _wanted(name, kind)
        if kind in (b"0", b"\0", b"7") and wanted:
            limit = names.MAX_PROC if b"proc/" in name else names.MAX_VALUE
            if size > limit:
                raise ReadFailure(
                    codes.TOPOLOGY_TOO_LARGE,
                    f"the archive's entry {quoted(name.decode('utf-8', 'replace'))} is {size} bytes long; "
                    f"such a file has at most {limit}",
                )
            yield Member(name, kind, link, stream.content(size, limit))
        elif kind == b"S":
            raise ReadFailure(codes.TOPOLOGY_KIND, "an archive with sparse files, which kvmc does not read")
        else:
            stream.skip(size)
            if wanted and kind in (b"1", b"2", b"5"):
                yield Member(name, kind, link, None)


def _header_size(block: bytes, first: bool) -> int:
    """The size field of a header whose checksum is true."""
    told = _octal(block[148:156])
    # adler32's low half is one more than the sum of the bytes, modulo 65521: a hundred times as fast as to sum them here
    if told is None or (zlib.adler32(block) % 65536 - 1 - sum(block[148:156]) + 8 * 32 - told) % 65521:
        if first:
            raise ReadFailure(codes.TOPOLOGY_KIND, "a compressed file that is not a tar archive, or a damaged one")
        raise ReadFailure(codes.TOPOLOGY_DAMAGED, "the archive is damaged: the checksum of an entry is wrong")
    size = int.from_bytes(block[125:136], "big") if block[124] == 0x80 else _octal(block[124:136])
    if size is None:
        raise ReadFailure(codes.TOPOLOGY_DAMAGED, "the archive is damaged: the size of an entry is no number")
    if size > MAX_UNPACKED:
        raise ReadFailure(
            codes.TOPOLOGY_TOO_LARGE, f"the archive has an entry of more than {MAX_UNPACKED // 1024**3} GiB"
        )
    return size


@lru_cache(maxsize=4096)
def _octal(field: bytes) -> int | None:
    """A number of a header: octal digits that end with a blank or NUL."""
    digits = field.strip(b" \0")
    return int(digits or b"0", 8) if (digits or b"0").isdigit() and not digits.strip(b"01234567") else None


def _short_name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].partition(b"\0")[0]
        return prefix + b"/" + name if prefix else name
    return name


def _pax(text: bytes) -> dict[bytes, bytes]:
    """The records of a pax header: `LENGTH KEY=VALUE\\n`."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(text) and text[at] != 0:
        match = re.compile(rb"([0-9]{1,6}) ").match(text, at)
        length = int(match[1]) if match else 0
        if match is None or at + length > len(text) or length <= len(match[0]):
            raise ReadFailure(codes.TOPOLOGY_DAMAGED, "the archive is damaged: an extended header is malformed")
        key, _, value = text[match.end() : at + length - 1].partition(b"=")
        found[key] = value
        at += length
    return found


def _pax_size(pax: dict[bytes, bytes]) -> int | None:
    if b"size" not in pax:
        return None
    if re.fullmatch(rb"[0-9]{1,10}", pax[b"size"]) is None:
        raise ReadFailure(codes.TOPOLOGY_DAMAGED, "the archive is damaged: an extended header has no true size")
    return int(pax[b"size"])


class _Stream:
    """Unpacked bytes, read in blocks of a tar."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.buffer = b""
        self.at = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes. An archive ends with a block of zeros, so running out of bytes is always a failure."""
        end = self.at + size
        if end > len(self.buffer):
            parts = [self.buffer[self.at :]]
            have = len(parts[0])
            while have < size:
                parts.append(self.more())
                have += len(parts[-1])
            self.buffer, self.at, end = b"".join(parts), 0, size
        data = self.buffer[self.at : end]
        self.at = end
        return data

    def drain(self) -> None:
        """Unpack what follows the archive's end: the packing's own checksum stands behind it."""
        for _ in self.chunks:
            pass

    def more(self) -> bytes:
        chunk = next(self.chunks, b"")
        if not chunk:
            raise ReadFailure(codes.TOPOLOGY_DAMAGED, "the archive is truncated")
        return chunk

    def content(self, size: int, keep: int = _MAX_HEADER) -> bytes:
        """A member's content up to `keep` bytes; the rest and its padding are passed over."""
        data = self.read(min(size, keep))
        self.skip(size, already=len(data))
        return data

    def skip(self, size: int, already: int = 0) -> None:
        left = -(-size // _BLOCK) * _BLOCK - already
        while left > len(self.buffer) - self.at:
            left -= len(self.buffer) - self.at
            self.buffer, self.at = self.more(), 0
        self.at += left
