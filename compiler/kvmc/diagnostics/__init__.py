"""What is wrong, where, with what numbers, and what would help: one value for every pass and every renderer."""

from kvmc.diagnostics.model import Bag, Code, Diagnostic, Fix, Label, Severity, Sources, Span

__all__ = ["Bag", "Code", "Diagnostic", "Fix", "Label", "Severity", "Sources", "Span"]
