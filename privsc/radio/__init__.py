"""The chain over real or virtual radios: set-up, loopback, recordings, examination, endurance.

In: profiles, a photograph. Out: what the air did to it.
Imports: `privsc.system`, `hardware`, `phy`.
"""
