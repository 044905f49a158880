"""Raw settings of hosts against what is known: each has one owner, exists there, takes its value, and has a reason where it harms.

Only a site that has raw settings imports this; it is asked at `check` already, before anything is placed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kvmc.diagnostics import Bag, Code, Label
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.available import Available
from kvmc.knowledge import describe
from kvmc.knowledge.harms import harm
from kvmc.knowledge.model import Knob, Status
from kvmc.knowledge.names import canonical
from kvmc.knowledge.profiles import PROFILES, When
from kvmc.knowledge.registry import folklore, rows
from kvmc.knowledge.scheduler import MECHANISMS
from kvmc.model.names import NearNames
from kvmc.model.origins import Origins, Path
from kvmc.model.site import Host, Isolation, Profile, Raw, Site
from kvmc.topology import Topology

_KEYS = {
    "cmdline": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*"),
    "sysctl": re.compile(r"[a-z0-9_-]+(\.[A-Za-z0-9_*/-]+)+"),
    "modprobe": re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"),
    "tuned": re.compile(r"[a-z_]+\.[A-Za-z0-9_./*-]+"),
}
_VALUES = {
    "cmdline": re.compile(r"[A-Za-z0-9_.,:+/-]*"),
    "sysctl": re.compile(r"[A-Za-z0-9_.,:+/=|*-]+( [A-Za-z0-9_.,:+/=|*-]+)*"),
    "modprobe": re.compile(r"[A-Za-z0-9_.,:+/=-]+"),
    "tuned": re.compile(r"[A-Za-z0-9_.,:+/=|*%-]+( [A-Za-z0-9_.,:+/=|*%-]+)*"),
}
_FORMS = {
    "cmdline": "a parameter such as `psi`, its value without white space and quotes",
    "sysctl": "a key with dots such as `vm.min_free_kbytes`, and a value",
    "modprobe": "a module and its option such as `kvm.halt_poll_ns`, and a value",
    "tuned": "a plugin and its option such as `net.channels`, and a value without `$`",
}

_INTENTS = {
    "boot isolcpus": ("isolation", "set `isolation = boot`"),
    "boot nohz_full": ("isolation", "set `isolation = boot`"),
    "boot rcu_nocbs": ("isolation", "set `isolation = boot`"),
    "boot irqaffinity": ("isolation", "set `isolation = boot`"),
    "module workqueue.unbound_cpus": ("profile", "set `profile = latency`"),
    "interrupts' banned CPUs": ("isolation", "nothing: kvmc keeps interrupts off the guests' CPUs"),
    "services' CPUs": ("housekeeping", "nothing: kvmc keeps services on the housekeeping CPUs"),
    "huge pages": ("pages", "set `pages = N * SIZE`"),
    "boot default_hugepagesz": ("pages", "set `pages = N * SIZE`"),
}
"""What the placement stands on, whether it is written for this host or not: the setting that says it, and what to do."""


def check_raws(site: Site, topologies: Mapping[str, Topology], origins: Origins) -> Bag:
    """All raw settings of the site's hosts and guests. What a pool or a class says is told once."""
    from kvmc.hostconfig.raw_xml import check_guest

    bag = Bag()
    for host in site.hosts.values():
        topology = topologies.get(host.name)
        if host.raws and topology is not None:
            _Host(site, host, topology, origins, bag).check()
    for vm in site.vms.values():
        if vm.raws:
            check_guest(site, vm, origins, bag)
    return bag


