"""Raw settings: what is refused, at which line; and what is written, with its reason, and taken by the audit as asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import kvmc_targets
from cli.running import environment
from kvmc.cli.app import app
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.diagnostics.codes import schema
from kvmc.driver.audit import audit_tree
from kvmc.driver.build import Options, build_site
from kvmc.driver.inputs import read_inputs
from kvmc.hostconfig.raw_xml import parse
from kvmc.knowledge.folklore import FOLKLORE, Folklore

BASE = Path(__file__).resolve().parents[1] / "diagnostics/base"


def site(folder: Path, host: str = "", vm: str = "", pool: str = "", platform: str = "") -> Path:
    """The base's site with lines put in its host, its guest `web`, its pool and its platform."""
    shutil.copytree(BASE, folder, dirs_exist_ok=True)
    path = folder / "site.kvmt"
    text = path.read_text()
    text = text.replace('  topology = "hosts/a.json"\n', f'  topology = "hosts/a.json"\n{host}\n')
    text = text.replace("  isolation = boot\n", f"  isolation = boot\n{pool}\n")
    text = text.replace('  kernel  = "6.1"\n', platform or '  kernel  = "6.1"\n')
    path.write_text(text.replace("vm web : small\n", f"vm web : small {{\n{vm}\n}}\n"))
    return path


def told(path: Path) -> tuple[Bag, str]:
    outcome = read_inputs(path)
    return outcome.bag, outcome.texts["site.kvmt"]


def raw(carrier: str, key: str, value: str | None, reason: str = "", at: str = "") -> str:
    lines = [f'value = "{value}"'] if value is not None else []
    lines += [f'reason = "{reason}"'] if reason else []
    lines += [f'at = "{at}"'] if at else []
    return f'raw {carrier} "{key}" {{\n' + "".join(f"{line}\n" for line in lines) + "}\n"


@pytest.mark.parametrize("one", FOLKLORE, ids=lambda one: one.name)
@pytest.mark.parametrize("carrier", ["cmdline", "sysctl", "modprobe"])
def test_what_does_not_exist_is_refused_with_what_does_it(tmp_path: Path, one: Folklore, carrier: str) -> None:
    name = one.name.replace(" ", "_").lstrip("-")
    key = {"cmdline": name, "sysctl": f"kernel.{name}", "modprobe": f"kvm.{name}"}[carrier]
    if name.startswith("__"):
        pytest.skip("no name of a raw setting begins so")
    bag, text = told(site(tmp_path, raw(carrier, key, one.value or "1")))
    (item,) = bag
    assert item.code is codes.RAW_FOLKLORE and one.real in item.message and item.help == (one.instead,)
    assert item.primary is not None and f'"{key}"' in text[item.primary.span.start : item.primary.span.end]


