"""What each path and each text is taken for, and the one name of a knob: tables, row by row."""

from __future__ import annotations

import pytest

from kvmc.audit import handwritten, knobs, reading
from kvmc.audit.agreement import _same_value
from kvmc.audit.boot import size_kib
from kvmc.audit.elements import Reader
from kvmc.audit.hostfiles import Knob
from kvmc.audit.source import At
from kvmc.diagnostics import Bag, Span

BUILT = {
    "domain": ("domains/a.xml",),
    "grub": ("etc/default/grub", "etc/default/grub.d/a.cfg"),
    "words": ("etc/kvmc/cmdline", "etc/kernel/cmdline", "etc/cmdline.d/a.conf", "etc/kernel/cmdline.d/a.conf"),
    "bootc": ("usr/lib/bootc/kargs.d/a.toml",),
    "sysctl": ("etc/sysctl.d/a.conf", "usr/lib/sysctl.d/a.conf", "usr/local/lib/sysctl.d/a.conf", "etc/sysctl.conf"),
    "modprobe": ("etc/modprobe.d/a.conf", "usr/lib/modprobe.d/a.conf"),
    "tuned": ("etc/tuned/a/tuned.conf", "usr/lib/tuned/a/tuned.conf", "etc/tuned/a-variables.conf"),
    "environment": ("etc/default/irqbalance", "etc/sysconfig/irqbalance", "etc/kvmc/irqbalance.env"),
    "unit": (
        *("etc/systemd/system.conf.d/a.conf", "usr/lib/systemd/system/a.service", "etc/systemd/system/a.slice"),
        *(f"etc/systemd/system/a.{kind}" for kind in ("scope", "target", "mount", "timer", "path", "socket")),
    ),
    "runtime": (
        *("etc/tmpfiles.d/a.conf", "usr/lib/udev/rules.d/a.rules", "etc/kvmc/a", "usr/libexec/kvmc/a", "opt/kvmc/a"),
        *(
            "usr/lib/kvmc/a",
            "usr/local/lib/kvmc/a",
            "usr/local/libexec/kvmc/a",
            "usr/sbin/kvmc-a",
            "usr/local/bin/kvmc",
        ),
    ),
    "plain": (
        *("etc/tuned/active_profile", "etc/modules-load.d/a.conf", "etc/kernel/install.d/a", "etc/grub.d/a"),
        "etc/tuned/profile_mode",
    ),
    "json": ("apply.json",),
    None: ("etc/passwd", "domains/a/b.xml", "apply.json.bak", "etc/systemd/a", "etc/kernel/other"),
}
WRITTEN = {
    "entry": ("x/loader/entries/a.conf",),
    "words": ("etc/kernel/cmdline", "x/cmdline.d/a.conf", "etc/kvmc/cmdline"),
    "booted": ("proc/cmdline", "x/cmdline", "cmdline.txt"),
    "grub": (
        "etc/default/grub",
        "default/grub",
        "grub",
        "x/grub.d/a.cfg",
        "default/grub.d/a.cfg",
        "x/default/grub.ucf-dist",
    ),
    "bootc": ("kargs.d/a.toml",),
    "sysctl": ("x/sysctl.d/a.conf", "sysctl.conf", "a.sysctl", "x/a.sysctl.conf"),
    "modprobe": ("modprobe.d/a.conf", "x/modprobe.conf"),
    "tuned": ("tuned.conf", "x/a-variables.conf", "tuned/x/y.conf"),
    "environment": ("default/irqbalance", "sysconfig/irqbalance", "irqbalance", "x/irqbalance.env"),
    "unit": (
        *("systemd/system.conf.d/a.conf", "system.conf", "a.service", "x/a.slice", "systemd/system/a.target"),
        *(f"x/a.{kind}" for kind in ("scope", "mount", "timer", "path", "socket")),
    ),
    "runtime": ("tmpfiles.d/a.conf", "udev/rules.d/a.rules", "etc/rc.local", "a.sh"),
    None: ("x/a.conf", "a.target", "README.cfg", "x/readme.service"),
}
PLACES = {
    ("booted", "x/cmdline"): "etc/kernel/cmdline.d/cmdline.conf",
    ("entry", "loader/entries/a.conf"): "etc/kernel/cmdline.d/a.conf.conf",
    ("bootc", "x/kargs.d/a.toml"): "usr/lib/bootc/kargs.d/a.toml",
    ("environment", "x/irqbalance.env"): "etc/default/irqbalance",
    ("grub", "x/grub"): "etc/default/grub",
    ("grub", "x/grub.d/a.cfg"): "etc/default/grub.d/a.cfg",
    ("tuned", "x/mine/tuned.conf"): "etc/tuned/mine/tuned.conf",
    ("tuned", "tuned.conf"): "etc/tuned/profile/tuned.conf",
    ("tuned", "x/a-variables.conf"): "etc/tuned/a-variables.conf",
    ("unit", "x/systemd/system/a.service.d/b.conf"): "etc/systemd/system/a.service.d/b.conf",
    ("unit", "systemd/system.conf.d/a.conf"): "etc/systemd/system.conf.d/a.conf",
    ("unit", "systemd/user.conf"): "etc/systemd/user.conf",
    ("unit", "x/system.conf"): "etc/systemd/system.conf",
    ("unit", "x/a.service"): "etc/systemd/system/a.service",
    ("runtime", "x/a.sh"): "etc/kvmc/a.sh",
    ("sysctl", "x/a.sysctl"): "etc/sysctl.d/a.sysctl.conf",
    ("sysctl", "x/a.conf"): "etc/sysctl.d/a.conf",
    ("modprobe", "a"): "etc/modprobe.d/a.conf",
    ("domain", "x/a"): "domains/a.xml",
    ("domain", "x/a.xml"): "domains/a.xml",
}
TEXTS = {
    "<domain type='kvm'>": "domain",
    "<?xml version='1.0'?>\n<!-- a --> <!-- b -->\n<domain>": "domain",
    "<domainsnapshot>": None,
    "<network>": None,
    "GRUB_CMDLINE_LINUX=a": "grub",
    "[Unit]\na=b": "unit",
    "[Manager]\na=b": "unit",
    "[main]\na=b": "tuned",
    "x\n[bootloader]\na=b": "tuned",
    "# only\n; comments\n": None,
    "vm.swappiness = 1\n": "sysctl",
    "-net/ipv4/x = 1\n# c\nkernel.y=2": "sysctl",
    "vm.swappiness = 1\nhello": None,
    "title x\nlinux /y\noptions root=z": "entry",
    "options kvm nested=1\nblacklist x": "modprobe",
    "alias a b\ninstall c d\nremove e f\nsoftdep g h": "modprobe",
    "IRQBALANCE_ARGS=x": "environment",
    "root=/dev/a ro": "words",
    "root=/dev/a": None,
    "quiet and hello\nro root": None,
    "hugepages=4 isolcpus=1": "words",
}
NAMES = {
    "transparent_hugepage": knobs.THP,
    "numa_balancing": "sysctl:kernel.numa_balancing",
    "nmi_watchdog": "sysctl:kernel.nmi_watchdog",
    "nowatchdog": "sysctl:kernel.watchdog",
    "nosoftlockup": "sysctl:kernel.soft_watchdog",
    "softlockup_panic": "sysctl:kernel.softlockup_panic",
    "hung_task_panic": "sysctl:kernel.hung_task_panic",
    "audit": "audit",
    "sysctl.vm/swappiness": "sysctl:vm.swappiness",
    "sysctl.vm.swappiness": "sysctl:vm.swappiness",
    "kvm.nested": "module:kvm.nested",
    "isolcpus": "boot:isolcpus",
}
FILES = {
    "/proc/sys/vm/swappiness": "sysctl:vm.swappiness",
    "/sys/kernel/mm/transparent_hugepage/enabled": knobs.THP,
    "/sys/devices/virtual/workqueue/cpumask": "module:workqueue.unbound_cpus",
    "/sys/module/kvm/parameters/halt_poll_ns": "module:kvm.halt_poll_ns",
    "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages": "huge pages of 2048 kB on node 1",
    "/sys/other": "file:/sys/other",
}
TUNED = {
    ("sysctl", "vm.x"): "sysctl:vm.x",
    ("sysfs", "/sys/x"): "file:/sys/x",
    ("vm", "dirty_ratio"): "sysctl:vm.dirty_ratio",
    ("vm", "transparent_hugepages"): knobs.THP,
    ("vm", "transparent_hugepage"): knobs.THP,
    ("irqbalance", "banned_cpus"): knobs.IRQBALANCE_BAN,
    ("systemd", "cpu_affinity"): knobs.SERVICE_AFFINITY,
    ("scheduler", "default_irq_smp_affinity"): "boot:irqaffinity",
    ("cpu", "governor"): "tuned:cpu.governor",
    ("disk", "dirty_x"): "tuned:disk.dirty_x",
}
ALIKE = [
    ("1", "1", True),
    ("1", "2", False),
    ("disable", "0", True),
    ("off", "n", True),
    ("no", "", True),
    ("enable", "1", True),
    ("on", "Y", True),
    ("yes", "1", True),
    ("on", "0", False),
    ("a  b", " a b ", True),
    ("'a'", '"A"', True),
    (">10", "5", True),
    ("7", "<3", True),
    ("2-3,5", "2,3,5", True),
    ("2-3,5", "2,3", False),
    ("a", "b", False),
]
SIZES = {
    "2M": 2048,
    "2MB": 2048,
    "2m": 2048,
    "2048k": 2048,
    "2048K": 2048,
    "1048576": 1024,
    "1G": 1 << 20,
    "1GB": 1 << 20,
    "1GiB": 1 << 20,
    "1g": 1 << 20,
    "1T": 1 << 30,
    "1t": 1 << 30,
    **dict.fromkeys(("1000", "1025", "0", "0M", "2X", "", "M"), None),
}
UNITS = {
    "b": 1,
    "bytes": 1,
    "KB": 1000,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "PB": 10**15,
    "EB": 10**18,
    "k": 1024,
    "K": 1024,
    "KiB": 1024,
    "M": 1 << 20,
    "MiB": 1 << 20,
    "G": 1 << 30,
    "GiB": 1 << 30,
    "T": 1 << 40,
    "TiB": 1 << 40,
    "P": 1 << 50,
    "PiB": 1 << 50,
    "E": 1 << 60,
    "EiB": 1 << 60,
}


