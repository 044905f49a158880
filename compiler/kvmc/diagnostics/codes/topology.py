"""03xx: topology files and what a host has."""

from kvmc.diagnostics.model import Code, Severity

TOPOLOGY_UNREADABLE = Code("KVMC0301", Severity.ERROR, "a topology file cannot be read")
