"""Private entities are removed from a photograph before it is sent, and painted back by whoever shares K.

images ─► knowledge ─► networks ─► guard ─► hints ─► transport ─► (phy) ─► recovery; `system` is the chain, and
`worker`, `radio`, `training`, `evaluation`, `experiments`, `cli` stand on it, in this order.
"""
