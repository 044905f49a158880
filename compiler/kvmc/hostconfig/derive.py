"""The plan of every host: its own settings, and its guests."""

from __future__ import annotations

from collections.abc import Mapping

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.guest import derive_guest
from kvmc.hostconfig.host import HostSettings, derive_host_settings
from kvmc.hostconfig.plan import Carrier, GuestPlan, HostPlan
from kvmc.model.origins import Origins
from kvmc.model.site import Site
from kvmc.resolver.locks import HostLock, Identity
from kvmc.resolver.placement import Placement
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
    plans: list[HostPlan] = []
    for name, host in site.hosts.items():
        if name not in placement.pools:
            continue
        topology, platform, pools = topologies[name], site.platforms[host.platform], placement.pools[name]
        own, host_bag = derive_host_settings(host, topology, pools, platform, origins)
        bag.extend(host_bag)
        _check_carriers(name, own, site, origins, bag)
        guests: list[GuestPlan] = []
        for guest in placement.guests.values():
            if guest.host == name:
                vm = site.vms[guest.vm]
                plan, guest_bag = derive_guest(vm, guest, identities[vm.name], host, platform, topology, site, origins)
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
            )
        )
    return tuple(plans), bag


def _retired(lock: HostLock | None, guests: list[GuestPlan]) -> Mapping[str, str]:
    """Guests of the last build and before that are not here now, by name. A guest that was renamed and keeps its uuid is here."""
    if lock is None:
        return {}
    names = {guest.name for guest in guests}
    uuids = {guest.uuid for guest in guests}
    before = dict(lock.retired) | {name: guest.identity.uuid for name, guest in lock.guests.items()}
    return {name: before[name] for name in sorted(before) if name not in names and before[name] not in uuids}


def _check_carriers(host: str, own: HostSettings, site: Site, origins: Origins, bag: Bag) -> None:
    """Each carrier is the target of the same name; a setting whose carrier is not among the chosen targets would be lost."""
    for carrier in Carrier:
        used = [setting for setting in own.settings if setting.carrier is carrier]
        names = [setting.key for setting in used]
        if carrier is Carrier.SYSTEMD:
            names += [f"sriov_numvfs of {plan.parent}" for plan in own.sriov]
        if not names or carrier.value in site.targets:
            continue
        more = f" and {len(names) - 1} more of its settings" if len(names) > 1 else ""
        asked = origins.label(("host", host), "this host has it") if not used else None
        bag.error(
            codes.NO_CARRIER,
            f"`{names[0]}` of host `{host}`{more} goes through the target `{carrier}`, which `targets` does not list",
            origins.label(("site", site.name, "targets")),
            secondary=(asked,) if asked else (),
            notes=tuple(f"asked for by {', '.join(setting.origin)}: {setting.why}" for setting in used[:1]),
            help=(f"add `{carrier}` to `targets`",),
        )
