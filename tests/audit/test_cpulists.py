"""Lists of CPUs at their edges: each spelling, the last value that is taken and the first that is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kvmc.audit import cpulists
from kvmc.model.cpuset import MAX_CPU, CpuSet

Parse = Callable[[str], CpuSet]


def kernel(text: str) -> CpuSet:
    return cpulists.kernel_list(text, 15)


@pytest.mark.parametrize(
    ("parse", "text", "cpus"),
    [
        (kernel, "3", "3"),
        (kernel, "3-3", "3"),
        (kernel, "2-5,9", "2-5,9"),
        (kernel, "all", "0-15"),
        (kernel, "N", "15"),
        (kernel, "12-N", "12-15"),
        (kernel, "N-N", "15"),
        (kernel, "3-12:1/4", "3,7,11"),
        (kernel, "3-12:2/4", "3-4,7-8,11-12"),
        (kernel, "3-12:4/4", "3-12"),
        (kernel, "0-5:1/1", "0-5"),
        (kernel, f"{MAX_CPU}", f"{MAX_CPU}"),
        (kernel, "1,all", "0-15"),
        (cpulists.libvirt_list, "0-5,^3", "0-2,4-5"),
        (cpulists.libvirt_list, "^3,0-5", "0-5"),
        (cpulists.libvirt_list, " 1 , 2-3 ", "1-3"),
        (cpulists.libvirt_list, "0-3,^1-2", "0,3"),
        (cpulists.systemd_list, "0-3 8,9", "0-3,8-9"),
        (cpulists.systemd_list, "1\t2\n3", "1-3"),
        (cpulists.hex_mask, "ff", "0-7"),
        (cpulists.hex_mask, "0xF0", "4-7"),
        (cpulists.hex_mask, " 3\n", "0-1"),
        (cpulists.hex_mask, "1,00000000", "32"),
        (cpulists.hex_mask, "1,0,3", "0-1,64"),
        (cpulists.hex_mask, f"0x{1 << MAX_CPU:x}", f"{MAX_CPU}"),
        (cpulists.any_list, " '0-3,8' ", "0-3,8"),
        (cpulists.any_list, '"5"', "5"),
    ],
)
def test_a_list_is_read(parse: Parse, text: str, cpus: str) -> None:
    assert parse(text) == CpuSet.parse(cpus)


def test_a_mask_may_be_as_long_as_the_limit() -> None:
    assert cpulists.hex_mask("0" * 4095 + "1") == CpuSet.of([0])
    with pytest.raises(ValueError, match=r"`0{40}` is not a mask of CPUs$"):
        cpulists.hex_mask("0" * 4096 + "1")


@pytest.mark.parametrize(
    ("parse", "text", "why"),
    [
        (kernel, "5-3", "range `5-3` ends below its start"),
        (kernel, f"0-{MAX_CPU + 1}", f"{MAX_CPU + 1} in `0-{MAX_CPU + 1}` is above {MAX_CPU}, the kernel's limit"),
        (kernel, "x", "`x` is not a CPU or a range of CPUs"),
        (kernel, "", "`` is not a CPU or a range of CPUs"),
        (kernel, "1,", "`` is not a CPU or a range of CPUs"),
        (kernel, "y" * 50, f"`{'y' * 40}` is not a CPU or a range of CPUs"),
        (kernel, "0-7:0/4", "`0-7:0/4` uses 0 of each 4"),
        (kernel, "0-7:5/4", "`0-7:5/4` uses 5 of each 4"),
        (kernel, "0-7:1", "`0-7:1` is not a CPU or a range of CPUs"),
        (kernel, "1²", "`1²` is not a CPU or a range of CPUs"),
        (cpulists.libvirt_list, "0-3,^0-3", "the list is empty"),
        (cpulists.hex_mask, "xyz", "`xyz` is not a mask of CPUs"),
        (cpulists.hex_mask, "1,123456789", "`1,123456789` is not a mask of CPUs"),
        (cpulists.hex_mask, f"{1 << (MAX_CPU + 1):x}", f"the mask has a CPU above {MAX_CPU}, the kernel's limit"),
    ],
)
def test_what_is_no_list_is_told(parse: Parse, text: str, why: str) -> None:
    with pytest.raises(ValueError) as problem:
        parse(text)
    assert str(problem.value) == why


@pytest.mark.parametrize("text", ["", "1,,2", "^", "1,^", " "])
def test_a_part_of_libvirts_list_is_not_empty(text: str) -> None:
    with pytest.raises(ValueError):
        cpulists.libvirt_list(text)
