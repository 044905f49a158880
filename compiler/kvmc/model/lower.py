"""From merged blocks to the site's models, and the table of where each value came from."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from kvmc.model.nodes import Node, Tables
from kvmc.model.origins import Origin, Path
from kvmc.model.settings import defaults, settings
from kvmc.model.site import DevicePool, Disk, Host, Hostdev, Network, Nic, Place, Platform, Site, Storage, Vm


def lower(merged: Tables, lineage: Mapping[tuple[str, str], tuple[str, ...]]) -> Site:
    """The site. The blocks must have passed every check."""
    (site,) = merged["site"].values()
    return Site(
        name=site.name,
        **_fields(site),
        platforms={name: Platform(name=name, **_fields(node)) for name, node in merged["platform"].items()},
        hosts={name: _host(node) for name, node in merged["host"].items()},
        networks={name: Network(name=name, **_fields(node)) for name, node in merged["network"].items()},
        storages={name: Storage(name=name, **_fields(node)) for name, node in merged["storage"].items()},
        vms={name: _vm(node, lineage["vm", name]) for name, node in merged["vm"].items()},
        places={name: Place(name=name, relation="apart", **_fields(node)) for name, node in merged["place"].items()},
    )


def _fields(node: Node) -> dict[str, Any]:
    """The settings of a block under the names of the model's fields."""
    values = node.values
    default = defaults(node.row.name)
    return {
        row.model_field: values[name].value if name in values else default[name]
        for name, row in settings(node.row.name).items()
    }


def _host(node: Node) -> Host:
    fields = _fields(node)
    for kind in ("housekeeping", "shared", "vswitch", "reserve"):
        child = node.children.get((kind, ""))
        if child is not None:
            fields |= _fields(child)
        else:
            fields |= {row.model_field: defaults(kind)[row.name] for row in settings(kind).values()}
    stated_in = node.values["topology"].span.file
    fields["topology"] = posixpath.normpath(posixpath.join(posixpath.dirname(stated_in), fields["topology"]))
    pools: dict[str, DevicePool] = {}
    for label, child in node.labelled("devices").items():
        own = _fields(child)
        pools[label] = DevicePool(
            name=label, parent=own["parent"], vfs=own["vfs"] or 0, addresses=own["addresses"] or ()
        )
    return Host(name=node.name, pool=node.parent.text if node.parent else None, devices=pools, **fields)


def _vm(node: Node, lineage: tuple[str, ...]) -> Vm:
    disks: dict[str, Disk] = {}
    nics: dict[str, Nic] = {}
    hostdevs: dict[str, Hostdev] = {}
    for (kind, label), child in node.children.items():
        if kind == "disk":
            disks[label] = Disk(name=label, **_fields(child))
        elif kind == "nic":
            nics[label] = Nic(name=label, **_fields(child))
        else:
            hostdevs[label] = Hostdev(name=label, **_fields(child))
    return Vm(name=node.name, lineage=lineage, disks=disks, nics=nics, hostdevs=hostdevs, **_fields(node))


def trace(merged: Tables) -> dict[Path, Origin]:
    """The origin of every block and every value that is set, by path."""
    table: dict[Path, Origin] = {}
    for kind, nodes in merged.items():
        for name, node in nodes.items():
            path = (kind, name)
            table[path] = Origin(node.header, node.header, node.top)
            _values(table, path, node, node)
            for (inner, label), child in node.children.items():
                inside = (*path, inner, label) if label else (*path, inner)
                use = None if child.top == node.top else node.header
                table[inside] = Origin(child.header, child.header, child.top, use)
                _values(table, inside, child, node)
    return table


def _values(table: dict[Path, Origin], path: Path, node: Node, owner: Node) -> None:
    for name, given in node.values.items():
        use = None if given.block == owner.top else owner.header
        table[*path, name] = Origin(given.span, given.at, given.block, use)
