"""07xx: what the audit found in the artifacts."""

from kvmc.diagnostics.model import Code, Severity

CPU_OWNED_TWICE = Code("KVMC0701", Severity.ERROR, "a CPU is owned twice")
