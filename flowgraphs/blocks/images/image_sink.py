"""Image sink: image PDUs to PNG files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pmt
from gnuradio import gr

from flowgraphs.parts import pdu, png
from flowgraphs.worker.worker_block import image_of


class image_sink(gr.basic_block):
    """Port ``image`` → files. path: of the file; a ``{id}`` in its name becomes the image's number, without it each
    image replaces the one before. A file is written under another name and renamed, so that no reader sees half of it.
    """

    def __init__(self, path: str = "received-{id}.png"):
        gr.basic_block.__init__(self, name="privsc image sink", in_sig=None, out_sig=None)
        self.path = path
        self.counts: Counter[str] = Counter()
        self.message_port_register_in(pmt.intern("image"))
        self.set_msg_handler(pmt.intern("image"), self.take)

    def set_path(self, value: str) -> None:
        """Where the next image goes."""
        self.path = value

    def take(self, message) -> None:
        """An image PDU; what is not one, or cannot be written, is counted."""
        try:
            meta, vector = pdu.split(message) or ({}, None)
            data = png.encode(image_of(meta, vector))
            target = Path(self.path.replace("{id}", str(meta["image_id"])))
        except (KeyError, TypeError, ValueError, AttributeError):
            self.counts["malformed"] += 1
            return
        try:
            write(target, data)
            self.counts["written"] += 1
        except OSError:
            self.counts["unwritable"] += 1


def write(target: Path, data: bytes) -> None:
    """All or nothing, and for the owner alone: pictures of private entities."""
    if not target.parent.is_dir():
        target.parent.mkdir(0o700, parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.partial")
    try:
        temporary.touch(0o600)
        temporary.write_bytes(data)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
