"""The command line, taken by what takes it: shells for the drop-in, systemd's own plugin for the boot entry, a TOML parser."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from hostconfig.host_samples import AMD, GIB, INTEL, PF, devices, plan, platform
from kvmc.artifacts import Artifact, Seal, inspect, seal
from kvmc.hostconfig.plan import Carrier, Effect, HostPlan, HostSetting
from kvmc.model.site import Boot, Profile
from kvmc.model.values import PageCount
from kvmc_targets.cmdline import TARGET, word

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
LOADER_ENTRY = Path("/usr/lib/kernel/install.d/90-loaderentry.install")


def rich(boot: Boot) -> HostPlan:
    pages = (PageCount(96, GIB), PageCount(512, 2048))
    return plan(INTEL, on=platform(boot=boot, kernel="6.12"), devices=devices(n3=8), pages=pages)


def expected(of: HostPlan) -> list[str]:
    return [f"{setting.key}={setting.value}" for setting in of.carried(Carrier.CMDLINE)]


def one(artifacts: object, end: str) -> Artifact:
    assert isinstance(artifacts, tuple)
    (found,) = [artifact for artifact in artifacts if artifact.path.endswith(end)]
    assert isinstance(found, Artifact)
    return found


def argv(shell: str) -> list[str]:
    return ["busybox", "sh"] if shell == "busybox" else [shell]


def source(shell: str, file: Path, before: str, times: int = 1, options: str = "-eu") -> list[str]:
    """Both GRUB variables after sourcing, in an environment that means no good."""
    script = f"set {options}\n{before}\n" + f". {shlex.quote(str(file))}\n" * times
    script += 'printf "%s\\n" "$GRUB_CMDLINE_LINUX" "$GRUB_CMDLINE_LINUX_DEFAULT" "$IFS|"'
    done = subprocess.run([*argv(shell), "-c", script], capture_output=True, text=True, check=True, cwd="/")
    assert done.stderr == ""
    return done.stdout.split("\n")


@pytest.fixture
def grub(tmp_path: Path) -> Path:
    file = tmp_path / "zz kvmc.cfg"
    file.write_text(seal(one(TARGET.render(rich(Boot.GRUB)), "zz-kvmc.cfg")))
    return file


@pytest.mark.parametrize("shell", SHELLS)
def test_grub_drop_in_in_a_hostile_shell(shell: str, grub: Path) -> None:
    words = expected(rich(Boot.GRUB))
    assert subprocess.run([*argv(shell), "-n", str(grub)], check=False).returncode == 0
    before = """
    IFS=,:
    word=mine kept=mine
    GRUB_CMDLINE_LINUX='console=ttyS0,115200n8 isolcpus=1-63 hugepages=7'
    GRUB_CMDLINE_LINUX_DEFAULT='quiet * dyndbg="file foo.c +p" $tuned_params nohz-full=9 nohz_full=3'
    GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT"' default_hugepagesz=2M iommu=off `id` $(id)'
    """
    linux, default, ifs, *_ = source(shell, grub, before)
    assert linux == "console=ttyS0,115200n8"
    assert default.split(" ") == [
        "quiet",
        "*",
        'dyndbg="file',
        "foo.c",
        '+p"',
        "$tuned_params",
        "`id`",
        "$(id)",
        *words,
    ]
    assert ifs == ",:|"


@pytest.mark.parametrize("shell", SHELLS)
def test_grub_drop_in_twice_and_with_nothing_set(shell: str, grub: Path) -> None:
    words = expected(rich(Boot.GRUB))
    linux, default, *_ = source(shell, grub, "unset GRUB_CMDLINE_LINUX GRUB_CMDLINE_LINUX_DEFAULT", times=3)
    assert linux == ""
    assert default.split() == words


def test_grub_takes_effect_at_reboot_and_is_gone_without_words() -> None:
    artifact = one(TARGET.render(rich(Boot.GRUB)), ".cfg")
    assert [(step.argv[0], step.effect) for step in artifact.steps] == [("grub-mkconfig", Effect.REBOOT)]
    assert "# pool edge, host edge-17a\n" in artifact.text
    bare = plan(AMD, profile=Profile.THROUGHPUT, isolation="none", pages=())
    assert TARGET.render(bare) == ()


def test_sizes_stand_before_their_counts() -> None:
    words = expected(rich(Boot.GRUB))
    for at, text in enumerate(words):
        if text.startswith("hugepages="):
            assert words[at - 1].startswith("hugepagesz=")


class Entries:
    """A boot partition with one entry, and the plugin to run on it."""

    def __init__(self, root: Path, of: HostPlan) -> None:
        self.root = root
        self.folder = root / "loader/entries"
        self.folder.mkdir(parents=True)
        self.entry = self.folder / "0123-6.12.1.conf"
        self.plugin = root / "95-kvmc.install"
        self.arguments = root / "cmdline"
        self.install(of)

    def install(self, of: HostPlan) -> None:
        artifacts = TARGET.render(of)
        plugin = one(artifacts, "95-kvmc.install")
        assert plugin.mode == 0o755
        self.plugin.write_text(seal(plugin))
        self.plugin.chmod(plugin.mode)
        self.arguments.write_text(seal(one(artifacts, "kvmc/cmdline")))

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "KERNEL_INSTALL_BOOT_ROOT": str(self.root),
            "KERNEL_INSTALL_MACHINE_ID": "0123",
            "KERNEL_INSTALL_ENTRY_TOKEN": "0123",
            "KERNEL_INSTALL_LAYOUT": "bls",
            "KERNEL_INSTALL_VERBOSE": "0",
            "KVMC_CMDLINE": str(self.arguments),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.plugin), *arguments], env=self.environment(), capture_output=True, text=True, check=False
        )

    def add(self) -> None:
        done = self.run("add", "6.12.1", str(self.root / "0123/6.12.1"))
        assert (done.returncode, done.stderr) == (0, "")

    def options(self, entry: Path | None = None) -> list[str]:
        (line,) = [line for line in (entry or self.entry).read_text().splitlines() if line.startswith("options")]
        return line.split()[1:]


ENTRY = "title Some * Linux\nversion 6.12.1\noptions    root=/dev/vg0/root ro isolcpus=1 $kernelopts * rcu-nocbs=1\nlinux /a b\n"


def test_bls_plugin_replaces_appends_and_repeats(tmp_path: Path) -> None:
    of = rich(Boot.BLS)
    words = expected(of)
    entries = Entries(tmp_path, of)
    entries.entry.write_text(ENTRY)
    rescue = entries.folder / "0123-0-rescue.conf"
    rescue.write_text(ENTRY)
    entries.add()
    first = entries.entry.read_text()
    assert entries.options()[:4] == ["root=/dev/vg0/root", "ro", "$kernelopts", "*"]
    assert entries.options()[4:-1] == words
    assert [line for line in first.splitlines() if not line.startswith("options")] == [
        line for line in ENTRY.splitlines() if not line.startswith("options")
    ]
    entries.add()
    assert entries.entry.read_text() == first
    assert rescue.read_text() == ENTRY
    assert sorted(path.name for path in entries.folder.iterdir()) == ["0123-0-rescue.conf", "0123-6.12.1.conf"]


def test_bls_plugin_takes_out_what_an_earlier_build_added(tmp_path: Path) -> None:
    entries = Entries(tmp_path, rich(Boot.BLS))
    entries.entry.write_text(ENTRY)
    entries.add()
    later = plan(
        INTEL, on=platform(boot=Boot.BLS), profile=Profile.LATENCY, isolation="none", pages=(PageCount(4, GIB),)
    )
    entries.install(later)
    entries.add()
    assert entries.options()[4:-1] == expected(later)
    entries.install(plan(INTEL, on=platform(boot=Boot.BLS), profile=Profile.THROUGHPUT, isolation="none", pages=()))
    entries.add()
    assert entries.options() == ["root=/dev/vg0/root", "ro", "$kernelopts", "*"]


def test_bls_plugin_counts_tries_and_tells_when_there_is_no_entry(tmp_path: Path) -> None:
    entries = Entries(tmp_path, rich(Boot.BLS))
    done = entries.run("add", "6.12.1", "x")
    assert done.returncode == 1
    assert "6.12.1" in done.stderr
    tries = entries.folder / "0123-6.12.1+3.conf"
    tries.write_text("title t\noptions\troot=x\n")
    entries.add()
    assert entries.options(tries)[0] == "root=x"
    assert "isolcpus" in tries.read_text()
    before = tries.read_text()
    assert entries.run("remove", "6.12.1", "x").returncode == 0
    assert tries.read_text() == before


@pytest.mark.skipif(not LOADER_ENTRY.exists(), reason="systemd's 90-loaderentry.install is not on this machine")
def test_bls_plugin_after_systemds_own(tmp_path: Path) -> None:
    of = rich(Boot.BLS)
    entries = Entries(tmp_path, of)
    folder = tmp_path / "0123/6.12.1"
    folder.mkdir(parents=True)
    conf, image = tmp_path / "conf", tmp_path / "vmlinuz"
    conf.mkdir()
    image.write_text("kernel")
    (conf / "cmdline").write_text("root=UUID=1 ro quiet\n")
    environment = entries.environment() | {
        "KERNEL_INSTALL_CONF_ROOT": str(conf),
        "KERNEL_INSTALL_STAGING_AREA": str(conf),
    }
    subprocess.run([str(LOADER_ENTRY), "add", "6.12.1", str(folder), str(image)], env=environment, check=True)
    entries.add()
    assert entries.options()[-1].startswith("kvmc.keys=")
    assert entries.options()[-1 - len(expected(of)) : -1] == expected(of)
    assert entries.options()[:3] == ["root=UUID=1", "ro", "quiet"]


def test_bootc_is_toml() -> None:
    of = rich(Boot.BOOTC)
    (artifact,) = TARGET.render(of)
    assert artifact.path == "usr/lib/bootc/kargs.d/90-kvmc.toml"
    parsed = tomllib.loads(seal(artifact))
    assert parsed == {"kargs": expected(of), "match-architectures": ["x86_64"]}
    assert "bootc is unproven" in TARGET.proven


@pytest.mark.parametrize("boot", Boot)
def test_sealed_files_are_ours(boot: Boot) -> None:
    for artifact in TARGET.render(rich(boot)):
        text = seal(artifact)
        assert inspect(text) is Seal.OURS
        assert inspect(text + " ") is Seal.EDITED
        assert text.startswith("#!/bin/sh\n") == (artifact.mode == 0o755)


@pytest.mark.parametrize("value", ["$(id)", "1;id", "1'", '1"', "1 2", "1\n2", "`id`", "a\\b"])
def test_no_word_that_a_shell_reads_otherwise(value: str) -> None:
    with pytest.raises(ValueError, match="not safe"):
        word(HostSetting(Carrier.CMDLINE, "isolcpus", value, Effect.REBOOT, ("pool edge",), "why"))


def test_device_pools_name_who_asked() -> None:
    of = rich(Boot.GRUB)
    setting = next(one for one in of.settings if one.key == "intel_iommu")
    assert setting.origin[-1] == "host edge-17a"
    assert of.sriov[0].parent == PF
