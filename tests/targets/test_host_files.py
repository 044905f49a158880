"""sysctl, tuned, modprobe and systemd, each read back by its own consumer where this machine has it, else parsed."""

from __future__ import annotations

import configparser
import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hostconfig.host_samples import AMD, GIB, INTEL, PF, PF2, devices, plan, platform, pools
from kvmc.artifacts import Artifact, Seal, Target, inspect, seal
from kvmc.hostconfig.owned import OWNED
from kvmc.hostconfig.plan import Carrier, HostPlan, ResctrlPlan, VswitchPlan
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Boot, IrqAffinity, Profile
from kvmc.model.values import PageCount
from kvmc_targets import BUILTIN, modprobe, sysctl, systemd, tuned
from targets.libvirt.cases import CASES

PAGES = (PageCount(4, GIB), PageCount(64, 2048))
_TUNED = "import sys; sys.dont_write_bytecode = True; import tuned.profiles"
HAS_TUNED = (
    subprocess.run(["/usr/bin/python3", "-c", _TUNED], capture_output=True, check=False).returncode == 0
    if Path("/usr/bin/python3").exists()
    else False
)


def plans() -> list[HostPlan]:
    found: list[HostPlan] = []
    for where in (INTEL, AMD):
        for profile in Profile:
            for kernel, boot in (("5.10", Boot.GRUB), ("6.12", Boot.BLS), ("7.2", Boot.BOOTC)):
                on = platform(kernel=kernel, boot=boot, tuned="2.20..2.25")
                found.append(plan(where, on=on, profile=profile, pages=PAGES, devices=devices(n3=8, fronthaul=4)))
    placed = plan(INTEL, on=platform(tuned="2.20..2.25"), irq_affinity=IrqAffinity.NODE)
    guest = dataclasses.replace(CASES["passed devices"], irqs=placed.pools.housekeeping)
    shared = ResctrlPlan(("L3",), "fffff", "ff", (0, 1), False, "pool edge, host edge-17a")
    switch = VswitchPlan(CpuSet.parse("2-3"), 0, (1024, 1024), "pool edge, host edge-17a")
    found.append(dataclasses.replace(placed, guests=(guest,), resctrl=shared, vswitch=switch))
    return found


PLANS = plans()
HOST_TARGETS: tuple[Target, ...] = tuple(target for target in BUILTIN if target.name not in ("libvirt", "measure"))


def write(folder: Path, artifacts: object) -> list[Path]:
    assert isinstance(artifacts, tuple)
    paths: list[Path] = []
    for artifact in artifacts:
        path = folder / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(seal(artifact))
        path.chmod(artifact.mode)
        paths.append(path)
    return paths


def test_names_and_carriers_are_whole() -> None:
    assert [target.name for target in BUILTIN] == [
        *("libvirt", "cmdline", "sysctl", "tuned", "modprobe", "systemd", "measure")
    ]
    for carrier in Carrier:
        assert [target.name for target in BUILTIN if carrier in target.carriers] == [carrier.value]


def test_every_path_is_one_that_kvmc_says_it_owns_and_every_owned_path_is_written() -> None:
    owned = {one.path for one in OWNED}
    written = {artifact.path for of in PLANS for target in HOST_TARGETS for artifact in target.render(of)}
    assert written <= owned
    never = {path for path in owned - written if "dev-hugepages" not in path}
    assert never == set()


def test_all_is_sealed_single_and_the_same_again() -> None:
    for of in PLANS:
        artifacts: list[Artifact] = [artifact for target in HOST_TARGETS for artifact in target.render(of)]
        assert artifacts == [artifact for target in HOST_TARGETS for artifact in target.render(of)]
        paths = [artifact.path for artifact in artifacts]
        assert len(paths) == len(set(paths))
        for artifact in artifacts:
            assert inspect(seal(artifact)) is Seal.OURS
            assert artifact.text.endswith("\n")
            assert "host edge-17a" in artifact.text or artifact.path.endswith("95-kvmc.install")
            first = artifact.text.startswith("#!")
            assert first == (artifact.mode == 0o755)


def test_sysctl_reads_back(tmp_path: Path) -> None:
    for of in PLANS:
        (path,) = write(tmp_path, sysctl.TARGET.render(of))
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert [tuple(line.split(" = ")) for line in lines] == [
            (setting.key, setting.value) for setting in of.carried(Carrier.SYSCTL)
        ]


