"""`kvmc explain vm NAME [SITE]`: why a guest is where it is."""

from __future__ import annotations

from pathlib import Path

from kvmc.cli.results import Format, show, status
from kvmc.cli.streams import put
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
