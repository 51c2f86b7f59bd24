"""Frames: what crosses the air at once, from bytes to symbols and back, and what a receiver assembles of them.

In: head and body, bytes. Out: symbols of each frame; from received ones, payloads with their CRCs, and the image's
bytes.
Imports: `phy.codec`, `phy.errors`. No torch.
"""
