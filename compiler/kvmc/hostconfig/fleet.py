"""Guests' CPUs over all hosts that they may go to: features that each has to have, and the best CPU that all of them have.

A host's features are those of its topology; a topology that tells none says nothing of what a guest would find there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import host as codes
from kvmc.diagnostics.model import Code
from kvmc.knowledge.cpu_features import CONSEQUENCES, NEEDS, NO_MIGRATION, X86, features_of, known
from kvmc.knowledge.cpu_models import VENDORS, CpuModel, cpu_models
from kvmc.model.origins import Origins, Path
from kvmc.model.site import Cores, Host, Platform, Site, Vm
from kvmc.resolver.refusals import refuse
from kvmc.topology import Topology

_NAMED = 6
"""Hosts or features named in one message before the rest is only counted."""
_SHAPED = frozenset({"topoext"})
"""What the guest's topology decides."""
_GUARDS = {
    "sev": ("AuthenticAMD", "sev"),
    "sev-es": ("AuthenticAMD", "sev_es"),
    "sev-snp": ("AuthenticAMD", "sev_snp"),
    "tdx": ("GenuineIntel", "tdx_host_platform"),
}
"""The vendor whose CPUs have it, and the kernel's flag for a host that is set up for it."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A named model, and the features that differ from it: name and libvirt's policy, by name."""

    model: str
    features: tuple[tuple[str, str], ...]


def check_cpus(site: Site, topologies: Mapping[str, Topology], origins: Origins) -> Bag:
    """Every guest against each host that it may go to. What several guests have from one line is told once."""
    fleet = _Fleet(site, topologies, origins)
    for vm in site.vms.values():
        fleet.check(vm)
    return fleet.bag


def baselines(site: Site, topologies: Mapping[str, Topology]) -> Mapping[str, Baseline]:
    """The CPU of each guest with `cpu = baseline` for which there is one, by its name."""
    fleet = _Fleet(site, topologies, Origins({}))
    found = {vm.name: fleet.baseline(vm) for vm in site.vms.values() if vm.cpu == "baseline"}
    return {name: one for name, one in found.items() if isinstance(one, Baseline)}


def consequences(site: Site, origins: Origins) -> Bag:
    """What people should know of features that they require: a note a line."""
    bag = Bag()
    for vm in site.vms.values():
        told = [feature for feature in vm.require if feature in CONSEQUENCES]
        if told:
            text = f"{_list('CPU feature', told)} of guest `{vm.name}` {'brings' if len(told) == 1 else 'bring'} more than speed"
            notes = [f"`{feature}`: {CONSEQUENCES[feature]}" for feature in told]
            bag.error(codes.FEATURE_TELLS, text, origins.label(("vm", vm.name, "require")), notes=notes)
    return bag


_UNASKED = dict.fromkeys(Cores, 0)
"""Which kinds of cores a host has is not asked: the search tells it."""


