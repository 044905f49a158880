"""What the host's software is: versions, kernel options, names of sysctls and module parameters, libvirt's domain capabilities.

Names and versions alone: no value of a sysctl or parameter, no serial number, no address, no name of a host or an interface.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from kvmc.topology.failure import is_name
from kvmc.topology.folder import read_all
from kvmc.topology.model import Facts

_MAX_FILE = 4 * 1024**2
_MAX_NAMES = 20_000
_SECONDS = 10

_OPTION = re.compile(
    r"CONFIG_((?:PREEMPT|NO_HZ|HZ|RCU|CPU_ISOLATION|CPUSETS|CGROUP|HUGETLB|TRANSPARENT_HUGEPAGE|NUMA|NODES_SHIFT|NR_CPUS|IOMMU"
    r"|INTEL_IOMMU|AMD_IOMMU|ARM_SMMU|IRQ_REMAP|VFIO|KVM|KSM|VHOST|X86_CPU_RESCTRL|ARM64_MPAM|SCHED_(?:CORE|SMT|MC|CLUSTER)"
    r"|IRQ_TIME_ACCOUNTING|VIRT_CPU_ACCOUNTING|SCHED_AUTOGROUP|CPU_FREQ|CPU_IDLE|WQ|TIMER|SPARSE_IRQ|GENERIC_IRQ)"
    r"[A-Z0-9_]*)=(.*)"
)
_MODULES = re.compile(
    r"kvm|kvm_[a-z]+|vfio|vfio_[a-z0-9_]+|vhost|vhost_[a-z]+|iommu[a-z_]*|intel_idle|processor|workqueue|rcu[a-z]+"
)
_DEBUGFS = ("sched", "sched/numa_balancing")
"""Folders of debugfs with the scheduler's knobs; root alone sees them."""
_VARIABLE = re.compile(r"net\.(?:ipv4|ipv6)\.(?:conf|neigh)\.([^.]+)\.")
"""Sysctls of each interface."""


def read_facts(root: Path) -> Facts:
    """Of a system below `root`. What its programs say is asked only where the root is the running system's own."""
    files = _Files(root)
    kernel = files.text("proc/sys/kernel/osrelease")
    kernel = kernel.strip() if kernel and is_name(kernel.strip()) else None
    live = files.root == "/"
    return Facts(
        kernel=kernel,
        libvirt=_version(live, ("libvirtd", "--version"), ("virtqemud", "--version"))
        or files.package("libvirt-daemon"),
        qemu=_version(live, *((path, "--version") for path in _emulators())) or files.package("qemu-system-x86"),
        tuned=_version(live, ("tuned", "--version"), ("tuned-adm", "--version")) or files.package("tuned"),
        kernel_config=files.options(kernel),
        sysctls=files.sysctls(),
        modules=files.modules(),
        domcapabilities=_domcapabilities() if live else (),
        debugfs=files.debugfs(),
    )


def _emulators() -> Iterator[str]:
    yield f"qemu-system-{os.uname().machine}"
    yield "/usr/libexec/qemu-kvm"


def _version(live: bool, *commands: Sequence[str]) -> str | None:
    """The first number with a dot that a program prints of itself."""
    for command in commands if live else ():
        match = re.search(r"(?:^|[\s(])([0-9]+(?:\.[0-9]+)+)", _run(command))
        if match is not None:
            return match[1]
    return None


def _domcapabilities() -> tuple[str, ...]:
    """The emulator's XML without what is the same for all."""
    lines = _run(("virsh", "-r", "-c", "qemu:///system", "domcapabilities")).splitlines()
    return tuple(line.rstrip() for line in lines if is_name(line.rstrip()))


