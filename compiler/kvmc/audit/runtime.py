"""What scripts, units and tmpfiles.d write below /sys: huge pages of a node, and numbers of VFs.

Only the line's words are read: the file it writes to and the last whole number beside it.
"""

from __future__ import annotations

import re

from kvmc.audit import knobs
from kvmc.audit.hostfiles import CacheShare, HostFiles, Knob, PageSupply, VfSupply
from kvmc.audit.settings import logical_lines
from kvmc.audit.source import File
from kvmc.model.values import PciAddress

_PAGES = re.compile(r"/sys/devices/system/node/node([0-9]{1,6})/hugepages/hugepages-([0-9]{1,12})kB/nr_hugepages")
_VFS = re.compile(r"([0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7])[^0-9a-fA-F]*sriov_numvfs")
_VFS_CALL = re.compile(r"\s*\w+[ \t]+([0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7])[ \t]+([0-9]{1,6})\s*")
"""A call of a function with a device and a number, in a script that writes `sriov_numvfs`."""
_SHARE = re.compile(r"\s*\w+[ \t]+(L3|L3CODE|L3DATA)[ \t]+([0-9a-f]{1,16})[ \t]+([0-9]{1,5})[ \t]+([0-9a-f]{1,16})\s*")
"""A call of a function with a resource, the mask of a whole cache, the cache's number and a mask."""
_NUMBER = re.compile(r"(?<![\w./:$-])([0-9]{1,9})(?![\w./:-])")


def read_runtime(file: File, value: HostFiles) -> None:
    """Add the pages and VFs that the file's lines write, and what they tell a switch."""
    if "pmd-cpu-mask" in file.text and value.vswitch is None:
        from kvmc.audit import vswitch  # few hosts have one

        value.vswitch = vswitch.read(file)
    for offset, line in logical_lines(file):
        if line.lstrip().startswith("#"):
            continue
        for match in _PAGES.finditer(line):
            count = _number(line, match)
            if count is not None:
                place = file.trimmed(offset, line).span
                node, size = int(match[1]), int(match[2])
                value.pages.append(PageSupply(node, size, count, place))
                value.knobs.append(Knob(knobs.pages(size, node), "nr_hugepages", file.path, str(count), place))
        call = _VFS_CALL.fullmatch(line) if "sriov_numvfs" in file.text else None
        if call is not None:
            place = file.trimmed(offset, line).span
            value.vfs.append(VfSupply(PciAddress.parse(call[1]), int(call[2]), place))
        share = _SHARE.fullmatch(line) if "schemata" in file.text else None
        if share is not None:
            place = file.trimmed(offset, line).span
            value.shares.append(CacheShare(share[1], int(share[3]), int(share[4], 16), int(share[2], 16), place))
        for match in _VFS.finditer(line):
            count = _number(line, match)
            if count is not None:
                parent = PciAddress.parse(match[1])
                value.vfs.append(VfSupply(parent, count, file.trimmed(offset, line).span))


def _number(line: str, place: re.Match[str]) -> int | None:
    """The last whole number on the line outside the path."""
    found = _NUMBER.findall(line[: place.start()] + " " + line[place.end() :])
    return int(found[-1]) if found else None
