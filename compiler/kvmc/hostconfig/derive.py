"""The plan of every host: its own settings, and its guests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.fleet import Baseline, baselines, consequences
from kvmc.hostconfig.guest import derive_guest
from kvmc.hostconfig.host import HostSettings, derive_host_settings
from kvmc.hostconfig.plan import Carrier, GuestPlan, HostPlan, VswitchPlan
from kvmc.model.origins import Origins
from kvmc.model.site import Host, Site
from kvmc.resolver.locks import HostLock, Identity
from kvmc.resolver.placement import HostPools, Placement
from kvmc.topology import Topology


def derive(
    site: Site,
    topologies: Mapping[str, Topology],
    placement: Placement,
    identities: Mapping[str, Identity],
    locks: Mapping[str, HostLock],
    origins: Origins,
) -> tuple[tuple[HostPlan, ...], Bag]:
    """One plan a placed host, in the site's order; guests in the site's order."""
    bag = Bag()
    models: Mapping[str, Baseline] = {}
    if any(vm.cpu == "baseline" or vm.require for vm in site.vms.values()):
        models = baselines(site, topologies)
        bag.extend(consequences(site, origins))
    plans: list[HostPlan] = []
    owns: dict[str, HostSettings] = {}
    for name, host in site.hosts.items():
        if name not in placement.pools:
            continue
        topology, platform, pools = topologies[name], site.platforms[host.platform], placement.pools[name]
        own, host_bag = derive_host_settings(host, topology, pools, platform, origins)
        bag.extend(host_bag)
        owns[name] = own
        offer = None
        if host.resctrl_l3_kib is not None or host.resctrl_bandwidth:
            from kvmc.hostconfig.resctrl import host_plan, offer_of  # few hosts offer any

            offer = offer_of(host, topology, origins)
        guests: list[GuestPlan] = []
        for guest in placement.guests.values():
            if guest.host == name:
                vm = site.vms[guest.vm]
                plan, guest_bag = derive_guest(
                    vm,
                    guest,
                    identities[vm.name],
                    host,
                    platform,
                    topology,
                    site,
                    origins,
                    models.get(vm.name),
                    pools.housekeeping,
                )
                if offer is not None and (vm.cachetune is not None or vm.memorytune is not None):
                    from kvmc.hostconfig.guest_gates import Gate
                    from kvmc.hostconfig.resctrl import tuned

                    gate = Gate(vm, host, platform, origins)
                    plan = tuned(plan, gate, offer, topology)
                    guest_bag.extend(gate.bag)
                bag.extend(guest_bag)
                guests.append(plan)
        plans.append(
            HostPlan(
                host=name,
                arch=topology.arch,
                vendor=topology.cpu.vendor,
                platform=platform,
                pools=pools,
                isolated=own.isolated,
                pages=own.pages,
                settings=own.settings,
                sriov=own.sriov,
                guests=tuple(guests),
                retired=_retired(locks.get(name), guests),
                vswitch=_vswitch(host, topology, pools, origins),
                resctrl=host_plan(host, offer, origins) if offer is not None else None,
            )
        )
    _check_carriers(owns, plans, site, origins, bag)
    return tuple(plans), bag


def _vswitch(host: Host, topology: Topology, pools: HostPools, origins: Origins) -> VswitchPlan | None:
    """Its own threads run on the first housekeeping CPU; nodes without CPUs give it no memory."""
    if host.vswitch_type == "none":
        return None
    mib = sum(count.kib for count in host.vswitch_pages) // 1024
    by_id = {node.id: mib if node.cpus & topology.usable and node.memory_kib else 0 for node in topology.nodes}
    blocks = dict.fromkeys((origins.block("host", host.name, "vswitch"), f"host {host.name}"))
    return VswitchPlan(
        pmd=pools.vswitch,
        lcore=pools.housekeeping.first,
        memory_mib=tuple(by_id.get(id, 0) for id in range(max(by_id) + 1)),
        origin=f"{', '.join(blocks)}: vswitch",
    )


def _retired(lock: HostLock | None, guests: list[GuestPlan]) -> Mapping[str, str]:
    """Guests of the last build and before that are not here now, by name. A guest that was renamed and keeps its uuid is here."""
    if lock is None:
        return {}
    names = {guest.name for guest in guests}
    uuids = {guest.uuid for guest in guests}
    before = dict(lock.retired) | {name: guest.identity.uuid for name, guest in lock.guests.items()}
    return {name: before[name] for name in sorted(before) if name not in names and before[name] not in uuids}


def _check_carriers(
    owns: Mapping[str, HostSettings], plans: Sequence[HostPlan], site: Site, origins: Origins, bag: Bag
) -> None:
    """Each carrier is the target of the same name; a setting whose carrier is not among the chosen targets would be lost.

    One error for all that is missing, with one example a target.
    """
    missing: dict[str, str] = {}
    for host, own in owns.items():
        uses = [
            (setting.carrier, setting.key, f"{', '.join(setting.origin)}: {setting.why}") for setting in own.settings
        ]
        uses += [(Carrier.SYSTEMD, f"sriov_numvfs of {plan.parent}", plan.origin) for plan in own.sriov]
        uses += [
            (Carrier.SYSTEMD, "resctrl's default group", plan.resctrl.origin)
            for plan in plans
            if plan.host == host and plan.resctrl is not None
        ]
        uses += [
            (Carrier.SYSTEMD, "pmd-cpu-mask", plan.vswitch.origin)
            for plan in plans
            if plan.host == host and plan.vswitch is not None
        ]
        for carrier, key, asked in uses:
            if carrier.value not in site.targets:
                missing.setdefault(carrier.value, f"host `{host}` has `{key}` go through `{carrier}` ({asked})")
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        bag.error(
            codes.NO_CARRIER,
            f"`targets` of site `{site.name}` has no {names}, which settings in use go through",
            origins.label(("site", site.name, "targets")),
            notes=missing.values(),
            help=(f"set `targets = [{', '.join((*site.targets, *missing))}]`",),
        )
