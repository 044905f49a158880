"""Results as plain tables."""

from __future__ import annotations

from collections.abc import Sequence

from kvmc.diagnostics.text import visible
from kvmc.driver.changes import change_rows, stranded_rows
from kvmc.driver.outcome import Outcome
from kvmc.driver.places import placement_rows


def table(rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart; the first row is the head."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*shown, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in shown)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def plan_text(outcome: Outcome, hosts: Sequence[str], *, colour: bool) -> str:
    """One row a host, a drawing of those named (else of some), each guest with its place, what changes, and what is stranded."""
    from kvmc.view.fleet import fleet_view
    from kvmc.view.text import draw_host, drawn_hosts, overview_rows

    fleet = fleet_view(outcome)
    drawn = drawn_hosts(fleet, hosts)
    parts = [table(overview_rows(fleet)), *(draw_host(host, colour=colour) for host in drawn)]
    if len(drawn) < len(fleet.hosts) and not hosts:
        parts.append(
            f"{len(fleet.hosts) - len(drawn)} more hosts: `--host HOST` draws one, `--html FILE` all of them\n"
        )
    guests = [["host", "guest", "node", "cpus", "emulator", "memory", "pages", "devices"]]
    for row in placement_rows(outcome):
        guests.append([row[name] for name in guests[0]])
    parts += [table(guests), changes_text(outcome)]
    rows = stranded_rows(outcome)
    if rows:
        parts.append(table([list(rows[0]), *(list(row.values()) for row in rows)]))
    return "\n".join(parts)


def changes_text(outcome: Outcome) -> str:
    """The guests that are new, move or are gone; one line where none does."""
    rows = change_rows(outcome)
    if not rows:
        return "no guest moves\n"
    return table([list(rows[0]), *(list(row.values()) for row in rows)])
