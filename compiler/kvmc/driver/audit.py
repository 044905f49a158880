"""The audit of a tree that lies on disk, of kvmc's making or not."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts
from kvmc.diagnostics.codes import driver as codes
from kvmc.driver.inputs import read_inputs
from kvmc.driver.outcome import Outcome
from kvmc.model.values import Version
from kvmc.output import LOCKS, TEMP_SUFFIX
from kvmc.output.disk import read_found, reason, walk


def audit_tree(tree: Path, site: Path | None, topologies: Mapping[str, Path]) -> Outcome:
    """Audit the hosts' folders in `tree`.

    site: the site that the files shall be faithful to, and whose hosts' topologies they are judged by. topologies: by host, for a
    tree without a site; a host's own wins over the site's.
    """
    from kvmc.audit.check import audit_site
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
    if not folders and outcome.site is None:
        outcome.bag.error(codes.NOTHING_TO_AUDIT, f"there is no host's folder in `{tree.as_posix()}`")
        return outcome
    trees: dict[str, dict[str, str]] = {}
    for host in folders:
        if host not in outcome.topologies and (outcome.site is None or host in outcome.site.hosts):
            outcome.bag.error(
                codes.NOTHING_TO_AUDIT,
                f"the topology of host `{host}` is not known",
                help=[f"name it with `--topology {host}=PATH`, or the site that has the host with `--site SITE`"],
            )
            continue
        trees[host] = _read(tree / host, host, outcome)
        outcome.texts.update({f"{host}/{path}": text for path, text in trees[host].items()})
        outcome.files[host] = {}
    locks = _locks(site.parent, outcome) if site is not None else None
    outcome.tell(audit_site(trees, outcome.topologies, outcome.site, locks))
    return outcome


def audit_paths(paths: Sequence[Path], topology: Path, kernel: Version | None = None) -> Outcome:
    """Audit the files of one host that people wrote, wherever they lie, by the host's topology and what is known of knobs.

    kernel: the host's release; a topology that `kvmc topology scan` took tells it by itself.
    """
    from kvmc.audit.check import audit_handwritten
    from kvmc.audit.handwritten import read
    from kvmc.topology.read import read_topology

    outcome = Outcome(Bag())
    for path in paths:
        if not os.path.lexists(path):
            outcome.bag.error(
                artifacts.TREE_UNREADABLE, f"cannot read `{path.as_posix()}`: there is no such file or folder"
            )
    of, bag = read_topology(topology, topology.as_posix())
    if not outcome.tell(bag) or of is None:
        return outcome
    found = read(paths)
    outcome.texts.update({one.name: one.text for one in found})
    outcome.files = {topology.stem: {}}
    outcome.tell(audit_handwritten(topology.stem, found, of, kernel))
    if not any(one.kind for one in found):
        outcome.bag.error(codes.NOTHING_TO_AUDIT, "there is no file that the audit knows in what is named")
    return outcome


def _locks(folder: Path, outcome: Outcome) -> dict[str, str]:
    """The locks' texts as they lie beside the site. They were read once and are sound; the audit reads them in its own way."""
    found = {host: read_found(folder / LOCKS / f"{host}.json") for host in outcome.locks}
    return {host: one.text for host, one in found.items() if one is not None}


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
