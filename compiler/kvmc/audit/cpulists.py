"""CPU lists in the spellings of those who read them: the kernel, libvirt, systemd, and masks in hexadecimal.

Each raises ValueError with what is wrong.
"""

from __future__ import annotations

import re

from kvmc.model.cpuset import MAX_CPU, CpuSet

_KERNEL = re.compile(r"([0-9]{1,9}|N)(?:-([0-9]{1,9}|N)(?::([0-9]{1,9})/([0-9]{1,9}))?)?")
_MASK = re.compile(r"(?:0x)?[0-9a-fA-F]+(?:,[0-9a-fA-F]{1,8})*")
_MASK_LENGTH = 4096


def _span(low: int, high: int, shown: str) -> int:
    if high < low:
        raise ValueError(f"range `{shown}` ends below its start")
    if high > MAX_CPU:
        raise ValueError(f"{high} in `{shown}` is above {MAX_CPU}, the kernel's limit")
    return ((1 << (high - low + 1)) - 1) << low


def kernel_list(text: str, last: int) -> CpuSet:
    """`2-15,18`, `all`, `0-N`, `0-31:1/2`, as lib/bitmap.c has it. `last`: the highest CPU, which `N` stands for."""
    mask = 0
    for part in text.split(","):
        if part == "all":
            mask |= (1 << (last + 1)) - 1
            continue
        match = _KERNEL.fullmatch(part)
        if match is None:
            raise ValueError(f"`{part[:40]}` is not a CPU or a range of CPUs")
        low = last if match[1] == "N" else int(match[1])
        high = low if match[2] is None else last if match[2] == "N" else int(match[2])
        whole = _span(low, high, part)
        if match[3] is None:
            mask |= whole
            continue
        used, group = int(match[3]), int(match[4])
        if not 0 < used <= group:
            raise ValueError(f"`{part}` uses {used} of each {group}")
        mask |= CpuSet.of(cpu for cpu in range(low, high + 1) if (cpu - low) % group < used).mask
    return CpuSet(mask)


def libvirt_list(text: str) -> CpuSet:
    """`0-5,^3`: libvirt's cpuset and nodeset. A later `^` takes out what stands before it."""
    mask = 0
    for part in "".join(text.split()).split(","):
        cut = part.startswith("^")
        one = CpuSet.parse(part.removeprefix("^"))
        if not one:
            raise ValueError("a part of the list is empty")
        mask = mask & ~one.mask if cut else mask | one.mask
    if not mask:
        raise ValueError("the list is empty")
    return CpuSet(mask)


def systemd_list(text: str) -> CpuSet:
    """`0-3 8,9`: CPUs and ranges parted by white space or commas (systemd-system.conf(5), CPUAffinity=)."""
    return CpuSet.parse(",".join(text.split()))


def hex_mask(text: str) -> CpuSet:
    """`ff`, `0xff`, `1,00000000`: groups of 32 bits, highest first, as in /proc/irq/*/smp_affinity."""
    text = text.strip()
    if len(text) > _MASK_LENGTH or _MASK.fullmatch(text) is None:
        raise ValueError(f"`{text[:40]}` is not a mask of CPUs")
    first, *rest = text.removeprefix("0x").split(",")
    mask = int(first, 16)
    for group in rest:
        mask = mask << 32 | int(group, 16)
    if mask.bit_length() > MAX_CPU + 1:
        raise ValueError(f"the mask has a CPU above {MAX_CPU}, the kernel's limit")
    return CpuSet(mask)


def any_list(text: str) -> CpuSet:
    """A list where programs take lists (`0-3,8`), with quotes around it or not."""
    return CpuSet.parse(text.strip().strip("\"'"))
