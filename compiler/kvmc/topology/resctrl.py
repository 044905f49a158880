"""The limits of resctrl, as the kernel shows them where it is mounted (Documentation/arch/x86/resctrl.rst, info directory)."""

from __future__ import annotations

import re

from kvmc.topology import dump as names
from kvmc.topology.dump import Dump
from kvmc.topology.model import Resctrl


def read_resctrl(dump: Dump) -> tuple[Resctrl, ...] | None:
    """Each resource that has groups; None where resctrl is not mounted or was not gathered."""
    pattern = re.compile(rf"{names.RESCTRL}/({names.RESCTRL_NAME})/num_closids")
    resources = sorted(match[1] for match in map(pattern.fullmatch, dump.files) if match is not None)
    found = [_resource(dump, resource) for resource in resources]
    return tuple(limit for limit in found if limit is not None) or None


def _resource(dump: Dump, resource: str) -> Resctrl | None:
    folder = f"{names.RESCTRL}/{resource}"
    closids = dump.integer(f"{folder}/num_closids", 1)
    if closids is None:
        return None
    mask = dump.text(f"{folder}/cbm_mask") or ""
    return Resctrl(
        resource,
        closids,
        ways=int(mask, 16).bit_count() if re.fullmatch(r"[0-9a-fA-F]{1,16}", mask) else None,
        min_ways=dump.integer(f"{folder}/min_cbm_bits", 0),
        step_percent=dump.integer(f"{folder}/bandwidth_gran", 0),
        min_percent=dump.integer(f"{folder}/min_bandwidth", 0),
    )
