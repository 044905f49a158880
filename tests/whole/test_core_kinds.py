"""Guests on hybrid CPUs: cores of one kind, or of both where it does not matter; from the source to the audit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.topology.model import CoreKind, Topology
from support.machines import machine
from whole.shape_site import Built, build


def hybrid() -> Topology:
    """8 performance cores of 2 threads (CPUs 0-15) and 16 efficiency cores (16-31), one L3."""
    found = machine(packages=1, cores_per_l3=32, threads=1, memory_gib=64)
    cores = [CpuSet.of((cpu, cpu + 1)) for cpu in range(0, 16, 2)] + [CpuSet.of([cpu]) for cpu in range(16, 32)]
    kinds = {CoreKind.PERFORMANCE: CpuSet.parse("0-15"), CoreKind.EFFICIENCY: CpuSet.parse("16-31")}
    return dataclasses.replace(found, cores=tuple(cores), core_kinds=kinds)


def guest(name: str, *lines: str, vcpus: int = 4) -> str:
    return (
        f"vm {name} : base {{\n  vcpus  = {vcpus}\n  memory = 1GiB\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
    )


FAST, SLOW = "cores  = performance", "cores  = efficiency"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    text = guest("slow", SLOW, vcpus=6) + guest("fast", FAST, vcpus=5) + guest("whole", FAST, "threads = require")
    return build(tmp_path_factory.mktemp("kinds"), text, hybrid(), shared=1)


def test_each_guest_has_cores_of_its_kind_alone(built: Built) -> None:
    assert built.outcome.ok, built.messages
    assert {int(pin) >= 16 for pin in built.pins("slow")} == {True}
    assert {int(pin) >= 16 for pin in (*built.pins("fast"), *built.pins("whole"))} == {False}
    assert built.again().outcome.ok


def test_what_the_guest_sees_is_flat_where_siblings_are_uneven(built: Built) -> None:
    seen = {vm: built.xml(vm).find("cpu/topology") for vm in ("slow", "fast", "whole")}
    assert {vm: one.get("threads") for vm, one in seen.items() if one is not None} == {
        "slow": "1",
        "fast": "1",
        "whole": "2",
    }


def test_the_audit_finds_a_core_of_the_other_kind(built: Built) -> None:
    pin = built.pins("slow")[0]
    free = next(str(cpu) for cpu in range(15, 3, -1) if str(cpu) not in (*built.pins("fast"), *built.pins("whole")))
    found = built.audit("slow", f'vcpu="0" cpuset="{pin}"', f'vcpu="0" cpuset="{free}"')
    assert any(f"asks for efficiency cores, and vCPU 0 is on CPU {free}" in one for one in found), found


def test_any_may_mix_them_where_it_must(tmp_path: Path) -> None:
    found = build(tmp_path, guest("big", vcpus=24), hybrid(), shared=1)
    assert found.outcome.ok, found.messages
    assert {int(pin) >= 16 for pin in found.pins("big")} == {True, False}


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (guest("one", SLOW, vcpus=17), "KVMC0402", "needs 17 free efficiency cores for 17 vCPUs"),
        (guest("one", SLOW, "threads = require"), "KVMC0403", "needs sibling threads"),
        (
            guest("one", FAST, "threads = require", vcpus=3),
            "KVMC0403",
            "3 vCPUs in a node do not fill cores of 2 threads",
        ),
        (guest("one", SLOW, "pinning = shared"), "KVMC0240", "`cores = efficiency` contradicts `pinning = shared`"),
    ],
)
def test_what_cannot_be_is_one_error(tmp_path: Path, text: str, code: str, told: str) -> None:
    found = build(tmp_path, text, hybrid(), shared=1)
    assert found.codes == [code], found.messages
    assert told in found.messages[0]


def test_a_host_whose_kinds_are_not_told_has_none(tmp_path: Path) -> None:
    found = build(tmp_path, guest("one", FAST))
    assert found.codes == ["KVMC0403"]
    assert "needs performance cores, the topology tells no kinds of cores" in found.messages[0]
