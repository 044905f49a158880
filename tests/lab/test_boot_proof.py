"""A real kernel is booted on a machine of a host's shape with what was generated for the host, and shows what the plan says.

The examples' hosts are booted in the proof runs; in every run, the smallest of them and a host of the lab's own that has all that a
boot line can set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.bootloader import entry_options, grub_words, kernel_install_entry
from lab.compiled import READ_BACK, Compiled, build, differences, distinct, examples
from lab.machine import MEMORY_LIMIT_KIB, Booted, boot, scaled, shape_of
from lab.needs import needs
from lab.report import DIVIDED, RETRIED

Record = Callable[[str, object], None]

NOT_PROVEN = (
    "siblings and caches: each CPU of a booted machine is a package of its own, since QEMU numbers siblings side by side",
    "hosts beyond 128 CPUs: no example has one",
    "what words do that have nothing to be read back (named with each host); the kernel knows them",
    "AMD's IOMMU: the lab's kernel has no driver for it; Intel's is emulated, and its domains are read back",
    "the virtual functions that `make-vfs` makes: no emulated device has them; the script runs on a made-up sysfs in `make test`",
    "the script for huge pages under a kernel before 5.16: it runs under the lab's newer one",
    "tuned's settings in the booted machine: tuned runs in a copy of this machine, in `make test`",
)


def boot_host(
    host: Compiled, record: Record, *, line: tuple[str, ...] | None = None, factor: int = 1, limit: float = 150
) -> Booted:
    """The host's machine, with its own line or another; what it took goes to the report."""
    assert not host.script or factor == 1, "the script's counts can't be divided"
    shape, words = scaled(shape_of(host.topology), host.host.line if line is None else line, factor)
    booted = boot(
        shape,
        words,
        host.host.sysctl_text,
        script_text=host.script,
        limit=limit,
        memory_limit_kib=host.memory_kib + (1 << 20),
    )
    record("boot seconds", f"{booted.seconds:.0f}")
    if booted.retried:
        record(RETRIED, booted.retried)
    return booted


@needs("qemu", "kernel", "initramfs")
def test_the_smallest_example_boots_as_compiled(record_property: Record) -> None:
    host = min(examples(), key=lambda host: (host.memory_kib, str(host)))
    assert host.host.sysctl_text, "nothing to read back"
    assert differences(host, boot_host(host, record_property)) == []


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """A host that isolates CPUs and keeps pages of two sizes on two nodes."""
    (host,) = build("edge", tmp_path_factory.mktemp("boot"))
    assert host.plan.isolated and len({page.size_kib for page in host.plan.pages}) == 2
    return host


@needs("qemu", "kernel", "initramfs")
def test_a_host_that_isolates_boots_as_compiled(edge: Compiled, record_property: Record) -> None:
    assert differences(edge, boot_host(edge, record_property)) == []


TAMPERED = {
    "a CPU that is not there": ("domain,2-3,6-7,10-11,14-15", "domain,2-3,6-7,10-11,14-16", "isolated"),
    "a CPU less": (" nohz_full=2-3,", " nohz_full=3,", "nohz_full"),
    "another CPU": (" rcu_nocbs=2-3,", " rcu_nocbs=1,3,", "rcu_nocbs"),
    "a typo": (" irqaffinity=", " irqafinity=", "unknown words"),
    "a node that is not there": ("hugepages=0:640,1:640", "hugepages=0:640,2:640", "pages of 2048 KiB"),
    "a page more": ("hugepages=0:1,1:1", "hugepages=0:2,1:1", "pages of 1048576 KiB on node 0"),
    "another default size": ("default_hugepagesz=1G", "default_hugepagesz=2M", "default page size"),
}
"""Tampering with the host's line: what is replaced, by what, and the subject that must differ then."""


def _tamper(edge: Compiled, *names: str) -> tuple[str, ...]:
    text = " ".join(("", *edge.host.line))
    for name in names:
        old, new, _ = TAMPERED[name]
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return tuple(text.split())


@needs("qemu", "kernel", "initramfs")
def test_a_tampered_line_is_noticed(edge: Compiled, record_property: Record) -> None:
    """Those that do not hide each other, at once; each alone in the proof runs."""
    names = set(TAMPERED) - {"another default size"}
    found = differences(edge, boot_host(edge, record_property, line=_tamper(edge, *sorted(names))))
    for name in names:
        assert any(line.startswith(TAMPERED[name][2]) for line in found), (name, found)


@pytest.mark.proof
@needs("qemu", "kernel", "initramfs")
@pytest.mark.parametrize("name", TAMPERED)
def test_each_tampered_line_is_noticed(name: str, edge: Compiled, record_property: Record) -> None:
    found = differences(edge, boot_host(edge, record_property, line=_tamper(edge, name)))
    record_property("noticed", "; ".join(found))
    assert any(line.startswith(TAMPERED[name][2]) for line in found), found