@pytest.mark.skipif(not shutil.which("sysctl"), reason="procps is not on this machine")
def test_procps_takes_the_sysctl_file(tmp_path: Path) -> None:
    of = plan(INTEL)
    (path,) = write(tmp_path, sysctl.TARGET.render(of))
    done = subprocess.run(["sysctl", "--dry-run", "-p", str(path)], capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this sysctl has no dry run")
    shown = {line.partition(" = ")[0] for line in done.stdout.splitlines()}
    absent = {line for line in done.stderr.splitlines() if "No such file" in line or "cannot stat" in line}
    assert len(absent) == len(done.stderr.splitlines()), done.stderr
    assert len(shown) + len(absent) >= len(of.carried(Carrier.SYSCTL))


def parsed(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(delimiters=("=",), inline_comment_prefixes=("#",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


def test_tuned_profile_holds_its_settings_and_nothing_else() -> None:
    for of in PLANS:
        first, second = tuned.TARGET.render(of)
        assert first.text == second.text
        sections = parsed(seal(first))
        assert sections.pop("main") == {"summary": "kvmc: host edge-17a"}
        flat = {f"{section}.{key}": value for section, options in sections.items() for key, value in options.items()}
        assert flat == {setting.key: setting.value for setting in of.carried(Carrier.TUNED)}
        assert not set(sections) & {"bootloader", "sysctl", "scheduler", "irqbalance"}


@pytest.mark.parametrize(
    ("versions", "paths"),
    [
        ("2.22", ["etc/tuned/kvmc/tuned.conf"]),
        ("2.23", ["etc/tuned/profiles/kvmc/tuned.conf"]),
        ("2.20..2.25", ["etc/tuned/kvmc/tuned.conf", "etc/tuned/profiles/kvmc/tuned.conf"]),
    ],
)
def test_tuned_path_by_version(versions: str, paths: list[str]) -> None:
    assert [artifact.path for artifact in tuned.TARGET.render(plan(INTEL, on=platform(tuned=versions)))] == paths


@pytest.mark.skipif(not HAS_TUNED, reason="tuned is not on this machine")
def test_tuneds_own_loader(tmp_path: Path) -> None:
    of = plan(INTEL)
    write(tmp_path, tuned.TARGET.render(of))
    script = """
import json, sys
sys.dont_write_bytecode = True
from tuned.profiles import Factory, Loader, Locator, Merger
from tuned.profiles.variables import Variables
loader = Loader(Locator([sys.argv[1]]), Factory(), Merger(), None, Variables())
profile = loader.load("kvmc")
print(json.dumps({name: dict(unit.options) for name, unit in profile.units.items()}))
"""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", script, str(tmp_path / "etc/tuned")], capture_output=True, text=True, check=True
    )
    units = json.loads(done.stdout.splitlines()[-1])
    flat = {f"{name}.{key}": value for name, options in units.items() for key, value in options.items()}
    assert flat == {setting.key: setting.value for setting in of.carried(Carrier.TUNED)}


@pytest.mark.skipif(not HAS_TUNED, reason="tuned is not on this machine")
def test_tuneds_plugins_know_the_options() -> None:
    script = """
import sys, json, importlib
sys.dont_write_bytecode = True
cpu = importlib.import_module("tuned.plugins.plugin_cpu").CPULatencyPlugin
vm = importlib.import_module("tuned.plugins.plugin_vm").VMPlugin
print(json.dumps({"cpu": sorted(cpu._get_config_options()), "vm": sorted(vm._get_config_options())}))
"""
    done = subprocess.run(["/usr/bin/python3", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"tuned's plugins do not load here: {done.stderr.splitlines()[-1]}")
    known = json.loads(done.stdout.splitlines()[-1])
    for of in PLANS:
        for setting in of.carried(Carrier.TUNED):
            plugin, _, option = setting.key.partition(".")
            assert plugin == "sysfs" or option in known[plugin]


def test_modprobe_reads_back(tmp_path: Path) -> None:
    of = plan(INTEL)
    (path,) = write(tmp_path, modprobe.TARGET.render(of))
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    assert {(kind, f"{module}.{option}") for kind, module, option in lines} == {
        ("options", f"{setting.key}={setting.value}") for setting in of.carried(Carrier.MODPROBE)
    }
    if shutil.which("modprobe"):
        shown = subprocess.run(
            ["modprobe", "-c", "-C", str(path.parent)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert {" ".join(line) for line in lines} <= set(shown)


def test_modprobe_has_no_file_without_options() -> None:
    assert modprobe.TARGET.render(plan(INTEL, profile=Profile.LATENCY)) == ()


def unit_lines(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def test_systemd_drop_ins() -> None:
    of = plan(INTEL, of=pools(INTEL, shared=1, vswitch=1))
    files = {artifact.path: artifact.text for artifact in systemd.TARGET.render(of)}
    manager = files["etc/systemd/system.conf.d/90-kvmc.conf"]
    assert unit_lines(manager, "CPUAffinity") == [str(of.pools.housekeeping)]
    assert "[Manager]" in manager
    banned = unit_lines(files["etc/systemd/system/irqbalance.service.d/90-kvmc.conf"], "Environment")
    assert banned == [f"IRQBALANCE_BANNED_CPULIST={of.pools.dedicated | of.pools.vswitch}"]


def test_no_specifier_and_no_variable_in_units() -> None:
    for of in PLANS:
        for artifact in systemd.TARGET.render(of):
            if not artifact.text.startswith("#!"):
                assert "%" not in artifact.text
                assert "$" not in artifact.text


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not on this machine")
def test_systemd_verifies_the_units(tmp_path: Path) -> None:
    of = plan(INTEL, on=platform(kernel="5.10"), pages=PAGES, devices=devices(n3=8, fronthaul=4))
    of = dataclasses.replace(of, resctrl=PLANS[-1].resctrl, vswitch=PLANS[-1].vswitch)
    units: list[str] = []
    for path in write(tmp_path, systemd.TARGET.render(of)):
        if path.suffix in (".service", ".mount"):
            # The scripts lie in the test's folder, not below /etc.
            path.write_text(path.read_text().replace("ExecStart=/etc", f"ExecStart={tmp_path}/etc"))
            units.append(str(path))
    assert len(units) == 5
    done = subprocess.run(
        ["systemd-analyze", "--recursive-errors=no", "verify", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def run(script: Path, root: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KVMC_ROOT": str(root), "KVMC_PATIENCE": "0"}
    return subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def vfs(tmp_path: Path) -> tuple[Path, Path]:
    """The script, and a tree with both parents, without functions yet."""
    artifacts = systemd.TARGET.render(plan(INTEL, devices=devices(n3=8, fronthaul=4)))
    script = next(path for path in write(tmp_path, artifacts) if path.name == "make-vfs")
    subprocess.run(["sh", "-n", str(script)], check=True)
    root = tmp_path / "root"
    for parent in (PF, PF2):
        device = root / "sys/bus/pci/devices" / str(parent)
        (device / "driver").mkdir(parents=True)
        (device / "sriov_numvfs").write_text("0\n")
        (device / "sriov_drivers_autoprobe").write_text("1\n")
    return script, root


def parent_of(root: Path, name: object) -> Path:
    return root / "sys/bus/pci/devices" / str(name)


def test_vfs_are_made_without_a_driver(vfs: tuple[Path, Path]) -> None:
    script, root = vfs
    assert run(script, root).returncode == 0
    for parent, count in ((PF, "8"), (PF2, "4")):
        assert (parent_of(root, parent) / "sriov_numvfs").read_text().strip() == count
        assert (parent_of(root, parent) / "sriov_drivers_autoprobe").read_text().strip() == "0"


def test_vfs_that_are_right_are_not_touched(vfs: tuple[Path, Path]) -> None:
    script, root = vfs
    assert run(script, root).returncode == 0
    for parent in (PF, PF2):
        (parent_of(root, parent) / "sriov_numvfs").chmod(0o444)
        (parent_of(root, parent) / "sriov_drivers_autoprobe").write_text("untouched")
    assert run(script, root).returncode == 0
    assert (parent_of(root, PF) / "sriov_drivers_autoprobe").read_text() == "untouched"


def test_another_count_goes_through_zero(vfs: tuple[Path, Path]) -> None:
    script, root = vfs
    numvfs = parent_of(root, PF) / "sriov_numvfs"
    numvfs.write_text("3\n")
    traced = subprocess.run(
        ["sh", "-x", str(script)],
        env=os.environ | {"KVMC_ROOT": str(root), "KVMC_PATIENCE": "0"},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    writes = [line for line in traced.splitlines() if line.startswith("+ echo")]
    assert writes == ["+ echo 0", "+ echo 0", "+ echo 8", "+ echo 0", "+ echo 4"]
    assert numvfs.read_text().strip() == "8"


def test_a_function_in_use_stops_a_change_and_only_that(vfs: tuple[Path, Path]) -> None:
    script, root = vfs
    device = parent_of(root, PF)
    (device / "sriov_numvfs").write_text("3\n")
    (device / "virtfn2").mkdir()
    (device / "virtfn2/driver").symlink_to("../../drivers/vfio-pci")
    done = run(script, root)
    assert done.returncode == 1
    assert "virtfn2 is in use" in done.stderr
    assert (device / "sriov_numvfs").read_text() == "3\n"
    assert (parent_of(root, PF2) / "sriov_numvfs").read_text() == "4\n"


@pytest.mark.parametrize("lacks", ["driver", "sriov_numvfs"])
def test_a_parent_that_cannot_fails_loudly(vfs: tuple[Path, Path], lacks: str) -> None:
    script, root = vfs
    path = parent_of(root, PF2) / lacks
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = run(script, root)
    assert done.returncode == 1
    assert str(PF2) in done.stderr
    assert (parent_of(root, PF) / "sriov_numvfs").read_text() == "8\n"


def test_pages_unit_writes_reads_back_and_fails_with_fewer(tmp_path: Path) -> None:
    of = plan(INTEL, on=platform(kernel="5.10"), pages=PAGES)
    script = next(path for path in write(tmp_path, systemd.TARGET.render(of)) if path.name == "reserve-hugepages")
    root = tmp_path / "root"
    files: dict[Path, int] = {}
    for page in of.pages:
        folder = root / f"sys/devices/system/node/node{page.node}/hugepages/hugepages-{page.size_kib}kB"
        folder.mkdir(parents=True)
        files[folder / "nr_hugepages"] = page.count
    assert len(files) == 4
    assert run(script, root).returncode == 0
    assert {file: int(file.read_text()) for file in files} == files
    short, *others = files
    short.unlink()
    short.symlink_to("/dev/null")  # takes any number and gives none back
    others[-1].unlink()
    done = run(script, root)
    assert done.returncode == 1
    assert f"{short} gave 0 pages of {files[short]}" in done.stderr
    assert int(others[-1].read_text()) == files[others[-1]]


def test_mount_units_are_named_as_their_folder() -> None:
    for artifact in systemd.TARGET.render(plan(INTEL, pages=PAGES)):
        if artifact.path.endswith(".mount"):
            (where,) = unit_lines(artifact.text, "Where")
            assert Path(artifact.path).name == where.strip("/").replace("/", "-") + ".mount"
            assert unit_lines(artifact.text, "Options") == ["mode=0755,pagesize=2M"]
            break
    else:
        pytest.fail("no mount for the second size")


@pytest.mark.parametrize("boot", Boot)
def test_names_that_mean_no_good_stay_in_their_comments(boot: Boot) -> None:
    """Names are checked long before; were one to slip through, it still could not become a line of its own."""
    evil = "pool x\nreboot\r\u2028kernel.panic = 1\x00\x85touch /pwned"
    of = plan(INTEL, on=platform(boot=boot, kernel="5.10"), pages=PAGES, devices=devices(n3=8))
    settings = tuple(dataclasses.replace(setting, origin=(evil,)) for setting in of.settings)
    sriov = tuple(dataclasses.replace(one, origin=evil) for one in of.sriov)
    bad = dataclasses.replace(of, host=evil, settings=settings, sriov=sriov)
    for target in HOST_TARGETS:
        for artifact, clean in zip(target.render(bad), target.render(of), strict=True):
            live = [
                line
                for line in artifact.text.splitlines()
                if not line.strip().startswith("#") and "summary=" not in line
            ]
            assert live == [
                line for line in clean.text.splitlines() if not line.strip().startswith("#") and "summary=" not in line
            ]


def test_a_mount_is_never_restarted() -> None:
    steps = [step.argv for artifact in systemd.TARGET.render(plan(INTEL, pages=PAGES)) for step in artifact.steps]
    assert ("systemctl", "start", "dev-hugepages2M.mount") in steps
    assert ("systemctl", "restart", "dev-hugepages2M.mount") not in steps
