"""What guides say, in the files that people write: each name that does not exist, in each kind of file; knobs of other kernels;
values that harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from audit.small_tree import RT
from audit.support import topology
from kvmc.audit.check import audit_handwritten
from kvmc.audit.handwritten import Found, kind_of
from kvmc.cli.app import app
from kvmc.diagnostics import Diagnostic
from kvmc.diagnostics.codes import audit as codes
from kvmc.knowledge.folklore import FOLKLORE, Folklore
from kvmc.knowledge.harms import HARMS, harm
from kvmc.knowledge.registry import rows
from kvmc.model.values import Version
from kvmc.topology.model import Facts

ROOT = Path(__file__).resolve().parents[2]
QEMU = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"


def _word(one: Folklore) -> str:
    return "_".join(one.name.split())


def _value(one: Folklore) -> str:
    return one.value or "1"


def _domain(one: Folklore) -> str:
    if one.name == "queue_depth":
        assert "<driver " in RT
        return RT.replace("<driver ", "<driver queue_depth='64' ", 1)
    if one.name.startswith("cet-"):
        return RT.replace("</cpu>", f"<feature policy='require' name='{one.name}'/></cpu>", 1)
    text = f"{one.name}={one.value}" if one.value else one.name
    argument = f"<qemu:commandline><qemu:arg value='{text}'/></qemu:commandline></domain>"
    return RT.replace("<domain ", f"<domain {QEMU} ", 1).replace("</domain>", argument)


FILES: dict[str, tuple[str, Callable[[Folklore], str]]] = {
    "grub": ("grub", lambda one: f'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="quiet {_word(one)}={_value(one)}"\n'),
    "sysctl": ("sysctl.d/90.conf", lambda one: f"vm.swappiness = 1\nkernel.{_word(one)} = {_value(one)}\n"),
    "modprobe": ("modprobe.d/kvm.conf", lambda one: f"options kvm nested=1\noptions kvm {_word(one)}={_value(one)}\n"),
    "domain": ("rt-1.xml", _domain),
}


def found(files: dict[str, str], kernel: Version | None = None, facts: Facts | None = None) -> list[Diagnostic]:
    of = replace(topology(), facts=facts)
    return list(audit_handwritten("h", [Found(n, t, kind_of(n, t)) for n, t in files.items()], of, kernel))


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("one", FOLKLORE, ids=lambda one: one.name)
def test_each_name_is_found_in_each_kind_of_file(one: Folklore, kind: str) -> None:
    path, make = FILES[kind]
    text = make(one)
    assert kind_of(path, text) == kind
    told = [item for item in found({path: text}) if item.code is codes.FOLKLORE]
    assert len(told) == 1, [item.message for item in told]
    (item,) = told
    assert f"`{one.name}" in item.message and one.real in item.message and item.help == (one.instead,)
    assert item.primary is not None and item.primary.span.file == path
    place = text[item.primary.span.start : item.primary.span.end]
    assert place and (one.name in place or _word(one) in place or "queue_depth" in one.name)


@pytest.mark.parametrize("kind", FILES)
def test_without_the_name_nothing_is_found(kind: str) -> None:
    text = {
        "grub": 'GRUB_CMDLINE_LINUX="quiet amd_iommu=off rw vfio-pci.ids=10de:20b0"\n',
        "sysctl": "vm.swappiness = 1\nkernel.numa_balancing = 0\n",
        "modprobe": "options virtio_blk queue_depth=64\noptions kvm_intel nested=1 ple_gap=0\n",
        "domain": RT,
    }[kind]
    assert [item.message for item in found({FILES[kind][0]: text})] == []


def test_the_command_says_file_and_line_and_exits_1(tmp_path: Path) -> None:
    for kind, (path, make) in FILES.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(make(FOLKLORE[0]))
        shape = ROOT / "examples/database-ceph/hosts/epyc-7543.json"
        result = CliRunner().invoke(app, ["audit", "--topology", str(shape), str(file)])
        line = make(FOLKLORE[0]).splitlines().index(next(x for x in make(FOLKLORE[0]).splitlines() if "slub" in x)) + 1
        assert result.exit_code == 1, kind
        assert f"{file.as_posix()}:{line}:" in result.stderr and "KVMC0770" in result.stderr
        assert FOLKLORE[0].real in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("path", "text", "kernel", "code"),
    [
        ("sysctl.d/1.conf", "kernel.sched_min_granularity_ns = 1\n", "6.12", codes.KNOB_GONE),
        ("sysctl.d/1.conf", "kernel.sched_min_granularity_ns = 1\n", "5.10", None),
        ("sysctl.d/1.conf", "kernel.sched_min_granularity_ns = 1\n", "", codes.KNOB_AGED),
        ("sysctl.d/1.conf", "kernel.sched_migration_cost_ns = 1\n", "6.1", codes.KNOB_GONE),
        ("sysctl.d/1.conf", "kernel.sched_child_runs_first = 1\n", "6.1", None),
        ("sysctl.d/1.conf", "kernel.sched_child_runs_first = 1\n", "6.12", codes.KNOB_GONE),
        ("sysctl.d/1.conf", "kernel.io_uring_disabled = 1\n", "6.1", codes.KNOB_GONE),
        ("sysctl.d/1.conf", "kernel.io_uring_disabled = 1\n", "", None),
        ("tuned/x/tuned.conf", "[sysctl]\nkernel.sched_latency_ns = 1\n", "6.1", codes.KNOB_GONE),
        ("tuned/x/tuned.conf", "[sysfs]\n/sys/kernel/debug/sched/latency_ns = 1\n", "6.1", None),
        ("tuned/x/tuned.conf", "[sysfs]\n/sys/kernel/debug/sched/latency_ns = 1\n", "6.12", codes.KNOB_GONE),
        ("tuned/x/tuned.conf", "[scheduler]\nsched_min_granularity_ns = 1\n", "6.12", None),
        ("modprobe.d/k.conf", "options kvm lapic_timer_advance_ns=1000\n", "6.12", codes.KNOB_GONE),
        ("cmdline", "quiet root=/dev/x kvm.lapic_timer_advance_ns=1000", "6.1", None),
        ("cmdline", "quiet root=/dev/x rcutree.nohz_full_patience_delay=1000", "6.1", codes.KNOB_GONE),
        ("cmdline", "quiet root=/dev/x slub_debug=P", "6.1", None),
    ],
)
def test_a_knob_of_another_kernel(path: str, text: str, kernel: str, code: object) -> None:
    release = Version(*map(int, kernel.split("."))) if kernel else None
    told = found({path: text}, release)
    assert [item.code for item in told] == ([code] if code else []), [item.message for item in told]
    if code:
        assert told[0].primary is not None and told[0].primary.span.file == path


def test_the_host_s_snapshot_tells_its_kernel_and_what_was_brought_to_it() -> None:
    files = {"sysctl.d/1.conf": "kernel.io_uring_disabled = 1\n"}
    assert [item.code for item in found(files, facts=Facts(kernel="5.14.0-503.el9"))] == [codes.KNOB_GONE]
    brought = Facts(kernel="5.14.0-503.el9", sysctls=("kernel.io_uring_disabled",))
    assert found(files, facts=brought) == []
    assert [item.code for item in found(files, Version(6, 12), Facts(kernel="5.14.0"))] == []


@pytest.mark.parametrize(
    ("path", "text", "count"),
    [
        ("cmdline", "quiet root=/dev/x mitigations=off idle=poll", 2),
        ("cmdline", "quiet root=/dev/x mitigations=auto,nosmt idle=halt pti=on", 0),
        ("cmdline", "quiet root=/dev/x nopti kvm.nx_huge_pages=off", 2),
        ("modprobe.d/k.conf", "options kvm nx_huge_pages=0\noptions kvm_intel ple_gap=0\n", 1),
        ("tuned/x/tuned.conf", "[sysfs]\n/sys/module/kvm/parameters/nx_huge_pages = 0\n", 1),
        ("sysctl.d/1.conf", "kernel.softlockup_panic = 1\nkernel.panic = 10\n", 1),
    ],
)
def test_what_harms_is_warned_of(path: str, text: str, count: int) -> None:
    told = found({path: text})
    assert [item.code for item in told] == [codes.HARMFUL] * count, [item.message for item in told]


def test_what_harms_where_vcpus_share_cpus() -> None:
    ple = {"modprobe.d/k.conf": "options kvm_intel ple_gap=0\n"}
    features = "<features><kvm><hint-dedicated state='on'/></kvm>"
    assert "<features>" in RT
    pinned = RT.replace("<features>", features, 1)
    floats = pinned.replace("<vcpupin", "<other").replace("cpuset='2'", "cpuset='2-5'")
    assert not [item for item in found({**ple, "a.xml": pinned}) if item.code is codes.HARMFUL]
    told = [item for item in found({**ple, "a.xml": floats}) if item.code is codes.HARMFUL]
    assert {item.primary.span.file for item in told if item.primary} == {"modprobe.d/k.conf", "a.xml"}


def test_a_database_without_avx2_is_warned_of() -> None:
    masked = RT.replace("</cpu>", "<feature policy='disable' name='avx2'/></cpu>", 1)
    assert [item.code for item in found({"a.xml": masked})] == [codes.HARMFUL]


def test_each_harm_is_of_a_known_knob_and_is_found() -> None:
    for one in HARMS:
        key = one.key.partition(" ")[0]
        assert rows(one.layer, key) or rows(one.layer, key.partition("@")[0]), one.key
        for value in one.values:
            same = harm(one.layer, one.key, value, shared=True)
            assert same is not None and same.why == one.why
        assert (harm(one.layer, one.key, one.values[0], shared=False) is None) is one.shared


def test_words_that_stock_parents_bring_to_the_boot_line_again() -> None:
    profile = "[main]\ninclude=realtime-virtual-host\n"
    grub = 'GRUB_CMDLINE_LINUX="quiet nohz_full=2-5 skew_tick=1"\n'
    told = [item for item in found({"tuned/x/tuned.conf": profile, "grub": grub}) if item.code is codes.STOCK_SETS]
    assert len(told) == 1 and "realtime-virtual-host < realtime < network-latency" in told[0].message
    assert not [
        item for item in found({"tuned/x/tuned.conf": profile.replace("realtime-", ""), "grub": grub})
        if item.code is codes.STOCK_SETS
    ]  # fmt: skip


def test_sysctls_of_stock_parents_that_a_file_has_otherwise() -> None:
    files = {"tuned/x/tuned.conf": "[main]\ninclude=virtual-host\n", "sysctl.d/1.conf": "vm.swappiness = 1\n"}
    (told,) = found(files)
    assert told.code is codes.STOCK_SETS and "virtual-host < throughput-performance" in told.message
    assert found(files | {"sysctl.d/1.conf": "vm.swappiness = 10\nvm.stat_interval = 10\n"}) == []


def test_hostile_names_are_no_knobs_and_shown_short() -> None:
    text = f"kernel.{'a' * 5000} = 1\nkernel.slub_max_numa = {'b' * 5000}\n"
    told = found({"sysctl.d/1.conf": text})
    assert [item.code for item in told] == [codes.FOLKLORE] and len(told[0].message) < 400
