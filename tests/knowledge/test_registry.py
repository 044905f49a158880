"""The registry as a whole: its rows are of one form, and what guides say is told from what is real."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kvmc.cli.app import app
from kvmc.knowledge import describe
from kvmc.knowledge.explain import answer
from kvmc.knowledge.folklore import FOLKLORE, Folklore, plain
from kvmc.knowledge.knobs import KNOBS
from kvmc.knowledge.model import Kind, Knob, Status
from kvmc.knowledge.pages import page
from kvmc.knowledge.registry import REGISTRY, folklore, names, rows
from kvmc.knowledge.stock_profiles import PROFILES, boot_words, chain
from kvmc.knowledge.stock_releases import RELEASES
from kvmc.model.values import Version

NEVER = (
    "slub_max_numa", "cfs_cgroup_root", "cfs_max_credit", "cfs_max credit", "vmalloc_min", "numa interleave", "numa_interleave=0",
    "kvm_max_vcpus", "kvm_max_vcpus=1", "kvm numatune", "kvm_numactune", "kvm_numa_balance.ko", "mce_kvm", "CFS v3", "-CPU",
    "-enable-rvi", "-enable-3d-vcache", "-qpu", "-enable-gpu", "-enable-pramem", "qemu-gpu", "-use-cuda", "queue_depth", "cet-pt",
    "CET-PTI", "amd_iommu=on", "--rw=randomwrite", "rw=randomwrite", "__lock_text_pos", "Intel RSC", "numactl -i 1",
    "task_migration", "load_balance_index", "rcu_delay", "qemu-system-x86_64 -CPU host", "qemu-kvm -qpu 4",
)  # fmt: skip
"""Each as some guide spells it."""


def test_each_row_has_the_form_of_its_layer() -> None:
    for knob in REGISTRY:
        _check_row(knob)


def _check_row(knob: Knob) -> None:
    forms = {
        "cmdline": r"[a-z0-9_.]+",
        "sysctl": r"(kernel|vm|net|fs)(\.[A-Za-z0-9_*-]+)+",
        "modprobe": r"[a-z0-9_]+\.[a-z0-9_]+",
        "tuned": r"[a-z]+\.\S+",
        "systemd": r"\S+",
        "sysfs": r"/sys/(?!kernel/debug/)\S+",
        "debugfs": r"/sys/kernel/debug/\S+",
        "cgroup": r"[a-z.]+",
        "libvirt": r"[a-zA-Z_/-]+(@[a-z_A-Z]+)?",
        "daemon": r"[a-z_]+",
        "qemu": r"-?[a-z0-9-]+",
    }
    assert re.fullmatch(forms[knob.carrier], knob.key)
    assert knob.use and knob.harm and knob.source
    for text in (knob.use, knob.harm, knob.instead):
        assert "\n" not in text and not text.endswith(".") and len(text) < 300
    assert knob.since is None or knob.until is None or knob.since <= knob.until
    assert knob.low is None or knob.high is None or knob.low < knob.high
    assert not knob.words or knob.kind in (Kind.WORD, Kind.TEXT)
    assert all(knob.accepts(word) for word in knob.words)
    tool = {"libvirt": "libvirt", "daemon": "libvirt", "qemu": "qemu"}.get(knob.carrier)
    assert knob.tool == tool or (tool is None and knob.tool in ("kernel", "tuned"))
    if knob.status in (Status.MOVED, Status.REMOVED):
        assert knob.until is not None and knob.instead
    assert knob.status not in (Status.NEVER, Status.GARBLED)
    assert describe.value(knob) and describe.effect(knob) and knob.carrier in describe.LAYERS


def test_what_is_written_is_written_by_kvmc() -> None:
    assert all(knob.status is Status.EMITTED for knob in KNOBS)


def test_rows_of_one_name_are_of_different_releases_or_machines() -> None:
    seen: dict[tuple[str, str], list[Knob]] = {}
    for knob in REGISTRY:
        seen.setdefault((knob.carrier, knob.key), []).append(knob)
    for same in seen.values():
        for first, second in pairwise(same):
            assert first.until is not None and second.since is not None and first.until < second.since, first.key


def test_the_registry_is_of_a_size() -> None:
    """What a site may write, and what an article may name, is wider than what kvmc writes."""
    layers = {layer: sum(knob.carrier == layer for knob in REGISTRY) for layer in describe.LAYERS}
    assert layers["cmdline"] > 60 and layers["sysctl"] > 60 and layers["modprobe"] > 40 and layers["libvirt"] > 120
    assert len(FOLKLORE) >= 25 and sum(one.status is Status.NEVER for one in FOLKLORE) >= 24


@pytest.mark.parametrize("one", FOLKLORE, ids=lambda one: one.name)
def test_folklore_is_whole_and_is_nothing_real(one: Folklore) -> None:
    assert one.status in (Status.NEVER, Status.GARBLED)
    assert one.meant and one.real and one.instead and one.source
    assert not any("\n" in text or text.endswith(".") for text in (one.meant, one.real, one.instead))
    if not one.value and not one.exact:
        real = {plain(knob.key) for knob in REGISTRY}
        assert not real & set(one.plain)


@pytest.mark.parametrize("name", [*NEVER, *(one.name for one in FOLKLORE if not one.value)])
def test_folklore_is_explained_however_it_is_spelled(name: str) -> None:
    found = answer(name)
    assert found.known
    first = found.text.splitlines()[0]
    assert first.endswith((f": {Status.NEVER}", f": {Status.GARBLED}"))
    assert "instead" in found.text and "real" in found.text


@pytest.mark.parametrize("one", FOLKLORE, ids=lambda one: one.name)
def test_the_command_names_the_real_mechanism_and_exits_0(one: Folklore) -> None:
    """As one word, as its parts, and as an option: what QEMU's look like is no option of kvmc's."""
    name = f"{one.name}={one.value}" if one.value else one.name
    for words in ([name], name.split()):
        result = CliRunner().invoke(app, ["explain", *words])
        assert result.exit_code == 0 and one.real in result.stdout, result.output


def test_the_command_exits_1_with_what_is_near() -> None:
    result = CliRunner().invoke(app, ["explain", "kvm.halt_pol_ns"])
    assert result.exit_code == 1 and "kvm.halt_poll_ns" in result.stderr and not result.stdout
    assert "Usage" in CliRunner().invoke(app, ["explain", "-h"]).stdout


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("kvm.halt_poll_ns", "kvm.halt_poll_ns: module option"),
        ("/sys/module/kvm/parameters/halt_poll_ns", "/sys/module/kvm/parameters/halt_poll_ns: file of sysfs"),
        ("/sys/module/kvm_intel/parameters/ple_gap", "kvm_intel.ple_gap: module option"),
        ("kvm-intel.ple_gap=0", "kvm_intel.ple_gap: module option"),
        ("/proc/sys/kernel/numa_balancing", "kernel.numa_balancing: sysctl"),
        ("isolcpus", "isolcpus: kernel parameter"),
        ("vfio-pci.ids", "vfio_pci.ids: kernel parameter"),
        ("mitigations=off", "mitigations: kernel parameter"),
        ("-cpu", "-cpu: option of QEMU"),
        ("<vcpupin>", "cputune/vcpupin: element of libvirt's domain XML"),
        ("hint-dedicated", "features/kvm/hint-dedicated: element of libvirt's domain XML"),
        ("sched_migration_cost_ns", "kernel.sched_migration_cost_ns: sysctl"),
        ("base_slice_ns", "sysfs./sys/kernel/debug/sched/base_slice_ns: option of tuned"),
        ("virtual-host", "virtual-host: stock profile of tuned 2.20, which kvmc does not include"),
    ],
)
def test_what_is_real_is_explained(name: str, first: str) -> None:
    found = answer(name)
    assert found.known and found.text.splitlines()[0] == first


def test_what_is_not_known_has_names_near_it() -> None:
    found = answer("halt_pol_ns")
    assert not found.known and found.near[0] == "kvm.halt_poll_ns"
    assert answer("") == answer("``") and not answer("").known
    assert not answer("\x1b[31m" * 200).known


@pytest.mark.parametrize(
    ("key", "value", "module", "name"),
    [
        ("kernel.slub_max_numa", "1", "", "slub_max_numa"),
        ("queue_depth", "64", "nvme", "queue_depth"),
        ("queue_depth", "64", "virtio_blk", None),
        ("queue_depth", "64", "lpfc", None),
        ("virtio_blk.queue_depth", "64", "", None),
        ("amd_iommu", "off", "", None),
        ("amd_iommu", "pt,on", "", "amd_iommu"),
        ("cpu", "host", "", None),
        ("rw", "", "", None),
        ("rw", "randwrite", "", None),
        ("interleave", "1", "", None),
    ],
)
def test_folklore_is_told_from_what_is_real(key: str, value: str, module: str, name: str | None) -> None:
    found = folklore(key, value, module)
    assert (found.name if found else None) == name


def test_a_knob_is_found_on_any_layer() -> None:
    assert rows("cmdline", "kvm.halt_poll_ns")[0].carrier == "modprobe"
    assert rows("cmdline", "sysctl.vm/swappiness")[0].key == "vm.swappiness"
    assert rows("tuned", "sysfs./sys/module/kvm_intel/parameters/ple_gap")[0].key == "kvm_intel.ple_gap"
    assert rows("sysfs", "/sys/block/sda/device/queue_depth")
    assert not rows("sysctl", "kernel.slub_max_numa")
    assert len(set(names())) == len(list(names()))


def test_the_chain_of_a_stock_profile_and_its_boot_words() -> None:
    assert [one.name for one in chain("realtime-virtual-host")] == [
        "realtime-virtual-host", "realtime", "network-latency", "latency-performance",
    ]  # fmt: skip
    assert [name for name, _ in boot_words("realtime-virtual-host")] == [
        "network-latency", "realtime", "realtime-virtual-host",
    ]  # fmt: skip
    assert chain("no-such") == ()
    for profile in PROFILES.values():
        assert profile.include is None or profile.include in PROFILES


def test_a_knob_that_moved_says_where_to_and_in_which_release() -> None:
    text = answer("kernel.sched_min_granularity_ns").text
    assert "moved" in text and "up to 5.12" in text and "base_slice_ns" in text
    (old,) = rows("sysctl", "kernel.sched_migration_cost_ns")
    assert old.until == Version(5, 12)


def test_the_page_is_up_to_date_and_has_every_name() -> None:
    text = (Path(__file__).parents[2] / "docs/knobs.md").read_text(encoding="utf-8")
    assert text == page(), "run `python -m kvmc.knowledge.pages > docs/knobs.md`"
    assert all(f"| `{knob.key}` |" in text for knob in REGISTRY)


def test_stock_profiles_differ_by_release() -> None:
    def values(name: str, release: tuple[int, int] | None) -> dict[tuple[str, str], str]:
        return {
            (section, key): value
            for profile in reversed(chain(name, release))
            for section, key, value in profile.settings
        }

    assert values("virtual-host", None) == values("virtual-host", (2, 20)) == values("virtual-host", (2, 24))
    assert ("vm", "dirty_background_ratio") not in values("virtual-host", (2, 24))
    assert values("virtual-host", (2, 25))["vm", "dirty_background_ratio"] == "5"
    assert ("sysctl", "vm.dirty_background_ratio") not in values("virtual-host", (2, 28))
    for old in ((2, 15), (2, 19), (2, 10)):
        assert values("virtual-host", old)["sysctl", "kernel.sched_migration_cost_ns"] == "5000000"
        assert values("virtual-host", old)["cpu", "force_latency"] == "cstate.id:3|70"
    assert dict(boot_words("cpu-partitioning", (2, 25)))["network-latency"].startswith("skew_tick=1 tsc=reliable")
    assert dict(boot_words("cpu-partitioning"))["network-latency"] == "skew_tick=1"
    assert "irqaffinity" in dict(boot_words("realtime-virtual-host"))["realtime-virtual-host"]
    assert "irqaffinity" not in dict(boot_words("realtime-virtual-host", (2, 15)))["realtime-virtual-host"]


def test_what_differs_is_of_a_profile_that_is_known() -> None:
    for changes in RELEASES.values():
        for name, change in changes.items():
            own = {(section, key) for section, key, _ in PROFILES[name].settings}
            assert set(change.gone) <= own and not set(change.gone) & {(one[0], one[1]) for one in change.put}
            assert not [one for one in change.put if one in PROFILES[name].settings]


def test_explain_tells_what_other_releases_have() -> None:
    told = answer("virtual-host").text
    assert "in 2.25" in told and "virtual-host has [vm] dirty_background_ratio = 5" in told
    assert "throughput-performance has no [sysctl] net.core.somaxconn" in told
