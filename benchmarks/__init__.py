"""Benchmarks against peers from public packages: each prints a table of ratios, peers run in the same process."""
