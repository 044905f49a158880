"""A real libvirtd creates guests as they were compiled, paused, and they run where the XML says.

On this machine, and, for hosts of another shape, inside a booted machine of the host's shape with the host's boot line. What of the
XML is changed for that is listed in `lab.guests.CHANGES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from lab.compiled import Compiled, build, differences
from lab.examples import hosts
from lab.guests import deviations, expected, for_tcg
from lab.inside import Attempt, Started, prepare, started
from lab.libvirtd import Libvirtd
from lab.machine import boot, shape_of
from lab.needs import needs
from lab.report import RETRIED

Record = Callable[[str, object], None]

NOT_PROVEN = (
    "the examples' own hosts: their guests take more memory than this machine has, so their classes run on hosts of the lab's own",
    "passed devices and virtual functions: removed from the XML",
    "vhost threads: libvirt starts none for a guest without KVM",
    "`host-passthrough` and the hints to KVM: they need KVM",
    "guests that run: all stay paused in their firmware's first instruction",
    "locked memory on this machine, since a container may not lift the limit; inside the booted machine it is proven",
)


def _start_here(libvirtd: Libvirtd, xml: str) -> list[str]:
    """Start a domain on this machine, paused, and how it deviates. Its disks are files made here, its bridges are made in the copy
    of the machine."""
    root = etree.fromstring(xml.encode())
    for source in root.iterfind("devices//source"):
        if bridge := source.get("bridge"):
            libvirtd.run("sh", "-c", f"ip link show {bridge} || ip link add {bridge} type bridge")
            libvirtd.run("ip", "link", "set", bridge, "up")
        if path := source.get("file"):
            libvirtd.run("mkdir", "-p", path.rpartition("/")[0])
            libvirtd.run("truncate", "-s", "64M", path)
    name = root.findtext("name")
    assert name is not None
    assert libvirtd.define_validate(xml) is None
    try:
        assert libvirtd.start(name) is None
        found = deviations(expected(xml), libvirtd.threads(name), libvirtd.memory(name), cgroups=False)
        libvirtd.destroy(name)
    finally:
        libvirtd.undefine(name)
    return found


@needs("libvirtd", "qemu")
def test_a_guest_of_the_smallest_example_runs_where_it_was_planned(libvirtd: Libvirtd) -> None:
    """Nothing of the domain is changed."""
    tiny = [host for host in hosts() if host.example == "tiny" and host.domains]
    assert tiny, "no example `tiny` with a guest"
    xml = next(iter(tiny[0].domains.values()))
    assert etree.fromstring(xml.encode()).get("type") == "qemu", "the guest is to run without KVM here"
    assert _start_here(libvirtd, xml) == []


@needs("libvirtd", "qemu")
def test_a_moved_pin_is_noticed(libvirtd: Libvirtd) -> None:
    """The judge above can say no: the guest runs with one pin, and is held against another."""
    tiny = next(host for host in hosts() if host.example == "tiny" and host.domains)
    xml = next(iter(tiny.domains.values()))
    name = etree.fromstring(xml.encode()).findtext("name")
    assert name is not None
    libvirtd.run("sh", "-c", "mkdir -p /var/lib/libvirt/images; truncate -s 64M /var/lib/libvirt/images/hello-root.img")
    assert libvirtd.create(xml) is None
    threads, memory = libvirtd.threads(name), libvirtd.memory(name)
    libvirtd.destroy(name)
    for old, new, subject in (
        ('<vcpupin vcpu="0" cpuset="1"', '<vcpupin vcpu="0" cpuset="0"', "CPU 0/TCG"),
        ('<emulatorpin cpuset="0"', '<emulatorpin cpuset="1"', "emulator"),
        ('<iothreadpin iothread="1" cpuset="0"', '<iothreadpin iothread="1" cpuset="1"', "IO iothread1"),
        ("</cputune>", '<vcpusched vcpus="0" scheduler="fifo" priority="2"/></cputune>', "CPU 0/TCG"),
        ("<nosharepages/>", '<hugepages><page size="2048" unit="KiB" nodeset="0"/></hugepages>', "huge pages"),
        ('cellid="0" mode="strict" nodeset="0"', 'cellid="0" mode="strict" nodeset="1"', "memory is bound"),
    ):
        assert xml.count(old) == 1, old
        found = deviations(expected(xml.replace(old, new)), threads, memory, cgroups=False)
        assert any(line.startswith(subject) for line in found), (new, found)


@pytest.mark.proof
@needs("libvirtd", "qemu")
@pytest.mark.parametrize("host", ["pinned", "realtime", "shared"])
def test_a_guest_of_each_class_runs_here_where_it_was_planned(
    host: str, libvirtd: Libvirtd, tmp_path: Path, record_property: Record
) -> None:
    """Hosts with this machine's shape: two CPUs, one node, no huge pages."""
    compiled = {one.host.name: one for one in build("here", tmp_path)}
    ((name, xml),) = compiled[host].guests.items()
    changed, changes = for_tcg(xml)
    record_property("guest", name)
    record_property("changed for TCG", ", ".join(changes))
    assert _start_here(libvirtd, changed) == []


