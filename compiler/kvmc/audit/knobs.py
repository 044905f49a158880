"""One name for one knob, however a carrier spells it: `sysctl:kernel.numa_balancing` is also `numa_balancing=` on the boot line."""

from __future__ import annotations

import re

THP = "transparent huge pages"

_BOOT = {
    "transparent_hugepage": THP,
    "numa_balancing": "sysctl:kernel.numa_balancing",
    "nmi_watchdog": "sysctl:kernel.nmi_watchdog",
    "nowatchdog": "sysctl:kernel.watchdog",
    "nosoftlockup": "sysctl:kernel.soft_watchdog",
    "softlockup_panic": "sysctl:kernel.softlockup_panic",
    "hung_task_panic": "sysctl:kernel.hung_task_panic",
    "audit": "audit",
}
REPEATABLE = frozenset(
    {"console", "earlycon", "hugepages", "hugepagesz", "memmap", "module_blacklist", "crashkernel", "root"}
)
"""Boot options that may stand several times, each with a meaning of its own (kernel-parameters.txt)."""

_MODULE_FILE = re.compile(r"/sys/module/([^/]+)/parameters/([^/]+)")
_PAGES_FILE = re.compile(r"/sys/devices/system/node/node([0-9]{1,6})/hugepages/hugepages-([0-9]{1,12})kB/nr_hugepages")
_TUNED = {
    "vm.transparent_hugepages": THP,
    "vm.transparent_hugepage": THP,
    "irqbalance.banned_cpus": "irqbalance's banned CPUs",
    "systemd.cpu_affinity": "the CPU affinity of services",
    "scheduler.default_irq_smp_affinity": "boot:irqaffinity",
}
IRQBALANCE_BAN = _TUNED["irqbalance.banned_cpus"]
SERVICE_AFFINITY = _TUNED["systemd.cpu_affinity"]


def boot(key: str) -> str:
    """A boot option's; `key` with underscores."""
    if key in _BOOT:
        return _BOOT[key]
    if key.startswith("sysctl."):
        return "sysctl:" + key.removeprefix("sysctl.").replace("/", ".")
    return f"module:{key}" if "." in key else f"boot:{key}"


def module(name: str, parameter: str) -> str:
    return f"module:{name.replace('-', '_')}.{parameter.replace('-', '_')}"


def pages(size_kib: int, node: int) -> str:
    return f"huge pages of {size_kib} kB on node {node}"


def file(path: str) -> str:
    """That of a file below /sys or /proc/sys."""
    if path.startswith("/proc/sys/"):
        return "sysctl:" + path.removeprefix("/proc/sys/").replace("/", ".")
    if path.endswith("transparent_hugepage/enabled"):
        return THP
    if path == "/sys/devices/virtual/workqueue/cpumask":
        return "module:workqueue.unbound_cpus"
    if (match := _MODULE_FILE.fullmatch(path)) is not None:
        return module(match[1], match[2])
    if (match := _PAGES_FILE.fullmatch(path)) is not None:
        return pages(int(match[2]), int(match[1]))
    return f"file:{path}"


def tuned(plugin: str, key: str) -> str:
    """That of an option of a tuned plugin which has one value. `[modules]` and `[bootloader]` are not among them."""
    if plugin == "sysctl":
        return f"sysctl:{key}"
    if plugin == "sysfs":
        return file(key)
    if plugin == "vm" and key.startswith("dirty_"):
        return f"sysctl:vm.{key}"
    return _TUNED.get(f"{plugin}.{key}", f"tuned:{plugin}.{key}")