@pytest.mark.proof
@needs("qemu", "kernel", "initramfs")
@pytest.mark.parametrize("alike", distinct(examples()), ids=lambda alike: "+".join(map(str, alike)))
def test_every_shape_of_the_examples_boots_as_compiled(alike: list[Compiled], record_property: Record) -> None:
    """CPUs and nodes are the host's; memory and pages are divided by one number where the lab has too little."""
    host = alike[0]
    factor = -(-host.memory_kib // MEMORY_LIMIT_KIB)
    record_property("CPUs", len(host.topology.online))
    record_property("nodes", len(host.topology.nodes))
    record_property("GiB", host.memory_kib >> 20)
    record_property(DIVIDED, factor)
    record_property("isolated", str(host.plan.isolated) or "none")
    pages = [f"node {one.node} {one.count} * {one.size_kib >> 10} MiB" for one in host.plan.pages]
    record_property("pages", ", ".join(pages) or "none")
    blind = sorted({word.partition("=")[0] for word in host.host.line} - READ_BACK)
    if not shape_of(host.topology).intel:
        blind += [word for word in host.host.line if word.startswith("iommu")]
    record_property("words only known to be known", " ".join(blind) or "none")
    booted = boot_host(host, record_property, factor=factor, limit=900)
    assert differences(host, booted, factor=factor) == []


@pytest.mark.proof
@needs("qemu", "kernel", "initramfs", "grub", "scratch")
def test_the_line_of_grubs_menu_boots_as_compiled(edge: Compiled, record_property: Record) -> None:
    """The words are those of grub-mkconfig's menu, not of the file."""
    (drop_in,) = edge.host.grub_drop_ins.values()
    assert differences(edge, boot_host(edge, record_property, line=grub_words(drop_in))) == []


@pytest.mark.proof
@needs("qemu", "kernel", "initramfs", "kernel-install", "scratch")
def test_the_line_of_a_boot_entry_boots_as_compiled(tmp_path: Path, record_property: Record) -> None:
    """With `boot = bls`: the words are those of the entry that kernel-install leaves."""
    (host,) = build("edge", tmp_path, {'kernel   = "6.1"': 'kernel   = "6.1"\n  boot     = bls'})
    entry = kernel_install_entry({"/etc/kernel/cmdline": "ro isolcpus=1\n"} | host.host.installed)
    line = entry_options(entry)
    assert set(host.host.line) < set(line)
    assert differences(host, boot_host(host, record_property, line=line)) == []


@pytest.mark.proof
@needs("qemu", "kernel", "initramfs")
@pytest.mark.parametrize("site", ["edge", "db"])
def test_pages_of_a_script_are_as_compiled(site: str, tmp_path: Path, record_property: Record) -> None:
    """A kernel before 5.16 takes no pages by node on its line: the script of the host's unit reserves them. Run under the lab's
    kernel, which is newer."""
    changes = {"edge": {'kernel   = "6.1"': 'kernel   = "5.15"'}, "db": {'kernel  = "6.1"': 'kernel  = "5.10"'}}
    (host,) = build(site, tmp_path, changes[site])
    assert host.script and not any(word.startswith("hugepages=") for word in host.host.line)
    booted = boot_host(host, record_property)
    assert booted.script == "ended with 0"
    assert differences(host, booted) == []


@pytest.mark.proof
@needs("qemu", "kernel", "initramfs")
def test_a_script_that_gets_too_few_pages_fails(edge: Compiled, tmp_path: Path, record_property: Record) -> None:
    """All of one node's memory, of which the kernel has some: asked of both nodes, nothing would be left for the report."""
    (host,) = build("edge", tmp_path, {'kernel   = "6.1"': 'kernel   = "5.15"'})
    shape = shape_of(host.topology)
    wanted = shape.nodes[0].memory_kib >> 20
    asked = "node0/hugepages/hugepages-1048576kB/nr_hugepages"
    assert f"{asked} 1\n" in host.script and wanted > 1
    booted = boot(shape, host.host.line, script_text=host.script.replace(f"{asked} 1\n", f"{asked} {wanted}\n"))
    record_property("said", booted.script)
    assert booted.script.endswith("ended with 1")
    assert re.search(rf"{asked} gave \d+ pages of {wanted}$", booted.script, re.M)


def test_hosts_that_boot_alike_are_booted_once() -> None:
    hosts = examples()
    groups = distinct(hosts)
    assert sorted(map(str, hosts)) == sorted(str(host) for group in groups for host in group)
    for group in groups:
        assert len({(host.host.line, host.topology.online) for host in group}) == 1
    names = [[str(host) for host in group] for group in groups]
    assert ["database-ceph/db-a", "database-ceph/db-b", "database-ceph/db-c"] in names
