"""kvmc: one source for both halves of a KVM host."""

__version__ = "0.1.0"
