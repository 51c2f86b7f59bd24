"""Sweeps: one file in; a table, curves and a report out.

In: a TOML file. Out: a row for each transmission, curves, a page.
Imports: everything but `privsc.cli`. Nothing but `privsc.cli` imports it.
"""
