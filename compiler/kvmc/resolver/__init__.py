"""Placement: which guest on which host, nodes and CPUs, all guests together, with the last placement kept."""
