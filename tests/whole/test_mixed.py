"""Guests of which some vCPUs have a CPU each and the others float (Nova's hw:cpu_policy=mixed), from the source to the audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from whole.shape_site import Built, build

GUEST = """\
vm rt : base {
  vcpus     = 6
  pinning   = mixed
  dedicated = 0-1,4
  isolation = boot
  scheduler = fifo
}
"""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("mixed"), GUEST, pool=["isolation = boot"])


def test_the_dedicated_vcpus_have_a_cpu_each_and_the_others_float(mixed: Built) -> None:
    assert mixed.outcome.ok, mixed.messages
    assert mixed.pins("rt") == ["3", "35", "1-2,33-34", "1-2,33-34", "4", "1-2,33-34"]
    root = mixed.xml("rt")
    assert [one.get("vcpus") for one in root.iterfind("cputune/vcpusched")] == ["0-1,4"]
    topology = root.find("cpu/topology")
    assert topology is not None
    assert [topology.get(name) for name in ("sockets", "cores", "threads")] == ["1", "6", "1"]
    cache = root.find("cpu/cache")
    assert cache is not None and cache.get("mode") == "disable"
    assert root.find("features/kvm/hint-dedicated") is None, "a vCPU that floats may be preempted"


def test_its_lock_alone_gives_the_same_files(mixed: Built) -> None:
    before = mixed.path("rt").read_bytes()
    again = mixed.again()
    assert again.outcome.ok, again.messages
    assert again.path("rt").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('vcpu="2" cpuset="1-2,33-34"', 'vcpu="2" cpuset="5"', "vCPU 2 of `rt` may run on CPU 5; 5 are isolated"),
        ('vcpu="2" cpuset="1-2,33-34"', 'vcpu="2" cpuset="1"', "may run on 1 alone"),
        ('vcpu="4" cpuset="4"', 'vcpu="4" cpuset="1-2,33-34"', "asks for CPUs of its own, and vCPU 4"),
        (
            'vcpu="4" cpuset="4"',
            'vcpu="4" cpuset="1"',
            "vCPU 4 of `rt` owns CPU 1, which `irqaffinity` leaves to the host",
        ),
        ('vcpus="0-1,4"', 'vcpus="0-5"', "has the scheduler `fifo` for vCPUs 2-3,5"),
        ('vcpus="0-1,4"', 'vcpus="0-1"', "vCPUs 4 have another"),
        ('cores="6" threads="1"', 'cores="3" threads="2"', "sees vCPUs 2 to 3 as one core"),
        ('<cache mode="disable"/>', "", "cache"),
    ],
)
def test_the_audit_finds_each_vcpu_that_is_not_what_was_asked_for(mixed: Built, old: str, new: str, told: str) -> None:
    found = mixed.audit("rt", old, new)
    assert any(told in one for one in found), found


def test_floating_vcpus_count_against_the_overcommit(tmp_path: Path) -> None:
    # 4 shared CPUs a node, 4 vCPUs a CPU: 16 a node; each guest floats 12
    guests = "".join(
        f"vm m{n} : base {{\n  vcpus     = 14\n  pinning   = mixed\n  dedicated = 0-1\n}}\n" for n in (1, 2, 3)
    )
    found = build(tmp_path, guests)
    assert found.codes == ["KVMC0401"]
    assert "needs 12 vCPUs on shared CPUs" in found.messages[0]
    (tmp_path / "two").mkdir()
    two = build(tmp_path / "two", guests[: guests.index("vm m3")])
    assert two.outcome.ok, two.messages
    assert two.pins("m1")[2] != two.pins("m2")[2], "one on each node"


def test_a_mixed_guest_of_two_nodes_floats_on_each_of_them(tmp_path: Path) -> None:
    found = build(tmp_path, GUEST.replace("vcpus     = 6", "vcpus     = 6\n  nodes     = 2"), pool=["isolation = boot"])
    assert found.outcome.ok, found.messages
    assert found.pins("rt") == ["3", "35", "1-2,33-34", "17-18,49-50", "19", "17-18,49-50"]
    assert found.again().outcome.ok


@pytest.mark.parametrize(
    ("lines", "code", "told"),
    [
        ("pinning = mixed", "KVMC0205", "no `dedicated`"),
        ("dedicated = 0-1", "KVMC0240", "`dedicated` contradicts `pinning = dedicated`"),
        ("pinning = shared\n  dedicated = 0", "KVMC0240", "`dedicated` contradicts `pinning = shared`"),
        ("pinning = mixed\n  dedicated = 2-5", "KVMC0271", "names vCPU 4-5, it has 4 vCPUs from 0"),
        ("pinning = mixed\n  dedicated = [0-2, 3]", "KVMC0271", "none is left to float"),
        ("pinning = mixed\n  dedicated = 0,0-1", "KVMC0231", "twice"),
        ("pinning = mixed\n  dedicated = all", "KVMC0270", "`all`"),
        ("pinning = mixed\n  dedicated = 0\n  threads = require", "KVMC0403", "1 vCPU in a node do not fill"),
    ],
)
def test_each_misuse_is_one_error(tmp_path: Path, lines: str, code: str, told: str) -> None:
    found = build(tmp_path, f"vm m : base {{\n  {lines}\n}}\n")
    assert found.codes == [code], found.messages
    (item,) = found.outcome.bag
    assert told in " ".join([item.message, *item.notes]), item


def test_it_needs_shared_cpus_on_its_node(tmp_path: Path) -> None:
    found = build(tmp_path, "vm m : base {\n  pinning   = mixed\n  dedicated = 0-1\n}\n", shared=0)
    assert found.codes == ["KVMC0402"]
    assert "needs 2 vCPUs on shared CPUs" in found.messages[0]
