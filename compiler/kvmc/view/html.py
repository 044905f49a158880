"""The picture as one page of HTML that needs nothing else: no network, no file beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from kvmc.diagnostics.text import counted
from kvmc.model.values import PageCount
from kvmc.view.model import FleetView, GuestView, HostView, NodeView, Thread, Use
from kvmc.view.text import device_lines, overview_rows
from kvmc.view.words import amount, share

_OPEN = 200
"""Rows of the guests' table that are laid out unasked: a browser takes seconds for thousands."""
GENERATOR = '<meta name="generator" content="kvmc">'
"""Stands near the start of every page: only pages are written over."""
_COLUMNS = ("guest", "host", "node", "CPUs", "emulator", "memory", "pages", "devices", "classes", "source")
_USES = (Use.HOUSEKEEPING, Use.SHARED, Use.VSWITCH, Use.SPARE, Use.UNUSED)
"""Uses that are no guest's; the page has them as -1, -2, ..."""
_OWNED = (Use.GUEST, Use.IDLE, Use.EMULATOR)
"""Uses that are a guest's; the page has them in the two low bits, the guest's number above them."""


def render(fleet: FleetView) -> str:
    """The page. Names of the user's go into text and into JSON, both escaped."""
    page = files("kvmc.view").joinpath("page")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(page.joinpath("page.html").read_text("utf-8"))
    changed = [guest for guest in fleet.guests if guest.change]
    return (
        template.render(
            fleet=fleet,
            generator=Markup(GENERATOR),  # noqa: S704 - our own words
            counted=counted,
            css=Markup(page.joinpath("page.css").read_text("utf-8")),  # noqa: S704 - our own file
            js=Markup(page.joinpath("page.js").read_text("utf-8")),  # noqa: S704 - our own file
            data=Markup(_script(_data(fleet))),  # noqa: S704 - escaped there
            placed=[guest for guest in fleet.guests if guest.change != "gone"],
            moves=changed,
            changes=f"{counted(len(changed), 'guest')} new, moved or gone" if changed else "no guest moves",
            hosts=[_entry(host, fleet) for host in fleet.hosts],
            overview=overview_rows(fleet),
            columns=_COLUMNS,
            open_guests=_OPEN,
        )
        + "\n"
    )


def _script(value: object) -> str:
    """JSON that no parser of HTML can mistake for its end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _entry(host: HostView, fleet: FleetView) -> dict[str, object]:
    used, all = share(host)
    changes = sum(bool(guest.change) and host.name in (guest.host, guest.before) for guest in fleet.guests)
    return {
        "name": host.name,
        "used": used,
        "all": all,
        "percent": used * 100 // all if all else 0,
        "guests": len(host.guests),
        "changes": f"{changes} changed" if changes else "",
    }


def _data(fleet: FleetView) -> dict[str, object]:
    index = {guest.name: number for number, guest in enumerate(fleet.guests)}
    names = [host.name for host in fleet.hosts]
    first = next((host.name for host in fleet.before), names[0] if names else "")
    return {
        "uses": _USES,
        "owned": _OWNED,
        "marked": any(guest.change != "new" for guest in fleet.guests),
        "first": names.index(first) if first else 0,
        "hosts": [_host(host, index) for host in fleet.hosts],
        "before": {host.name: _host(host, index) for host in fleet.before},
        "guests": [_guest(guest) for guest in fleet.guests],
    }


def _host(host: HostView, index: Mapping[str, int]) -> dict[str, object]:
    own = {thread.guest for thread in host.threads()}
    facts = [host.model]
    facts += [f"pool {host.pool}"] if host.pool else []
    facts += [f"rack {host.rack}"] if host.rack else []
    facts += device_lines(host.loose)
    return {
        "name": host.name,
        "facts": ", ".join(facts),
        "nodes": [_node(node, index) for node in host.nodes],
        "floating": [
            index[guest] for guest in host.guests if (guest not in own or guest in host.mixed) and guest in index
        ],
        "stranded": host.stranded,
    }


def _node(node: NodeView, index: Mapping[str, int]) -> dict[str, object]:
    facts = [f"pages {one.used} of {PageCount(one.offered, one.size_kib)} used" for one in node.pages]
    if node.normal_kib:
        facts.append(f"normal memory {amount(node.normal_used_kib)} of {amount(node.normal_kib)} used")
    if node.shared_most:
        facts.append(f"{node.shared_vcpus} of {node.shared_most} shared vCPUs")
    kind = "" if node.kind == "normal" else f", {node.kind}"
    return {
        "id": node.id,
        "title": f"node {node.id}: {amount(node.memory_kib)}{kind}",
        "facts": facts,
        "devices": device_lines(node.devices),
        "caches": [
            {
                "l3": cache.l3,
                "cores": [[[thread.cpu, _owner(thread, index)] for thread in core] for core in cache.cores],
            }
            for cache in node.caches
        ],
    }


def _owner(thread: Thread, index: Mapping[str, int]) -> int:
    if thread.guest is None:
        return -1 - _USES.index(thread.use)
    return index[thread.guest] * 4 + _OWNED.index(thread.use)


def _guest(guest: GuestView) -> dict[str, object]:
    source = f" from {guest.before}" if guest.before not in ("", "-") else ""
    rows = [("change", f"{guest.change}{source}: {guest.cost}" if guest.change else "")]
    rows += [
        ("host", guest.host),
        ("node", guest.nodes),
        ("CPUs", guest.cpus),
        ("emulator", guest.emulator),
        ("memory", guest.memory),
        ("pages", guest.pages),
        ("devices", guest.devices),
        ("classes", " < ".join(guest.classes)),
        ("source", guest.source),
        *((f"asks {name}", value) for name, value in guest.intent),
    ]
    return {
        "name": guest.name,
        "host": guest.host or guest.before,
        "source": guest.source,
        "change": guest.change,
        "rows": [row for row in rows if row[1] not in ("", "-")],
    }
