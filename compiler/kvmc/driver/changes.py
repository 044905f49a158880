"""What a plan changes against the locks: guests that are new, that move and what it costs, that are gone; hosts that reboot."""

from __future__ import annotations

import json

from kvmc.driver.outcome import Outcome
from kvmc.output.tree import Root

_NONE = "-"


def change_rows(outcome: Outcome) -> list[dict[str, str]]:
    """One row a guest that is not where it was, in the site's order, then those that are gone, then hosts that must reboot."""
    from kvmc.resolver.moves import placement_moves

    assert outcome.placement is not None and outcome.site is not None
    old = {
        vm: guest.placement
        for lock in outcome.locks.values()
        for vm, guest in lock.guests.items()
        if vm in outcome.site.vms
    }
    moves = {move.vm: move for move in placement_moves(old, outcome.placement, outcome.topologies)}
    rows: list[dict[str, str]] = []
    for vm, guest in outcome.placement.guests.items():
        if vm not in old:
            rows.append(_row(vm, "new", _NONE, guest.host, "guest start"))
        elif vm in moves:
            rows.append(_row(vm, "moved", moves[vm].source, moves[vm].target, moves[vm].cost))
    for host, lock in outcome.locks.items():
        rows += [_row(vm, "gone", host, _NONE, "guest stop") for vm in lock.guests if vm not in outcome.site.vms]
    return rows + [_row(_NONE, "settings", host, host, "host reboot") for host in reboots(outcome)]


def _row(guest: str, change: str, source: str, target: str, cost: str) -> dict[str, str]:
    return {"guest": guest, "change": change, "from": source, "to": target, "cost": cost}


def reboots(outcome: Outcome) -> list[str]:
    """Hosts with files that take hold at the next boot and differ from those on disk; empty before the disk was looked at.

    A host without any file of ours yet has no guests to disturb.
    """
    if outcome.changes is None:
        return []
    changed: dict[str, set[str]] = {}
    for write in outcome.changes.writes:
        if write.place.root is Root.TREE and write.old is not None:
            host, _, path = write.place.path.partition("/")
            changed.setdefault(host, set()).add(path)
    found: list[str] = []
    for host, paths in changed.items():
        listed = outcome.files.get(host, {}).get("apply.json")
        files = json.loads(listed.text)["files"] if listed is not None else []
        if any(file["from"] in paths and file["effect"] == "reboot" for file in files):
            found.append(host)
    return found


def stranded_rows(outcome: Outcome) -> list[dict[str, str]]:
    """CPUs and pages that no guest can use any more, host by host and node by node."""
    from kvmc.resolver.leftover import state_of, stranded

    assert outcome.placement is not None and outcome.site is not None
    found = state_of(outcome.site, outcome.topologies, outcome.placement, outcome.origins)
    if found is None:
        return []
    return [
        {"host": one.host, "node": str(one.node), "stranded": one.what, "why": one.why}
        for one in stranded(*found, outcome.placement)
    ]
