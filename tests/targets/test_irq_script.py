"""The script that places interrupts, run on a tree like /proc and /sys, and the units that run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hostconfig.host_samples import INTEL, plan
from kvmc.artifacts import seal
from kvmc.hostconfig.plan import HostPlan
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import IrqAffinity
from kvmc_targets import systemd
from targets.libvirt.cases import CASES

NOBODY = 65534
PASSED = CASES["passed devices"]
NODE_0, NODE_1, ALL = "0,32", "16,48", "0,16,32,48"


def of_node() -> HostPlan:
    return plan(INTEL, irq_affinity=IrqAffinity.NODE)


@dataclass
class Machine:
    """A root of its own, that another user than root runs the script in: what is not writable there refuses."""

    root: Path
    script: Path

    def device(self, address: str, node: int | None, irqs: dict[int, str], line: int = 0) -> None:
        folder = self.root / "sys/bus/pci/devices" / address
        folder.mkdir(parents=True)
        if node is not None:
            (folder / "numa_node").write_text(f"{node}\n")
        (folder / "irq").write_text(f"{line}\n")
        if irqs:
            (folder / "msi_irqs").mkdir()
        for number, cpus in irqs.items():
            (folder / "msi_irqs" / str(number)).write_text("msix\n")
            self.irq(number, cpus)

    def irq(self, number: int, cpus: str, *, managed: bool = False) -> None:
        folder = self.root / "proc/irq" / str(number)
        folder.mkdir(parents=True)
        file = folder / "smp_affinity_list"
        file.write_text(f"{cpus}\n")
        file.chmod(0o444 if managed else 0o666)

    def cpus(self, number: int) -> str:
        return (self.root / f"proc/irq/{number}/smp_affinity_list").read_text().strip()

    def run(self) -> subprocess.CompletedProcess[str]:
        user = NOBODY if os.geteuid() == 0 else None
        environment = {"PATH": os.environ["PATH"], "KVMC_ROOT": str(self.root)}
        return subprocess.run(
            ["sh", str(self.script)],
            env=environment,
            user=user,
            group=user,
            capture_output=True,
            text=True,
            check=False,
        )


def machine_of(of: HostPlan, root: Path) -> Machine:
    root.chmod(0o755)
    for artifact in systemd.TARGET.render(of):
        path = root / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(seal(artifact))
        path.chmod(artifact.mode)
    (root / "proc/irq").mkdir(parents=True)
    (root / "sys/bus/pci/devices").mkdir(parents=True)
    default = root / "proc/irq/default_smp_affinity"
    default.write_text("ffffffff,ffffffff\n")
    default.chmod(0o666)
    return Machine(root, root / "etc/kvmc/place-irqs")


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as folder:
        yield machine_of(of_node(), Path(folder))


def test_each_interrupt_goes_to_its_devices_node(machine: Machine) -> None:
    machine.device("0000:3b:00.0", 0, {40: "0-63", 41: "5"})
    machine.device("0000:af:00.0", 1, {50: "0-63"}, line=7)
    machine.device("0000:00:1f.3", 1, {}, line=16)
    machine.device("0000:00:1c.0", -1, {60: "0-63"})
    machine.device("0000:00:1d.0", None, {61: "0-63"})
    machine.device("0000:00:02.0", 0, {})
    machine.irq(7, "0-63")
    machine.irq(9, "0-63")
    machine.irq(16, "0-63")
    done = machine.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert [machine.cpus(number) for number in (40, 41)] == [NODE_0] * 2
    assert [machine.cpus(number) for number in (50, 16)] == [NODE_1] * 2
    # no node, no PCI device at all, and the line of a device that has messages
    assert [machine.cpus(number) for number in (60, 61, 9, 7)] == [ALL] * 4
    assert (machine.root / "proc/irq/default_smp_affinity").read_text() == "10001,00010001\n"
    assert done.stdout == "kvmc: moved interrupts 40 41 16 50 60 61 7 9; 0 were right, 0 are the kernel's own\n"


def test_what_is_right_is_not_written_again_and_says_nothing(machine: Machine) -> None:
    machine.device("0000:3b:00.0", 0, {40: NODE_0})
    machine.irq(9, ALL)
    for number in (40, 9):
        (machine.root / f"proc/irq/{number}/smp_affinity_list").chmod(0o444)
    done = machine.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_the_kernel_keeps_is_no_fault(machine: Machine) -> None:
    """Managed interrupts refuse; those beside them are placed all the same, each time anew."""
    machine.device("0000:3b:00.0", 0, {40: "0-63"})
    machine.irq(30, "17", managed=True)
    folder = machine.root / "sys/bus/pci/devices/0000:3b:00.0/msi_irqs"
    (folder / "30").write_text("msix\n")
    done = machine.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert (machine.cpus(30), machine.cpus(40)) == ("17", NODE_0)
    assert done.stdout == "kvmc: moved interrupts 40; 0 were right, 1 are the kernel's own\n"
    again = machine.run()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_driver_that_sets_up_anew_is_followed(machine: Machine) -> None:
    machine.device("0000:3b:00.0", 0, {40: "0-63"})
    assert machine.run().returncode == 0
    machine.device("0000:af:00.1", 1, {70: "3"})
    (machine.root / "proc/irq/40/smp_affinity_list").write_text("12\n")
    assert machine.run().returncode == 0
    assert (machine.cpus(40), machine.cpus(70)) == (NODE_0, NODE_1)


def test_where_nothing_can_be_moved_it_fails(machine: Machine) -> None:
    machine.irq(30, "17", managed=True)
    done = machine.run()
    assert done.returncode == 1
    assert "not one interrupt can be moved" in done.stderr


def test_where_the_default_cannot_be_set_it_fails_and_places_the_rest(machine: Machine) -> None:
    machine.irq(9, "0-63")
    (machine.root / "proc/irq/default_smp_affinity").chmod(0o444)
    done = machine.run()
    assert done.returncode == 1
    assert "default affinity" in done.stderr
    assert machine.cpus(9) == ALL


def test_what_guests_ask_comes_before_the_devices_node() -> None:
    guest = replace(PASSED, irqs=CpuSet.parse("16,48"))
    assert guest.passed
    with tempfile.TemporaryDirectory() as folder:
        machine = machine_of(replace(of_node(), guests=(guest,)), Path(folder))
        for number, address in enumerate(guest.passed, 40):
            machine.device(str(address), 0, {number: "0-63"})
        machine.device("0000:01:00.0", 0, {80: "0-63"})
        assert machine.run().returncode == 0
        assert {machine.cpus(40 + index) for index, _ in enumerate(guest.passed)} == {"16,48"}
        assert machine.cpus(80) == NODE_0
        text = (Path(folder) / "etc/kvmc/irqs-of-guests").read_text()
        assert f"# {', '.join(guest.blocks)}" in text.splitlines()


def test_without_the_wish_there_is_no_file_and_without_the_setting_nothing() -> None:
    paths = {artifact.path for artifact in systemd.TARGET.render(replace(of_node(), guests=(PASSED,)))}
    assert "etc/kvmc/place-irqs" in paths
    assert "etc/kvmc/irqs-of-guests" not in paths
    assert not [one for one in systemd.TARGET.render(plan(INTEL)) if "irqs" in one.path]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not on this machine")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units = []
    for artifact in systemd.TARGET.render(of_node()):
        path = tmp_path / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(seal(artifact).replace("ExecStart=/etc", f"ExecStart={tmp_path}/etc"))
        path.chmod(artifact.mode)
        if path.name.startswith("kvmc-irqs."):
            units.append(str(path))
    assert len(units) == 2
    done = subprocess.run(
        ["systemd-analyze", "--recursive-errors=no", "verify", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not on this machine")
def test_shellcheck_has_nothing_to_say(machine: Machine) -> None:
    done = subprocess.run(["shellcheck", "-s", "sh", str(machine.script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
