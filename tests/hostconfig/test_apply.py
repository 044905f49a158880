"""apply.json and the joining of both halves."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from hostconfig.host_samples import GIB, INTEL, PF, devices, host, origins, plan, platform, pools
from kvmc.artifacts import Artifact, Comment, Phase, Seal, Step, inspect, seal
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.apply import apply_list, merge_steps
from kvmc.hostconfig.derive import derive
from kvmc.hostconfig.identity import identify
from kvmc.hostconfig.plan import Carrier, Effect, HostPlan
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Boot, Isolation, Profile, Site
from kvmc.model.values import PageCount
from kvmc.resolver.locks import GuestLock, HostLock, Identity
from kvmc.resolver.placement import GuestPlacement, HostPools, Placement
from kvmc_targets import BUILTIN
from support import guests

TARGETS = ("libvirt", "cmdline", "sysctl", "tuned", "modprobe", "systemd")


def rendered(of: HostPlan) -> list[Artifact]:
    return [artifact for target in BUILTIN for artifact in target.render(of)]


def listed(of: HostPlan, artifacts: list[Artifact] | None = None) -> dict[str, Any]:
    parsed = json.loads(seal(apply_list(of, rendered(of) if artifacts is None else artifacts)))
    assert isinstance(parsed, dict)
    return parsed


def site(**changes: Any) -> Site:
    own = host(**changes.pop("host", {}))
    values: dict[str, Any] = {
        "name": "s",
        "identity": "s.example.net",
        "targets": TARGETS,
        "platforms": {"rt12": platform()},
        "hosts": {own.name: own},
        "networks": {},
        "storages": {},
        "vms": {},
        "places": {},
    }
    return Site(**(values | changes))


def guest_lock(name: str, uuid: str) -> GuestLock:
    return GuestLock(GuestPlacement(name, "edge-17a", (), CpuSet(), CpuSet(), {}), Identity(uuid, {}, {}, {}))


def test_sealed_list_is_json_and_ours() -> None:
    text = seal(apply_list(plan(INTEL), rendered(plan(INTEL))))
    assert inspect(text) is Seal.OURS
    assert inspect(text.replace("edge-17a", "edge-17b")) is Seal.EDITED
    assert list(json.loads(text))[:3] == ["generated", "format", "host"]


def test_files_and_absent_together_are_all_that_kvmc_may_own() -> None:
    of = plan(INTEL, devices=devices(n3=8))
    shown = listed(of)
    written = {file["path"] for file in shown["files"]}
    absent = {file["path"] for file in shown["absent"]}
    assert written == {f"/{one.path}" for one in rendered(of) if not one.path.startswith("measure/")}
    assert not written & absent
    assert "/etc/default/grub.d/zz-kvmc.cfg" in written
    assert {"/etc/kernel/install.d/95-kvmc.install", "/etc/systemd/system/kvmc-hugepages.service"} <= absent
    modes = {file["path"]: file["mode"] for file in shown["files"]}
    assert modes["/etc/kvmc/make-vfs"] == "0755"
    assert modes["/etc/sysctl.d/90-kvmc.conf"] == "0644"


def test_effects_of_files() -> None:
    effects = {file["path"]: file["effect"] for file in listed(plan(INTEL))["files"]}
    assert effects["/etc/default/grub.d/zz-kvmc.cfg"] == "reboot"
    assert effects["/etc/modprobe.d/kvmc.conf"] == "reboot"
    assert effects["/etc/sysctl.d/90-kvmc.conf"] == "live"


@pytest.mark.parametrize("boot", Boot)
def test_steps_are_by_phase_and_single(boot: Boot) -> None:
    steps = listed(
        plan(INTEL, on=platform(boot=boot), devices=devices(n3=8), pages=(PageCount(4, GIB), PageCount(8, 2048)))
    )["steps"]
    order = [phase.value for phase in Phase]
    phases = [order.index(step["phase"]) for step in steps]
    assert phases == sorted(phases)
    runs = [tuple(step["run"]) for step in steps]
    assert len(runs) == len(set(runs))
    assert runs.count(("systemctl", "daemon-reload")) == 1


def test_merging_keeps_the_strongest_effect() -> None:
    one = Step(Phase.BOOT, ("a",), Effect.LIVE)
    two = Step(Phase.BOOT, ("a",), Effect.REBOOT, "why")
    three = Step(Phase.RELOAD, ("b",), Effect.LIVE)
    assert merge_steps([one, two, three]) == [three, Step(Phase.BOOT, ("a",), Effect.REBOOT, "why")]


def test_retired_guests_are_undefined_before_others_are_defined() -> None:
    of = dataclasses.replace(plan(INTEL), retired={"old": "4dea22b3-1d52-48f3-9516-782e98ab3fa0"})
    define = Step(Phase.GUESTS, ("virsh", "define", "--validate", "domains/new.xml"), Effect.RESTART)
    domain = Artifact("domains/new.xml", "<domain/>\n", Comment.XML, steps=(define,))
    shown = listed(of, [domain])
    assert shown["files"] == []
    assert [step["run"][-1] for step in shown["steps"]] == ["4dea22b3-1d52-48f3-9516-782e98ab3fa0", "domains/new.xml"]
    assert "--keep-nvram" in shown["steps"][0]["run"]


def joined(of: Site, lock: HostLock | None = None) -> tuple[tuple[HostPlan, ...], list[str]]:
    placement = Placement({"edge-17a": pools(INTEL)}, {})
    plans, bag = derive(of, {"edge-17a": INTEL}, placement, {}, {"edge-17a": lock} if lock else {}, origins())
    return plans, [item.code.id for item in bag]


def test_a_host_without_guests_is_a_whole_plan() -> None:
    (of,), found = joined(site())
    assert found == []
    assert of == plan(INTEL)


def test_retired_are_those_that_are_not_here() -> None:
    lock = HostLock("edge-17a", "", {"gone": guest_lock("gone", "u1")}, {"before": "u0"})
    (of,), _ = joined(site(), lock)
    assert dict(of.retired) == {"before": "u0", "gone": "u1"}
    assert list(of.retired) == ["before", "gone"]


def test_settings_in_use_need_their_targets() -> None:
    of = site(targets=("libvirt", "tuned"), host={"devices": devices(n3=8)})
    placement = Placement({"edge-17a": pools(INTEL)}, {})
    _, bag = derive(of, {"edge-17a": INTEL}, placement, {}, {}, origins())
    (item,) = bag
    assert item.code is codes.NO_CARRIER
    assert item.primary is not None
    assert item.primary.span == origins().table[("site", "s", "targets")].span
    lacking = [Carrier.CMDLINE, Carrier.SYSCTL, Carrier.MODPROBE, Carrier.SYSTEMD]
    for carrier, note in zip(lacking, item.notes, strict=True):
        first = plan(INTEL, devices=devices(n3=8)).carried(carrier)[0]
        assert f"`{carrier}`" in item.message
        assert f"`{first.key}`" in note
        assert first.origin[0] in note


def test_functions_alone_need_the_systemd_target() -> None:
    of = site(
        targets=("cmdline", "sysctl", "tuned"),
        host={"devices": devices(n3=8), "profile": Profile.THROUGHPUT, "isolation": Isolation.NONE, "pages": ()},
    )
    everything = HostPools(INTEL.online, CpuSet(), CpuSet(), CpuSet())
    _, bag = derive(of, {"edge-17a": INTEL}, Placement({"edge-17a": everything}, {}), {}, {}, origins())
    (item,) = bag
    assert "`systemd`" in item.message
    assert str(PF) in item.notes[0]


def test_adding_guests_changes_nothing_of_the_host() -> None:
    """The same host with no guest, one and two: only the domains and the list differ."""
    on = guests.platform()
    trees: list[dict[str, str]] = []
    where = guests.topology()
    sets: tuple[tuple[str, ...], ...] = ((), ("db-1",), ("db-1", "db-2"))
    for names in sets:
        vms = [guests.vm(name) for name in names]
        made = guests.site(vms, on, targets=TARGETS)
        cells = {name: [guests.cell(0, 0, range(2 + 4 * at, 6 + 4 * at))] for at, name in enumerate(names)}
        own = HostPools(CpuSet.of([0, 8, 16, 24]), CpuSet(), where.online - CpuSet.of([0, 8, 16, 24]), CpuSet())
        placement = Placement({"h": own}, guests.place(cells).guests)
        found = guests.origins_of(made)
        identities, bag = identify(made, placement, {}, found)
        plans, more = derive(made, {"h": where}, placement, identities, {}, found)
        assert not bag.has_errors and not more.has_errors, [*bag, *more]
        (of,) = plans
        assert [guest.name for guest in of.guests] == list(names)
        trees.append({artifact.path: seal(artifact) for artifact in rendered(of)})
    for names, tree in zip(sets, trees, strict=True):
        own_files = {path: text for path, text in tree.items() if path.startswith("etc/")}
        assert own_files == {path: text for path, text in trees[0].items() if path.startswith("etc/")}
        domains = {path for path in tree if path.startswith("domains/")}
        assert domains == {f"domains/{name}.xml" for name in names}


def test_a_target_that_nothing_needs_may_be_missing() -> None:
    of = site(
        targets=("libvirt", "sysctl", "tuned", "systemd"),
        host={"isolation": Isolation.NONE, "profile": Profile.THROUGHPUT, "pages": ()},
    )
    assert joined(of)[1] == []