def _inside(host: Compiled, refused: list[Attempt], record: Record) -> dict[str, Started]:
    """Boot the host's machine, try what is to be refused, then create all its guests; the machine shows what the plan says."""
    attempts = list(refused)
    for name, xml in host.guests.items():
        changed, changes = for_tcg(xml)
        record(f"guest {name}, changed for TCG", ", ".join(changes))
        attempts.append(Attempt(name, name, changed))
    script, payload = prepare(attempts, host.host.installed)
    booted = boot(
        shape_of(host.topology),
        host.host.line,
        host.host.sysctl_text,
        script_text=script,
        payload=payload,
        limit=600,
        silence=150,
    )
    record("seconds in all", f"{booted.seconds:.0f}")
    if booted.retried:
        record(RETRIED, booted.retried)
    assert differences(host, booted) == []
    return started(booted.script)


def _wrong(host: Compiled, label: str, guest: str, pattern: str, new: str) -> Attempt:
    """The guest with one thing made wrong; destroyed at once where it starts nevertheless."""
    xml, count = re.subn(pattern, new, for_tcg(host.guests[guest])[0], count=1)
    assert count == 1, pattern
    return Attempt(label, guest, xml, keep=False)


def _judge(host: Compiled, found: dict[str, Started], refused: list[Attempt], record: Record) -> None:
    for attempt in refused:
        said = found[attempt.label].refused
        record(f"refused: {attempt.label}", (said or "").splitlines()[-1:])
        assert said is not None, f"{attempt.label}: it started"
    for name, xml in host.guests.items():
        one = found[name]
        assert one.refused is None, (name, one.refused)
        assert deviations(expected(xml), one.threads, one.memory, cgroups=True) == [], name
        fifo = {str(thread.priority) for thread in one.threads.values() if thread.policy == "fifo"}
        pages = [
            f"{kib >> 10} MiB on node {node} in pages of {size >> 10}" for (node, size), kib in one.memory.huge.items()
        ]
        figures = [f"{len(one.threads)} threads", *(f"FIFO {priority}" for priority in sorted(fifo)), *pages]
        record(f"as compiled: {name}", ", ".join(figures))


@pytest.mark.proof
@needs("qemu", "kernel", "initramfs", "libvirt-inside")
def test_realtime_guests_start_inside_their_host(tmp_path: Path, record_property: Record) -> None:
    """The classes of examples/telco-edge."""
    (host,) = build("edge", tmp_path)
    refused = [
        # The emulator's mask must hold a housekeeping CPU of the memory's node (kvmc's rule); here it has the other node's.
        _wrong(host, "emulator-on-the-other-node", "upf-1", r'(<emulatorpin cpuset=)"[^"]*"', r'\1"0,8"'),
        _wrong(host, "a-cpu-that-is-not-there", "upf-1", r'(<vcpupin vcpu="0" cpuset=)"[^"]*"', r'\1"16"'),
        _wrong(host, "a-priority-that-is-none", "upf-1", r'(scheduler="fifo" priority=)"[^"]*"', r'\1"500"'),
    ]
    _judge(host, _inside(host, refused, record_property), refused, record_property)


@pytest.mark.proof
@needs("qemu", "kernel", "initramfs", "libvirt-inside")
def test_database_guests_start_inside_their_host(tmp_path: Path, record_property: Record) -> None:
    """The classes of examples/database-ceph: I/O threads, a guest of two cells, shared CPUs."""
    (host,) = build("db", tmp_path)
    refused = [
        _wrong(host, "two-cells-emulator-on-one-node", "reports", r'(<emulatorpin cpuset=)"[^"]*"', r'\1"0,8"'),
        _wrong(host, "a-node-that-is-not-there", "pg-1", r'(<memnode cellid="0" mode="strict" nodeset=)"0"', r'\1"2"'),
        _wrong(host, "too-few-pages-on-the-node", "pg-1", r'<page size="1048576"', '<page size="2048"'),
    ]
    _judge(host, _inside(host, refused, record_property), refused, record_property)