def _rows(table: dict[str, tuple[str, ...]] | dict[str | None, tuple[str, ...]]) -> list[tuple[str, str | None]]:
    return [(path, kind) for kind, paths in table.items() for path in paths]


@pytest.mark.parametrize(("path", "kind"), _rows(BUILT))
def test_the_kind_of_a_path_of_a_tree(path: str, kind: str | None) -> None:
    assert reading.kind_of(path) == kind
    assert reading.kind_of(f"x/{path}") is None and reading.kind_of(f"{path}/") in (None, "runtime")


@pytest.mark.parametrize(("path", "kind"), _rows(WRITTEN))
def test_the_kind_of_a_path_that_people_chose(path: str, kind: str | None) -> None:
    assert handwritten.kind_of(path, "") == kind
    assert handwritten.kind_of(f"deep/in/{path}", "") == kind


@pytest.mark.parametrize(("text", "kind"), TEXTS.items())
def test_the_kind_of_a_text(text: str, kind: str | None) -> None:
    assert handwritten.kind_of("some/name", text) == kind


@pytest.mark.parametrize(("named", "path"), PLACES.items())
def test_where_a_file_lies_on_a_host(named: tuple[str, str], path: str) -> None:
    assert handwritten._path(*named) == path


def test_the_names_of_knobs() -> None:
    assert {key: knobs.boot(key) for key in NAMES} == NAMES
    assert {path: knobs.file(path) for path in FILES} == FILES
    assert {key: knobs.tuned(*key) for key in TUNED} == TUNED
    assert knobs.module("kvm-intel", "ple-gap") == "module:kvm_intel.ple_gap"
    repeated = "console earlycon hugepages hugepagesz memmap module_blacklist crashkernel root"
    assert repeated.split() == sorted(knobs.REPEATABLE, key=repeated.split().index)


@pytest.mark.parametrize(("left", "right", "alike"), ALIKE)
def test_values_that_say_the_same(left: str, right: str, alike: bool) -> None:
    one, other = (Knob("n", "s", "o", value, Span("f", 0, 0)) for value in (left, right))
    assert _same_value(one, other) is alike and _same_value(other, one) is alike


def test_sizes_of_pages() -> None:
    assert {text: size_kib(text) for text in SIZES} == SIZES


def test_units_of_libvirt() -> None:
    bag = Bag()
    place = Span("f", 0, 0)
    found = {unit: Reader(bag).kib(At("3", place), unit) for unit in UNITS}
    assert {unit: at.value for unit, at in found.items() if at} == {
        unit: -(-3 * of // 1024) for unit, of in UNITS.items()
    }
    assert not list(bag)
    assert Reader(bag).kib(At("3", place), "kb") is None and Reader(bag).kib(At("x", Span("f", 1, 2)), "KiB") is None
    assert len(list(bag)) == 2
