"""Interrupts by node from the site's line to the host: built, audited, compared with what runs and with the build before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kvmc.audit.check import audit_site
from kvmc.diagnostics import Code, Severity
from kvmc.diagnostics.codes import audit as codes
from kvmc.driver.stages import plan_site
from kvmc.model.site import Site
from kvmc.verify.check import Verdict, verify_host
from kvmc.verify.compare import compare
from kvmc.verify.difference import Effect, Kind
from kvmc.verify.root import TextRoot
from verify.simulate import Built, built, simulate

BASE = Path(__file__).parents[1] / "diagnostics/base"
SCRIPT, ASKED = "etc/kvmc/place-irqs", "etc/kvmc/irqs-of-guests"
UNITS = "etc/systemd/system/"
TIMER, OFF = f"{UNITS}kvmc-irqs.timer", f"{UNITS}irqbalance.service.d/91-kvmc-irqs.conf"
VF = "0000:3b:01.0"
GUEST = """
vm three : db {
  irq_affinity = vcpus
  nic vf {
    device = nics
  }
}
"""


def write(folder: Path, *changes: tuple[str, str], more: str = GUEST) -> Path:
    shutil.copytree(BASE, folder)
    text = (folder / "site.kvmt").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "site.kvmt").write_text(text + more)
    return folder


NODE = ("isolation = boot", "isolation = boot\n  irq_affinity = node")


Edit = Callable[[str], str]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Built]:
    """Without the setting and with it; the same site and the same hosts."""
    folder = tmp_path_factory.mktemp("irqs")
    before = built(write(folder / "before", more=GUEST.replace("  irq_affinity = vcpus\n", "")))
    return before, built(write(folder / "after", NODE))


@pytest.fixture(scope="module")
def placed(sites: tuple[Built, Built]) -> Built:
    return sites[1]


@pytest.fixture(scope="module")
def site(placed: Built) -> Site:
    site = plan_site(placed.folder / "site.kvmt").site
    assert site is not None
    return site


def edit(old: str, new: str) -> Edit:
    def change(text: str) -> str:
        assert old in text, text
        return text.replace(old, new, 1)

    return change


def audited(one: Built, site: Site, path: str, change: Edit | None) -> list[Code]:
    files = dict(one.trees["a"])
    if change is None:
        del files[path]
    else:
        files[path] = change(files[path])
    found = audit_site({"a": files}, one.topologies, site)
    return [item.code for item in found if item.severity is Severity.ERROR]


def test_the_files_say_where_interrupts_go(placed: Built) -> None:
    files = placed.trees["a"]
    calls = [line for line in files[SCRIPT].splitlines() if line.startswith(("place_node ", "place_rest "))]
    assert calls == ["place_node 0 0,12", "place_node 1 6,18", "place_rest 0,6,12,18 41041"]
    # the VF is of node 0, and so is the guest
    assert [line for line in files[ASKED].splitlines() if not line.startswith("#")] == [f"{VF} 0,12"]
    assert "ConditionPathExists=!/etc/kvmc/place-irqs" in files[OFF].splitlines()


def test_what_was_built_is_right(placed: Built, site: Site) -> None:
    assert audited(placed, site, SCRIPT, str) == []


@pytest.mark.parametrize(
    ("path", "change", "code"),
    [
        (SCRIPT, edit("place_node 0 0,12", "place_node 0 6,18"), codes.IRQS_DIFFER),
        (SCRIPT, edit("place_node 0 0,12", "place_node 0 0,2,12"), codes.IRQS_DIFFER),
        (SCRIPT, edit("place_node 0 0,12", "place_node 0 2-0"), codes.VALUE_UNREADABLE),
        (SCRIPT, edit("place_node 1 6,18\n", ""), codes.IRQS_DIFFER),
        (SCRIPT, edit("place_node 1 6,18\n", "place_node 1 6,18\nplace_node 2 6\n"), codes.IRQS_DIFFER),
        (SCRIPT, edit("place_node 1 6,18\n", "place_node 1 6,18\nplace_node 1 6,18\n"), codes.REPEATED),
        (SCRIPT, edit("place_rest 0,6,12,18", "place_rest 0,1,6,12,18"), codes.IRQS_DIFFER),
        (SCRIPT, edit(" 41041", " 41043"), codes.IRQS_DIFFER),
        (SCRIPT, edit(" 41041", " 4104,,"), codes.VALUE_UNREADABLE),
        (SCRIPT, edit("place_asked\nplace_node", "place_node"), codes.SCRIPT_DIFFERS),
        (SCRIPT, edit('[ "$has" = "$2" ]', '[ "$has" != "$2" ]'), codes.SCRIPT_DIFFERS),
        (SCRIPT, None, codes.IRQS_DIFFER),
        (TIMER, None, codes.IRQS_DIFFER),
        (TIMER, edit("OnUnitInactiveSec=30s", "OnUnitInactiveSec=30h"), codes.UNIT_DIFFERS),
        (f"{UNITS}kvmc-irqs.service", None, codes.IRQS_DIFFER),
        (f"{UNITS}kvmc-irqs.service", edit("oneshot", "simple"), codes.UNIT_DIFFERS),
        (OFF, None, codes.IRQS_DIFFER),
        (OFF, edit("=!/etc", "=/etc"), codes.UNIT_DIFFERS),
        (ASKED, None, codes.IRQS_DIFFER),
        (ASKED, edit(f"{VF} 0,12", f"{VF} 6,18"), codes.IRQS_DIFFER),
        (ASKED, edit(VF, "0000:3b:01.1"), codes.IRQS_DIFFER),
        (ASKED, edit(f"{VF} 0,12", f"{VF} 0,12\n0000:b0:00.0 0"), codes.IRQS_DIFFER),
        (ASKED, edit(f"{VF} 0,12", f"{VF} 0,12\n{VF} 0,12"), codes.REPEATED),
        (ASKED, edit(f"{VF} 0,12", f"{VF} 0,12 2"), codes.SCRIPT_DIFFERS),
    ],
)
def test_each_damage_is_found(path: str, change: Edit | None, code: Code, placed: Built, site: Site) -> None:
    assert code in audited(placed, site, path, change)


@pytest.mark.parametrize("path", [SCRIPT, TIMER, OFF, ASKED])
def test_what_nothing_asks_for_is_found(path: str, sites: tuple[Built, Built]) -> None:
    before, after = sites
    site = plan_site(before.folder / "site.kvmt").site
    files = dict(before.trees["a"])
    files[path] = after.trees["a"][path]
    assert codes.IRQS_DIFFER in [item.code for item in audit_site({"a": files}, before.topologies, site)]


def test_interrupts_on_kept_cpus_are_found_without_a_site(placed: Built) -> None:
    files = dict(placed.trees["a"])
    files[SCRIPT] = files[SCRIPT].replace("place_node 0 0,12", "place_node 0 0,2,12")
    found = [item for item in audit_site({"a": files}, placed.topologies, None) if item.code is codes.IRQS_DIFFER]
    assert [item.message for item in found] == ["interrupts are put on CPU 2, which is kept for guests"]


# -- what runs


def running(placed: Built, **irqs: str) -> Verdict:
    """irqs: `n40_0000_3b_00_0_0="5"`: interrupt 40 of the device, of node 0, served on CPU 5."""
    texts = placed.trees["a"]
    root = simulate("a", texts, placed.topologies["a"], running=False)
    for name, cpus in irqs.items():
        number, domain, bus, slot, function, node, *action = name.removeprefix("n").split("_")
        device = f"sys/bus/pci/devices/{domain}:{bus}:{slot}.{function}"
        root[f"{device}/numa_node"] = f"{node}\n"
        root[f"{device}/msi_irqs/{number}"] = "msix\n"
        root[f"proc/irq/{number}/smp_affinity_list"] = root[f"proc/irq/{number}/effective_affinity_list"] = f"{cpus}\n"
        root[f"sys/kernel/irq/{number}/actions"] = f"{action[0] if action else 'ice-eth0'}\n"
    return verify_host("a", texts, TextRoot(root))


def test_a_host_that_runs_so_is_equal(placed: Built) -> None:
    verdict = running(placed, n40_0000_3b_00_0_0="12", n50_0000_af_00_0_1="6", n60_0000_3b_01_0_0="0")
    assert [one.message for one in verdict.differences] == []


def test_an_interrupt_of_a_device_on_another_node_is_told(placed: Built) -> None:
    verdict = running(placed, n40_0000_3b_00_0_0="6", n41_0000_3b_00_0_0="0", n50_0000_af_00_0_1="6")
    (one,) = verdict.differences
    assert (one.kind, one.effect) == (Kind.INTERRUPT, Effect.LIVE)
    assert one.message.startswith("interrupts of the devices of node 0")
    assert "IRQ 40 of 0000:3b:00.0 (ice-eth0) on 6" in one.message
    assert "IRQ 41" not in one.message
    assert any("kvmc-irqs.service" in step for step in one.steps)


def test_what_a_guest_asks_is_judged_before_its_devices_node(placed: Built) -> None:
    (one,) = running(placed, n60_0000_3b_01_0_0="1").differences
    assert one.message.startswith(f"interrupts of {VF}")


def test_queues_that_the_kernel_places_and_unused_ones_are_no_difference(placed: Built) -> None:
    assert running(placed, n40_0000_3b_00_0_0_nvme0q3="1").differences == ()
    assert running(placed, n40_0000_3b_00_0_0_="1").differences == ()


def test_one_on_a_kept_cpu_is_told_once(placed: Built) -> None:
    (one,) = running(placed, n40_0000_3b_00_0_0="2").differences
    assert "kept free" in one.message


def test_the_default_is_the_scripts(placed: Built) -> None:
    texts = placed.trees["a"]
    root = simulate("a", texts, placed.topologies["a"], running=False)
    root["proc/irq/default_smp_affinity"] = "c30c3\n"
    (one,) = verify_host("a", texts, TextRoot(root)).differences
    assert (one.kind, one.effect) == (Kind.INTERRUPT, Effect.LIVE)
    assert "default affinity" in one.message


# -- what will change


def test_a_diff_names_nodes_and_cpus(sites: tuple[Built, Built]) -> None:
    before, after = (one.trees["a"] for one in sites)
    told = {one.what: (one.old, one.new, one.effect) for one in compare({"a": before}, {"a": after})[0]}
    assert told["interrupts of devices of node 0"] == ("", "0,12", Effect.LIVE)
    assert told[f"interrupts of {VF}"] == ("", "0,12", Effect.LIVE)
    assert {effect for _, _, effect in told.values()} == {Effect.LIVE}
    moved = dict(after)
    moved[SCRIPT] = moved[SCRIPT].replace("place_node 1 6,18", "place_node 1 6")
    moved[ASKED] = moved[ASKED].replace(f"{VF} 0,12", f"{VF} 12")
    changed = compare({"a": after}, {"a": moved})[0]
    assert [(one.what, one.old, one.new) for one in changed] == [
        ("interrupts of devices of node 1", "6,18", "6"),
        (f"interrupts of {VF}", "0,12", "12"),
    ]
