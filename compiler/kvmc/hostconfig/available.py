"""Whether a host has a knob: its platform's facts where they can tell, else the releases of its platform.

Distributions bring knobs to older kernels and leave others out, so what was seen on a host wins over numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.knowledge import describe
from kvmc.knowledge.model import Knob
from kvmc.model.origins import Path
from kvmc.model.site import Platform
from kvmc.model.values import VersionRange
from kvmc.topology import Topology


@dataclass(frozen=True, slots=True)
class Available:
    """What can be asked of one host."""

    platform: Platform
    topology: Topology

    def has(self, knob: Knob) -> bool:
        """Whether every host of the platform, on this machine, has it."""
        return knob.runs_on(self.topology.arch, self.topology.cpu.vendor) and self.released(knob)

    def released(self, knob: Knob) -> bool:
        """The same, whatever the machine."""
        if knob.config and self._config(knob.config) is False:
            return False
        seen = self.seen(knob)
        return knob.exists_in(self.versions(knob)) if seen is None else seen

    def versions(self, knob: Knob) -> VersionRange:
        ranges = {
            "kernel": self.platform.kernel,
            "tuned": self.platform.tuned,
            "libvirt": self.platform.libvirt,
            "qemu": self.platform.qemu,
        }
        return ranges[knob.tool]

    def seen(self, knob: Knob) -> bool | None:
        """What the facts tell; None where they cannot. A module that was not loaded says nothing of its options."""
        facts = self.platform.known
        if facts is None or knob.tool != "kernel" or "*" in knob.key:
            return None
        if knob.carrier == "sysctl" and facts.sysctls:
            return knob.key in facts.sysctls
        if knob.carrier in ("modprobe", "cmdline"):
            module, dot, option = knob.key.partition(".")
            return option in facts.modules[module] if dot and module in facts.modules else None
        path = knob.key.removeprefix("sysfs.")
        folder, _, name = path.removeprefix("/sys/kernel/debug/").rpartition("/")
        if path.startswith("/sys/kernel/debug/") and folder in facts.debugfs:
            return name in facts.debugfs[folder]
        return None

    def _config(self, option: str) -> bool | None:
        facts = self.platform.known
        return option in facts.kernel_config if facts is not None and facts.kernel_config else None

    def told_by(self, knob: Knob) -> tuple[Path, str]:
        """The platform's setting that `released` goes by, and what it is."""
        config = bool(knob.config) and self._config(knob.config) is False
        if config or self.seen(knob) is not None:
            return ("platform", self.platform.name, "facts"), "the platform's facts"
        return ("platform", self.platform.name, knob.tool), "the platform's version"

    def why_not(self, knob: Knob) -> str:
        """Why `has` says no."""
        if not knob.runs_on(self.topology.arch, self.topology.cpu.vendor):
            cpu = f"{self.topology.arch}, {self.topology.cpu.vendor or 'a CPU of unknown vendor'}"
            return f"it is of {describe.machines(knob)}, and the host is {cpu}"
        if knob.config and self._config(knob.config) is False:
            return (
                f"its kernel is built without CONFIG_{knob.config}, as the facts of platform `{self.platform.name}` say"
            )
        if self.seen(knob) is False:
            return f"the facts of platform `{self.platform.name}` do not have it"
        releases = describe.releases(knob)
        return f"it is in {releases}, and platform `{self.platform.name}` has {self.versions(knob)}"
