"""JSON from outside: bounded size, depth and number of values, no key twice."""

from __future__ import annotations

import json
from typing import Any

from kvmc.diagnostics.codes import topology as codes
from kvmc.topology.failure import ReadFailure, quoted

MAX_TEXT = 32 * 1024**2
MAX_OPENED = 400_000
MAX_COMMAS = 2_000_000
"""Brackets and braces, and values: what a hostile text would spend memory with. A host of 65 536 PCI functions has 140 000."""


def read_object(text: str) -> dict[str, Any]:
    """The object that the text is. Raises ReadFailure."""
    if len(text) > MAX_TEXT or text.count("[") + text.count("{") > MAX_OPENED or text.count(",") > MAX_COMMAS:
        raise ReadFailure(codes.TOPOLOGY_TOO_LARGE, f"a JSON text of {len(text)} characters is no host's description")
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        reason = f"{error.msg[:1].lower()}{error.msg[1:]}"
        message = f"the JSON is truncated or damaged at line {error.lineno}, column {error.colno}: {reason}"
        raise ReadFailure(codes.TOPOLOGY_DAMAGED, message) from error
    except RecursionError as error:
        raise ReadFailure(codes.TOPOLOGY_TOO_LARGE, "the JSON is nested too deep") from error
    except ValueError as error:  # a number of more digits than Python converts
        raise ReadFailure(codes.TOPOLOGY_VALUE, "the JSON has a number with thousands of digits") from error
    if not isinstance(value, dict):
        raise ReadFailure(codes.TOPOLOGY_KIND, "the JSON is not an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"key {quoted(twice)} stands twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ReadFailure(codes.TOPOLOGY_VALUE, f"`{name}` is not a number")
