"""All that the pipeline reads: the site, its hosts' topologies, its locks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from kvmc.diagnostics import Bag, Diagnostic, Label
from kvmc.diagnostics.codes import artifacts
from kvmc.diagnostics.codes import driver as codes
from kvmc.diagnostics.codes import topology as topology_codes
from kvmc.driver.outcome import Outcome
from kvmc.driver.paths import leaves
from kvmc.model.site import Site
from kvmc.output import LOCKS
from kvmc.output.disk import read_found, reason

if TYPE_CHECKING:
    from kvmc.resolver.locks import HostLock
    from kvmc.topology.model import Topology
    from kvmc.topology.read import Source

SourceReader = Callable[[Path, str], "tuple[Source | None, Bag]"]

SITE_NAME = "site.kvmt"


def site_file(path: Path) -> Path:
    """The site file that a user means: the path itself, or `site.kvmt` in the folder that it names."""
    return path / SITE_NAME if path.is_dir() else path


def read_inputs(path: Path) -> Outcome:
    """Read the site file, then the topologies and the locks. Stops behind the site where it has errors."""
    from kvmc.model.load import load_site

    loaded = load_site(path)
    outcome = Outcome(Bag(), dict(loaded.sources.texts), loaded.site, loaded.origins)
    if outcome.tell(loaded.bag) and outcome.site is not None:
        wanted = {
            host.name: (host.topology, outcome.origins.label(("host", host.name, "topology")))
            for host in outcome.site.hosts.values()
        }
        outcome.topologies, bag = read_topologies(path.parent, wanted)
        outcome.tell(bag)
        _compare_pools(outcome, outcome.site)
        if any(platform.facts is not None for platform in outcome.site.platforms.values()):
            from kvmc.driver.facts import with_facts

            outcome.site, bag = with_facts(path.parent, outcome.site, outcome.origins)
            outcome.tell(bag)
        _check_cpus(outcome, outcome.site)
        _check_raws(outcome, outcome.site)
        _read_locks(path.parent, outcome, outcome.site)
    return outcome


def read_topologies(
    folder: Path, wanted: Mapping[str, tuple[tuple[str, ...], Label | None]], read: SourceReader | None = None
) -> tuple[dict[str, Topology], Bag]:
    """The topology of each host. wanted: host -> its inputs' paths below the folder, and a label at the line that says so.

    The same inputs are read once, for all hosts that name them; what is wrong with them is told at the first of these.
    """
    from kvmc.topology.combine import read_topologies as combined

    topologies: dict[str, Topology] = {}
    bag = Bag()
    by_paths: dict[tuple[str, ...], list[str]] = {}
    for host, (given, _) in wanted.items():
        by_paths.setdefault(tuple(str(PurePosixPath(path)) for path in given), []).append(host)
    for paths, hosts in by_paths.items():
        label = wanted[hosts[0]][1]
        outside = [path for path in paths if leaves(folder, path)]
        for shown in outside:
            bag.error(
                codes.PATH_OUTSIDE,
                f"topology `{shown}` is outside the folder of the site",
                label,
                help=["copy the file into the site's folder: a build depends on nothing outside it"],
            )
        if outside:
            continue
        topology, told = combined([(folder / path, path) for path in paths], read)
        bag.extend(_at(label, told))
        if topology is not None:
            topologies.update(dict.fromkeys(hosts, topology))
    return {host: topologies[host] for host in wanted if host in topologies}, bag


def _check_raws(outcome: Outcome, site: Site) -> None:
    """Raw settings against what is known, where there are any."""
    if any(host.raws for host in site.hosts.values()) or any(vm.raws for vm in site.vms.values()):
        from kvmc.hostconfig.raw import check_raws

        outcome.tell(check_raws(site, outcome.topologies, outcome.origins))


def _compare_pools(outcome: Outcome, site: Site) -> None:
    """Each host of a pool against the pool's first. One that shares the first's inputs is the same by itself."""
    from kvmc.topology.alike import unlike

    first: dict[str, str] = {}
    for host in site.hosts.values():
        if host.pool is None or host.name not in outcome.topologies:
            continue
        other = first.setdefault(host.pool, host.name)
        mine, theirs = outcome.topologies.get(other), outcome.topologies[host.name]
        lines = unlike(mine, theirs) if mine is not None and mine is not theirs else ()
        if lines:
            seen = outcome.origins.label(("host", other, "topology"), f"`{other}`, the first host of the pool")
            outcome.bag.error(
                topology_codes.POOL_UNLIKE,
                f"hosts `{other}` and `{host.name}` of pool `{host.pool}` differ in their shape",
                outcome.origins.label(("host", host.name, "topology")),
                secondary=[seen] if seen is not None else [],
                notes=lines,
                help=["give hosts of another shape a pool of their own, or mend the firmware's settings"],
            )


def _check_cpus(outcome: Outcome, site: Site) -> None:
    """Guests' CPUs against the hosts that they may go to; most sites ask for nothing that a host could lack."""
    modes = ("host-passthrough", "host-model", "maximum")
    asking = (vm.cpu not in modes or vm.require or vm.launch_security != "none" for vm in site.vms.values())
    if any(asking):
        from kvmc.hostconfig.fleet import check_cpus

        outcome.tell(check_cpus(site, outcome.topologies, outcome.origins))


def _at(label: Label | None, bag: Iterable[Diagnostic]) -> Iterable[Diagnostic]:
    return (replace(item, primary=label) if item.primary is None else item for item in bag)


def _read_locks(folder: Path, outcome: Outcome, site: Site) -> None:
    """The locks of the site's hosts, which must be whole, and those of hosts that are gone, as far as they are locks at all."""
    for host in site.hosts:
        lock = _read_lock(folder, host, outcome.bag, outcome)
        if lock is not None:
            outcome.locks[host] = lock
    gone: list[str] = []
    try:
        names = sorted(entry.name for entry in (folder / LOCKS).iterdir())
    except OSError:
        return  # none yet; anything worse is told at the site's own locks
    for name in names:
        host = name.removesuffix(".json")
        if name == host or name.startswith(".") or host in site.hosts:
            continue
        bag = Bag()
        lock = _read_lock(folder, host, bag, outcome)
        if lock is not None and not bag.has_errors:
            outcome.locks[host] = lock
            gone.append(host)
    outcome.gone = tuple(gone)


def _read_lock(folder: Path, host: str, bag: Bag, outcome: Outcome) -> HostLock | None:
    from kvmc.resolver.locks import loads

    shown = f"{LOCKS}/{host}.json"
    try:
        found = read_found(folder / shown)
        why = "it is not a plain file" if found is None and os.path.lexists(folder / shown) else ""
    except OSError as error:
        found, why = None, reason(error)
    if why:
        bag.error(artifacts.LOCK_UNREADABLE, f"cannot read the lock `{shown}`: {why}")
    if found is None:
        return None
    lock, told = loads(found.text, shown)
    if any(item.primary is not None for item in told):
        outcome.texts[shown] = found.text
    bag.extend(told)
    if lock is not None and lock.host != host:
        bag.error(
            artifacts.LOCK_OTHER_HOST,
            f"the lock `{shown}` is of host `{lock.host}`",
            help=[f"restore `{shown}` from your repository"],
        )
        return None
    return lock
