"""05xx: host settings, platforms and targets."""

from kvmc.diagnostics.model import Code, Severity

NO_CARRIER = Code("KVMC0501", Severity.ERROR, "no chosen target carries a setting in use")
