"""What disks and NICs are on, and their numbers, as far as the language has words for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kvmc.adopt.words import Network, interface
from kvmc.model.names import name_problem

if TYPE_CHECKING:
    from lxml.etree import _Element


def within(options: Mapping[str, str], limits: Mapping[str, tuple[int, int]]) -> dict[str, str]:
    """Numbers that the language takes: within their limits, and rings by powers of two."""
    found = {key: str(options.get(key, "")) for key in limits}
    return {
        key: text
        for key, text in found.items()
        if re.fullmatch(r"[1-9][0-9]{0,3}", text)
        and limits[key][0] <= int(text) <= limits[key][1]
        and (key == "queues" or int(text).bit_count() == 1)
    }


def network_of(kind: str, source: _Element) -> Network | None:
    """What a NIC is on, where the language has words for it."""
    if kind == "bridge" and interface(source.get("bridge", "")):
        return Network(kind, source.get("bridge", ""))
    if kind == "network" and name_problem(source.get("network", "")) is None:
        return Network(kind, source.get("network", ""))
    mode = source.get("mode", "vepa")
    if kind == "direct" and interface(source.get("dev", "")) and mode in ("bridge", "vepa", "private", "passthrough"):
        return Network(kind, source.get("dev", ""), mode)
    return None


def template_of(path: str, original: str, name: str, target: str, taken: set[str]) -> tuple[str, str]:
    """The storage that a path is of, and the disk's label: `/images/{vm}-{disk}.img` and `root`."""
    folder, _, base = path.rpartition("/")
    label = re.sub(r"[^a-z0-9]+", "-", target.lower()).strip("-") or "disk"
    if original and original == name and base.startswith(name):
        rest = re.fullmatch(r"([-_.])([A-Za-z][A-Za-z0-9]{0,30})(\.[A-Za-z0-9.]+)?", base[len(name) :])
        if rest is not None and rest[2] not in taken and rest[1] + rest[2] not in (".qcow2", ".img", ".raw"):
            return f"{folder}/{{vm}}{rest[1]}{{disk}}{rest[3] or ''}", rest[2]
        path = f"{folder}/{{vm}}{base[len(name) :]}"
    while label in taken:
        label += "-2"
    return path, label
