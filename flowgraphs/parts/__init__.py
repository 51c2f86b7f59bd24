"""What blocks and programs share: PDUs, PNG, framing and gathering of images, multipath.

In and out: bytes, frames, pixels.
Imports: `phy`. Blocks come from `flowgraphs.blocks`.
"""
