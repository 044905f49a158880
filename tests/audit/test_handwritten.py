"""What people wrote, in any layout: told by path or by text, judged as far as it tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.small_tree import DU, ISOLATED, RT
from audit.support import GIB, topology
from kvmc.audit.check import audit_handwritten
from kvmc.audit.handwritten import Found, host_files, kind_of, read
from kvmc.diagnostics import Bag, Diagnostic
from kvmc.diagnostics.codes import audit as codes

LINE = (
    f"root=/dev/vda1 ro isolcpus=managed_irq,domain,{ISOLATED} nohz_full={ISOLATED} hugepagesz=1G hugepages=0:16,1:16"
)


def found(files: dict[str, str]) -> list[Diagnostic]:
    return list(audit_handwritten("h", [Found(n, t, kind_of(n, t)) for n, t in files.items()], topology()))


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("dumps/a", "<?xml version='1.0'?>\n<!-- WARNING: made by virsh -->\n<domain type='kvm'/>", "domain"),
        ("qemu/networks/default.xml", "<network/>", None),
        ("copy/etc/default/grub", "GRUB_TIMEOUT=5", "grub"),
        ("x/grub.d/50.cfg", "", "grub"),
        ("boot/loader/entries/abc-6.1.conf", "title x", "entry"),
        ("proc/cmdline", "ro", "booted"),
        ("kernel/cmdline", "ro", "words"),
        ("sysctl.d/10.conf", "", "sysctl"),
        ("files/10-vm.conf", "# x\nvm.swappiness = 1\n-kernel.x=2\n", "sysctl"),
        ("files/kvm.conf", "options kvm nested=1\nblacklist x\n", "modprobe"),
        ("files/my.conf", "[main]\nsummary=x\n[sysctl]\nvm.swappiness=1\n", "tuned"),
        ("files/a", "[Unit]\nDescription=x\n[Service]\nExecStart=/x\n", "unit"),
        ("files/params", "root=/dev/x ro isolcpus=2-3", "words"),
        ("README.md", "GRUB_CMDLINE_LINUX is set", None),
        ("notes", "hello", None),
    ],
)
def test_what_a_file_is(path: str, text: str, kind: str | None) -> None:
    assert kind_of(path, text) == kind


def test_a_host_of_loose_files_is_right() -> None:
    files = {"a/rt-1": RT, "a/du-1": DU, "b/cmdline": LINE, "b/sysctl.conf": "vm.swappiness=1\n"}
    assert [item.message for item in found(files)] == []


def test_a_finding_names_the_file_as_it_was_named() -> None:
    files = {"a/rt-1": RT, "a/du-1": DU.replace("cpuset='9'", "cpuset='3'"), "b/cmdline": LINE}
    first = found(files)[0]
    assert first.code is codes.CPU_OWNED_TWICE and first.primary is not None
    assert {first.primary.span.file, *(label.span.file for label in first.secondary)} == {"a/rt-1", "a/du-1"}


def test_pages_are_judged_where_some_file_keeps_any() -> None:
    assert found({"rt.xml": RT}) == []
    assert found({"rt.xml": RT, "cmdline": "quiet ro"}) == []
    short = found({"rt.xml": RT, "cmdline": "hugepagesz=1G hugepages=0:4"})
    assert [item.code for item in short] == [codes.PAGES_SHORT]
    assert short[0].primary is not None and short[0].primary.span.file == "cmdline"
    assert f"{GIB // GIB}" in short[0].message


def test_one_boot_line_is_taken() -> None:
    files = {
        "grub": 'GRUB_CMDLINE_LINUX="isolcpus=2-3"\n',
        "loader/entries/x-5.9.conf": "title a\noptions $kernelopts isolcpus=4-5\n",
        "loader/entries/x-5.14.conf": "title b\noptions $kernelopts isolcpus=0-5\n",
        "loader/entries/x-0-rescue.conf": "title c\noptions isolcpus=0\n",
    }
    told = found(files)
    notes = [item for item in told if item.code is codes.BOOT_LINE_ELSE]
    assert len(notes) == 3
    (wrong,) = [item for item in told if item.code is codes.BOOT_CPU_ISOLATED]
    assert wrong.primary is not None and wrong.primary.span.file == "loader/entries/x-5.14.conf"
    text = files[wrong.primary.span.file]
    assert text[wrong.primary.span.start : wrong.primary.span.end] == "isolcpus=0-5"


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"sysctl.d/1.conf": "kernel.numa_balancing=0\n", "cmdline": "numa_balancing=disable"}, 0),
        ({"sysctl.d/1.conf": "kernel.numa_balancing=1\n", "cmdline": "numa_balancing=disable"}, 1),
        ({"sysctl.d/1.conf": "vm.swappiness=1\n", "sysctl.d/2.conf": "vm.swappiness=9\n"}, 0),
        ({"sysctl.d/1.conf": "vm.swappiness=1\nvm.swappiness=9\n"}, 1),
        ({"sysctl.d/1.conf": "vm.swappiness=1\n", "tuned/x/tuned.conf": "[sysctl]\nvm.swappiness=9\n"}, 1),
    ],
)
def test_knobs_contradict_each_other_or_are_said_again(files: dict[str, str], count: int) -> None:
    assert [item.code for item in found(files)] == [codes.KNOB_TWICE] * count


def test_a_guest_that_is_there_twice_word_for_word_is_one() -> None:
    bag = Bag()
    files = host_files([Found("a.xml", RT, "domain"), Found("copy/a.xml", RT, "domain")], bag)
    assert [file.name for file in files] == ["a.xml"] and not list(bag)


def test_folders_are_read_and_links_in_them_are_not(tmp_path: Path) -> None:
    (tmp_path / "etc/sysctl.d").mkdir(parents=True)
    (tmp_path / "etc/sysctl.d/1.conf").write_text("vm.swappiness=1\n")
    (tmp_path / "etc/sysctl.d/2.conf").symlink_to("1.conf")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/x").write_text("x")
    named = tmp_path / "named"
    named.symlink_to("etc/sysctl.d/1.conf")
    some = read([tmp_path / "etc", named, tmp_path / "etc"])
    assert [Path(one.name).name for one in some] == ["1.conf", "named"]
    assert {one.text for one in some} == {"vm.swappiness=1\n"}
