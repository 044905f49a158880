"""Nothing is written that a platform lacks: by its releases, or by what was seen on such a host."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kvmc_targets
from hostconfig.host_samples import ALL, GIB, INTEL, devices, platform, pools, settle
from kvmc.diagnostics.codes import host as codes
from kvmc.driver.build import Options, build_site
from kvmc.driver.stages import check_site
from kvmc.hostconfig.host import HostSettings
from kvmc.knowledge.knobs import KNOBS, find
from kvmc.knowledge.scheduler import MECHANISMS
from kvmc.model.site import Isolation, Platform, Profile
from kvmc.model.values import PageCount, VersionRange
from kvmc.topology.facts import read_facts
from kvmc.topology.model import Facts
from kvmc.topology.snapshot import dumps, loads

PLATFORMS = {
    "Debian 11": ("5.10", "7.0", "5.2", "2.15"),
    "Debian 12": ("6.1", "9.0", "7.2", "2.20"),
    "Debian 13": ("6.12", "11.3", "10.0", "2.25"),
    "RHEL 8": ("4.18", "8.0", "6.2", "2.22"),
    "RHEL 9": ("5.14", "10.10", "9.1", "2.25"),
    "RHEL 10": ("6.12", "11.5", "10.0", "2.26"),
    "Ubuntu 22.04": ("5.15", "8.0", "6.2", "2.15"),
    "Ubuntu 24.04": ("6.8", "10.0", "8.2", "2.21"),
    "Ubuntu 26.04": ("7.0", "12.0", "10.2", "2.26"),
    "mainline": ("7.2", "12.8", "11.1", "2.28"),
    "an upgrade": ("6.1..6.12", "9.0..11.3", "7.2..10.0", "2.20..2.25"),
    "a long upgrade": ("5.10..7.2", "7.0..12.8", "5.2..11.1", "2.15..2.28"),
}
SCHEDULER: dict[str, Any] = {"base_slice_ns": 3_000_000, "migration_cost_ns": 5_000_000}


def on(name: str, **more: Any) -> Platform:
    kernel, libvirt, qemu, tuned = PLATFORMS[name]
    return platform(kernel=kernel, libvirt=libvirt, qemu=qemu, tuned=tuned, **more)


def settled(of: Platform, **changes: Any) -> list[tuple[str, HostSettings]]:
    found = []
    for (shape, where), profile, shared in itertools.product(ALL.items(), Profile, (0, 1)):
        own, bag = settle(
            where,
            profile=profile,
            isolation=Isolation.NONE if profile is Profile.THROUGHPUT else Isolation.BOOT,
            on=of,
            of=pools(where, shared=shared),
            pages=(PageCount(4, GIB),),
            devices=devices(n3=4) if where.pci is not None else {},
            **changes,
        )
        lacking = {item.code for item in bag} - {codes.PAGES_AT_RUN_TIME}
        assert lacking <= {codes.NOT_IN_RELEASE, codes.NO_MECHANISM}, list(bag)
        found.append((shape, own))
    return found


@pytest.mark.parametrize("name", PLATFORMS)
def test_nothing_outside_its_range_is_written(name: str, record_property: Any) -> None:
    of = on(name)
    count = 0
    for shape, own in settled(of, **SCHEDULER):
        where = ALL[shape]
        for setting in own.settings:
            knob = find(setting.carrier.value, setting.key)
            assert knob is not None
            versions: VersionRange = of.kernel if knob.tool == "kernel" else of.tuned
            assert knob.since is None or versions.low >= knob.since, (name, setting.key)
            assert knob.until is None or versions.high <= knob.until, (name, setting.key)
            assert knob.runs_on(where.arch, where.cpu.vendor), (name, setting.key)
            count += 1
    assert count > 100
    record_property("settings", count)


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: f"{knob.carrier}-{knob.key.rpartition('/')[2]}")
def test_a_knob_is_not_written_where_a_scan_did_not_see_it(knob: Any) -> None:
    """Each knob that a scan can see is gone from every host once the scan misses it."""
    module, dot, _option = knob.key.partition(".")
    if knob.carrier == "sysctl":
        facts = Facts(sysctls=("vm.overcommit_memory",))
    elif knob.carrier in ("modprobe", "cmdline") and dot:
        facts = Facts(modules={module: ("another",)})
    elif "/sys/kernel/debug/" in knob.key:
        facts = Facts(debugfs={"sched": ("another",)})
    elif knob.config:
        facts = Facts(kernel_config={"ANOTHER": "y"})
    else:
        assert knob.carrier in ("cmdline", "tuned", "systemd"), "a scan says nothing of it"
        return
    of = on("Debian 13", known=facts) if knob.until is None else platform(kernel=str(knob.until), known=facts)
    for _, own in settled(of, **SCHEDULER):
        assert not any(knob.matches(setting.carrier.value, setting.key) for setting in own.settings)


def test_what_a_scan_saw_is_written_on_an_older_kernel() -> None:
    keys = {"rcutree.nohz_full_patience_delay"}
    told = on("RHEL 9", known=Facts(modules={"rcutree": ("nohz_full_patience_delay",)}))
    old = {setting.key for _, own in settled(on("RHEL 9")) for setting in own.settings}
    new = {setting.key for _, own in settled(told) for setting in own.settings}
    assert not keys & old and keys <= new


@pytest.mark.parametrize(
    ("kernel", "keys"),
    [
        ("5.10", {"kernel.sched_min_granularity_ns", "kernel.sched_migration_cost_ns"}),
        ("5.12", {"kernel.sched_min_granularity_ns", "kernel.sched_migration_cost_ns"}),
        (
            "5.13",
            {"sysfs./sys/kernel/debug/sched/min_granularity_ns", "sysfs./sys/kernel/debug/sched/migration_cost_ns"},
        ),
        (
            "6.1",
            {"sysfs./sys/kernel/debug/sched/min_granularity_ns", "sysfs./sys/kernel/debug/sched/migration_cost_ns"},
        ),
        ("6.6", {"sysfs./sys/kernel/debug/sched/base_slice_ns", "sysfs./sys/kernel/debug/sched/migration_cost_ns"}),
        (
            "6.6..7.2",
            {"sysfs./sys/kernel/debug/sched/base_slice_ns", "sysfs./sys/kernel/debug/sched/migration_cost_ns"},
        ),
        ("6.1..6.12", {"sysfs./sys/kernel/debug/sched/migration_cost_ns"}),
        ("5.10..6.1", set()),
    ],
)
def test_an_intent_goes_through_what_the_whole_range_has(kernel: str, keys: set[str]) -> None:
    own, bag = settle(INTEL, on=platform(kernel=kernel), **SCHEDULER)
    known = {knob.key for knobs in MECHANISMS.values() for knob in knobs}
    assert {setting.key for setting in own.settings} & known == keys
    lacking = [item for item in bag if item.code is codes.NO_MECHANISM]
    assert bool(lacking) == (len(keys) < 2)
    for item in lacking:
        assert len(item.notes) in (2, 3) and "kernel" in item.message


def test_a_distribution_that_brought_eevdf_to_an_older_kernel_is_told_so_by_a_scan() -> None:
    facts = Facts(debugfs={"sched": ("base_slice_ns", "migration_cost_ns")})
    own, bag = settle(INTEL, on=platform(kernel="5.14", known=facts), **SCHEDULER)
    keys = {setting.key for setting in own.settings}
    assert "sysfs./sys/kernel/debug/sched/base_slice_ns" in keys and not bag.has_errors
    assert "sysfs./sys/kernel/debug/sched/min_granularity_ns" not in keys


def test_a_scan_sees_the_scheduler_s_files_and_a_snapshot_keeps_them(tmp_path: Path) -> None:
    folder = tmp_path / "sys/kernel/debug/sched"
    (folder / "numa_balancing").mkdir(parents=True)
    for name in ("base_slice_ns", "migration_cost_ns", "numa_balancing/scan_size_mb"):
        (folder / name).write_text("1\n")
    facts = read_facts(tmp_path)
    assert facts.debugfs == {"sched": ("base_slice_ns", "migration_cost_ns"), "sched/numa_balancing": ("scan_size_mb",)}
    told = replace(INTEL, facts=facts, pci=None)
    back, bag = loads(dumps(told), "x.json")
    assert back is not None and back.facts is not None and back.facts.debugfs == facts.debugfs, list(bag)


def _with_facts(folder: Path, facts: dict[str, Any]) -> Path:
    """The pages' base site, its platform with facts."""
    shutil.copytree(Path(__file__).parents[1] / "diagnostics/base", folder, dirs_exist_ok=True)
    shape = {"kvmc_topology": 1, "arch": "x86_64", "online": "0-1", "nodes": [{"id": 0, "cpus": "0-1"}]}
    (folder / "facts.json").write_text(json.dumps(shape | {"platform": facts}))
    path = folder / "site.kvmt"
    path.write_text(path.read_text().replace('  kernel  = "6.1"\n', '  kernel  = "6.1"\n  facts   = "facts.json"\n'))
    return path


