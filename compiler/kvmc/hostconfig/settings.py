"""Collects the settings of one host, each checked against the knowledge before it is taken."""

from __future__ import annotations

from dataclasses import dataclass, field

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.available import Available
from kvmc.hostconfig.plan import Carrier, Effect, HostSetting
from kvmc.knowledge.knobs import find
from kvmc.knowledge.model import Knob
from kvmc.model.origins import Origins, Path
from kvmc.model.site import Host, Platform
from kvmc.topology import Topology


@dataclass(slots=True)
class Settings:
    """The settings so far, in the order added, and what stood against one."""

    host: Host
    topology: Topology
    platform: Platform
    origins: Origins
    items: list[HostSetting] = field(default_factory=list)
    bag: Bag = field(default_factory=Bag)

    def blocks(self, *settings: str) -> tuple[str, ...]:
        """The blocks that asked: those that set each of the host's settings, then the host itself. Each once."""
        found = [self.origins.block("host", self.host.name, setting) for setting in settings]
        return tuple(dict.fromkeys([*found, f"host {self.host.name}"]))

    def add(
        self, carrier: Carrier, key: str, value: str, origin: tuple[str, ...], why: str, asked: Path | None = None
    ) -> None:
        """Take a setting, unless the machine is not of its kind or the platform lacks it.

        A knob that the platform lacks is left out where it is optional and an error at `asked` (else the platform's version)
        otherwise. A key without a row in the knowledge or a value out of its range is a bug of ours and raises.
        """
        knob = find(carrier.value, key)
        if knob is None or not knob.accepts(value):
            raise ValueError(f"{carrier.value} {key}={value} is not in the table of knobs")
        if not knob.runs_on(self.topology.arch, self.topology.cpu.vendor):
            return
        if not Available(self.platform, self.topology).released(knob):
            if not knob.optional:
                self._lacking(knob, asked)
            return
        self.items.append(HostSetting(carrier, key, value, Effect(knob.effect), origin, why))

    def _lacking(self, knob: Knob, asked: Path | None) -> None:
        available = Available(self.platform, self.topology)
        place, what = available.told_by(knob)
        platform = self.origins.label(place, what)
        self.bag.error(
            codes.NOT_IN_RELEASE,
            f"host `{self.host.name}` needs `{knob.key}`: {available.why_not(knob)}",
            self.origins.label(asked or place),
            secondary=(platform,) if asked and platform else (),
            notes=(knob.source,),
        )
