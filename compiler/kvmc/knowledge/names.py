"""One name for one knob, whichever layer sets it: a boot word, a sysctl, a module's option and a file may be the same thing."""

from __future__ import annotations

import re
from functools import lru_cache

_PARAMETER = re.compile(r"/sys/module/([^/]+)/parameters/([^/]+)")
_PAGES = re.compile(r"/sys/devices/system/node/node[0-9*]+/hugepages/hugepages-[0-9*]+kB/nr_hugepages")

_SAME = {
    "boot transparent_hugepage": "transparent huge pages",
    "tuned vm.transparent_hugepages": "transparent huge pages",
    "tuned vm.transparent_hugepage": "transparent huge pages",
    "file /sys/kernel/mm/transparent_hugepage/enabled": "transparent huge pages",
    "boot numa_balancing": "sysctl kernel.numa_balancing",
    "boot nmi_watchdog": "sysctl kernel.nmi_watchdog",
    "boot nowatchdog": "sysctl kernel.watchdog",
    "boot nosoftlockup": "sysctl kernel.soft_watchdog",
    "tuned vm.dirty_bytes": "sysctl vm.dirty_bytes",
    "tuned vm.dirty_background_bytes": "sysctl vm.dirty_background_bytes",
    "boot hugepages": "huge pages",
    "boot hugepagesz": "huge pages",
    "boot hugetlb_cma": "huge pages",
    "sysctl vm.nr_hugepages": "huge pages",
    "sysctl vm.nr_hugepages_mempolicy": "huge pages",
    "file /sys/devices/virtual/workqueue/cpumask": "module workqueue.unbound_cpus",
    "tuned irqbalance.banned_cpus": "interrupts' banned CPUs",
    "systemd irqbalance.IRQBALANCE_BANNED_CPULIST": "interrupts' banned CPUs",
    "tuned systemd.cpu_affinity": "services' CPUs",
    "systemd Manager.CPUAffinity": "services' CPUs",
    "tuned scheduler.default_irq_smp_affinity": "boot irqaffinity",
    "boot nosmt": "sibling threads",
    "file /sys/devices/system/cpu/smt/control": "sibling threads",
    "boot amd_iommu": "IOMMU",
    "boot intel_iommu": "IOMMU",
    "boot nopti": "boot pti",
    "boot nospectre_v2": "boot spectre_v2",
}


@lru_cache(maxsize=4096)
def canonical(layer: str, key: str) -> str:
    """The name under which a knob is one, however it is spelled."""
    name = _plain(layer, key)
    return _SAME.get(name, name)


def _plain(layer: str, key: str) -> str:
    if layer == "cmdline":
        key = key.replace("-", "_")
        if key.startswith("sysctl."):
            return _plain("sysctl", key.removeprefix("sysctl."))
        return f"module {key}" if "." in key else f"boot {key}"
    if layer == "sysctl":
        return f"sysctl {key.replace('/', '.')}"
    if layer == "modprobe":
        return f"module {key.replace('-', '_')}"
    if layer == "tuned" and key.startswith("sysctl."):
        return _plain("sysctl", key.removeprefix("sysctl."))
    if layer == "tuned" and key.startswith("sysfs./"):
        return _plain("sysfs", key.removeprefix("sysfs."))
    if layer in ("sysfs", "debugfs", "systemd") and key.startswith("/"):
        if key.startswith("/proc/sys/"):
            return _plain("sysctl", key.removeprefix("/proc/sys/"))
        match = _PARAMETER.fullmatch(key)
        if match is not None:
            return _plain("modprobe", f"{match[1]}.{match[2]}")
        return "huge pages" if _PAGES.fullmatch(key) else f"file {key}"
    return f"{layer} {key}"
