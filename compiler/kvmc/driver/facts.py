"""What scans of hosts tell of their software, put to the platforms that name them."""

from __future__ import annotations

import re
from pathlib import Path

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import driver as driver_codes
from kvmc.diagnostics.codes import host as codes
from kvmc.model.origins import Origins
from kvmc.model.site import Platform, Site
from kvmc.model.values import Version, VersionRange
from kvmc.topology.model import Facts

_RELEASE = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


def with_facts(folder: Path, site: Site, origins: Origins) -> tuple[Site, Bag]:
    """The site with the facts of its platforms. What a platform says and its facts refute is an error at its line."""
    from kvmc.driver.paths import leaves
    from kvmc.topology.read import read_topology

    bag = Bag()
    platforms: dict[str, Platform] = {}
    for name, platform in site.platforms.items():
        platforms[name] = platform
        if platform.facts is None:
            continue
        label = origins.label(("platform", name, "facts"))
        if leaves(folder, platform.facts):
            bag.error(
                driver_codes.PATH_OUTSIDE,
                f"facts `{platform.facts}` are outside the folder of the site",
                label,
                help=["copy the file into the site's folder: a build depends on nothing outside it"],
            )
            continue
        topology, told = read_topology(folder / platform.facts, platform.facts)
        bag.extend(told)
        if topology is None:
            continue
        if topology.facts is None:
            bag.error(
                codes.NO_FACTS,
                f"`{platform.facts}` tells nothing of the software of platform `{name}`",
                label,
                help=["make it on such a host with `kvmc topology scan`"],
            )
            continue
        platforms[name] = platform.model_copy(update={"known": topology.facts})
        _compare(platform, topology.facts, origins, bag)
    return site.model_copy(update={"platforms": platforms}), bag


def _compare(platform: Platform, facts: Facts, origins: Origins, bag: Bag) -> None:
    """Versions and PREEMPT_RT as the platform says them, against what was seen."""
    said: tuple[tuple[str, VersionRange, str | None], ...] = (
        ("kernel", platform.kernel, facts.kernel),
        ("libvirt", platform.libvirt, facts.libvirt),
        ("qemu", platform.qemu, facts.qemu),
        ("tuned", platform.tuned, facts.tuned),
    )
    for name, versions, text in said:
        match = _RELEASE.match(text or "")
        if match is not None and not versions.low <= Version(int(match[1]), int(match[2])) <= versions.high:
            _contradict(platform, name, f"`{name} = {versions}`", f"{name} {text}", origins, bag)
    if platform.realtime and facts.kernel_config and "PREEMPT_RT" not in facts.kernel_config:
        _contradict(platform, "realtime", "`realtime = true`", "a kernel without CONFIG_PREEMPT_RT", origins, bag)


def _contradict(platform: Platform, setting: str, said: str, seen: str, origins: Origins, bag: Bag) -> None:
    facts = origins.label(("platform", platform.name, "facts"), "its facts")
    bag.error(
        codes.FACTS_CONTRADICT,
        f"platform `{platform.name}` says {said}, and its facts say {seen}",
        origins.label(("platform", platform.name, setting)),
        secondary=[facts] if facts else [],
        help=["take the facts on a host of this platform, or say what its hosts have"],
    )
