"""Preferences that a placement does not meet, told to the user."""

from __future__ import annotations

from collections.abc import Mapping

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import placement as codes
from kvmc.diagnostics.text import counted
from kvmc.model.origins import Origins
from kvmc.resolver.demand import Demand
from kvmc.resolver.leftover import unmet_wishes
from kvmc.resolver.near import far_devices, not_close, on_roots
from kvmc.resolver.state import State

_SHOWN = 6


def tell_unmet(state: State, demands: Mapping[str, Demand], origins: Origins, bag: Bag) -> None:
    """One note for each preferred relation of which some guests are not as wished, and for each device that is not near."""
    for vm, choice in state.chosen.items():
        here = state.hosts[choice.host]
        if demands[vm].polled and not here.machine.host.vswitch_cores:
            bag.error(
                codes.PREFERENCE_UNMET,
                f"`{vm}` has a NIC on a switch's socket and is preferred where the switch has cores; `{choice.host}` has none",
                origins.label(("vm", vm)),
            )
        nodes = [here.machine.nodes[cell.node].node for cell in choice.cells]
        for kind, label in far_devices(demands[vm], here, choice.devices, nodes) if demands[vm].near else ():
            bag.error(
                codes.PREFERENCE_UNMET,
                f"{kind} `{label}` of `{vm}` is preferred near and is on none of its nodes",
                origins.label(("vm", vm, kind, label, "near")),
            )
        for one in not_close(demands[vm], here.machine, nodes, required=False):
            bag.error(
                codes.PREFERENCE_UNMET,
                f"`near {one.label}` of `{vm}` is preferred, and the guest is on {_nodes(nodes)} of `{choice.host}`",
                origins.label(("vm", vm, "near", one.label)),
            )
        roots = on_roots(demands[vm], here, choice.devices)
        if len(roots) > 1:
            bag.error(
                codes.PREFERENCE_UNMET,
                f"the passed devices of `{vm}` are preferred beside each other and are on {len(roots)} root complexes: "
                f"{', '.join(roots)}",
                origins.label(("vm", vm, "passed", "beside")),
            )
    for relation, vms in unmet_wishes(state, demands):
        shown = ", ".join(f"`{vm}` on `{state.chosen[vm].host}`" for vm in vms[:_SHOWN])
        more = f" and {len(vms) - _SHOWN} more" if len(vms) > _SHOWN else ""
        bag.error(
            codes.PREFERENCE_UNMET,
            f"`{relation.title}` is preferred and not met for {counted(len(vms), 'guest')}: {shown}{more}",
            origins.label(("place", relation.place)),
        )


def _nodes(nodes: list[int]) -> str:
    return f"node {nodes[0]}" if len(nodes) == 1 else f"nodes {', '.join(map(str, nodes))}"
