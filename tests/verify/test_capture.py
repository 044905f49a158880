"""The capture of a real machine, and the script that makes it where there is no kvmc."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from cli.running import kvmc
from kvmc.hostconfig.owned import OWNED
from kvmc.knowledge.knobs import MODPROBE, SYSCTL
from kvmc.model.cpuset import CpuSet
from kvmc.verify import capture as script
from kvmc.verify.boot import words_of
from kvmc.verify.capture import SYSCTLS, capture, summarise, write
from kvmc.verify.check import verify_host
from kvmc.verify.difference import Kind
from kvmc.verify.installed import _captured
from kvmc.verify.root import FolderRoot

PATH = Path(script.__file__)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This machine, by the script alone: no kvmc on its path, and no environment."""
    folder = tmp_path_factory.mktemp("capture") / "root"
    done = subprocess.run(
        [sys.executable, "-I", str(PATH), "-o", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_script_is_python_3_6_and_needs_nothing() -> None:
    tree = ast.parse(PATH.read_text(), feature_version=(3, 6))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules <= {"argparse", "glob", "io", "json", "os", "re", "stat", "subprocess", "sys", "tarfile"}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not attributes & {"removeprefix", "removesuffix", "fromisoformat"}
    keywords = {one.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for one in node.keywords}
    assert not keywords & {"capture_output", "text", "root_dir"}


def test_every_knob_that_kvmc_writes_is_captured() -> None:
    assert {knob.key.replace(".", "/") for knob in SYSCTL} <= set(SYSCTLS)
    modules = {knob.key.partition(".")[0] for knob in MODPROBE}
    assert all(module.startswith("kvm") for module in modules)


def test_every_file_that_kvmc_may_own_is_captured() -> None:
    paths = [one.path for one in OWNED]
    assert [path for path in paths if not _captured(path)] == [] and len(paths) > 20
    assert not _captured("etc/shadow") and not _captured("etc/kvmc/below/it")


def test_what_files_of_the_host_name_is_captured_and_no_more() -> None:
    files = {
        "etc/sysctl.d/90-kvmc.conf": b"# x\nnet.core.rmem_max = 1\n-net/ipv4/conf/eth0.7/rp_filter=0\nvm.stat_refresh = 1\n",
        "etc/sysctl.d/50-other.conf": b"net.core.wmem_max = 1\n",
        "etc/tuned/kvmc/tuned.conf": b"[sysfs]\n/sys/a/b=1\n/sys/../etc/shadow=1\n/proc/x=1\n",
        "etc/tuned/other/tuned.conf": b"[sysfs]\n/sys/c=1\n",
        "etc/modprobe.d/kvmc.conf": b"options kvm-intel ple_gap=0\nblacklist x\n",
        "etc/sysctl.conf": b"net.core.somaxconn = 1\n",
    }
    files["etc/sysctl.d/91-kvmc.conf"] = b"net.ipv4.tcp_fastopen_key = 1\nkernel.random.secret = 1\n"
    assert script._named(files) == [
        "sys/module/kvm_intel/parameters/*",
        "proc/sys/net/core/rmem_max",
        "proc/sys/net/ipv4/conf/eth0.7/rp_filter",
        "sys/a/b",
    ]


def test_this_machine_is_told_truly(here: Path) -> None:
    root = FolderRoot(here)
    online = CpuSet.parse((root.read("sys/devices/system/cpu/online") or "").strip())
    assert len(online) == os.cpu_count()
    assert (root.read("proc/sys/kernel/osrelease") or "").strip() == os.uname().release
    line = Path("/proc/cmdline").read_text()
    assert len(words_of(root.read("proc/cmdline") or "")) == len(line.partition(" -- ")[0].split())
    status = Path("/proc/1/status").read_text()
    assert next(line for line in status.splitlines() if line.startswith("Cpus_allowed_list")) in (
        root.read("proc/1/status") or ""
    )


def test_this_machine_against_what_it_has_and_what_it_has_not(here: Path) -> None:
    """Artifacts made of what this machine says agree with it; changed in one value, that one is named."""
    root = FolderRoot(here)
    swappiness = (root.read("proc/sys/vm/swappiness") or "").strip()
    cpus = next(
        line.split()[1]
        for line in (root.read("proc/1/status") or "").splitlines()
        if line.startswith("Cpus_allowed_list")
    )
    texts = {
        "etc/sysctl.d/90-kvmc.conf": f"vm.swappiness = {swappiness}\n",
        "etc/systemd/system.conf.d/90-kvmc.conf": f"[Manager]\nCPUAffinity={cpus}\n",
        "apply.json": "{}\n",
    }
    assert verify_host("here", texts, root).differences == ()
    texts["etc/sysctl.d/90-kvmc.conf"] = f"vm.swappiness = {int(swappiness) + 1}\n"
    (one,) = verify_host("here", texts, root).differences
    assert (one.kind, one.runs) == (Kind.SYSCTL, swappiness)


def test_an_archive_holds_what_the_folder_holds(tmp_path: Path) -> None:
    files = {"proc/cmdline": b"a b\n", "kvmc/x": b"\xff"}
    write(files, str(tmp_path / "one.tar.gz"))
    write(files, str(tmp_path / "folder"))
    with tarfile.open(tmp_path / "one.tar.gz") as archive:
        assert sorted(archive.getnames()) == sorted(files)
    assert {path: (tmp_path / "folder" / path).read_bytes() for path in files} == files
    with pytest.raises(OSError, match="not empty"):
        write(files, str(tmp_path / "folder"))


def fake_host(folder: Path) -> None:
    for path, text in {
        "proc/cmdline": "root=/dev/sda1 luks.password=hunter2 quiet\n",
        "boot/grub/grub.cfg": "password_pbkdf2 root grub.hash\n  linux /vmlinuz root=/dev/sda1 quiet\n",
        "boot/loader/entries/a.conf": "title x\noptions root=/dev/sda1 isolcpus=1\n",
        "proc/sys/vm/swappiness": "60\n",
        "proc/sys/vm/stat_refresh": "never read\n",
        "etc/shadow": "root:secret\n",
    }.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (folder / "proc/sys/vm/stat_interval").symlink_to("/dev/zero")


def test_no_secret_is_captured(tmp_path: Path) -> None:
    fake_host(tmp_path)
    files = capture(str(tmp_path))
    whole = b"\n".join(files.values())
    assert b"hunter2" not in whole and b"hash" not in whole and b"secret" not in whole
    assert files["kvmc/bootlines"].decode().splitlines() == ["root=/dev/sda1 quiet", "root=/dev/sda1 isolcpus=1"]
    assert "proc/sys/vm/stat_refresh" not in files and "proc/sys/vm/stat_interval" not in files
    assert files["proc/sys/vm/swappiness"] == b"60\n"


def test_what_may_hold_a_secret_is_left_out_of_a_domain() -> None:
    xml = (
        "<domain><sysinfo type='smbios'><system><entry name='serial'>ds=secret</entry></system></sysinfo>"
        "<graphics type='vnc' passwd='secret'/><qemu:commandline><qemu:env name='A' value='secret'/></qemu:commandline></domain>"
    )
    kept = script._without_secrets(xml)
    assert "secret" not in kept and "<graphics type='vnc'/>" in kept


def test_memory_in_short() -> None:
    maps = (
        "7f0 bind:1 file=/dev/hugepages/x huge dirty=24 N1=20 N0=4 kernelpagesize_kB=1048576\n"
        "7f1 bind:1 anon=3 N1=3 kernelpagesize_kB=1048576\n7f2 default anon=9 N0=9 kernelpagesize_kB=4\nrubbish\n"
    )
    assert summarise(maps) == "bind:1 1048576 0 4\nbind:1 1048576 1 23\ndefault 4 0 9\n"


def test_the_command_and_the_script_make_one_capture(here: Path, tmp_path: Path) -> None:
    done = kvmc("capture", "-o", tmp_path / "c.tar")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "c.tar") as archive:
        names = set(archive.getnames())
    there = {str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()}
    assert {path for path in names if "/irq/" not in path} == {path for path in there if "/irq/" not in path}
    assert kvmc("capture", "-o", tmp_path / "no" / "where.tar").returncode == 1
