"""What blocks and programs share: PDUs, PNG, multipath.

In and out: bytes, frames, pixels.
Imports: `phy`. Blocks come from `flowgraphs.blocks`.
"""
