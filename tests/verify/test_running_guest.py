"""Real guests of a real libvirtd: captured there, they are as they were compiled; moved behind libvirt's back, they are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kvmc.diagnostics.codes import verify as codes
from kvmc.verify import capture
from kvmc.verify.check import Verdict, verify_host
from kvmc.verify.difference import Effect, Kind
from kvmc.verify.root import TextRoot, open_root
from lab.libvirtd import Libvirtd
from lab.needs import needs
from verify.simulate import build_example

NAME = "verified"
XML = f"""\
<domain type='qemu'>
  <name>{NAME}</name>
  <uuid>5c1f7a3e-6f0e-4f55-9d8e-0a6c2b1d9e44</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <iothreads>1</iothreads>
  <cputune>
    <vcpupin vcpu='0' cpuset='0'/>
    <vcpupin vcpu='1' cpuset='1'/>
    <emulatorpin cpuset='1'/>
    <iothreadpin iothread='1' cpuset='0'/>
  </cputune>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>
</domain>
"""


def taken(libvirtd: Libvirtd, number: int) -> TextRoot:
    """What the script captures beside libvirtd."""
    scratch = libvirtd._scratch
    scratch.write("/tmp/capture.py", Path(capture.__file__).read_text())
    libvirtd.run("python3", "/tmp/capture.py", "-o", f"/tmp/capture-{number}.tar")
    root = open_root(scratch.path(f"/tmp/capture-{number}.tar"))
    assert isinstance(root, TextRoot)
    return root


def judged(root: TextRoot, xml: str = XML) -> Verdict:
    return verify_host("here", {f"domains/{NAME}.xml": xml}, root)


@needs("libvirtd")
def test_a_guest_that_runs(libvirtd: Libvirtd) -> None:
    assert libvirtd.define_validate(XML) is None
    try:
        off = judged(taken(libvirtd, 0))
        assert off.differences == () and "does not run" in off.bag.items[-1].message
        libvirtd.virsh("start", "--paused", NAME)
        root = taken(libvirtd, 1)
        assert any(text.startswith("CPU 1/") for path, text in root.texts.items() if path.endswith("/comm")), sorted(
            root.texts
        )
        assert any(path.endswith(".memory") and text for path, text in root.texts.items())
        assert [one.message for one in judged(root).differences] == []
        base = next(
            p for p, text in root.texts.items() if p.endswith("/comm") and text.startswith("CPU 1/")
        ).rpartition("/")[0]
        assert shutil.which("taskset")
        libvirtd.run("taskset", "-pc", "0", base.rpartition("/")[2])
        (one,) = judged(taken(libvirtd, 2)).differences
        assert (one.kind, one.runs, one.compiled, one.effect) == (Kind.GUEST_PIN, "0", "1", Effect.LIVE)
        libvirtd.virsh("vcpupin", NAME, "1", "1", "--live")
        libvirtd.virsh("emulatorpin", NAME, "0", "--live")
        (two,) = judged(taken(libvirtd, 3)).differences
        assert (two.kind, two.runs, two.effect, two.pending) == (Kind.GUEST_DEFINITION, "0", Effect.LIVE, False)
        libvirtd.virsh("emulatorpin", NAME, "1", "--live")
        (three,) = judged(taken(libvirtd, 4), XML.replace("'MiB'>64", "'MiB'>96")).differences
        assert (three.kind, three.runs, three.compiled) == (Kind.GUEST_DEFINITION, "64MiB", "96MiB")
    finally:
        libvirtd.run(
            "sh", "-c", f"virsh -q -c qemu:///system destroy {NAME}; virsh -q -c qemu:///system undefine {NAME}"
        )


@needs("libvirtd")
@pytest.mark.parametrize("name", ["tiny", "telco-edge", "database-ceph"])
def test_what_libvirt_makes_of_a_definition_is_no_difference(name: str, libvirtd: Libvirtd, tmp_path: Path) -> None:
    example = build_example(name, tmp_path)
    host, texts = next(iter(example.trees.items()))
    domains = {path: text for path, text in texts.items() if path.startswith("domains/")}
    guests = [path.removeprefix("domains/").removesuffix(".xml") for path in domains]
    try:
        for text in domains.values():
            assert libvirtd.define_validate(text) is None
        verdict = verify_host(host, domains, taken(libvirtd, 9))
        # a small machine lacks the CPUs of a large one
        assert [one.message for one in verdict.differences if one.kind is not Kind.CPU_OFFLINE] == []
        assert sorted(item.message for item in verdict.bag if item.code is codes.GUEST_OFF) == sorted(
            f"guest `{one}` does not run" for one in guests
        )
    finally:
        for one in guests:
            libvirtd.undefine(one)
