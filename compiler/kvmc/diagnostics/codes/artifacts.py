"""06xx: artifacts on disk and locks."""

from kvmc.diagnostics.model import Code, Severity

STALE = Code("KVMC0601", Severity.ERROR, "an artifact on disk is not what the site says")
