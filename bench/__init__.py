"""Measures Penstock against its budgets, on both databases, beside its peer: `make bench`."""
