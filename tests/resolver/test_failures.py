"""What is said where a guest finds no place: the host, the node, the numbers on both sides, and one error a guest."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kvmc.diagnostics import Diagnostic
from kvmc.model.site import L3, Domain, Emulator, Host, Isolation, Pinning, Place, Scheduler, Threads, Vm
from kvmc.model.values import KIB_PER_UNIT
from kvmc.resolver.solve import resolve
from kvmc.topology.model import Topology
from support.machines import machine, nic
from support.sites import a_host, a_nic, a_site, a_vm, apart, origins_of, vfs

MIB = KIB_PER_UNIT["MiB"]


def failures(
    hosts: Sequence[Host], vms: Sequence[Vm], topology: Topology | None = None, places: Sequence[Place] = ()
) -> list[Diagnostic]:
    site = a_site(hosts, vms, places)
    machines = {host.name: topology or machine(pci=[nic("3b:00.0")]) for host in hosts}
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is None
    assert bag.has_errors
    return list(bag)


def test_pages_by_node() -> None:
    (error,) = failures([a_host("kvm-a", pages=64)], [a_vm("db", gib=96)])
    assert error.code.id == "KVMC0402"
    assert error.message == (
        "`db` does not fit on any host, even an empty one: "
        "`kvm-a`: needs 96 pages of 1GiB in one node, most free is 64 on node 0"
    )
    assert [label.text for label in error.secondary] == ["asked for here", "offered here"]
    assert error.help


def test_pages_that_others_hold_are_not_free() -> None:
    vms = [a_vm("a", gib=60), a_vm("b", gib=50), a_vm("c", gib=30)]
    (error,) = failures([a_host("kvm-a", pages=64)], vms)
    assert error.code.id == "KVMC0401"
    assert error.message.startswith(
        "no placement found for `c`: `kvm-a`: needs 30 pages of 1GiB in one node, most free is 14 on"
    )


def test_cores_of_each_policy() -> None:
    host = a_host("kvm-a")
    for vm, words in (
        (a_vm("one", vcpus=32), "needs 16 free cores for 32 vCPUs in one node, most free is 15 on node 0"),
        (
            a_vm("one", vcpus=16, threads=Threads.ISOLATE),
            "needs 16 free cores for 16 vCPUs in one node, most free is 15 on node 0",
        ),
        (
            a_vm("one", vcpus=30, emulator=Emulator.OWN),
            "needs 16 free cores for 30 vCPUs and its emulator in one node, most free is 15",
        ),
        (
            a_vm("one", vcpus=62, nodes=2, threads=Threads.PREFER),
            "2 nodes needed, 0 can have it: needs 16 free cores for 31 vCPUs",
        ),
    ):
        (error,) = failures([host], [vm])
        assert error.code.id == "KVMC0402"
        assert words in error.message


def test_one_l3() -> None:
    (error,) = failures(
        [a_host("kvm-a")], [a_vm("one", vcpus=18, l3=L3.REQUIRE)], machine(l3_per_node=2, cores_per_l3=8)
    )
    assert "needs 9 free cores of one L3 for 18 vCPUs in one node, most free is 8 on node 0" in error.message
    assert error.help == ("`l3 = prefer` for `one`", "`vcpus = 16` for `one`", "`nodes = 2` for `one`")


def test_shared_vcpus_and_normal_memory() -> None:
    vm = a_vm("one", vcpus=40, pinning=Pinning.SHARED)
    (error,) = failures([a_host("kvm-a", shared_cores=2, shared_overcommit=4)], [vm])
    assert "needs 40 vCPUs on shared CPUs in one node, most free is 16 on node 0" in error.message
    (error,) = failures([a_host("kvm-a", pages=0)], [a_vm("one", gib=252, pages_kib=None)])
    assert "of normal pages for memory and overhead in one node, most free is 252GiB on node 0" in error.message


def test_overhead_counts_though_the_memory_is_in_pages() -> None:
    host = a_host("kvm-a", pages=252)
    (error,) = failures([host], [a_vm("one", gib=8)])
    assert "needs 282MiB of normal pages for overhead in one node, most free is 0KiB on node 0" in error.message


def test_devices() -> None:
    host = a_host("kvm-a", devices=[vfs("n3", "3b:00.0", 3)])
    two = [a_nic("a", device="n3"), a_nic("b", device="n3")]
    (error,) = failures([host], [a_vm("x", nics=two), a_vm("y", nics=two)])
    assert "no placement found for `y`: `kvm-a`: needs 2 functions of `n3`, 1 of 3 free" in error.message
    (error,) = failures([host], [a_vm("x", vcpus=28, nics=two[:1]), a_vm("y", vcpus=8, nics=two[:1])])
    assert "`kvm-a` node 0: needs 4 free cores for 8 vCPUs, 1 free; the functions of `n3` are there" in error.message


def test_a_host_for_each_reason_six_at_most() -> None:
    hosts = [a_host(f"kvm-{index}", pages=10 + index % 2) for index in range(8)]
    (error,) = failures(hosts, [a_vm("one", gib=20)])
    assert "`kvm-0`, `kvm-2`, `kvm-4`: needs 20 pages of 1GiB in one node, most free is 10 on node 0" in error.message
    assert error.message.endswith("most free is 11 on node 0; and 2 more hosts")


def test_apart() -> None:
    vms = [a_vm("a", host="kvm-a"), a_vm("b", host="kvm-a")]
    (error,) = failures([a_host("kvm-a"), a_host("kvm-b")], vms, None, [apart("quorum", "a", "b")])
    assert "`kvm-a`: `a` is on it, and `place apart quorum` keeps them apart" in error.message
    (error,) = failures([a_host("kvm-a")], [a_vm("a"), a_vm("b")], None, [apart("quorum", "a", "b")])
    assert error.message == "`place apart quorum` keeps 2 guests apart, there is 1 host"


def test_racks_must_be_told() -> None:
    hosts = [a_host("kvm-a", rack="r1"), a_host("kvm-b")]
    (error,) = failures(hosts, [a_vm("a"), a_vm("b")], None, [apart("quorum", "a", "b", across=Domain.RACK)])
    assert error.code.id == "KVMC0413"
    assert "1 of 2 hosts have none: `kvm-b`" in error.message


@pytest.mark.parametrize(
    ("vm", "setting", "words"),
    [
        (a_vm("one", vcpus=5, threads=Threads.REQUIRE), "threads", "5 vCPUs in a node do not fill cores of 2 threads"),
        (a_vm("one", scheduler=Scheduler.FIFO), "scheduler", "needs a realtime kernel"),
        (a_vm("one", isolation=Isolation.BOOT), "isolation", "needs `isolation = boot`, the host has `none`"),
    ],
)
def test_an_intent_that_no_host_meets_is_told_at_its_line(vm: Vm, setting: str, words: str) -> None:
    site = a_site([a_host("kvm-a")], [vm])
    _, bag = resolve(site, {"kvm-a": machine()}, {}, origins_of(site), search=True)
    (error,) = bag
    assert error.code.id == "KVMC0403"
    assert words in error.message
    assert error.primary is not None
    assert error.primary.span == origins_of(site).table["vm", "one", setting].span


def test_require_needs_siblings() -> None:
    (error,) = failures([a_host("kvm-a")], [a_vm("one", threads=Threads.REQUIRE)], machine(threads=1))
    assert "the dedicated cores have one each" in error.message


def test_an_emulator_of_its_own_never_floats_over_isolated_cpus() -> None:
    (error,) = failures([a_host("kvm-a", isolation=Isolation.BOOT)], [a_vm("one", emulator=Emulator.OWN)])
    assert error.code.id == "KVMC0403"
    assert error.help[0] == "`emulator = housekeeping` for `one`"


def test_all_guests_together_are_told_to_be_too_many() -> None:
    errors = failures([a_host("kvm-a")], [a_vm(f"vm-{index}", vcpus=28) for index in range(3)])
    assert [error.notes[0] for error in errors] == [
        "all guests of the site need at least 42 dedicated cores, all hosts have 30"
    ]


def test_one_error_for_guests_of_one_cause_with_the_fact_that_proves_it() -> None:
    vms = [a_vm(f"vm-{index}", gib=30) for index in range(8)]
    (error,) = failures([a_host("kvm-a", pages=64)], vms)
    assert error.message.startswith("no placement found for `vm-4` and 3 more guests: ")
    assert "together 5 guests need at least 150 pages of 1GiB, `kvm-a` has 128 free" in error.notes
    assert error.help == ("`pages = 120 * 1GiB` on `kvm-a` (host reboot)",) or len(error.help) > 1


def test_a_conflict_is_told_at_its_lines_and_says_when_it_is_not_proven() -> None:
    vms = [a_vm("a", host="kvm-a", vcpus=20), a_vm("b", host="kvm-a", vcpus=20), a_vm("c", host="kvm-a", vcpus=12)]
    site = a_site([a_host("kvm-a"), a_host("kvm-b")], vms)
    table = origins_of(site).table
    (error,) = failures([a_host("kvm-a"), a_host("kvm-b")], vms)
    labelled = {label.span for label in error.secondary}
    assert {table["vm", vm, "host"].span for vm in "abc"} <= labelled
    assert "no `host` for `c`" in error.help
    assert any("it conflicts with `a` and `b`" in note for note in error.notes)


def test_a_host_without_pages_is_explained() -> None:
    (error,) = failures([a_host("kvm-a", pages=0)], [a_vm("one")])
    assert "needs 4 pages of 1GiB in one node, most free is 0" in error.message
    assert "`pages = 4 * 1GiB` on `kvm-a` (host reboot)" in error.help
