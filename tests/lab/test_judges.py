"""Each judge can say no: fed something wrong, it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import needs as lab_needs
from lab.bootloader import BootloaderError, entry_options, grub_menu, grub_words, kernel_install_entry
from lab.libvirtd import Libvirtd
from lab.needs import needs
from lab.scratch import Scratch
from lab.texts import rng_errors, shell_error, sysctl_error, unit_errors
from lab.tuned import TunedError, apply, load_profile

DOMAIN = """\
<domain type='qemu'>
  <name>judge</name>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <iothreads>1</iothreads>
  <cputune>
    <vcpupin vcpu='0' cpuset='0'/>
    <vcpupin vcpu='1' cpuset='1'/>
    <emulatorpin cpuset='1'/>
    <iothreadpin iothread='1' cpuset='0'/>
    <vcpusched vcpus='1' scheduler='fifo' priority='3'/>
  </cputune>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>
</domain>
"""


@needs("scratch")
def test_a_scratch_copy_leaves_the_machine_alone() -> None:
    with Scratch() as scratch:
        scratch.write("/etc/kvmc-judge", "inside\n")
        assert scratch.run("cat", "/etc/kvmc-judge").stdout == "inside\n"
        refused = scratch.run("sh", "-c", "echo 1 >/proc/sys/vm/swappiness || echo 3 >/sys/kernel/mm/ksm/run")
        assert refused.returncode != 0
        assert scratch.run("cat", "/proc/1/comm").stdout != "", "its own processes"
        assert not scratch.path("/dev/vda").exists()
    assert not Path("/etc/kvmc-judge").exists()


@needs("libvirt-schema")
def test_the_schema_refuses_an_unknown_element() -> None:
    assert rng_errors(DOMAIN) == ()
    assert rng_errors(DOMAIN.replace("<vcpu>", "<vcpuz/><vcpu>"))
    assert rng_errors("<domain")


@needs("libvirtd")
def test_libvirt_refuses_what_the_schema_passes(libvirtd: Libvirtd) -> None:
    missing_thread = DOMAIN.replace("iothread='1'", "iothread='4'").replace("judge", "wrong")
    assert rng_errors(missing_thread) == ()
    assert libvirtd.define_validate(missing_thread) is not None
    assert "schema" in (libvirtd.define_validate(DOMAIN.replace("<vcpu>", "<vcpuz/><vcpu>")) or "")
    assert "wrong" not in libvirtd.domains()


@needs("libvirtd", "qemu")
def test_threads_of_a_started_domain_are_read_back(libvirtd: Libvirtd) -> None:
    assert libvirtd.define_validate(DOMAIN) is None
    try:
        assert "iothread" in libvirtd.native(DOMAIN)
        assert libvirtd.start("judge") is None
        threads = libvirtd.threads("judge")
        assert {name: str(threads[name].cpus) for name in ("emulator", "CPU 0/TCG", "CPU 1/TCG", "IO iothread1")} == {
            "emulator": "1",
            "CPU 0/TCG": "0",
            "CPU 1/TCG": "1",
            "IO iothread1": "0",
        }
        assert (threads["CPU 1/TCG"].policy, threads["CPU 1/TCG"].priority) == ("fifo", 3)
        assert (threads["CPU 0/TCG"].policy, threads["CPU 0/TCG"].priority) == ("other", 0)
        libvirtd.destroy("judge")
    finally:
        libvirtd.undefine("judge")
    absent_cpu = DOMAIN.replace("cpuset='1'", "cpuset='900'").replace("judge", "absent")
    assert libvirtd.create(absent_cpu) is not None


@needs("tuned", "scratch")
def test_tuned_names_what_it_does_not_know() -> None:
    good = "[main]\nsummary=judge\n[variables]\nn=5\n[sysctl]\nvm.swappiness=${n}\n[cpu]\nforce_latency=1\n"
    path = "/etc/tuned/judge/tuned.conf"
    assert load_profile("judge", {path: good})["sysctl"].options["vm.swappiness"] == "5"
    assert apply("judge", {path: good}).unknown == ()
    for wrong, word in {
        good.replace("force_latency", "forced_latency"): "forced_latency",
        good.replace("[cpu]", "[cpus]"): "cpus",
        good.replace("vm.swappiness=${n}", "vm.swappiness=${f:nosuch:1}"): "nosuch",
    }.items():
        assert any(word in line for line in apply("judge", {path: wrong}).unknown), word
    with pytest.raises(TunedError, match="nosuch"):
        load_profile("judge", {path: "[main]\ninclude=nosuch\n"})
    with pytest.raises(TunedError):
        load_profile("judge", {path: "summary\n=x"})


@needs("tuned", "scratch")
def test_tuned_in_a_copy_moves_no_interrupt_of_the_machine() -> None:
    affinity = Path("/proc/irq/default_smp_affinity")
    before = affinity.read_text()
    text = "[main]\ninclude=cpu-partitioning\n[variables]\nisolated_cores=0\n"
    applied = apply("judge", {"/etc/tuned/judge/tuned.conf": text})
    assert "plugin_scheduler" in applied.log
    assert affinity.read_text() == before


@needs("grub", "scratch")
def test_grub_puts_the_words_in_the_entry_that_boots_and_not_in_recovery() -> None:
    text = (
        'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT isolcpus=managed_irq,domain,2-3 hugepages=0:1,1:2"\n'
    )
    assert grub_words(text) == ("isolcpus=managed_irq,domain,2-3", "hugepages=0:1,1:2")
    menu = grub_menu({"zz-kvmc.cfg": text})
    assert "isolcpus=managed_irq,domain,2-3" in menu.normal
    assert not any(word.startswith("isolcpus") for word in menu.recovery)


@needs("grub", "scratch")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('GRUB_CMDLINE_LINUX_DEFAULT="isolcpus=2"\n', "replaces words"),
        ('GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT isolcpus=2\n', "nterminated"),
        ('GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT" isolcpus-2\n', "not found"),
    ],
)
def test_grub_refuses(text: str, said: str) -> None:
    with pytest.raises(BootloaderError, match=said):
        grub_words(text)


@needs("kernel-install", "scratch")
def test_kernel_install_writes_the_words_of_cmdline() -> None:
    entry = kernel_install_entry({"/etc/kernel/cmdline": "root=/dev/sda1 ro isolcpus=2\nnohz_full=2\n"})
    assert {"isolcpus=2", "nohz_full=2"} <= set(entry_options(entry))
    assert "isolcpus=2" not in entry_options(kernel_install_entry({"/etc/kernel/cmdline": "ro\n"}))
    with pytest.raises(BootloaderError):
        kernel_install_entry(
            {"/etc/kernel/cmdline": "ro\n", "/etc/kernel/install.d/10-no.install": "#!/bin/sh\nexit 1\n"}
        )


@needs("procps")
def test_procps_refuses_a_line_that_is_no_setting() -> None:
    assert sysctl_error("# why\nvm.swappiness = 1\nno.such.key = 1\n") is None
    assert sysctl_error("vm.swappiness 1\n") is not None


def test_the_shell_refuses_an_open_quote() -> None:
    assert shell_error('A="x"\n') is None
    assert shell_error('A="x\n') is not None


@needs("systemd-analyze", "scratch")
def test_systemd_refuses_an_unknown_setting() -> None:
    unit = "[Unit]\nDescription=x\n[Service]\nType=oneshot\nExecStart=/bin/true\n"
    assert unit_errors({"/etc/systemd/system/judge.service": unit}) == ()
    assert unit_errors({"/etc/systemd/system/judge.service": unit.replace("ExecStart=/bin/true", "ExecStart=/nosuch")})
    assert unit_errors({"/etc/systemd/system/judge.service": unit.replace("Type", "Typ")})
    assert unit_errors({"/etc/systemd/system/nosuch.service.d/kvmc.conf": "[Service]\nCPUAffinity=0\n"}) == ()
    assert unit_errors({"/etc/systemd/system/nosuch.service.d/kvmc.conf": "[Service]\nCPUAfinity=0\n"})


def test_needs_say_what_is_missing() -> None:
    assert lab_needs.missing(()) is None
    with pytest.raises(KeyError):
        lab_needs.missing(("no-such-need",))
