"""The command `privsc`: options in, tables out. Each sub-command loads what it needs only when it runs.

Imports: everything. Nothing imports it.
"""
