"""From merged blocks to the site's models, and the table of where each value came from."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from kvmc.model.cpuset import CpuSet
from kvmc.model.nodes import Node, Tables
from kvmc.model.origins import Origin, Path
from kvmc.model.settings import defaults, settings
from kvmc.model.site import Site
from kvmc.model.values import PageCount


def lower(merged: Tables, lineage: Mapping[tuple[str, str], tuple[str, ...]]) -> Site:
    """The site. The blocks must have passed every check.

    All models are built by one validator: one for each model would cost a start of kvmc more than all the rest of this pass.
    """
    (site,) = merged["site"].values()
    return Site.model_validate(
        {
            **_fields(site),
            "platforms": {name: _platform(node) for name, node in merged["platform"].items()},
            "hosts": {name: _host(node) for name, node in merged["host"].items()},
            "networks": _named(merged["network"]),
            "storages": _named(merged["storage"]),
            "vms": {name: _vm(node, lineage["vm", name]) for name, node in merged["vm"].items()},
            "places": {name: _fields(node) | {"relation": node.word} for name, node in merged["place"].items()},
        }
    )


def _named(nodes: Mapping[str, Node]) -> dict[str, dict[str, Any]]:
    return {name: _fields(node) for name, node in nodes.items()}


def _platform(node: Node) -> dict[str, Any]:
    fields = _fields(node)
    if fields["facts"] is not None:
        folder = posixpath.dirname(node.values["facts"].span.file)
        fields["facts"] = posixpath.normpath(posixpath.join(folder, fields["facts"]))
    return fields


def _fields(node: Node) -> dict[str, Any]:
    """The name and the settings of a block, under the names of the model's fields."""
    values = node.values
    default = defaults(node.row.name)
    fields: dict[str, Any] = {"name": node.name} if node.name else {}
    fields |= {
        row.model_field: values[name].value if name in values else default[name]
        for name, row in settings(node.row.name).items()
    }
    return fields


def _host(node: Node) -> dict[str, Any]:
    fields = _fields(node)
    for kind in ("housekeeping", "shared", "vswitch", "reserve", "resctrl"):
        child = node.children.get((kind, ""))
        if child is not None:
            fields |= _fields(child)
        else:
            fields |= {row.model_field: defaults(kind)[row.name] for row in settings(kind).values()}
    ratios = fields["shared_overcommit"]
    if isinstance(ratios, tuple):
        fields |= {"shared_overcommit": max(ratios), "shared_overcommits": ratios}
    kept: dict[int, int] = {}
    for count in (*fields["reserve_pages"], *fields["vswitch_pages"]):
        kept[count.size_kib] = kept.get(count.size_kib, 0) + count.number
    fields["reserve_pages"] = tuple(PageCount(number, size) for size, number in kept.items())
    folder = posixpath.dirname(node.values["topology"].span.file)
    fields["topology"] = tuple(posixpath.normpath(posixpath.join(folder, path)) for path in fields["topology"])
    fields["pool"] = node.parent.text if node.parent else None
    fields["devices"] = _named(node.labelled("devices"))
    fields["raws"] = _named(node.labelled("raw"))
    fields["memories"] = _named(node.labelled("memory"))
    for pool in fields["devices"].values():
        first, *others = pool["parent"] or (None,)
        pool |= {
            "parent": first,
            "others": tuple(others),
            "vfs": pool["vfs"] or 0,
            "addresses": pool["addresses"] or (),
        }
    return fields


def _vm(node: Node, lineage: tuple[str, ...]) -> dict[str, Any]:
    fields = _fields(node)
    fields["lineage"] = lineage
    fields["cells"] = {
        label: _fields(child) for label, child in sorted(node.labelled("node").items(), key=lambda one: int(one[0]))
    }
    for cell in fields["cells"].values():
        cell["vcpus"] = cell["vcpus"] or 0
    fields["nodes"] = len(fields["cells"]) or fields["nodes"]
    fields["dedicated"] = fields["dedicated"] or CpuSet()
    for kind in ("disk", "nic", "hostdev", "mdev", "raw", "near"):
        fields[f"{kind}s"] = {label: _fields(child) for (inner, label), child in node.children.items() if inner == kind}
    passed = node.children.get(("passed", ""))
    if passed is not None:
        fields["passed"] = _passed(node, _fields(passed), fields)
    return fields


def _passed(vm: Node, said: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the block says of all of a guest's passed devices, given to those that do not say it themselves."""
    for kind in ("nic", "hostdev"):
        for label, child in vm.labelled(kind).items():
            fields[f"{kind}s"][label] |= {name: said[name] for name in ("near", "within") if name not in child.values}
    return said


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
