"""fio's job files: that each job reads the disk that it is for, and that none writes to a device."""

from __future__ import annotations

import re

from kvmc.audit import xml
from kvmc.audit.domain import Domain
from kvmc.audit.source import At, File, integer
from kvmc.diagnostics import Span

_TIMED = {"time_based": "1", "runtime": "${KVMC_SECONDS}"}
_READING = {"ioengine": "libaio", "direct": "1"} | _TIMED
_KINDS = (
    _READING | {"rw": "randread", "bs": "4k", "iodepth": "32", "group_reporting": "1"},
    _READING | {"rw": "read", "bs": "1M", "iodepth": "8", "stonewall": ""},
    _READING | {"rw": "randread", "bs": "4k", "iodepth": "32", "stonewall": ""},
    _TIMED
    | {"ioengine": "psync", "directory": "${KVMC_DIRECTORY}", "unlink": "1", "size": "256m"}
    | {"rw": "write", "bs": "8k", "fsync": "1"},
)
"""What the kinds of job say, but for the file and the number of jobs. What else fio takes runs commands or overwrites devices."""
_OWN_FILE = {"directory": "${KVMC_DIRECTORY}", "filename": "kvmc-measure"}
_FREE = ("filename", "numjobs")
_READS = ("read", "randread")
_PCI = ("domain", "bus", "slot", "function")

Job = dict[str, At[str]]


def devices(domain: Domain) -> set[str]:
    """The guest's paths of its disks, by their addresses."""
    found = set()
    controllers = {
        (node.get("type"), node.get("index")): node.child("address")
        for node in domain.root.all("devices", "controller")
    }
    for node in domain.root.all("devices", "disk"):
        target, address = node.child("target"), node.child("address")
        bus = target.get("bus") if target else ""
        if bus == "virtio" and address is not None:
            found.add(f"/dev/disk/by-path/pci-{_function(address)}")
        elif address is not None and bus in ("sata", "scsi"):
            controller = controllers.get((bus, address.get("controller", "0")))
            where = f"/dev/disk/by-path/pci-{_function(controller)}" if controller else ""
            unit = address.get("unit", "0")
            found.add(
                f"{where}-ata-{int(unit) + 1}" if bus == "sata" and unit.isdecimal() else f"{where}-scsi-0:0:0:{unit}"
            )
    return found


def _function(address: xml.Node) -> str:
    try:
        parts = [int(address.get(name, "0"), 0) for name in _PCI]
    except ValueError:
        return ""
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*parts)


def jobs(file: File) -> list[Job]:
    """Each job with all that holds for it."""
    common: Job = {}
    mine: Job = {}  # what stands before any section is no job's
    found: list[Job] = []
    for offset, line in file.lines():
        at = file.trimmed(offset, line)
        if not at.value or at.value.startswith(("#", ";")):
            continue
        section = re.fullmatch(r"\[([a-z0-9-]+)\]", at.value)
        if section:
            mine = common if section[1] == "global" else dict(common)
            if mine is not common:
                found.append(mine)
            continue
        key, _, value = at.value.partition("=")
        mine[key] = At(value, at.span)
    return found


def difference(job: Job) -> tuple[str, Span | None] | None:
    """What of a job is none of the kind that is nearest, and where; without a place where something is missing."""
    has = {(key, at.value) for key, at in job.items() if key not in _FREE}
    nearest = max(_KINDS, key=lambda kind: len(has & set(kind.items())) - len(set(kind.items()) - has))
    number = job.get("numjobs")
    if number is not None and not integer(number.value):
        return f"says `numjobs={number.value[:40]}`", number.span
    extra = sorted(has - set(nearest.items()))
    if extra:
        return f"says `{extra[0][0][:40]}={extra[0][1][:40]}`", job[extra[0][0]].span
    missing = sorted(set(nearest.items()) - has)
    return (f"lacks `{missing[0][0]}={missing[0][1]}`", None) if missing else None


def paths(job: Job) -> str | None:
    """The path that a job reads, or None where it names none."""
    at = job.get("filename")
    return at.value.replace("\\:", ":") if at else None


def danger(job: Job) -> str | None:
    """What makes a job write elsewhere than to a file of its own in a directory that the user names: a key, or None."""
    value = {key: at.value for key, at in job.items()}
    if value.get("rw") in _READS:
        return None
    if value.get("rw") != "write" or "directory" not in value:
        return "rw"
    return next((key for key, own in _OWN_FILE.items() if value.get(key) != own), None)
