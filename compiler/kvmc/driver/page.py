"""The page of a plan to disk: beside the site or anywhere, never over what is no such page."""

from __future__ import annotations

import os
from pathlib import Path

from kvmc.diagnostics.codes import driver as codes
from kvmc.diagnostics.text import visible
from kvmc.driver.outcome import Outcome

_MOST = 1024
"""Bytes in which a page says who made it."""


def write_page(path: Path, outcome: Outcome) -> None:
    """Write the page, whole or not at all; what stands in the way is an error in the outcome."""
    from kvmc.model.imports import read_bytes
    from kvmc.output.disk import Disk, reason
    from kvmc.view.fleet import fleet_view
    from kvmc.view.html import GENERATOR, render

    shown = visible(str(path))
    if os.path.lexists(path):
        old = read_bytes(path, _MOST)
        if isinstance(old, str) or (old and GENERATOR.encode() not in old[:_MOST]):
            why = old if isinstance(old, str) else "is not a page of kvmc's"
            outcome.bag.error(
                codes.PAGE_UNWRITABLE,
                f"`{shown}` {why}, and is left as it is",
                help=["name another file, or remove that one"],
            )
            return
    text = render(fleet_view(outcome))
    try:
        Disk().replace(path, text, 0o644)
    except OSError as error:
        outcome.bag.error(codes.PAGE_UNWRITABLE, f"cannot write `{shown}`: {reason(error)}")
