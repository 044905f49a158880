"""Built-in renderers, one package a target."""

from __future__ import annotations

from kvmc.artifacts import Target
from kvmc_targets import cmdline, libvirt, measure, modprobe, sysctl, systemd, tuned

BUILTIN: tuple[Target, ...] = (
    libvirt.TARGET,
    cmdline.TARGET,
    sysctl.TARGET,
    tuned.TARGET,
    modprobe.TARGET,
    systemd.TARGET,
    measure.TARGET,
)
