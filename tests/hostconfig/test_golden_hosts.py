"""Hosts' settings, to the value, the origin and the place, and what a host is told to do; `--update` writes the goldens anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from hostconfig.host_samples import (
    AMD,
    ARM,
    GIB,
    INTEL,
    PF2,
    SINGLE,
    SPARSE,
    host,
    platform,
    pools,
    topology,
)
from hostconfig.host_samples import plan as planned
from hostconfig.shown import EVERYWHERE, NOWHERE, golden, told, word
from kvmc.diagnostics import Bag
from kvmc.hostconfig.apply import apply_list
from kvmc.hostconfig.derive import derive
from kvmc.hostconfig.host import HostSettings, derive_host_settings
from kvmc.hostconfig.plan import HostPlan
from kvmc.model.cpuset import CpuSet
from kvmc.model.origins import Origins
from kvmc.model.site import Boot, DevicePool, Host, IrqAffinity, Isolation, Platform, Profile, Raw
from kvmc.model.values import PageCount, PciAddress
from kvmc.resolver.locks import GuestLock, HostLock, Identity
from kvmc.resolver.placement import GuestPlacement, HostPools, Placement
from kvmc.topology import Node, PciDevice, Topology
from kvmc.topology.model import Facts
from kvmc_targets import BUILTIN
from support import guests

GPU = PciAddress.parse("0000:5e:00.0")
DEVICES = [
    PciDevice(PciAddress(0, 0x10 + n, 0, 0), node=2, class_id=kind)
    for n, kind in enumerate([0x020000, 0x010802, 0x030000, None])
] + [PciDevice(GPU, node=2, class_id=0x030200), PciDevice(PciAddress(0, 9, 0, 0), node=0, class_id=0x020000)]
DEVICES += [PciDevice(PciAddress(0, 0x30 + n, 0, 0), node=6, class_id=0x020000) for n in range(9)]
POOLS = {
    "n3": DevicePool(name="n3", parent=PF2, vfs=8, addresses=()),
    "gpu": DevicePool(name="gpu", parent=None, vfs=0, addresses=(GPU,)),
}
RAWS = {
    one.name: one
    for one in (
        Raw(name="cmdline thread-irqs", value=None, reason=None, at=None),
        Raw(name="modprobe kvm-x.halt-poll", value="5", reason="measured", at=None),
        Raw(name="sysctl net-x.a-b", value="1", reason=None, at=None),
        Raw(name="tuned net.a-b", value="rx 1", reason="a NIC", at=None),
    )
}
BOTH_SIZES = (PageCount(4, GIB), PageCount(8, 2048), PageCount(0, 64))


def settled(
    where: Topology,
    of: HostPools | None = None,
    on: Platform | None = None,
    origins: Origins = EVERYWHERE,
    **changes: Any,
) -> tuple[HostSettings, Bag]:
    return derive_host_settings(host(**changes), where, of or pools(where), on or platform(), origins)


def facts(**changes: object) -> Platform:
    """A platform whose facts were seen on a host."""
    return platform(known=Facts(**changes))  # type: ignore[arg-type]


LATENCY: dict[str, Any] = {"profile": Profile.LATENCY}
PLAIN: dict[str, Any] = {"profile": Profile.THROUGHPUT, "isolation": Isolation.NONE, "pages": ()}
CASES: Mapping[str, Callable[[], tuple[HostSettings, Bag]]] = {
    "realtime on Intel": lambda: settled(INTEL),
    "realtime on Intel, newest kernel": lambda: settled(INTEL, on=platform(kernel="7.2")),
    "realtime on AMD with a shared pool and a vswitch": lambda: settled(AMD, pools(AMD, shared=2, vswitch=1)),
    "realtime on one node": lambda: settled(SINGLE),
    "latency on Arm": lambda: settled(ARM, **LATENCY),
    "throughput": lambda: settled(INTEL, **PLAIN),
    "throughput, all is housekeeping": lambda: settled(SINGLE, pools(SINGLE, housekeeping=8), **PLAIN),
    "throughput, nothing is housekeeping": lambda: settled(SINGLE, pools(SINGLE, housekeeping=0, shared=8), **PLAIN),
    "a vswitch alone": lambda: settled(SINGLE, pools(SINGLE, housekeeping=1, vswitch=7), **LATENCY),
    "nothing to isolate": lambda: settled(SINGLE, pools(SINGLE, housekeeping=4, shared=4), **LATENCY),
    "latency without isolation": lambda: settled(SINGLE, isolation=Isolation.NONE, **LATENCY),
    "pages of two sizes": lambda: settled(
        SPARSE, pages=BOTH_SIZES, reserve_pages=(PageCount(2, GIB), PageCount(1, 2048)), **LATENCY
    ),
    "pages of two sizes on an old kernel": lambda: settled(
        INTEL, on=platform(kernel="5.15"), pages=BOTH_SIZES, **LATENCY
    ),
    "reserved pages alone": lambda: settled(SINGLE, pages=(), reserve_pages=(PageCount(2, 2048),), **LATENCY),
    "pages of 64 KiB and of 16 GiB": lambda: settled(
        SINGLE, pages=(PageCount(2, 64), PageCount(1, 16 * GIB)), **LATENCY
    ),
    "a node without memory": lambda: settled(
        topology([(0, "0-7")], extra=(Node(1, CpuSet.parse("8-15"), 0),)), HostPools(
            CpuSet.of([0]), CpuSet(), CpuSet.parse("1-7"), CpuSet()), **LATENCY
    ),
    "devices on Intel": lambda: settled(INTEL, devices=POOLS, **PLAIN),
    "devices on AMD": lambda: settled(AMD, devices=POOLS, **PLAIN),
    "devices on Arm": lambda: settled(ARM, devices=POOLS, **PLAIN),
    "devices on a CPU of no known vendor": lambda: settled(topology([(0, "0-7")], None), devices=POOLS, **PLAIN),
    "devices on another vendor's CPU": lambda: settled(topology([(0, "0-7")], "VIA"), devices=POOLS, **PLAIN),
    "an old kernel": lambda: settled(INTEL, on=platform(kernel="4.18")),
    "an old kernel, and the source is not known": lambda: settled(INTEL, on=platform(kernel="4.18"), origins=NOWHERE),
    "an old tuned": lambda: settled(INTEL, on=platform(tuned="2.8"), **LATENCY),
    "interrupts by node": lambda: settled(INTEL, irq_affinity=IrqAffinity.NODE, **PLAIN),
    "interrupts of a node without CPUs": lambda: settled(
        replace(SPARSE, nodes=tuple(replace(node, distances={0: 20, 4: 12 + node.id}) for node in SPARSE.nodes),
                pci={one.address: one for one in DEVICES}),
        irq_affinity=IrqAffinity.NODE, devices=POOLS, **PLAIN,
    ),
    "interrupts of a node without CPUs and distances": lambda: settled(
        replace(SPARSE, pci={one.address: one for one in DEVICES[:1]}), irq_affinity=IrqAffinity.NODE, **PLAIN
    ),
    "interrupts of many devices": lambda: settled(
        replace(SPARSE, pci={one.address: replace(one, node=2) for one in DEVICES}), irq_affinity=IrqAffinity.NODE, **PLAIN
    ),
    "GICv4": lambda: settled(ARM, gicv4=True, **PLAIN),
    "GICv4 of another machine": lambda: settled(INTEL, gicv4=True, **PLAIN),
    "the boot CPU is given away": lambda: settled(
        SINGLE, HostPools(CpuSet.parse("1,9"), CpuSet(), SINGLE.online - CpuSet.parse("1,9"), CpuSet()),
        boot_cpu=False, boot_cpu_reason="measured", **LATENCY,
    ),
    "raw settings": lambda: settled(INTEL, raws=RAWS, **PLAIN),
    "the scheduler by sysctl": lambda: settled(
        INTEL, on=platform(kernel="5.10"), base_slice_ns=3_000_000, migration_cost_ns=0, **PLAIN
    ),
    "the scheduler by debugfs": lambda: settled(
        INTEL, on=platform(kernel="5.13..6.5"), base_slice_ns=3_000_000, migration_cost_ns=5, **PLAIN
    ),
    "the scheduler of EEVDF": lambda: settled(INTEL, on=platform(kernel="6.6"), base_slice_ns=3_000_000, **PLAIN),
    "the scheduler of two kernels": lambda: settled(
        INTEL, on=platform(kernel="5.12..6.6"), base_slice_ns=3_000_000, migration_cost_ns=5, **PLAIN
    ),
    "facts: what a module does not have": lambda: settled(
        INTEL, on=facts(modules={"kvm": ("nx_huge_pages_recovery_ratio",), "kvm_intel": ()})
    ),
    "facts: what the sysctls are": lambda: settled(INTEL, on=facts(sysctls=("vm.swappiness",)), **LATENCY),
    "facts: a kernel that was built without": lambda: settled(
        INTEL, on=facts(kernel_config={"NUMA": "y"}), base_slice_ns=3_000_000, **LATENCY
    ),
    "facts: what debugfs has": lambda: settled(
        INTEL, on=facts(debugfs={"sched": ("base_slice_ns",)}),
        base_slice_ns=3_000_000, migration_cost_ns=5, **PLAIN,
    ),
    "facts: another folder of debugfs": lambda: settled(
        INTEL, on=facts(debugfs={"x": ("min_granularity_ns",)}), base_slice_ns=3_000_000, **PLAIN
    ),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_hosts(title: str, pytestconfig: pytest.Config) -> None:
    own, bag = CASES[title]()
    lines = [f"isolated: {own.isolated}", f"pages: {word(own.pages)}", f"sriov: {word(own.sriov)}"]
    lines += [
        f"{one.carrier} {one.key} = {one.value} ({one.effect}) by {', '.join(one.origin)}: {one.why}"
        for one in own.settings
    ]
    text = "\n".join(lines)
    golden("hosts", title, f"{text}\n\n{told(bag)}", update=pytestconfig.getoption("--update"))


def _applied(plan: HostPlan) -> str:
    artifacts = [artifact for target in BUILTIN for artifact in target.render(plan)]
    parsed = json.loads(apply_list(plan, artifacts).text)
    rows = [f"{key}: {value}" for key, value in parsed.items() if not isinstance(value, list)]
    for key in ("absent", "files", "steps"):
        rows += [f"{key}:", *(f"  {json.dumps(one, ensure_ascii=False)}" for one in parsed[key])]
    return "\n".join(rows)


APPLIED: Mapping[str, Callable[[], HostPlan]] = {
    "all of GRUB": lambda: planned(INTEL, devices=POOLS, pages=BOTH_SIZES),
    "boot entries": lambda: planned(INTEL, on=platform(boot=Boot.BLS, kernel="5.15"), devices=POOLS, pages=BOTH_SIZES),
    "an image": lambda: planned(INTEL, on=platform(boot=Boot.BOOTC, tuned="2.24")),
    "nothing, and guests that are gone": lambda: replace(
        planned(SINGLE, of=pools(SINGLE, housekeeping=8), **PLAIN), settings=(), retired={"größe": "u-1", "old": "u-2"}
    ),
    "guests": lambda: guests.host_plan([guests.derive(guests.vm(), [guests.cell(0, 0, [1, 17, 2, 18])])[0]]),
}


def test_names_stand_in_the_list_as_they_are() -> None:
    assert "größe is gone" in apply_list(APPLIED["nothing, and guests that are gone"](), []).text


@pytest.mark.parametrize("title", APPLIED)
def test_what_a_host_is_told_to_do(title: str, pytestconfig: pytest.Config) -> None:
    golden("applied", title, _applied(APPLIED[title]()), update=pytestconfig.getoption("--update"))


# -- both halves together


def _lock(name: str, retired: Mapping[str, str], **uuids: str) -> HostLock:
    empty = CpuSet()
    found = {
        guest: GuestLock(GuestPlacement(guest, name, (), empty, empty, {}), Identity(uuid, {}, {}, {}))
        for guest, uuid in uuids.items()
    }
    return HostLock(name, "", found, retired)


def _joined(
    own: tuple[Host, ...], placed: tuple[str, ...], locks: Mapping[str, HostLock], *targets: str
) -> tuple[tuple[HostPlan, ...], Bag]:
    where = guests.topology()
    vms = [guests.vm("here"), guests.vm("there", require=("aes", "avx512f")), guests.vm("base", cpu="baseline")]
    of = guests.site(vms, platform(), hosts={one.name: one for one in own}, targets=targets)
    topologies = {one.name: where for one in own}
    pool = HostPools(CpuSet.of([0, 8, 16, 24]), CpuSet(), where.online - CpuSet.of([0, 8, 16, 24]), CpuSet())
    first = own[0].name
    cells = {
        vm.name: guests.place({vm.name: [guests.cell(0, 0, [1, 17, 2, 18])]}, host=host).guests[vm.name]
        for vm, host in zip(vms, (first, own[-1].name, first), strict=True)
        if host in placed
    }
    identities = {
        name: Identity(f"uuid-{name}", {}, {"rng": PciAddress(0, 1, 0, 0)}, {}) for name in cells
    }  # no disks and NICs: an address of the one device is all
    placement = Placement(dict.fromkeys(placed, pool), cells)
    return derive(of, topologies, placement, identities, locks, EVERYWHERE)


def _host(name: str, **changes: object) -> Host:
    return host(**({"name": name, **PLAIN} | changes))


ALL_TARGETS = ("libvirt", "cmdline", "sysctl", "tuned", "modprobe", "systemd")
JOINED: Mapping[str, Callable[[], tuple[tuple[HostPlan, ...], Bag]]] = {
    "two hosts": lambda: _joined((_host("a"), _host("b")), ("a", "b"), {}, *ALL_TARGETS),
    "one of two has no place": lambda: _joined((_host("a"), _host("b")), ("a",), {}, *ALL_TARGETS),
    "guests of the last build": lambda: _joined(
        (_host("a"), _host("b")), ("a", "b"),
        {"a": _lock("a", {"older": "uuid-older", "here": "uuid-before", "back": "uuid-base"}, gone="uuid-gone",
                    renamed="uuid-here", base="uuid-x"), "b": _lock("b", {}, here="uuid-here")},
        *ALL_TARGETS,
    ),
    "carriers without a target": lambda: _joined(
        (_host("a"), _host("b", devices=POOLS, isolation=Isolation.BOOT)), ("a", "b"), {}, "libvirt", "tuned"
    ),
    "functions without a target": lambda: _joined((_host("a", devices=POOLS),), ("a",), {}, *ALL_TARGETS[:-1]),
}  # fmt: skip


@pytest.mark.parametrize("title", JOINED)
def test_both_halves(title: str, pytestconfig: pytest.Config) -> None:
    plans, bag = JOINED[title]()
    rows = [
        f"{one.host} {one.arch} {one.vendor} {one.platform.name} {word(one.pools)} isolated={one.isolated} "
        f"{len(one.settings)} settings, {len(one.pages)} pages, {len(one.sriov)} parents; "
        f"guests: {', '.join(f'{guest.name} ({guest.cpu} {word(guest.cpu_features)})' for guest in one.guests)}; "
        f"retired: {word(one.retired)}"
        for one in plans
    ]
    text = "\n".join(rows)
    golden("joined", title, f"{text}\n\n{told(bag)}", update=pytestconfig.getoption("--update"))