def test_a_site_is_built_by_its_facts_and_the_audit_agrees(tmp_path: Path) -> None:
    """A kernel without full dynticks and without one sysctl: neither is written, nothing is missed, and `check` tells the same."""
    config = {"CPU_ISOLATION": "y", "RCU_NOCB_CPU": "y", "HUGETLBFS": "y"}
    path = _with_facts(tmp_path, {"kernel": "6.1.0-40", "kernel_config": config, "sysctls": ["vm.swappiness"]})
    text = path.read_text().replace("isolation = boot\n", "isolation = boot\n  profile = latency\n")
    path.write_text(text)
    outcome = build_site(path, kvmc_targets.BUILTIN, Options(False, (), (), None, False, False, None, None))
    lacking = [item for item in outcome.bag if item.code is codes.NOT_IN_RELEASE]
    assert [item.message.split("`")[3] for item in lacking] == ["kernel.numa_balancing"], "one cause, one line"
    facts = {"kernel": "6.1.0-40", "kernel_config": config}
    path = _with_facts(tmp_path / "b", facts | {"sysctls": ["vm.swappiness", "kernel.numa_balancing"]})
    outcome = build_site(path, kvmc_targets.BUILTIN, Options(False, (), (), None, False, False, None, None))
    assert outcome.ok, [item.message for item in outcome.bag]
    line = (tmp_path / "b/generated/a/etc/default/grub.d/zz-kvmc.cfg").read_text()
    assert "isolcpus=" in line and "rcu_nocbs=" in line and "nohz_full=" not in line
    assert check_site(path).ok


def test_facts_outside_the_site_or_unreadable_are_told(tmp_path: Path) -> None:
    path = _with_facts(tmp_path / "a", {"kernel": "6.1"})
    path.write_text(path.read_text().replace('"facts.json"', '"../facts.json"'))
    assert [item.code.id for item in check_site(path).bag] == ["KVMC0020"]
    path = _with_facts(tmp_path / "b", {"kernel": "6.1"})
    (tmp_path / "b/facts.json").write_text("{")
    assert check_site(path).bag.has_errors
