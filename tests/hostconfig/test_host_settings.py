"""The settings of a host: lists that the kernel takes, one carrier a knob, nothing that the platform lacks."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from hostconfig.host_samples import (
    ALL,
    AMD,
    ARM,
    GIB,
    INTEL,
    PF,
    SINGLE,
    SPARSE,
    devices,
    host,
    origins,
    platform,
    pools,
    settle,
    topology,
)
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.host import HostSettings, derive_host_settings, hex_mask
from kvmc.hostconfig.plan import Carrier, Effect, NodePages
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Isolation, Profile
from kvmc.model.values import PageCount
from kvmc.topology import Topology


def words(own: HostSettings, carrier: Carrier = Carrier.CMDLINE) -> list[tuple[str, str]]:
    return [(setting.key, setting.value) for setting in own.settings if setting.carrier is carrier]


def found(bag: Bag) -> list[str]:
    return [item.code.id for item in bag]


@pytest.mark.parametrize("where", ALL.values(), ids=ALL.keys())
def test_one_list_for_all_of_isolation(where: Topology) -> None:
    for shared, vswitch in itertools.product((0, 1), (0, 1)):
        of = pools(where, shared=shared, vswitch=vswitch)
        own, bag = settle(where, of=of)
        assert not bag.has_errors
        line = dict(words(own))
        flags, _, cpus = line["isolcpus"].rpartition("domain,")
        assert flags == "managed_irq,"
        isolated = CpuSet.parse(cpus)
        assert isolated == own.isolated == of.dedicated | of.vswitch
        assert CpuSet.parse(line["nohz_full"]) == CpuSet.parse(line["rcu_nocbs"]) == isolated
        assert CpuSet.parse(line["irqaffinity"]) == of.housekeeping | of.shared
        assert isolated | CpuSet.parse(line["irqaffinity"]) == where.online
        assert not isolated & CpuSet.parse(line["irqaffinity"])
        assert 0 not in isolated


def test_offline_cpus_are_in_no_list() -> None:
    where = topology([(0, "0-3,6-7"), (1, "8-11")])
    own, _ = settle(where)
    for key in ("nohz_full", "irqaffinity"):
        assert CpuSet.parse(dict(words(own))[key]).issubset(where.online)


def test_no_isolation_no_parameters_but_services_stay_away() -> None:
    own, bag = settle(INTEL, isolation=Isolation.NONE, profile=Profile.THROUGHPUT, pages=())
    assert not len(bag)
    assert own.isolated == CpuSet()
    assert words(own) == []
    systemd = dict(words(own, Carrier.SYSTEMD))
    of = pools(INTEL)
    assert systemd == {
        "Manager.CPUAffinity": str(of.housekeeping),
        "irqbalance.IRQBALANCE_BANNED_CPULIST": str(of.dedicated),
    }


def test_a_boot_cpu_among_the_isolated_is_our_bug() -> None:
    of = pools(SINGLE)
    swapped = type(of)(of.dedicated, of.shared, of.housekeeping, of.vswitch)
    with pytest.raises(AssertionError):
        settle(SINGLE, of=swapped)


def test_a_boot_cpu_that_is_given_away_says_why_on_each_line() -> None:
    of = pools(SINGLE)
    moved = type(of)(CpuSet.parse("1,9"), of.shared, of.dedicated - CpuSet.parse("1,9") | of.housekeeping, of.vswitch)
    own, bag = settle(SINGLE, of=moved, boot_cpu=False, boot_cpu_reason="counted from 0")
    assert not bag.has_errors
    said = {one.key: one.why for one in own.settings if one.why.endswith("is the guests' by choice: counted from 0")}
    assert list(said) == ["isolcpus", "nohz_full", "Manager.CPUAffinity"]
    assert dict(words(own))["nohz_full"].startswith("0,")
    # one that stays is not spoken of, whatever the site allows
    kept, _ = settle(SINGLE, of=of, boot_cpu=False, boot_cpu_reason="counted from 0")
    assert not [one for one in kept.settings if "by choice" in one.why]


def test_isolation_of_nothing_warns() -> None:
    of = pools(SINGLE, housekeeping=8)
    own, bag = settle(SINGLE, of=of, profile=Profile.LATENCY)
    assert found(bag) == [codes.NOTHING_TO_ISOLATE.id]
    assert not bag.has_errors
    assert "isolcpus" not in dict(words(own))


def test_pages_by_node_on_the_command_line() -> None:
    own, _ = settle(SPARSE, pages=(PageCount(8, 2048), PageCount(4, GIB)), reserve_pages=(PageCount(2, GIB),))
    assert own.pages == (NodePages(0, GIB, 6), NodePages(4, GIB, 6), NodePages(0, 2048, 8), NodePages(4, 2048, 8))
    line = words(own)
    start = line.index(("default_hugepagesz", "1G"))
    assert line[start : start + 5] == [
        ("default_hugepagesz", "1G"),
        ("hugepagesz", "1G"),
        ("hugepages", "0:6,4:6"),
        ("hugepagesz", "2M"),
        ("hugepages", "0:8,4:8"),
    ]
    assert dict(words(own, Carrier.SYSTEMD))["/dev/hugepages2M"] == "2M"


@pytest.mark.parametrize("kernel", ["5.10", "5.15", "5.10..6.1", "5.15..5.16"])
def test_a_range_without_the_node_form_takes_the_unit(kernel: str) -> None:
    own, bag = settle(INTEL, on=platform(kernel=kernel))
    assert found(bag) == [codes.PAGES_AT_RUN_TIME.id]
    assert not bag.has_errors
    line = dict(words(own))
    assert "hugepages" not in line
    assert "hugepagesz" not in line
    assert line["default_hugepagesz"] == "1G"
    units = {key: value for key, value in words(own, Carrier.SYSTEMD) if "nr_hugepages" in key}
    assert units == {
        f"/sys/devices/system/node/node{node}/hugepages/hugepages-1048576kB/nr_hugepages": "96" for node in (0, 1)
    }


def test_pages_depend_on_516_exactly() -> None:
    own, bag = settle(INTEL, on=platform(kernel="5.16..6.12"))
    assert not len(bag)
    assert ("hugepages", "0:96,1:96") in words(own)


def test_iommu_by_vendor() -> None:
    iommu = {"intel_iommu", "iommu", "iommu.passthrough", "amd_iommu"}

    def of(where: Topology, **changes: Any) -> list[tuple[str, str]]:
        own, bag = settle(where, **changes)
        assert not bag.has_errors
        return [word for word in words(own) if word[0] in iommu]

    n3 = devices(n3=8)
    assert of(INTEL, devices=n3) == [("intel_iommu", "on"), ("iommu", "pt")]
    assert of(AMD, devices=n3) == [("iommu", "pt")]
    assert of(ARM, devices=n3, profile=Profile.LATENCY) == [("iommu.passthrough", "1")]
    assert of(INTEL) == []


@pytest.mark.parametrize("vendor", [None, "CentaurHauls"])
def test_passthrough_without_a_known_vendor(vendor: str | None) -> None:
    _, bag = settle(topology([(0, "0-7")], vendor), devices=devices(n3=8))
    (item,) = bag
    assert item.code is codes.VENDOR_UNKNOWN
    assert item.help


def test_vfs() -> None:
    own, bag = settle(INTEL, devices=devices(n3=8, fronthaul=4))
    assert not bag.has_errors
    assert next((plan.parent, plan.vfs) for plan in own.sriov) == (PF, 8)
    assert len(own.sriov) == 2
    assert own.sriov[0].origin == "host edge-17a: devices n3"


def test_no_pause_exits_only_without_a_shared_pool() -> None:
    for where, key in ((INTEL, "kvm_intel.ple_gap"), (AMD, "kvm_amd.pause_filter_count")):
        for shared in (0, 1):
            own, _ = settle(where, of=pools(where, shared=shared))
            options = dict(words(own, Carrier.MODPROBE))
            assert (key in options) == (shared == 0)
            assert "kvm_intel.ple_gap" not in options or where is INTEL


@pytest.mark.parametrize(
    ("where", "kernel", "codes_found"),
    [(ARM, "6.1", []), (ARM, "4.14..6.1", ["NOT_IN_RELEASE"]), (INTEL, "6.1", ["NOT_ITS_ARCH"])],
)
def test_direct_interrupts_of_arm(where: Topology, kernel: str, codes_found: list[str]) -> None:
    quiet: dict[str, Any] = {"isolation": Isolation.NONE, "profile": Profile.THROUGHPUT, "pages": ()}
    own, bag = settle(where, on=platform(kernel=kernel), gicv4=True, **quiet)
    assert found(bag) == [getattr(codes, name).id for name in codes_found]
    assert dict(words(own)).get("kvm_arm.vgic_v4_enable") == (None if codes_found else "1")
    assert "kvm_arm.vgic_v4_enable" not in dict(words(settle(ARM)[0]))


@pytest.mark.parametrize(
    ("kernel", "patience", "sync"),
    [("6.1", False, True), ("6.12", True, True), ("6.1..6.12", False, True), ("6.13", True, False)],
)
def test_optional_knobs_only_where_the_whole_range_has_them(kernel: str, patience: bool, sync: bool) -> None:
    own, bag = settle(INTEL, on=platform(kernel=kernel))
    assert not len(bag)
    assert ("rcutree.nohz_full_patience_delay" in dict(words(own))) is patience
    assert ("kvm.kvmclock_periodic_sync" in dict(words(own, Carrier.MODPROBE))) is sync


def test_a_kernel_without_managed_irq_is_an_error_at_the_setting() -> None:
    _, bag = settle(INTEL, on=platform(kernel="5.4"))
    first = next(item for item in bag if item.code is codes.NOT_IN_RELEASE)
    assert first.primary is not None
    assert first.primary.span == origins().table[("host", "edge-17a", "isolation")].span
    assert "5.6" in first.message
    assert "5.4" in first.message


def test_one_node_has_nothing_to_balance() -> None:
    for where, has in ((SINGLE, False), (INTEL, True)):
        own, _ = settle(where)
        assert ("kernel.numa_balancing" in dict(words(own, Carrier.SYSCTL))) is has


def test_every_knob_has_one_carrier_and_sysctl_has_what_tuned_has_not() -> None:
    repeated = {"hugepagesz", "hugepages"}
    for where, profile, kernel in itertools.product(ALL.values(), Profile, ("5.15", "6.1", "6.12", "7.2")):
        own, _ = settle(where, profile=profile, on=platform(kernel=kernel), devices={})
        keys = [setting.key for setting in own.settings if setting.key not in repeated]
        assert len(keys) == len(set(keys))
        assert not any(setting.key.startswith("sysctl.") for setting in own.settings)
        named = {setting.key.rpartition(".")[2].rpartition("/")[2] for setting in own.settings}
        assert len(named & {"transparent_hugepages", "transparent_hugepage"}) == 1
        order = [list(Carrier).index(setting.carrier) for setting in own.settings]
        assert order == sorted(order)


def test_boot_parameters_take_a_reboot() -> None:
    own, _ = settle(INTEL)
    assert {setting.effect for setting in own.settings if setting.carrier is Carrier.CMDLINE} == {Effect.REBOOT}
    assert {setting.effect for setting in own.settings if setting.carrier is Carrier.SYSCTL} == {Effect.LIVE}


def test_origins_name_the_blocks() -> None:
    own, _ = settle(INTEL)
    assert {setting.origin for setting in own.settings} == {("pool edge", "host edge-17a")}


def test_the_fair_server_is_left_alone() -> None:
    own, _ = settle(INTEL, on=platform(kernel="6.12"))
    assert ("kernel.sched_rt_runtime_us", "-1") in words(own, Carrier.SYSCTL)
    assert not any("fair_server" in setting.key for setting in own.settings)


@pytest.mark.parametrize(
    ("cpus", "text"), [("0", "1"), ("0-3", "f"), ("32", "1,00000000"), ("0,1,64-67", "f,00000000,00000003")]
)
def test_hex_mask(cpus: str, text: str) -> None:
    assert hex_mask(CpuSet.parse(cpus)) == text


def test_workqueues_stay_off_dedicated_cpus() -> None:
    own, _ = settle(INTEL, of=pools(INTEL, shared=1))
    mask = dict(words(own, Carrier.TUNED))["sysfs./sys/devices/virtual/workqueue/cpumask"]
    of = pools(INTEL, shared=1)
    assert int(mask.replace(",", ""), 16) == (of.housekeeping | of.shared).mask


def test_same_value_twice() -> None:
    args = (host(devices=devices(n3=8)), INTEL, pools(INTEL), platform(), origins())
    assert derive_host_settings(*args)[0] == derive_host_settings(*args)[0]
