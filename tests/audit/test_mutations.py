"""One change at a time to a tree that is right: the finding it must give, and where; or none, where the meaning stays."""

from __future__ import annotations

import pytest

from audit import planted_guests, planted_host
from audit.golden import same, told
from audit.planted import DU, GRUB, IRQBALANCE, MANAGER, MODPROBE, RT, SYSCTL, TUNED, WIDE, Mutation, pin
from audit.small_tree import HOST, HOUSEKEEPING, ISOLATED, tree
from audit.support import findings, places, shown

MUTATIONS = planted_guests.MUTATIONS + planted_host.MUTATIONS


def apply(mutation: Mutation) -> dict[str, str]:
    files = tree()
    if not mutation.old and not mutation.new:
        del files[mutation.file]
    elif not mutation.old:
        files[mutation.file] = mutation.new
    else:
        assert mutation.old in files[mutation.file]
        files[mutation.file] = files[mutation.file].replace(mutation.old, mutation.new)
    return files


@pytest.mark.parametrize("site", [False, True], ids=["files", "site"])
def test_the_tree_is_right(site: bool) -> None:
    assert not shown(findings(tree(), with_site=site), tree())


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_finds(mutation: Mutation, pytestconfig: pytest.Config) -> None:
    files = apply(mutation)
    alone = findings(files, with_site=False)
    found = findings(files) if mutation.site else alone
    mine = [item for item in found if item.code is mutation.code]
    assert mine, f"{mutation.code} is not among\n{shown(found, files)}"
    if mutation.old or mutation.new:
        assert any(mutation.file in places(item) for item in mine), shown(mine, files)
    if mutation.at is not None:
        labels = [label for item in mine for label in (item.primary, *item.secondary) if label is not None]
        words = [files[span.file.split("/", 1)[1]][span.start : span.end] for span in (label.span for label in labels)]
        assert mutation.at in words, words
    if mutation.site:
        assert not [item for item in alone if item.code is mutation.code], "the files tell it alone"
    every = findings(files)
    other = [item for item in every if item.code is not mutation.code and item.code not in mutation.more]
    assert not other, shown(other, files)
    texts = {f"{HOST}/{path}": text for path, text in files.items()}
    text = f"{told(alone, texts)}\nwith the site:\n{told(every, texts)}"
    assert same("planted", mutation.name, text, update=pytestconfig.getoption("--update")), text


SAME = [
    (
        "the host's own distances",
        WIDE,
        "<cell id='0' cpus='0-1' memory='4194304' unit='KiB'/>",
        "<cell id='0' cpus='0-1' memory='4194304'><distances><sibling id='1' value='21'/></distances></cell>",
    ),
    ("a mask in another spelling", WIDE, "'0,6,12,18'", "'0,6,12-12,18'"),
    ("a mask with an exception", WIDE, "'0,6,12,18'", "'0,6,12-18,^13-17'"),
    ("a mask with spaces", RT, "emulatorpin cpuset='0,12'", "emulatorpin cpuset=' 0, 12 '"),
    ("a list for a range", RT, "vcpus='0-3'", "vcpus='3,0-1,2'"),
    ("attributes in another order", RT, pin(0, "3"), "vcpupin cpuset='3' vcpu='0'"),
    ("pins in another order", RT, f"<{pin(0, '3')}/>\n    <{pin(1, '15')}/>", f"<{pin(1, '15')}/><{pin(0, '3')}/>"),
    ("double quotes", RT, "cpuset='3'", 'cpuset="3"'),
    ("space in a tag", RT, "cpuset='3'/>", "cpuset = '3'\n  />"),
    ("space in a text", DU, ">2097152<", "> 2097152\n<"),
    ("an element with an end tag", RT, "<locked/>", "<locked></locked>"),
    ("a comment", RT, "<cputune>", "<!-- <vcpupin vcpu='9' cpuset='99'/> --><cputune>"),
    ("a CDATA section", DU, "<name>du-1<", "<name><![CDATA[du-1]]><"),
    ("a character reference", DU, "<name>du-1<", "<name>du&#45;1<"),
    ("a declaration", DU, "<domain type", "<?xml version='1.0' encoding='utf-8'?>\n<domain type"),
    ("another unit", DU, "unit='KiB'>2097152<", "unit='GiB'>2<"),
    ("libvirt's short unit", DU, "size='1048576' unit='KiB'", "size='1' unit='G'"),
    ("the unit left out", DU, "<memory unit='KiB'>", "<memory>"),
    ("a uuid in upper case", DU, "3d5b1e1c", "3D5B1E1C"),
    ("a PCI address in decimal", DU, "bus='0xaf'", "bus='175'"),
    (
        "iothreadids",
        RT,
        "<iothreads>1</iothreads>",
        "<iothreads>1</iothreads><iothreadids><iothread id='1'/></iothreadids>",
    ),
    ("isolcpus as a list", GRUB, f"domain,{ISOLATED} n", "domain,2,3,4,5,8-11,14-17,20-N n"),
    ("a kernel stride", GRUB, "irqaffinity=0-1,6-7,12-13,18-19", "irqaffinity=0-19:2/6"),
    (
        "options in another order",
        GRUB,
        "default_hugepagesz=1G hugepagesz=1G hugepages=0:16,1:16 skew_tick=1",
        "skew_tick=1 default_hugepagesz=1G hugepagesz=1G hugepages=1:16,0:16",
    ),
    ("pages after the default size", GRUB, " hugepagesz=1G", ""),
    ("space in the line", GRUB, " skew_tick=1", "   skew_tick=1  "),
    ("another form of appending", GRUB, 'DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT ', 'DEFAULT+="'),
    ("single quotes in the shell", GRUB, 'skew_tick=1"', "\"'skew_tick=1'"),
    ("an export", GRUB, "GRUB_CMDLINE_LINUX_DEFAULT=", "export GRUB_CMDLINE_LINUX_DEFAULT="),
    ("a sysctl with slashes", SYSCTL, "vm.swappiness", "vm/swappiness"),
    ("a sysctl without spaces", SYSCTL, "vm.swappiness = 10", "vm.swappiness=10"),
    ("a comment in sysctl", SYSCTL, "vm.swappiness", "; vm.swappiness = 9\nvm.swappiness"),
    ("services in ranges", MANAGER, HOUSEKEEPING, "0 6 12 18"),
    ("services in two lines", MANAGER, f"CPUAffinity={HOUSEKEEPING}", f"CPUAffinity=\nCPUAffinity={HOUSEKEEPING}"),
    (
        "a quoted environment",
        IRQBALANCE,
        f"IRQBALANCE_BANNED_CPULIST={ISOLATED}",
        f'"IRQBALANCE_BANNED_CPULIST={ISOLATED}"',
    ),
    ("a dash in a module", MODPROBE, "kvm_intel", "kvm-intel"),
    ("options on one line", MODPROBE, "options kvm kvmclock", "options kvm \\\n  kvmclock"),
    ("a mask with 0x", TUNED, "=0c30c3", "=0x0c30c3"),
]


@pytest.mark.parametrize(("file", "old", "new"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_says_nothing_where_the_meaning_stays(file: str, old: str, new: str) -> None:
    files = tree()
    assert old in files[file]
    files[file] = files[file].replace(old, new)
    assert not shown(findings(files), files)
