"""How the networks are made.

In: photographs. Out: weights; an interrupted training goes on where it was.
Imports: everything that runs. Nothing that runs imports it.
"""
