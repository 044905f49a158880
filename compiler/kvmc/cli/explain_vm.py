"""`kvmc explain vm NAME [SITE]`: why a guest is where it is. `kvmc explain KNOB`: what is known of a knob."""

from __future__ import annotations

from pathlib import Path

from kvmc.cli.results import Format, show, status
from kvmc.cli.streams import put, tell
from kvmc.cli.tables import table


def explain_vm(name: str, site: Path, format: Format) -> int:
    """Tell why the guest has its host, nodes, L3s and cores, and what each other place would have cost; gives the exit status."""
    from kvmc.driver.inputs import site_file
    from kvmc.driver.why import why_vm

    outcome, why = why_vm(site_file(site), name)
    result: dict[str, object] = {}
    if why is not None:
        elsewhere = [{"place": one.place, "cost": one.text} for one in why.elsewhere]
        result = {"guest": name, "facts": dict(why.facts), "elsewhere": elsewhere}
    show(outcome, format, site_file(site).parent, result)
    if why is not None and format is Format.TEXT:
        put(table([[name, ""], *([f"  {what}", text] for what, text in why.facts)]))
        if why.elsewhere:
            put("\n" + table([["elsewhere", ""], *([f"  {one.place}", one.text] for one in why.elsewhere)]))
    return status(outcome)


def explain_knob(name: str) -> int:
    """Tell what is known under a name; gives the exit status: 1 where nothing is, with the names that look like it."""
    from kvmc.diagnostics.explain import near
    from kvmc.diagnostics.text import visible
    from kvmc.knowledge.explain import answer

    found = answer(name)
    if found.known:
        put(found.text)
        return 0
    # Several words that are no knob's are those of a diagnostic.
    names = () if " " in name else found.near
    lines = [f"  {one}\n" for one in names] or [f"  {one.id}  {one.title}\n" for one in near(name)]
    tell(f"kvmc knows no `{visible(name[:40])}`; the nearest are\n{''.join(lines)}")
    return 1
