"""The audit of a tree that lies on disk, of kvmc's making or not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts
from kvmc.diagnostics.codes import driver as codes
from kvmc.driver.inputs import read_inputs
from kvmc.driver.outcome import Outcome
from kvmc.output import TEMP_SUFFIX
from kvmc.output.disk import read_found, reason, walk


def audit_tree(tree: Path, site: Path | None, topologies: Mapping[str, Path]) -> Outcome:
    """Audit the hosts' folders in `tree`.

    site: the site that the files shall be faithful to, and whose hosts' topologies they are judged by. topologies: by host, for a
    tree without a site; a host's own wins over the site's.
    """
    from kvmc.audit.check import audit_host
    from kvmc.topology.read import read_topology

    outcome = read_inputs(site) if site is not None else Outcome(Bag())
    for host, path in topologies.items():
        topology, bag = read_topology(path, path.as_posix())
        outcome.tell(bag)
        if topology is not None:
            outcome.topologies[host] = topology
    if not outcome.ok:
        return outcome
    try:
        folders = sorted(entry.name for entry in tree.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        outcome.bag.error(artifacts.TREE_UNREADABLE, f"cannot read `{tree.as_posix()}`: {reason(error)}")
        return outcome
    for host in outcome.site.hosts if outcome.site is not None else ():
        if host not in folders:
            outcome.bag.error(codes.NOTHING_TO_AUDIT, f"host `{host}` of the site has no folder in `{tree.as_posix()}`")
    if not folders and outcome.site is None:
        outcome.bag.error(codes.NOTHING_TO_AUDIT, f"there is no host's folder in `{tree.as_posix()}`")
    found = Bag()
    for host in folders:
        if host not in outcome.topologies:
            outcome.bag.error(
                codes.NOTHING_TO_AUDIT,
                f"the topology of host `{host}` is not known",
                help=[f"name it with `--topology {host}=PATH`, or the site that has the host with `--site SITE`"],
            )
            continue
        files = _read(tree / host, host, outcome)
        outcome.texts.update({f"{host}/{path}": text for path, text in files.items()})
        outcome.files[host] = {}
        found.extend(audit_host(host, files, outcome.topologies[host], outcome.site))
    outcome.tell(found)
    return outcome


def _read(folder: Path, host: str, outcome: Outcome) -> dict[str, str]:
    """All plain files below a host's folder; links are not followed."""
    texts: dict[str, str] = {}
    path = ""
    try:
        for path in walk(folder):
            found = None if path.endswith(TEMP_SUFFIX) else read_found(folder / path)
            if found is not None:
                texts[path] = found.text
    except OSError as error:
        outcome.bag.error(artifacts.TREE_UNREADABLE, f"cannot read `{host}/{path}`: {reason(error)}")
    return texts
