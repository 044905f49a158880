"""01xx: what the parser could not read."""

from kvmc.diagnostics.model import Code, Severity

UNEXPECTED = Code("KVMC0101", Severity.ERROR, "unexpected text")
