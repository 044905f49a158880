"""The host's and the guests' parts of L3 caches and memory bandwidth, from the offer that places were found by."""

from __future__ import annotations

from dataclasses import replace

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.guest_gates import Gate
from kvmc.hostconfig.plan import CacheTune, GuestPlan, ResctrlPlan
from kvmc.model.cpuset import union
from kvmc.model.origins import Origins
from kvmc.model.site import Host
from kvmc.resolver.resctrl import Offer, derive_offer
from kvmc.topology import Topology


def offer_of(host: Host, topology: Topology, origins: Origins) -> Offer:
    """The offer of a host that has one. The resolver refuses a host that cannot offer what it is to."""
    offer = derive_offer(host, topology, (), origins, Bag())
    assert offer is not None
    return offer


def host_plan(host: Host, offer: Offer, origins: Origins) -> ResctrlPlan:
    """The default group keeps the high ways, where Intel's CPUs have those that devices share (`shareable_bits`); libvirt gives the
    low ones first."""
    blocks = dict.fromkeys((origins.block("host", host.name, "resctrl"), f"host {host.name}"))
    whole = (1 << offer.whole) - 1
    return ResctrlPlan(
        resources=(("L3CODE", "L3DATA") if offer.split else ("L3",)) if offer.ways else (),
        whole=f"{whole:x}",
        kept=f"{whole & ~((1 << offer.ways) - 1):x}",
        ids=tuple(sorted(offer.ids.values())),
        split=offer.split,
        origin=f"{', '.join(blocks)}: resctrl",
    )


def tuned(plan: GuestPlan, gate: Gate, offer: Offer, topology: Topology) -> GuestPlan:
    """The guest's plan with its parts of each L3 cache that its vCPUs run on."""
    vm = gate.vm
    if vm.cachetune is not None:
        gate.need("`cachetune`", gate.path("cachetune"), libvirt=(4, 1), kernel=(4, 10))
    if vm.memorytune is not None:
        gate.need("`memorytune`", gate.path("memorytune"), libvirt=(4, 7), kernel=(4, 12))
    for raw in vm.raws.values():
        for tag in ("cachetune", "memorytune"):
            if f"<{tag}" in (raw.value or ""):
                own = "cachetune" if vm.cachetune is not None else "memorytune"
                gate.tell(
                    codes.RAW_OWNED,
                    f"`raw {raw.name}` of guest `{vm.name}` has a `<{tag}>`, and the guest has `{own}`",
                    gate.path("raw", raw.name),
                    secondary=[gate.origins.label(gate.path(own), "the setting")],
                    notes=["each vCPU is in one group of resctrl"],
                    help=[f"drop `{own}`, or the raw setting"],
                )
    pins = union(plan.pins)
    ids = sorted(offer.ids[cpus.first] for cpus in topology.l3 or () if cpus & pins)
    types = ("code", "data") if offer.split else ("both",)
    size = offer.ways_for(vm.cachetune or 0) * offer.way_bytes
    percent = offer.percent_for(vm.memorytune or 0)
    return replace(
        plan,
        cachetune=tuple(CacheTune(id, type, size) for id in ids for type in types) if size else (),
        memorytune=tuple((id, percent) for id in ids) if percent else (),
    )
