"""Vendor, model, features and architecture from `/proc/cpuinfo`, whose keys each architecture chooses for itself."""

from __future__ import annotations

import re

from kvmc.model.cpuset import MAX_CPU
from kvmc.topology.dump import Dump
from kvmc.topology.failure import is_name
from kvmc.topology.model import Cpu

_VENDOR = ("vendor_id", "CPU implementer", "mvendorid", "vendor")
_MODEL = ("model name", "cpu", "uarch", "CPU part", "cpu model", "Model Name")
_HEAD = 64 * 1024
_FEATURES = ("flags", "Features", "features")


def read_cpu(dump: Dump) -> Cpu:
    """The first processor's; a hybrid host's others may have fewer features."""
    fields = _fields(dump)
    features = next((fields[key] for key in _FEATURES if key in fields), "")
    return Cpu(
        vendor=next((fields[key] for key in _VENDOR if is_name(fields.get(key))), None),
        model=next((fields[key] for key in _MODEL if is_name(fields.get(key))), None),
        features=frozenset(filter(is_name, features.split())),
    )


def read_arch(dump: Dump) -> str:
    """The machine name as `uname -m` gives it, as far as the dump tells; else `unknown`."""
    told = re.search(r"^Architecture: *([A-Za-z0-9_]{1,32})$", dump.text("proc/hwloc-nofile-info") or "", re.MULTILINE)
    if told is not None:
        return told[1]
    fields = _fields(dump)
    flags = fields.get("flags", "").split()
    if "arch" in fields and "IA-64" in fields["arch"]:
        return "ia64"
    if flags:
        return "x86_64" if "lm" in flags else "i686"
    if "CPU architecture" in fields:
        return "aarch64" if fields["CPU architecture"] in ("8", "AArch64") else "arm"
    if fields.get("vendor_id", "").startswith("IBM/S390"):
        return "s390x"
    if fields.get("isa", "").startswith(("rv32", "rv64")):
        return f"riscv{fields['isa'][2:4]}"
    if fields.get("cpu", "").startswith(("POWER", "PPC")):
        order = dump.text("sys/kernel/cpu_byteorder")
        return {"little": "ppc64le", "big": "ppc64"}.get(order or "", "unknown")
    if "Loongson-64bit" in (fields.get("CPU Family", ""), fields.get("cpu family", "")):
        return "loongarch64"
    return "unknown"


def read_ids(dump: Dump) -> dict[int, tuple[str, str]]:
    """Package and core number of each processor, for kernels that have no topology folders (x86 and ia64 before 2.6.16)."""
    found: dict[int, tuple[str, str]] = {}
    for block in re.split(r"\n\s*\n", dump.text("proc/cpuinfo") or ""):
        keys = dict(re.findall(r"^(processor|physical id|core id)\s*:\s*([0-9]{1,9})\s*$", block, re.MULTILINE))
        if len(keys) == 3 and int(keys["processor"]) <= MAX_CPU:
            found[int(keys["processor"])] = (keys["physical id"], keys["core id"])
    return found


def _fields(dump: Dump) -> dict[str, str]:
    """The first value of each key: s390 and ppc64 have keys outside of any processor's block."""
    found: dict[str, str] = {}
    for line in (dump.text("proc/cpuinfo") or "")[:_HEAD].splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() not in found:
            found[key.strip()] = "".join(c for c in value.strip() if c.isprintable())
    return found
