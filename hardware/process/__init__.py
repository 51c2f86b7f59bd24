"""A radio in a process of its own: requests, streaming, the receiving chain, and the client that starts it.

In: requests and samples to send. Out: answers; frames and statistics as events.
Imports: `hardware.drivers`, `hardware.profiles`, `hardware.errors`, `phy`.
"""