@dataclass(slots=True)
class _Host:
    site: Site
    host: Host
    topology: Topology
    origins: Origins
    bag: Bag

    def check(self) -> None:
        written = written_for(self.host, self.topology)
        seen: dict[str, Raw] = {}
        for raw in self.host.raws.values():
            if not self._form(raw) or self._folklore(raw):
                continue
            name = canonical(raw.carrier, raw.key)
            found = rows(raw.carrier, raw.key)
            if self._refused(raw, found) or self._owned(raw, name, written, seen):
                continue
            seen[name] = raw
            if self._lacks(raw, found) or self._value(raw, found):
                continue
            self._reason(raw, found)

    def tell(
        self,
        code: Code,
        raw: Raw,
        message: str,
        setting: str = "",
        secondary: Label | None = None,
        notes: tuple[str, ...] = (),
        help: str = "",
    ) -> None:
        path: Path = ("host", self.host.name, "raw", raw.name)
        label = self.origins.label((*path, setting) if setting else path)
        self.bag.error(
            code, message, label, secondary=[secondary] if secondary else [], notes=notes, help=[help] if help else []
        )

    def _form(self, raw: Raw) -> bool:
        """Whether it can stand in its file: root's shell and other programs read it there."""
        shown = f"`raw {raw.carrier} {raw.key}`"
        if raw.at is not None:
            self.tell(
                codes.RAW_FORM, raw, f"{shown} has `at`, which raw elements of guests have", "at", help="drop `at`"
            )
        elif _KEYS[raw.carrier].fullmatch(raw.key) is None:
            self.tell(codes.RAW_FORM, raw, f"{shown} is not {_FORMS[raw.carrier]}")
        elif raw.value is None and raw.carrier != "cmdline":
            self.tell(codes.RAW_FORM, raw, f"{shown} has no `value`", help='say it, as in `value = "1"`')
        elif _VALUES[raw.carrier].fullmatch(raw.value or "") is None:
            self.tell(codes.RAW_FORM, raw, f"the value of {shown} has a character that it cannot have", "value",
                      notes=(f"it is {_FORMS[raw.carrier]}",))  # fmt: skip
        else:
            return True
        return False

    def _folklore(self, raw: Raw) -> bool:
        module, _, option = raw.key.rpartition(".") if raw.carrier == "modprobe" else ("", "", raw.key)
        told = folklore(option, raw.value, module)
        if told is not None:
            verb = "is not so" if told.status is Status.GARBLED else "does not exist"
            name = f"{told.name}={told.value}" if told.value else told.name
            self.tell(
                codes.RAW_FOLKLORE,
                raw,
                f"`{name}` {verb}: {told.real}",
                notes=(f"meant: {told.meant}", told.source),
                help=told.instead,
            )
        return told is not None

    def _refused(self, raw: Raw, found: tuple[Knob, ...]) -> bool:
        row = next((row for row in found if row.status is Status.KNOWN), None)
        if row is not None:
            self.tell(
                codes.RAW_REFUSED,
                raw,
                f"`{raw.key}` is not written through `{raw.carrier}`: {row.harm}",
                notes=(row.source,),
                help=f"instead: {row.instead}",
            )
        return row is not None

    def _owned(self, raw: Raw, name: str, written: Mapping[str, str], seen: Mapping[str, Raw]) -> bool:
        other = seen.get(name)
        setting, help = _INTENTS.get(name, (written.get(name), "drop the raw setting"))
        if other is None and setting is None:
            return False
        if other is not None:
            label = self.origins.label(("host", self.host.name, "raw", other.name), "the other one")
            what, help = f"`raw {other.name}`", "drop one of them"
        else:
            label = self.origins.label(("host", self.host.name, setting or ""), "writes it")
            what = f"`{setting}`"
        self.tell(
            codes.RAW_OWNED,
            raw,
            f"`{raw.key}` of host `{self.host.name}` has two owners: `raw {raw.carrier}`, and {what}",
            secondary=label,
            help=help,
        )
        return True

    def _lacks(self, raw: Raw, found: tuple[Knob, ...]) -> bool:
        platform = self.site.platforms[self.host.platform]
        available = Available(platform, self.topology)
        if not found or any(available.has(row) for row in found):
            return False
        row = found[-1]
        why = available.why_not(row)
        own = row.runs_on(self.topology.arch, self.topology.cpu.vendor)
        machine = ("host", self.host.name, "topology"), "its topology"
        self.tell(
            codes.RAW_LACKS,
            raw,
            f"host `{self.host.name}` has no `{raw.key}`: {why}",
            secondary=self.origins.label(*(available.told_by(row) if own else machine)),
            notes=(row.source,),
            help=f"instead: {row.instead}" if row.instead else "",
        )
        return True

    def _value(self, raw: Raw, found: tuple[Knob, ...]) -> bool:
        value = raw.value or ""
        if not found or any(row.accepts(value.replace(" ", "")) for row in found):
            return False
        wrong = (
            f"`{value}` is no value of `{raw.key}`, which takes" if value else f"`{raw.key}` has no value, and takes"
        )
        self.tell(
            codes.RAW_VALUE,
            raw,
            f"{wrong} {describe.value(found[-1])}",
            "value",
            notes=(found[-1].source,),
        )
        return True

    def _reason(self, raw: Raw, found: tuple[Knob, ...]) -> None:
        if raw.reason is not None:
            return
        shared = self.host.shared_cores > 0
        harms = harm(raw.carrier, raw.key, raw.value or "", shared=shared)
        if harms is not None:
            what = f"`{raw.key}={raw.value}`" if raw.value else f"`{raw.key}`"
            where = "; host `" + self.host.name + "` has shared CPUs" if harms.shared else ""
            self.tell(codes.RAW_HARMFUL, raw, f"{what} harms: {harms.why}{where}",
                      help='if it is meant, say why, as in `reason = "one tenant, behind a firewall"`')  # fmt: skip
        elif not found:
            near = NearNames().names(raw.key, list(_known(raw.carrier)))
            names = " or ".join(f"`{name}`" for name in near)
            self.tell(
                codes.RAW_UNKNOWN,
                raw,
                f"kvmc does not know `{raw.key}`, so it cannot tell whether platform `{self.host.platform}` has it",
                help='say why it is there, as in `reason = "the vendor\'s driver"`'
                + (f"; the nearest that kvmc knows: {names}" if names else ""),
            )


def _known(carrier: str) -> tuple[str, ...]:
    from kvmc.knowledge.registry import REGISTRY

    return tuple(row.key for row in REGISTRY if row.carrier == carrier and row.status is not Status.KNOWN)


def written_for(host: Host, topology: Topology) -> Mapping[str, str]:
    """The one name of each knob that kvmc writes for the host, and the setting that has it written."""
    applies = {
        When.ALWAYS: True,
        When.NUMA: len(topology.nodes) > 1,
        When.ISOLATED: host.isolation is Isolation.BOOT,
        When.UNSHARED: not host.shared_cores,
    }
    found = {canonical(one.carrier, one.key): "profile" for one in PROFILES[host.profile] if applies[one.when]}
    if host.profile is not Profile.THROUGHPUT:
        found["module workqueue.unbound_cpus"] = "profile"
    if host.devices:
        found |= dict.fromkeys(("IOMMU", "boot iommu", "module iommu.passthrough"), "devices")
    if host.gicv4:
        found[canonical("cmdline", "kvm_arm.vgic_v4_enable")] = "gicv4"
    for setting, knobs in MECHANISMS.items():
        if getattr(host, setting) is not None:
            found |= {canonical(knob.carrier, knob.key): setting for knob in knobs}
    return found
