"""What a guest has that the site does not ask for, or lacks that it asks for."""

from __future__ import annotations

from typing import NamedTuple

from kvmc.diagnostics import Span


class Difference(NamedTuple):
    """Where, what in words that follow the guest's name, and a second place that takes part."""

    place: Span
    text: str
    also: Span | None = None
