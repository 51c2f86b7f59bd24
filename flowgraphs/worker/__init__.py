"""The connection to the worker, which has the networks: a client, and the block that asks it.

In: a request with pixels. Out: the answer, or why there is none.
Imports: `flowgraphs.parts`, `phy.net.messages`.
"""
