"""The tables against their use, both ways, and against folklore."""

from __future__ import annotations

import itertools

import pytest

from hostconfig.host_samples import ALL, GIB, devices, platform, pools, settle
from kvmc.hostconfig.plan import Carrier, Effect, HostSetting
from kvmc.knowledge.knobs import KNOBS, find
from kvmc.knowledge.model import Knob
from kvmc.knowledge.profiles import PROFILES
from kvmc.knowledge.registry import folklore
from kvmc.model.site import IrqAffinity, Isolation, Profile
from kvmc.model.values import PageCount, Version


def emitted() -> list[HostSetting]:
    """All that any of many hosts is told."""
    settings: list[HostSetting] = []
    kernels = ("5.10", "5.10..6.1", "6.1", "6.12", "7.2")
    pages = (PageCount(4, GIB), PageCount(64, 2048))
    for where, profile, kernel, shared in itertools.product(ALL.values(), Profile, kernels, (0, 1)):
        isolation = Isolation.NONE if profile is Profile.THROUGHPUT else Isolation.BOOT
        passed = devices(n3=4) if where.pci is not None else {}
        own, bag = settle(
            where, profile=profile, isolation=isolation, on=platform(kernel=kernel), of=pools(where, shared=shared), pages=pages,
            devices=passed, irq_affinity=IrqAffinity.NODE, gicv4=where.arch == "aarch64",
            **({} if ".." in kernel else {"base_slice_ns": 3_000_000, "migration_cost_ns": 5_000_000}),
        )  # fmt: skip
        assert not bag.has_errors, list(bag)
        settings += own.settings
    return settings


@pytest.fixture(scope="module")
def settings() -> list[HostSetting]:
    return emitted()


def test_nothing_is_written_that_is_not_in_the_table(settings: list[HostSetting]) -> None:
    for setting in settings:
        knob = find(setting.carrier.value, setting.key)
        assert knob is not None, setting
        assert knob.accepts(setting.value), setting
        assert Effect(knob.effect) is setting.effect


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: f"{knob.carrier}-{knob.key.rpartition('/')[2]}")
def test_every_row_is_written_on_some_host(knob: Knob, settings: list[HostSetting]) -> None:
    assert any(knob.matches(setting.carrier.value, setting.key) for setting in settings)


def test_rows_are_complete_and_single() -> None:
    keys = [(knob.carrier, knob.key) for knob in KNOBS]
    assert len(keys) == len(set(keys))
    bare = [knob.key.rpartition(".")[2] for knob in KNOBS if knob.carrier in ("sysctl", "tuned")]
    assert len(bare) == len(set(bare))
    for knob in KNOBS:
        assert Carrier(knob.carrier)
        assert knob.use and knob.harm and knob.source
        assert knob.since is None or knob.until is None or knob.since <= knob.until


def test_no_folklore() -> None:
    for knob in KNOBS:
        assert not any(folklore(knob.key, value) for value in (None, "1", "pt")), knob.key


def test_choices_are_of_the_table() -> None:
    for profile, choices in PROFILES.items():
        keys = [(choice.carrier, choice.key) for choice in choices]
        assert len(keys) == len(set(keys)), profile
        for choice in choices:
            knob = find(choice.carrier, choice.key)
            assert knob is not None
            assert knob.accepts(choice.value)


@pytest.mark.parametrize(
    ("carrier", "key", "value"),
    [
        ("cmdline", "isolcpus", "managed_irq,domain,"),
        ("cmdline", "isolcpus", "domian,2-3"),
        ("cmdline", "nohz_full", "3,2"),
        ("cmdline", "nohz_full", ""),
        ("cmdline", "hugepages", "96"),
        ("cmdline", "hugepages", "0:0"),
        ("cmdline", "hugepagesz", "1GiB"),
        ("sysctl", "vm.swappiness", "101"),
        ("sysctl", "vm.swappiness", "1\n2"),
        ("sysctl", "kernel.sched_rt_runtime_us", "-2"),
        ("tuned", "cpu.governor", "performance;reboot"),
        ("cmdline", "intel_iommu", "off"),
    ],
)
def test_values_out_of_form_are_refused(carrier: str, key: str, value: str) -> None:
    knob = find(carrier, key)
    assert knob is not None
    assert not knob.accepts(value)


def test_ranges() -> None:
    knob = find("cmdline", "hugepages")
    assert knob is not None
    assert knob.since == Version(5, 16)
    assert knob.exists_in(platform(kernel="5.16").kernel)
    assert not knob.exists_in(platform(kernel="5.15..6.1").kernel)
    sync = find("modprobe", "kvm.kvmclock_periodic_sync")
    assert sync is not None
    assert not sync.exists_in(platform(kernel="6.12..7.2").kernel)
