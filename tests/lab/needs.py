"""What a consumer test needs of this machine: a name, and why it is not there.

`python -m lab.needs` prints what is missing, one line.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from lab import kernel

REQUIRE = "KVMC_REQUIRE_CONSUMERS"
"""Set to 1: a consumer that is missing is a failure, and so is a consumer test that skips."""

needs = pytest.mark.needs
"""`@needs("libvirtd", "scratch")`: the test is a consumer test and runs only where all of these are there."""


def required() -> bool:
    return os.environ.get(REQUIRE) == "1"


def _programs(*names: str) -> str | None:
    absent = [name for name in names if shutil.which(name) is None]
    return f"no {', '.join(absent)} on PATH" if absent else None


def _file(path: str) -> str | None:
    return None if Path(path).exists() else f"no {path}"


@cache
def _scratch() -> str | None:
    if os.geteuid() != 0:
        return "not root: no throw-away copy of the machine"
    missing = _programs("unshare", "nsenter", "chroot", "mount")
    if missing:
        return missing
    from lab.scratch import Scratch, ScratchError

    try:
        with Scratch():
            return None
    except ScratchError as error:
        return f"no throw-away copy of the machine: {error}"


def _tuned() -> str | None:
    probe = ["/usr/bin/python3", "-c", "import tuned.profiles"]
    if not Path(probe[0]).exists() or subprocess.run(probe, capture_output=True, check=False).returncode:
        return "the system's python3 has no tuned"
    return _programs("tuned")


def _kernel() -> str | None:
    return None if kernel.image() else "no kernel image in the lab's cache (tests/lab/install.sh fetches it)"


def _inside() -> str | None:
    from lab.inside import PAYLOAD

    try:
        for name in PAYLOAD.modules:
            kernel.module(name)
    except FileNotFoundError as error:
        return str(error)
    return next((reason for path in PAYLOAD.trees if (reason := _file(path))), None)


def _module(name: str) -> str | None:
    return None if importlib.util.find_spec(name) else f"no Python package {name}"


def _root() -> str | None:
    return None if os.geteuid() == 0 else "not root"


MEASURING = (
    *("fio", "stress-ng", "cyclictest", "pidstat", "mpstat", "numastat", "numactl", "perf", "turbostat"),
    *("virsh", "lscpu", "ps"),
)
"""What the steps of a plan of measurement run."""

CHECKS: dict[str, Callable[[], str | None]] = {
    "root": _root,
    "scratch": _scratch,
    "libvirt-schema": lambda: _file("/usr/share/libvirt/schemas/domain.rng"),
    "libvirtd": lambda: _programs("libvirtd", "virtlogd", "virsh") or _scratch(),
    "qemu": lambda: _programs("qemu-system-x86_64", "setpriv"),
    "kernel": _kernel,
    "initramfs": lambda: _programs("busybox", "cpio", "sysctl", "ldd"),
    "libvirt-inside": lambda: _programs("libvirtd", "virsh") or _inside(),
    "tuned": _tuned,
    "grub": lambda: _programs("grub-mkconfig", "grub-script-check"),
    "kernel-install": lambda: _programs("kernel-install"),
    "procps": lambda: _programs("sysctl"),
    "ansible": lambda: _module("ansible"),
    "chromium": lambda: _file("/usr/bin/chromium") or _module("playwright"),
    "measuring": lambda: _programs(*MEASURING),
    "systemd-analyze": lambda: _programs("systemd-analyze"),
}


def missing(names: tuple[str, ...]) -> str | None:
    """The reason why one of the needs is not met, or None. Raises KeyError on a name that is no need."""
    for name in names:
        reason = CHECKS[name]()
        if reason is not None:
            return f"{name}: {reason}"
    return None


def main() -> int:
    gone = [reason for name in CHECKS if (reason := missing((name,)))]
    if gone:
        print("left out for want of a consumer: " + "; ".join(dict.fromkeys(gone)))
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main())
