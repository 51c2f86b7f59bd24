"""One radio, one TOML file: what it can do, what is allowed, how it is set.

In: the name of a profile or a file. Out: a checked `Profile`.
Imports: `hardware.errors`.
"""
