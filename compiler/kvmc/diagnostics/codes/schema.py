"""02xx: blocks, settings, names and values."""

from kvmc.diagnostics.model import Code, Severity

UNKNOWN_SETTING = Code("KVMC0201", Severity.ERROR, "unknown setting")
