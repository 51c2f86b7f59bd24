"""Image source: files, folders or messages in, photographs out."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pmt
from gnuradio import gr

from flowgraphs.parts import pdu

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".gif"})
_LARGEST = 32 * 1024 * 1024  # [bytes] of a file


class image_source(gr.basic_block):
    """Port ``photo`` gives encoded files as they are, decoded where the networks live.

    path: a file or a folder (its photographs by name); empty to send only what comes on port ``path`` (a symbol, or a
    pair whose tail is one). repeat: begin again at the end. interval: [s] between photographs. first_id: number of the
    first image, 0 to 65535; later ones count up.
    """

    def __init__(self, path: str = "", repeat: bool = False, interval: float = 5.0, first_id: int = 1):
        gr.basic_block.__init__(self, name="privsc image source", in_sig=None, out_sig=None)
        if not (interval > 0 and 0 <= first_id <= 65535):
            raise ValueError(f"interval must be positive and first_id 0 to 65535, got {interval} and {first_id}")
        self.files = find(path) if path else []
        self.repeat, self.interval = bool(repeat), interval
        self.counts: Counter[str] = Counter()
        self._id = first_id
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.message_port_register_in(pmt.intern("path"))
        self.set_msg_handler(pmt.intern("path"), self.take)
        self.message_port_register_out(pmt.intern("photo"))

    def set_repeat(self, value: bool) -> None:
        """Begin again at the end, from now on; also where the end was reached already."""
        self.repeat = bool(value)

    def set_interval(self, value: float) -> None:
        """[s] between photographs, from the next one on."""
        if not value > 0:
            raise ValueError(f"interval must be positive, got {value} s")
        self.interval = value

    def take(self, message) -> None:
        """Path of a photograph to send now."""
        name = pmt.cdr(message) if pmt.is_pair(message) else message
        if not pmt.is_symbol(name):
            self.counts["malformed"] += 1
            return
        self._send(Path(pmt.symbol_to_string(name)))

    def start(self) -> bool:
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="image source", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        return True

    def _run(self) -> None:
        while self.files and not self._ended.is_set():
            for path in self.files:
                self._send(path)
                if self._ended.wait(self.interval):
                    return
            while not self.repeat:
                if self._ended.wait(0.1):
                    return

    def _send(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError:
            self.counts["unreadable"] += 1
            return
        if not 0 < len(data) <= _LARGEST:
            self.counts["unreadable"] += 1
            return
        with self._lock:
            number, self._id = self._id, (self._id + 1) & 0xFFFF
        self.counts["sent"] += 1
        self.message_port_pub(pmt.intern("photo"), pdu.make({"image_id": number, "name": path.name}, data))


def find(path: str) -> list[Path]:
    """Photographs that a path names; FileNotFoundError where there is none."""
    place = Path(path)
    if place.is_file():
        return [place]
    found = sorted(p for p in place.iterdir() if p.suffix.lower() in SUFFIXES) if place.is_dir() else []
    if not found:
        raise FileNotFoundError(f"{path}: no such file, or a folder without photographs")
    return found
