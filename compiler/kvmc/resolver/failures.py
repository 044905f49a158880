"""Whether the guests of any one host have a place on the others: each host of a pool is taken away in turn, and its guests are
placed among the others, which stay where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import placement as codes
from kvmc.diagnostics.text import counted
from kvmc.model.origins import Origins
from kvmc.model.site import Host, Site
from kvmc.resolver.demand import Demand, only_hosts
from kvmc.resolver.explain import reasons, reasons_text
from kvmc.resolver.keep import Kept
from kvmc.resolver.placement import Placement
from kvmc.resolver.proof import shortage
from kvmc.resolver.refusals import Refusal, drained
from kvmc.resolver.search import search
from kvmc.resolver.state import State
from kvmc.resolver.still import Broken, still_holds

_STEPS = 2_000
"""Places looked at while making room for the guests of one host, at most."""
_LIMIT = 5.0
"""Of the exact search for one host, in its deterministic time."""
_TOLD = 4
"""Hosts told of, at most; guests named for one of them."""


def check_failures(site: Site, kept: Kept, placement: Placement, origins: Origins) -> Bag:
    """One error for each host whose loss leaves guests without a place. Guests tied to it and optional ones may go with it."""
    bag = Bag()
    state = State(kept.machines)
    for vm, guest in placement.guests.items():
        found = still_holds(kept.demands[vm], guest, kept.machines[guest.host], None)
        assert not isinstance(found, Broken)  # it was placed just now
        state.place(kept.demands[vm], found[1])
    by_host: dict[str, list[str]] = {name: [] for name in kept.machines}
    for vm, guest in placement.guests.items():
        by_host[guest.host].append(vm)
    away = drained(site)
    empty = State(kept.machines)
    told = 0
    for host in site.hosts.values():
        lost = [vm for vm in by_host[host.name] if site.vms[vm].host is None and kept.demands[vm].weight is None]
        if not host.host_failures or not lost or told == _TOLD:
            continue
        without = away | {host.name: Refusal("it is the one that is lost", ("host", host.name))}
        before = {vm: state.remove(kept.demands[vm]) for vm in lost}
        demands = {**kept.demands, **only_hosts(kept.demands, lost, without)}
        told += _lose(host, lost, demands, state, empty, origins, bag)
        for vm in lost:
            if vm in state.chosen:
                state.remove(demands[vm])
        for vm, choice in before.items():
            state.place(kept.demands[vm], choice)
    return bag


def _lose(
    host: Host,
    lost: Sequence[str],
    demands: Mapping[str, Demand],
    state: State,
    empty: State,
    origins: Origins,
    bag: Bag,
) -> bool:
    """Whether the host's guests, which the state does not hold, lack a place without it; those that have one are in it then."""
    left = search(demands, lost, state, {}, limit=_STEPS)
    if not left:
        return False
    held = {vm: state.remove(demands[vm]) for vm in lost if vm in state.chosen}
    verdict = shortage([demands[vm] for vm in lost], state, empty)
    if verdict is None:
        left, verdict = _decide(left, lost, demands, state)
    for vm, choice in held.items():
        state.place(demands[vm], choice)
    if left:
        _tell(host, lost, left, verdict, demands, state, empty, origins, bag)
    return bool(left)


def _decide(left: list[str], lost: Sequence[str], demands: Mapping[str, Demand], state: State) -> tuple[list[str], str]:
    """What the exact search says where the fast one left some: who is left then, and how sure that is. The state holds none of
    them."""
    if find_spec("ortools") is None:
        return left, "not proven: `pip install kvmc[exact]` finds a placement, or proves that there is none"
    from kvmc.resolver.exact import decide

    answer = decide([demands[vm] for vm in lost], state, _LIMIT)
    if answer.choices is not None:
        return [], ""
    if answer.proven:
        return left, "proven by exact search: no placement of its guests beside the others exists"
    return left, f"not proven: the exact search reached {answer.reached}"


def _tell(
    host: Host,
    lost: Sequence[str],
    left: Sequence[str],
    verdict: str,
    demands: Mapping[str, Demand],
    state: State,
    empty: State,
    origins: Origins,
    bag: Bag,
) -> None:
    notes = [verdict] if verdict else []
    for vm in left[:_TOLD]:
        _, why = reasons(demands[vm], state, empty)
        rest = [one for one in why if one.host != host.name]
        notes.append(f"`{vm}`: {reasons_text(rest) or 'no other host may have it'}")
    bag.error(
        codes.HOST_FAILURE,
        f"without `{host.name}` {len(left)} of its {counted(len(lost), 'guest')} have no place on the other hosts",
        origins.label(("host", host.name, "host_failures")),
        secondary=[label] if (label := origins.label(("host", host.name), "the host that is lost")) else (),
        notes=notes,
        help=("add a host, offer more on the others, or make guests `optional`",),
    )
