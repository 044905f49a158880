"""Measured values: from the results of a plan of measurement into its form, and one such file against another."""