@dataclass(slots=True)
class _Fleet:
    site: Site
    topologies: Mapping[str, Topology]
    origins: Origins
    bag: Bag = field(default_factory=Bag)
    known: dict[tuple[str, ...], Baseline | str] = field(default_factory=dict)

    def hosts(self, vm: Vm) -> tuple[Host, ...]:
        """All hosts that could have the guest, whatever else is there, in the site's order."""
        return tuple(
            host
            for host in self.site.hosts.values()
            if host.name in self.topologies and refuse(self.site, vm, host, (), _UNASKED) is None
        )

    def check(self, vm: Vm) -> None:
        hosts = self.hosts(vm)
        self._releases(vm, hosts)
        self._protection(vm, hosts)
        if vm.type != "kvm":
            return
        lacking = {host.name: self._lacks(host, vm.require) for host in hosts}
        self._tell_lacking(vm, {host: names for host, names in lacking.items() if names}, hosts)
        model = cpu_models().get(vm.cpu)
        if model is not None:
            self._model(vm, model, hosts)
        elif vm.cpu == "baseline" and hosts:
            found = self.baseline(vm)
            if isinstance(found, str):
                self._tell(codes.NO_BASELINE, f"there is no baseline for guest `{vm.name}`: {found}", vm, "cpu")

    # -- features

    def _lacks(self, host: Host, wanted: Iterable[str]) -> tuple[str, ...]:
        """Of the wanted features those that the host has not."""
        topology = self.topologies[host.name]
        flags = known(topology.arch)
        if topology.arch != "x86_64":
            return tuple(
                one for one in wanted if flags.get(one) is not None and flags[one] not in topology.cpu.features
            )
        have, untold = _features(topology)
        return tuple(one for one in wanted if one not in have and one not in untold)

    def _tell_lacking(self, vm: Vm, lacking: Mapping[str, tuple[str, ...]], hosts: Sequence[Host]) -> None:
        silent = [host.name for host in hosts if vm.require and not self.topologies[host.name].cpu.features]
        if silent:
            self._tell(
                codes.FEATURES_UNKNOWN,
                f"guest `{vm.name}` requires CPU features, and the topology of {_list('host', silent)} tells none",
                vm,
                "require",
                secondary=[self.origins.label(("host", silent[0], "topology"))],
                help=("take the topology with `kvmc topology scan` on the host",),
            )
        by_features: dict[tuple[str, ...], list[str]] = {}
        for host, names in lacking.items():
            if host not in silent:
                by_features.setdefault(names, []).append(host)
        able = [host.name for host in hosts if host.name not in lacking]
        groups = list(by_features.items())
        for names, without in groups[:1]:
            notes = [
                f"{_list('host', more)} {'has' if len(more) == 1 else 'have'} no {_list('', few)}"
                for few, more in groups[1:]
            ]
            notes += [f"`{one}` is `{X86[one]}` in /proc/cpuinfo" for one in names if X86.get(one) not in (None, one)]
            help = (
                f"keep it to hosts that have {'it' if len(names) == 1 else 'them'}, with `pool` or `host`: "
                f"{', '.join(f'`{one}`' for one in able[:_NAMED])}"
                if able
                else f"drop {_list('', names)} from `require`: no host that it may go to has "
                f"{'it' if len(names) == 1 else 'them'}",
            )
            self._tell(
                codes.FEATURE_LACKING,
                f"guest `{vm.name}` requires {_list('CPU feature', names)}, and {_list('host', without)}, which it may go to, "
                f"{'has' if len(without) == 1 else 'have'} {'no such' if len(names) == 1 else 'none of them'}",
                vm,
                "require",
                secondary=[self.origins.label(("host", without[0], "topology"), "its topology")],
                notes=notes,
                help=help,
            )

    def _model(self, vm: Vm, model: CpuModel, hosts: Sequence[Host]) -> None:
        wanted = model.features - set(vm.disable) - _SHAPED
        for host in hosts:
            topology = self.topologies[host.name]
            have, untold = _features(topology)
            partial = "fpu" not in topology.cpu.features and topology.cpu.model not in cpu_models()
            lacking = sorted(wanted - have - untold) if not partial else []
            vendor = topology.cpu.vendor and VENDORS.get(topology.cpu.vendor)
            if vendor and vendor != model.vendor:
                text = f"CPU model `{model.name}` is {model.vendor}'s, and host `{host.name}`, which guest `{vm.name}` may go to, "
                self._tell(codes.MODEL_LACKING, f"{text}has a CPU of {vendor}", vm, "cpu")
            elif lacking:
                self._tell(
                    codes.MODEL_LACKING,
                    f"CPU model `{model.name}` has {_list('feature', lacking)}, and host `{host.name}`, which guest `{vm.name}` "
                    f"may go to, has {'none of them' if len(lacking) > 1 else 'no such'}",
                    vm,
                    "cpu",
                    secondary=[self.origins.label(("host", host.name, "topology"), "its topology")],
                    help=(
                        f"hide {'them' if len(lacking) > 1 else 'it'} with "
                        f"`disable = [{', '.join((*vm.disable, *lacking))}]`, or set `cpu = baseline`",
                    ),
                )

    def baseline(self, vm: Vm) -> Baseline | str:
        """The CPU that all hosts have that the guest may go to, or why there is none."""
        hosts = self.hosts(vm)
        names = tuple(host.name for host in hosts)
        if names not in self.known:
            self.known[names] = self._common(hosts)
        found = self.known[names]
        if isinstance(found, str):
            return found
        policies = dict(found.features)
        model = cpu_models()[found.model]
        for feature in vm.require:
            if feature not in model.features or feature in policies:
                policies[feature] = "require"
        policies |= dict.fromkeys(vm.disable, "disable")
        return Baseline(found.model, tuple(sorted(policies.items())))

    def _common(self, hosts: Sequence[Host]) -> Baseline | str:
        topologies = [self.topologies[host.name] for host in hosts]
        for host, topology in zip(hosts, topologies, strict=True):
            if topology.arch != "x86_64":
                return f"host `{host.name}` is {topology.arch}, where KVM gives a guest the host's CPU alone"
            if not {"lm", "fpu"} & topology.cpu.features and topology.cpu.model not in cpu_models():
                return f"the topology of host `{host.name}` does not tell its CPU's features"
        told_vendors = {topology.cpu.vendor or "" for topology in topologies}
        vendors = {VENDORS.get(vendor, vendor) for vendor in told_vendors}
        if len(vendors) != 1:
            return f"its hosts have CPUs of {' and '.join(sorted(vendors))}, between which no guest migrates"
        (vendor,) = vendors
        told = [_features(topology) for topology in topologies]
        common = frozenset.intersection(*(have for have, _ in told)) - NO_MIGRATION - _SHAPED
        untold = frozenset.union(*(one for _, one in told)) - common
        platforms = [self.site.platforms[host.platform] for host in hosts]
        mine = [model for model in cpu_models().values() if model.vendor == vendor]
        usable = [model for model in mine if all(model.known_to(one.libvirt, one.qemu) for one in platforms)]
        if not usable:
            return f"libvirt has no named model of {vendor or 'its vendor'}'s CPUs"
        names = frozenset[str]().union(*(model.features for model in mine))
        emulated = {one for one in names if _ready(one, platforms)} - NO_MIGRATION - _SHAPED - {"xsaves", "svm", "vmx"}

        def against(model: CpuModel) -> tuple[tuple[str, str], ...]:
            more = (common & emulated) - model.features
            less = model.features - common - untold - _SHAPED
            return tuple(sorted([*((one, "require") for one in more), *((one, "disable") for one in less)]))

        def cost(model: CpuModel) -> tuple[int, int, int]:
            return len(against(model)), len(model.features & untold), -mine.index(model)

        best = min(usable, key=cost)
        return Baseline(best.name, against(best))

    # -- what else depends on the hosts

    def _releases(self, vm: Vm, hosts: Sequence[Host]) -> None:
        for feature in vm.require:
            need = NEEDS.get(feature)
            if need is None:
                continue
            for host in hosts:
                platform = self.site.platforms[host.platform]
                for tool, least in (("libvirt", need.libvirt), ("qemu", need.qemu), ("kernel", need.kernel)):
                    have = getattr(platform, tool)
                    if least is not None and not have.since(*least):
                        name = {"qemu": "QEMU", "kernel": "Linux"}.get(tool, tool)
                        self._tell(
                            codes.PLATFORM_LACKS,
                            f"CPU feature `{feature}` needs {name} {least[0]}.{least[1]}, platform `{platform.name}` of host "
                            f"`{host.name}` has {have}",
                            vm,
                            "require",
                            secondary=[self.origins.label(("platform", platform.name, tool), "the platform's version")],
                        )

    def _protection(self, vm: Vm, hosts: Sequence[Host]) -> None:
        if vm.launch_security == "none":
            return
        vendor, flag = _GUARDS[vm.launch_security]
        without = []
        for host in hosts:
            cpu = self.topologies[host.name].cpu
            if cpu.vendor != vendor or ("fpu" in cpu.features and flag not in cpu.features):
                without.append(host.name)
        if without:
            able = [host.name for host in hosts if host.name not in without]
            self._tell(
                codes.NO_PROTECTION,
                f"guest `{vm.name}` asks for `{vm.launch_security}`, and {_list('host', without)}, which it may go to, "
                f"{'is' if len(without) == 1 else 'are'} not set up for it",
                vm,
                "launch_security",
                secondary=[self.origins.label(("host", without[0], "topology"), "its topology")],
                notes=(f"such a host has a CPU of {VENDORS[vendor]} and the flag `{flag}` in /proc/cpuinfo",),
                help=(
                    f"keep it to such hosts, with `pool` or `host`: {', '.join(f'`{one}`' for one in able[:_NAMED])}"
                    if able
                    else "set it up in the firmware, and take the topology again",
                ),
            )

    def _tell(
        self,
        code: Code,
        message: str,
        vm: Vm,
        setting: str,
        *,
        secondary: Iterable[Label | None] = (),
        notes: Iterable[str] = (),
        help: Iterable[str] = (),
    ) -> None:
        path: Path = ("vm", vm.name, setting)
        origin, label = self.origins.find(*path), self.origins.label(path)
        inherits = [Label(origin.use, f"`{vm.name}` has it by inheritance")] if origin and origin.use else []
        more = [one for one in secondary if one is not None]
        self.bag.error(code, message, label, secondary=[*inherits, *more], notes=notes, help=help)


def _ready(feature: str, platforms: Iterable[Platform]) -> bool:
    """Whether every platform can give a guest the feature."""
    need = NEEDS.get(feature)
    return need is None or all(
        least is None or getattr(platform, tool).since(*least)
        for platform in platforms
        for tool, least in (("libvirt", need.libvirt), ("qemu", need.qemu), ("kernel", need.kernel))
    )


def _features(topology: Topology) -> tuple[frozenset[str], frozenset[str]]:
    cpu = topology.cpu
    return features_of(cpu.vendor, cpu.model, cpu.features)


def _list(kind: str, names: Sequence[str]) -> str:
    """`host `a` and 2 more`: some names, and how many are left out."""
    shown = ", ".join(f"`{name}`" for name in names[:_NAMED])
    head = f"{kind}{'s' if len(names) > 1 else ''} " if kind else ""
    return f"{head}{shown}" + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
