"""What is told of raw settings, to the word and the place, without a file being read; `--update` writes the goldens anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hostconfig.host_samples import AMD, ARM, INTEL, host, platform
from hostconfig.shown import EVERYWHERE, NOWHERE, golden, told
from kvmc.hostconfig.raw import check_raws, written_for
from kvmc.hostconfig.raw_xml import QEMU, parse
from kvmc.model.origins import Origins
from kvmc.model.site import DevicePool, Isolation, Pinning, Profile, Raw, Site
from kvmc.topology import Topology
from support import guests
from support.guests import nic, vm

GPU = {"gpu": DevicePool(name="gpu", parent=None, vfs=0, addresses=())}
PLAIN: dict[str, Any] = {"profile": Profile.THROUGHPUT, "isolation": Isolation.NONE, "pages": ()}
LATENCY: dict[str, Any] = {"profile": Profile.LATENCY, "isolation": Isolation.BOOT}


def _raw(name: str, value: str | None = None, reason: str | None = None, at: str | None = None) -> Raw:
    return Raw(name=name, value=value, reason=reason, at=at)


def _of_host(where: Topology, *raws: Raw, on: Mapping[str, Any] = {}, origins: Origins = EVERYWHERE, **own: Any) -> str:
    made = host(raws={one.name: one for one in raws}, **(PLAIN | own))
    site = guests.site([], platform(**on), hosts={made.name: made, "bare": host(name="bare", raws={})})
    return told(check_raws(site, {made.name: where}, origins))


WHY = "it is meant"
HOSTS: dict[str, tuple[tuple[Raw, ...], dict[str, Any]]] = {
    "taken": ((_raw("sysctl vm.min_free_kbytes", "1048576"), _raw("cmdline threadirqs"), _raw("modprobe kvm.halt_poll_ns", "0"),
               _raw("tuned sysfs./sys/kernel/mm/ksm/run", "2"), _raw("sysctl kernel.printk", "4 4 1 7", WHY)), {}),
    "at": ((_raw("sysctl vm.min_free_kbytes", "1", None, "devices"),), {}),
    "keys of another form": ((_raw("sysctl vm", "1"), _raw("modprobe kvm", "1"), _raw("tuned net", "1"), _raw("cmdline -x", "1"),
                              _raw("tuned Net.x", "1"), _raw("sysctl VM.x", "1"), _raw("modprobe a.b.c", "1")), {}),
    "no value": ((_raw("sysctl vm.min_free_kbytes"), _raw("modprobe kvm.halt_poll_ns"), _raw("tuned net.x")), {}),
    "values of another form": ((_raw("sysctl vm.min_free_kbytes", "1;2"), _raw("modprobe kvm.halt_poll_ns", "1 2"),
                                _raw("tuned net.x", "$x"), _raw("cmdline psi", "a b"), _raw("sysctl vm.numa_stat", "")), {}),
    "never existed": ((_raw("cmdline numa_aware", "1"), _raw("sysctl kernel.sched_latency_nsec", "1"),
                       _raw("modprobe kvm_intel.ept_ad", "1"), _raw("cmdline huge_pages", "1")), {}),
    "garbled": ((_raw("cmdline amd_iommu", "on", WHY), _raw("modprobe nvme.queue_depth", "9", WHY)), {}),
    "a value that is none and would harm": ((_raw("modprobe kvm.nx_huge_pages", "false"),), {}),
    "refused": ((_raw("tuned main.include", "x", WHY), _raw("tuned irqbalance.banned_cpus", "3", WHY)), {}),
    "intents": ((_raw("cmdline isolcpus", "1"), _raw("cmdline nohz-full", "1"), _raw("cmdline rcu_nocbs", "1"),
                 _raw("cmdline irqaffinity", "1"), _raw("modprobe workqueue.unbound_cpus", "1"), _raw("cmdline hugepages", "1"),
                 _raw("cmdline default_hugepagesz", "1G"), _raw("sysctl vm.nr_hugepages", "5")), {}),
    "written by the profile": ((_raw("sysctl vm.swappiness", "1", WHY), _raw("sysctl kernel.numa_balancing", "1", WHY),
                                _raw("cmdline nmi_watchdog", "1", WHY), _raw("sysctl vm.stat_interval", "9", WHY)), {}),
    "written by the latency profile": ((_raw("cmdline nmi_watchdog", "1", WHY),
        _raw("sysctl vm.stat_interval", "9", WHY)), LATENCY),
    "written for devices": ((_raw("cmdline intel_iommu", "on", WHY), _raw("cmdline iommu", "pt", WHY)), {"devices": GPU}),
    "not written without devices": ((_raw("cmdline iommu", "pt", WHY), _raw("cmdline intel_iommu", "on", WHY)), {}),
    "written for the scheduler": ((_raw("tuned sysfs./sys/kernel/debug/sched/migration_cost_ns", "5", WHY),),
                                  {"migration_cost_ns": 0}),
    "not written for the scheduler": ((_raw("tuned sysfs./sys/kernel/debug/sched/migration_cost_ns", "5", WHY),), {}),
    "twice": ((_raw("sysctl vm.dirty_bytes", "1"), _raw("tuned sysctl.vm.dirty_bytes", "2"),
        _raw("cmdline sysctl.vm.dirty_bytes", "3")),
              {}),
    "not in its kernel": ((_raw("sysctl kernel.io_uring_disabled", "1"),
        _raw("sysctl kernel.sched_min_granularity_ns", "1000000")), {}),
    "in no kernel of a range": ((_raw("sysctl kernel.io_uring_disabled", "1"),), {"on": {"kernel": "6.1..6.12"}}),
    "in its kernel": ((_raw("sysctl kernel.io_uring_disabled", "1"),), {"on": {"kernel": "6.6"}}),
    "of AMD": ((_raw("modprobe kvm_amd.avic", "1"), _raw("modprobe kvm_intel.ple_window", "1")), {}),
    "values": ((_raw("sysctl vm.min_free_kbytes", "much", WHY), _raw("cmdline threadirqs", "1", WHY),
        _raw("cmdline idle", "sleep", WHY),
                _raw("tuned sysfs./sys/kernel/mm/ksm/run", "3", WHY), _raw("cmdline crashkernel", "", WHY)), {}),
    "harmful": ((_raw("cmdline mitigations", "off"), _raw("cmdline nopti"), _raw("modprobe kvm.nx_huge_pages", "off"),
                 _raw("sysctl kernel.hung_task_panic", "1")), {}),
    "harmful with a reason": ((_raw("cmdline mitigations", "off", WHY), _raw("cmdline nopti", None, WHY)), {}),
    "harmful where CPUs are shared": ((_raw("modprobe kvm_intel.ple_gap", "0"), _raw("cmdline mitigations", "off")),
                                      {"shared_cores": 1}),
    "harmless where none is shared": ((_raw("modprobe kvm_intel.ple_gap", "0"),), {"shared_cores": 0}),
    "unknown": ((_raw("cmdline vendor.word", "1"), _raw("sysctl vm.swapiness", "1"), _raw("modprobe kvm.halt_poll_nss", "1"),
                 _raw("tuned cpu.governer", "x")), {}),
    "unknown with a reason": ((_raw("cmdline vendor.word", "1", WHY),), {}),
    "one after a wrong one": ((_raw("sysctl vm", "1"), _raw("tuned main.include", "x", WHY), _raw("sysctl vm.swappiness", "1", WHY),
                               _raw("sysctl kernel.io_uring_disabled", "1"), _raw("sysctl vm.min_free_kbytes", "much", WHY),
                               _raw("cmdline vendor.word", "1")), {}),
}  # fmt: skip


@pytest.mark.parametrize("title", HOSTS)
def test_raw_settings_of_hosts(title: str, pytestconfig: pytest.Config) -> None:
    raws, own = HOSTS[title]
    golden("raw-hosts", title, _of_host(INTEL, *raws, **own), update=pytestconfig.getoption("--update"))


def test_places_that_are_not_known(pytestconfig: pytest.Config) -> None:
    raws = [
        _raw("sysctl vm.swappiness", "1", WHY),
        _raw("sysctl kernel.io_uring_disabled", "1"),
        _raw("cmdline psi", "a b"),
    ]
    text = _of_host(AMD, *raws, origins=NOWHERE)
    golden("raw-hosts", "nowhere", text, update=pytestconfig.getoption("--update"))


def test_a_host_without_a_topology_is_not_asked() -> None:
    made = host(raws={"sysctl vm": _raw("sysctl vm", "1")}, **PLAIN)
    site = guests.site([], platform(), hosts={made.name: made})
    assert not list(check_raws(site, {}, EVERYWHERE)) and list(check_raws(site, {made.name: INTEL}, EVERYWHERE))


@pytest.mark.parametrize(
    ("title", "where", "own"),
    [
        ("throughput", INTEL, PLAIN),
        ("latency with isolation", INTEL, LATENCY),
        ("realtime, shared, on one node", AMD, {"shared_cores": 1, "isolation": Isolation.BOOT}),
        ("realtime without isolation", AMD, {"isolation": Isolation.NONE}),
        (
            "devices and the scheduler on Arm",
            ARM,
            PLAIN | {"devices": GPU, "base_slice_ns": 0, "migration_cost_ns": 0, "gicv4": True},
        ),
    ],
)
def test_what_is_written_for_a_host(
    title: str, where: Topology, own: dict[str, Any], pytestconfig: pytest.Config
) -> None:
    found = written_for(host(**own), where)
    text = "\n".join(f"{setting}: {name}" for name, setting in found.items())
    golden("raw-written", title, text, update=pytestconfig.getoption("--update"))


# -- elements of guests


def _guest(
    *raws: tuple[str | None, str | None] | tuple[str | None, str | None, str], origins: Origins = EVERYWHERE, **own: Any
) -> str:
    """Elements at their places, one guest of all."""
    found = [_raw(f"xml x{n}", one[1], one[2] if len(one) > 2 else None, one[0]) for n, one in enumerate(raws)]
    site: Site = guests.site([vm(raws={one.name: one for one in found}, **own)], guests.platform())
    return told(check_raws(site, {}, origins))


_Q = f"xmlns:q='{QEMU}'"
SHARED = {"pinning": Pinning.SHARED}
GUESTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "taken": ((("devices", "<vsock model='virtio'><cid auto='yes'/></vsock>"), ("features/kvm", "<poll-control state='on'/>"),
               ("cpu", "<feature policy='require' name='aes'/>"), ("cpu", "<feature policy='require' name='pcid'/>"),
               ("devices", "<vsock model='virtio'><cid auto='no' address='7'/></vsock>")), {}),
    "no value and no place": (((None, "<vsock/>"), ("devices", None), (None, None)), {}),
    "not sound": ((("devices", "<!DOCTYPE x><a/>"), ("devices", "<a><!-- --></a>"), ("devices", "<?x y?><a/>"),
                   ("devices", "<a>&x;</a>"), ("devices", "<a>"), ("devices", "<e:a xmlns:e='urn:x'/>"),
                   ("devices", f"<a {_Q} q:b='1'/>"), ("devices", "<a>" * 17 + "</a>" * 17)), {}),
    "twice": ((("features/kvm", "<poll-control state='on'/>"), ("features/kvm", "<poll-control state='off'/>"),
               ("domain", "<defaultiothread thread_pool_min='2'/>"), ("domain", "<defaultiothread thread_pool_min='3'/>")), {}),
    "kvmc writes it": ((("domain", "<vcpu>3</vcpu>", WHY), ("devices", "<disk type='file'/>", WHY),
        ("cputune", "<vcpupin/>", WHY)), {}),
    "kvmc's hint": ((("features/kvm", "<hint-dedicated state='on'/>", WHY),), {"pinning": Pinning.DEDICATED}),
    "kvmc's hint, shared": ((("features/kvm", "<hint-dedicated state='on'/>"),), SHARED),
    "kvmc's hint, shared and meant": ((("features/kvm", "<hint-dedicated state='on'/>", WHY),), SHARED),
    "kvmc's hint, emulated": ((("features/kvm", "<hint-dedicated state='on'/>"),), {"type": "qemu"}),
    "kvmc's hint, a named model": ((("features/kvm", "<hint-dedicated state='on'/>"),), {"cpu": "EPYC"}),
    "features that the guest has": ((("cpu", "<feature policy='require' name='topoext'/>"), ("cpu", '<feature name="vaes"/>'),
                                     ("cpu", "<feature name='avx'/>"), ("cpu", "<feature name='avx512f'/>")),
                                    {"require": ("vaes",), "disable": ("avx",)}),
    "written on demand": ((("cpu", "<maxphysaddr mode='passthrough'/>", WHY), ("features", "<hyperv/>", WHY),
        ("features", "<smm/>", WHY),
                           ("memoryBacking", "<source type='memfd'/>", WHY), ("memoryBacking", "<access mode='shared'/>", WHY),
                           ("devices", "<tpm model='tpm-crb'/>", WHY)),
                          {"maxphysaddr": "passthrough", "hyperv": True, "secure_boot": True, "tpm": True,
                           "nics": [nic("u", network=None, socket="/run/s")]}),
    "not written": ((("cpu", "<maxphysaddr mode='passthrough'/>", WHY), ("features", "<hyperv/>", WHY), ("features", "<smm/>", WHY),
                     ("memoryBacking", "<source type='memfd'/>", WHY), ("memoryBacking", "<access mode='shared'/>", WHY),
                     ("devices", "<tpm model='tpm-crb'/>", WHY), ("features", "<gic version='3'/>", WHY)), {}),
    "of Arm's machine": ((("features", "<gic version='3'/>", WHY),), {"machine": "virt-7.2"}),
    "folklore": ((("cpu", "<feature policy='require' name='cet-pt'/>"), ("devices", "<vsock queue_depth='3'/>", WHY),
                  ("domain", f"<q:commandline {_Q}><q:arg value='-x,-enable-rvi=1'/></q:commandline>", WHY)), {}),
    "folklore that is not known either": ((("devices", "<nonesuch queue_depth='3'/>"),), {}),
    "too new": ((("domain", "<iothreadids><iothread id='1'><poll weight='3'/></iothread></iothreadids>", WHY),), {}),
    "harmful": ((("features/kvm", "<hidden state='on'/>"), ("cpu", "<feature policy='disable' name='avx2'/>"),
                 ("cpu", "<feature policy='forbid' name='sse4.1'/>")), {}),
    "harmless": ((("features/kvm", "<hidden state='off'/>"), ("cpu", "<feature policy='force' name='avx2'/>")), {}),
    "harmful and meant": ((("features/kvm", "<hidden state='on'/>", WHY),
        ("cpu", "<feature policy='disable' name='avx2'/>", WHY)), {}),
    "unknown": ((("devices", "<nonesuch/>"), ("domain", f"<q:commandline {_Q}><q:arg value='-trace'/></q:commandline>"),
                 ("features", "<none/>"), ("devices", "<known/>", WHY)), {}),
}  # fmt: skip


@pytest.mark.parametrize("title", GUESTS)
def test_raw_elements_of_guests(title: str, pytestconfig: pytest.Config) -> None:
    raws, own = GUESTS[title]
    golden("raw-guests", title, _guest(*raws, **own), update=pytestconfig.getoption("--update"))


def test_guests_and_places_that_are_not_known(pytestconfig: pytest.Config) -> None:
    too_new = "<iothreadids><iothread id='1'><poll weight='3'/></iothread></iothreadids>"
    twice = [("features/kvm", "<poll-control state='on'/>"), ("features/kvm", "<poll-control state='off'/>")]
    text = _guest(*twice, ("domain", too_new), ("devices", None), origins=NOWHERE)
    golden("raw-guests", "nowhere", text, update=pytestconfig.getoption("--update"))


@pytest.mark.parametrize(
    ("tied", "told_of"),
    [({}, 1), ({"host": "new"}, 0), ({"host": "old"}, 1), ({"pool": "fresh"}, 0), ({"pool": "stale"}, 1),
     ({"pool": "stale", "host": "new"}, 0)],
)  # fmt: skip
def test_only_hosts_that_may_have_the_guest_are_asked(tied: dict[str, Any], told_of: int) -> None:
    too_new = _raw("xml x", "<iothreadids><iothread id='1'><poll/></iothread></iothreadids>", WHY, "domain")
    old, new = guests.platform(name="old", libvirt="9.0"), guests.platform(name="new", libvirt="12.0")
    hosts = {
        "old": host(name="old", platform="old", pool="stale", raws={}),
        "new": host(name="new", platform="new", pool="fresh", raws={}),
    }
    site = guests.site([vm(raws={"xml x": too_new}, **tied)], old, platforms={"old": old, "new": new}, hosts=hosts)
    assert len(list(check_raws(site, {}, EVERYWHERE))) == told_of


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("<a>" * 16 + "</a>" * 16, True),
        ("<a>" * 17 + "</a>" * 17, False),
        ("<a><b/>" + "<b>" * 15 + "</b>" * 15 + "</a>", True),
        ("<a b='&amp;&lt;&gt;&quot;&apos;&#65;&#x41;'/>", True),
        ("<a b='&#12345678;'/>", False),
        ("<a b='&nbsp;'/>", False),
        (f"<q:a xmlns:q='{QEMU}'/>", True),
        (f"<a><q:b xmlns:q='{QEMU}'/></a>", True),
        ("<a><e:b xmlns:e='urn:x'/></a>", False),
        (f"<a><b xmlns:q='{QEMU}' q:c=''/></a>", False),
        ("<a/>tail", False),
        ("", False),
    ],
)
def test_what_is_an_element(text: str, sound: bool) -> None:
    assert isinstance(parse(text), str) is not sound
