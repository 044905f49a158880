"""04xx: what does not fit."""

from kvmc.diagnostics.model import Code, Severity

NOT_PLACED = Code("KVMC0401", Severity.ERROR, "a guest fits on no host")