@pytest.mark.parametrize(
    ("carrier", "key", "value", "reason", "code"),
    [
        ("sysctl", "vm.min_free_kbytes", "1048576", "", None),
        ("sysctl", "kernel.printk", "4 4 1 7", "why", None),
        ("sysctl", "vm.min_free_kbytes", "much", "why", codes.RAW_VALUE),
        ("sysctl", "vm.min_free_kbytes", None, "", codes.RAW_FORM),
        ("sysctl", "vm.min_free_kbytes", "1;reboot", "", codes.RAW_FORM),
        ("sysctl", "vm", "1", "", codes.RAW_FORM),
        ("sysctl", "vm.swappiness", "1", "why", codes.RAW_OWNED),
        ("sysctl", "kernel.numa_balancing", "1", "", codes.RAW_OWNED),
        ("cmdline", "numa_balancing", "enable", "", codes.RAW_OWNED),
        ("cmdline", "sysctl.vm.swappiness", "1", "", codes.RAW_OWNED),
        ("sysctl", "vm.nr_hugepages", "5", "why", codes.RAW_OWNED),
        ("cmdline", "hugepages", "5", "why", codes.RAW_OWNED),
        ("cmdline", "isolcpus", "0", "why", codes.RAW_OWNED),
        ("cmdline", "nohz-full", "0-3", "why", codes.RAW_OWNED),
        ("cmdline", "intel_iommu", "on", "", codes.RAW_OWNED),
        ("tuned", "irqbalance.banned_cpus", "3", "why", codes.RAW_REFUSED),
        ("tuned", "main.include", "virtual-host", "why", codes.RAW_REFUSED),
        ("tuned", "bootloader.cmdline_x", "quiet", "why", codes.RAW_REFUSED),
        ("tuned", "scheduler.isolated_cores", "3", "why", codes.RAW_REFUSED),
        ("tuned", "cpu.governor", "powersave", "why", codes.RAW_OWNED),
        ("tuned", "sysfs./sys/kernel/mm/ksm/run", "2", "", None),
        ("tuned", "sysfs./sys/kernel/mm/ksm/run", "3", "", codes.RAW_VALUE),
        ("tuned", "sysfs./sys/kernel/debug/sched/base_slice_ns", "3000000", "", codes.RAW_LACKS),
        ("sysctl", "kernel.sched_min_granularity_ns", "3000000", "", codes.RAW_LACKS),
        ("sysctl", "kernel.io_uring_disabled", "1", "", codes.RAW_LACKS),
        ("modprobe", "kvm_amd.avic", "1", "", codes.RAW_LACKS),
        ("modprobe", "kvm_intel.ple_gap", "0", "", codes.RAW_HARMFUL),
        ("modprobe", "kvm_intel.ple_gap", "0", "why", None),
        ("modprobe", "kvm.nx_huge_pages", "off", "", codes.RAW_HARMFUL),
        ("cmdline", "kvm.nx_huge_pages", "off", "", codes.RAW_HARMFUL),
        ("cmdline", "mitigations", "off", "", codes.RAW_HARMFUL),
        ("cmdline", "mitigations", "off", "why", None),
        ("cmdline", "mitigations", "auto,nosmt", "", None),
        ("cmdline", "mitigations", "auto nosmt", "", codes.RAW_FORM),
        ("cmdline", "idle", "poll", "", codes.RAW_HARMFUL),
        ("cmdline", "idle", "sleep", "why", codes.RAW_VALUE),
        ("cmdline", "pti", "off", "", codes.RAW_HARMFUL),
        ("cmdline", "threadirqs", None, "", None),
        ("cmdline", "threadirqs", "1", "", codes.RAW_VALUE),
        ("cmdline", "vendor.word", "1", "", codes.RAW_UNKNOWN),
        ("cmdline", "vendor.word", "1", "why", None),
        ("modprobe", "vendor.option", "1", "", codes.RAW_UNKNOWN),
        ("modprobe", "halt_poll_ns", "1", "", codes.RAW_FORM),
        ("tuned", "net.ring", "rx ${x}", "", codes.RAW_FORM),
        ("xml", "x", "1", "", schema.BAD_LABELS),
        ("cmdlin", "psi", "1", "", schema.BAD_LABELS),
        ("cmdline", "a b", "1", "", schema.BAD_NAME),
        ("cmdline", "psi'", "1", "", schema.BAD_NAME),
    ],
)
def test_a_raw_setting_of_a_host(
    tmp_path: Path, carrier: str, key: str, value: str | None, reason: str, code: object
) -> None:
    bag, text = told(site(tmp_path, raw(carrier, key, value, reason)))
    assert [item.code for item in bag] == ([code] if code else []), [item.message for item in bag]
    if code:
        (item,) = bag
        assert item.primary is not None and item.primary.span.file == "site.kvmt"
        line = text.count("\n", 0, item.primary.span.start)
        first = text.split("\n").index(next(row for row in text.split("\n") if row.startswith(f"raw {carrier}")))
        assert first <= line <= first + 3


def test_two_owners_are_told_with_both_places(tmp_path: Path) -> None:
    twice = raw("sysctl", "vm.dirty_bytes", "1") + raw("tuned", "vm.dirty_bytes", "2")
    bag, text = told(site(tmp_path, twice))
    (item,) = bag
    assert item.code is codes.RAW_OWNED and len(item.secondary) == 1
    assert item.primary is not None and "raw tuned" in text[item.primary.span.start : item.primary.span.end]
    bag, text = told(site(tmp_path / "b", raw("sysctl", "vm.swappiness", "1"), pool="  profile = latency\n"))
    (item,) = bag
    (label,) = item.secondary
    assert text[label.span.start : label.span.end] == "profile = latency"