def _run(command: Sequence[str]) -> str:
    """What it prints; nothing where it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[:_MAX_FILE].decode("utf-8", "replace") if done.returncode == 0 else ""


class _Files:
    """Files below a root. Links that leave it, and all that is no plain file, count as missing."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(str(root))

    def path(self, name: str) -> str | None:
        real = os.path.realpath(os.path.join(self.root, name))  # noqa: PTH118 - names below one root
        return real if self.root == "/" or real.startswith(self.root + "/") else None

    def data(self, name: str) -> bytes | None:
        path = self.path(name)
        if path is None:
            return None
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            return read_all(handle, _MAX_FILE) if stat.S_ISREG(os.fstat(handle).st_mode) else None
        except OSError:
            return None
        finally:
            os.close(handle)

    def text(self, name: str) -> str | None:
        data = self.data(name)
        return None if data is None else data.decode("utf-8", "replace")

    def names(self, folder: str) -> list[str]:
        path = self.path(folder)
        try:
            return sorted(os.listdir(path)) if path is not None else []  # noqa: PTH208 - names alone
        except OSError:
            return []

    def debugfs(self) -> dict[str, tuple[str, ...]]:
        found = {folder: self.plain(f"sys/kernel/debug/{folder}") for folder in _DEBUGFS}
        return {folder: names for folder, names in found.items() if names}

    def plain(self, folder: str) -> tuple[str, ...]:
        """Names of files in a folder, without its folders."""
        paths = {name: self.path(f"{folder}/{name}") for name in filter(is_name, self.names(folder))}
        return tuple(name for name, path in paths.items() if path is not None and os.path.isfile(path))  # noqa: PTH113

    def options(self, kernel: str | None) -> dict[str, str]:
        """Of the running kernel's configuration, the options that matter to a KVM host."""
        text = None
        if kernel is not None and "/" not in kernel:
            text = self.text(f"boot/config-{kernel}") or self.text(f"lib/modules/{kernel}/config")
        if text is None:
            text = _gunzip(self.data("proc/config.gz") or b"")
        found = [match for match in map(_OPTION.fullmatch, text.splitlines()) if match is not None]
        return {match[1]: match[2].strip('"') for match in found if is_name(match[2].strip('"'))}

    def sysctls(self) -> tuple[str, ...]:
        found: set[str] = set()
        self.walk("proc/sys", "", found, 0)
        return tuple(sorted(found))

    def walk(self, folder: str, prefix: str, found: set[str], depth: int) -> None:
        for name in self.names(folder):
            path = self.path(f"{folder}/{name}")
            if path is None or not is_name(name) or len(found) >= _MAX_NAMES or (prefix + name) == "fs.binfmt_misc":
                continue
            if os.path.isdir(path):  # noqa: PTH112 - thousands of names
                if depth < 8 and not os.path.islink(os.path.join(self.root, folder, name)):  # noqa: PTH114, PTH118
                    self.walk(f"{folder}/{name}", f"{prefix}{name.replace('.', '/')}.", found, depth + 1)
            else:
                found.add(_VARIABLE.sub(_any_interface, prefix + name))

    def modules(self) -> dict[str, tuple[str, ...]]:
        named = [name for name in self.names("sys/module") if _MODULES.fullmatch(name)]
        found = {name: tuple(filter(is_name, self.names(f"sys/module/{name}/parameters"))) for name in named}
        return {name: parameters for name, parameters in found.items() if parameters}

    def package(self, name: str) -> str | None:
        """The version of a Debian package, without its epoch and revision; rpm's database is no text."""
        match = re.search(
            rf"^Package: {re.escape(name)}\nStatus: install ok installed\n(?:.+\n)*?Version: (?:[0-9]+:)?([0-9]+(?:\.[0-9]+)+)",
            self.text("var/lib/dpkg/status") or "",
            re.MULTILINE,
        )
        return match[1] if match else None


def _any_interface(match: re.Match[str]) -> str:
    own = match[1]
    return match[0] if own in ("all", "default") else match[0].replace(f".{own}.", ".*.")


def _gunzip(data: bytes) -> str:
    if not data:
        return ""
    import io

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return file.read(_MAX_FILE).decode("utf-8", "replace")
    except (OSError, EOFError):
        return ""
