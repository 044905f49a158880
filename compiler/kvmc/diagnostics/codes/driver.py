"""00xx: files and the command line."""

from kvmc.diagnostics.model import Code, Severity

SITE_UNREADABLE = Code("KVMC0001", Severity.ERROR, "the site file cannot be read")