def test_a_pool_s_mistake_is_told_once_and_a_host_overrides_it(tmp_path: Path) -> None:
    shutil.copytree(BASE, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "site.kvmt"
    text = path.read_text().replace("  isolation = boot\n", "  isolation = boot\n" + raw("sysctl", "vm.numa_stat", "9"))
    second = 'host b : compute {\n  topology = "hosts/a.json"\n  rack = r2\n}\n'
    path.write_text(text + second)
    assert [item.code for item in told(path)[0]] == [codes.RAW_VALUE]
    path.write_text(text.replace("rack     = r1\n", "rack     = r1\n" + raw("sysctl", "vm.numa_stat", "0")))
    assert not list(told(path)[0])


@pytest.mark.parametrize(
    ("at", "value", "reason", "code"),
    [
        ("devices", "<vsock model='virtio'><cid auto='yes'/></vsock>", "", None),
        ("features/kvm", "<poll-control state='on'/>", "", None),
        ("features/kvm", "<pv-ipi state='off'/>", "", None),
        ("features/kvm", "<hint-dedicated state='on'/>", "", codes.RAW_HARMFUL),
        ("features/kvm", "<hint-dedicated state='on'/>", "why", None),
        ("features/kvm", "<hidden state='on'/>", "", codes.RAW_HARMFUL),
        ("cpu", "<feature policy='disable' name='avx2'/>", "", codes.RAW_HARMFUL),
        ("cpu", "<feature policy='disable' name='avx2'/>", "why", None),
        ("cpu", "<feature policy='require' name='aes'/>", "", None),
        ("cpu", "<feature policy='require' name='topoext'/>", "", codes.RAW_OWNED),
        ("cpu", "<feature policy='require' name='cet-pt'/>", "why", codes.RAW_FOLKLORE),
        ("cputune", "<vcpupin vcpu='0' cpuset='3'/>", "why", codes.RAW_OWNED),
        ("devices", "<disk type='file'/>", "why", codes.RAW_XML),
        ("devices", "<disk type='file'><source file='/a'/><target dev='vdz'/></disk>", "why", codes.RAW_OWNED),
        ("domain", "<vcpu>3</vcpu>", "why", codes.RAW_OWNED),
        ("domain", "<launchSecurity type='sev'><policy>3</policy></launchSecurity>", "", codes.RAW_OWNED),
        ("domain", "<defaultiothread thread_pool_min='2'/>", "", None),
        ("devices", "<vsock queue_depth='3'/>", "why", codes.RAW_FOLKLORE),
        ("devices", "<nonesuch/>", "", codes.RAW_UNKNOWN),
        ("devices", "<nonesuch/>", "why", None),
        (
            "cputune",
            "<cachetune vcpus='0'><cache id='0' level='3' type='both' size='3' unit='MiB'/></cachetune>",
            "",
            None,
        ),
        (
            "domain",
            "<iothreadids><iothread id='1'><poll weight='3'/></iothread></iothreadids>",
            "",
            codes.RAW_LACKS,
        ),
        (
            "domain",
            "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-enable-rvi'/></q:commandline>",
            "why",
            codes.RAW_FOLKLORE,
        ),
        (
            "domain",
            "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-trace'/></q:commandline>",
            "",
            codes.RAW_UNKNOWN,
        ),
        ("devices", "<vsock>", "why", codes.RAW_XML),
        ("devices", "<vsock/><vsock/>", "why", codes.RAW_XML),
        ("devices", "<!DOCTYPE x><vsock/>", "why", codes.RAW_XML),
        ("devices", "<!-- --><vsock/>", "why", codes.RAW_XML),
        ("devices", "<?x y?><vsock/>", "why", codes.RAW_XML),
        ("devices", "<vsock>&x;</vsock>", "why", codes.RAW_XML),
        ("devices", "<e:vsock xmlns:e='urn:evil'/>", "why", codes.RAW_XML),
        ("devices", "<a>" * 40 + "</a>" * 40, "why", codes.RAW_XML),
        ("", "<vsock/>", "why", codes.RAW_XML),
        ("nowhere", "<vsock/>", "why", schema.BAD_WORD),
    ],
)
def test_a_raw_element_of_a_guest(tmp_path: Path, at: str, value: str, reason: str, code: object) -> None:
    bag, _ = told(site(tmp_path, vm=raw("xml", "own", value, reason, at)))
    assert [item.code for item in bag] == ([code] if code else []), [item.message for item in bag]


def test_an_element_is_parsed_alone_and_unarmed() -> None:
    bomb = "<a>" + "&#65;" * 10 + "&lol;</a>"
    assert isinstance(parse(bomb), str)
    assert isinstance(parse("<a b='" + "x" * 4000 + "'/>"), type(parse("<a/>")))


HOST = (
    raw("sysctl", "vm.min_free_kbytes", "1048576", "bursts; $(reboot) `x`")
    + raw("cmdline", "psi", "1")
    + raw("cmdline", "threadirqs", None, "measured")
    + raw("cmdline", "crashkernel", "512M", "dumps")
    + raw("modprobe", "kvm.halt_poll_ns", "50000")
    + raw("tuned", "net.channels", "combined 4")
)
GUEST = raw("xml", "agent", "<vsock model='virtio'><cid auto='yes'/></vsock>", "for the agent", "devices") + raw(
    "xml", "poll", "<poll-control state='on'/>", "", "features/kvm"
)


def build(path: Path) -> None:
    outcome = build_site(path, kvmc_targets.BUILTIN, Options(False, (), (), None, False, False, None, None))
    assert outcome.ok, [item.message for item in outcome.bag]


def test_what_is_written_and_what_the_audit_makes_of_it(tmp_path: Path) -> None:
    """Each is in its file with its reason; the audit takes the tree, and misses or doubts each that is changed by hand."""
    path = site(tmp_path, HOST, GUEST, pool="  base_slice_ns = 4000000\n")
    build(path)
    tree = tmp_path / "generated"
    files = {
        "a/etc/sysctl.d/90-kvmc.conf": ("# raw: bursts; $(reboot) `x`\nvm.min_free_kbytes = 1048576\n", "1048576"),
        "a/etc/modprobe.d/kvmc.conf": ("options kvm halt_poll_ns=50000\n", "50000"),
        "a/etc/tuned/kvmc/tuned.conf": ("channels=combined 4\n", "combined 4"),
        "a/etc/default/grub.d/zz-kvmc.cfg": (" psi=1 threadirqs crashkernel=512M", "512M"),
        "a/domains/web.xml": ('<poll-control state="on"/>', '<poll-control state="on"/>'),
    }
    for name, (wanted, _) in files.items():
        assert wanted in (tree / name).read_text(), name
    assert "/sys/kernel/debug/sched/min_granularity_ns=4000000\n" in (tree / "a/etc/tuned/kvmc/tuned.conf").read_text()
    assert '<kvmc:raw name="agent">for the agent</kvmc:raw>' in (tree / "a/domains/web.xml").read_text()
    assert not list(audit_tree(tree, path, {}).bag)
    swap = str.maketrans({"1": "2", "5": "7", "4": "6"})
    changes = {name: (part, part.replace('"on"', '"off"').translate(swap)) for name, (_, part) in files.items()}
    changes["a/etc/default/grub.d/zz-kvmc.cfg"] = (" threadirqs crash", " crash")
    for name, (part, other) in changes.items():
        text = (tree / name).read_text()
        (tree / name).write_text(text.replace(part, other))
        assert audit_tree(tree, path, {}).bag.has_errors, name
        (tree / name).write_text(text)
    grub = tree / "a/etc/default/grub.d/zz-kvmc.cfg"
    grub.write_text(grub.read_text().replace("crashkernel=512M", "crashkernel=256M"))
    assert audit_tree(tree, path, {}).bag.has_errors


def test_what_is_shown_is_source_again(tmp_path: Path) -> None:
    path = site(tmp_path, HOST, GUEST)
    shown = CliRunner().invoke(app, ["show", "host", "a", str(path)])
    assert shown.exit_code == 0
    assert 'raw sysctl "vm.min_free_kbytes" {' in shown.stdout and 'raw cmdline "threadirqs" {' in shown.stdout
    shown = CliRunner().invoke(app, ["show", "vm", "web", str(path)])
    assert 'raw xml "agent" {' in shown.stdout


def test_a_site_without_raw_settings_asks_nothing_of_the_registry(tmp_path: Path) -> None:
    path = site(tmp_path)
    program = (
        "import sys, pathlib; from kvmc.driver.stages import check_site; "
        "assert check_site(pathlib.Path(sys.argv[1])).ok; "
        "sys.exit(any(name in sys.modules for name in ('kvmc.knowledge.registry', 'kvmc.hostconfig.raw')))"
    )
    done = subprocess.run([sys.executable, "-c", program, path], env=environment(), check=False)
    assert done.returncode == 0
