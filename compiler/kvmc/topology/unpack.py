"""The bytes of a packed file, in pieces of bounded size and up to a bounded whole."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from kvmc.diagnostics.codes import topology as codes
from kvmc.topology.failure import ReadFailure

MAX_UNPACKED = 2 * 1024**3
"""Bytes of the unpacked archive: a 2048-CPU host with every file of its CPU folders has about 350 MiB."""
XZ_MEMORY = 256 * 1024**2
"""What xz may allocate: its strongest preset needs 65 MiB to unpack."""
_CHUNK = 1024 * 1024


def unpacked(file: BinaryIO) -> Iterator[bytes]:
    """The archive's bytes, unpacked by what its first ones are. Raises ReadFailure."""
    head = file.read(6)
    file.seek(0)
    total = 0
    for chunk in _pieces(file, head):
        total += len(chunk)
        if total > MAX_UNPACKED:
            raise ReadFailure(
                codes.TOPOLOGY_TOO_LARGE, f"the archive unpacks to more than {MAX_UNPACKED // 1024**3} GiB"
            )
        yield chunk


def _pieces(file: BinaryIO, head: bytes) -> Iterator[bytes]:
    if head.startswith(b"\x1f\x8b"):
        yield from _inflate(file)
    elif head.startswith(b"BZh"):
        yield from _decompress(file, bz2.BZ2Decompressor)
    elif head.startswith(b"\xfd7zXZ"):
        yield from _decompress(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY))
    else:
        while chunk := file.read(_CHUNK):
            yield chunk


def _inflate(file: BinaryIO) -> Iterator[bytes]:
    """gzip: zlib's object keeps what it did not take, unlike the two others."""
    data = file.read(_CHUNK)
    while data:
        unit = zlib.decompressobj(wbits=31)
        while not unit.eof:
            try:
                piece = unit.decompress(data, _CHUNK)
            except zlib.error as error:
                raise ReadFailure(codes.TOPOLOGY_DAMAGED, "the archive is damaged: gzip can't unpack it") from error
            data = unit.unconsumed_tail
            if piece:
                yield piece
            if not data and not unit.eof:
                data = file.read(_CHUNK)
                if not data and not piece:
                    raise ReadFailure(codes.TOPOLOGY_DAMAGED, "the archive is truncated")
        data = (unit.unused_data or file.read(_CHUNK)).lstrip(b"\0")


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _decompress(file: BinaryIO, make: Callable[[], _Unpacker]) -> Iterator[bytes]:
    """bzip2 and xz; several streams may follow each other."""
    data = file.read(_CHUNK)
    while data:
        unit = make()
        while not unit.eof:
            try:
                piece = unit.decompress(data, _CHUNK)
            except (OSError, ValueError, lzma.LZMAError) as error:
                raise ReadFailure(codes.TOPOLOGY_DAMAGED, "the archive is damaged: it can't be unpacked") from error
            data = b""
            if piece:
                yield piece
            if not unit.eof and unit.needs_input:
                data = file.read(_CHUNK)
                if not data:
                    raise ReadFailure(codes.TOPOLOGY_DAMAGED, "the archive is truncated")
        data = (unit.unused_data or file.read(_CHUNK)).lstrip(b"\0")
