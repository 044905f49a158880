"""The registry of codes: a table a phase, merged here. A number stands once and is never used again."""

from __future__ import annotations

from types import ModuleType

from kvmc.diagnostics.codes import adopt, artifacts, audit, driver, host, placement, schema, syntax, topology, verify
from kvmc.diagnostics.model import Code

PHASES: tuple[ModuleType, ...] = (driver, syntax, schema, topology, placement, host, artifacts, audit, verify, adopt)


def registry() -> dict[str, Code]:
    """All codes by their id, in the order of their numbers."""
    found = [value for phase in PHASES for value in vars(phase).values() if isinstance(value, Code)]
    return {code.id: code for code in sorted(found, key=lambda code: code.id)}
