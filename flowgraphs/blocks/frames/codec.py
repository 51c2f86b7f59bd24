"""Codec encoder, codec decoder, message counter: the learned code by itself, one sample a symbol, for stage1_codec.grc.

bytes ──codec_encoder──► n symbols each ──noise──► codec_decoder ──► bytes ──┐
  └──────────────────────────────────────────────────────────────────────────┴─► message_counter ──► error rate
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from gnuradio import gr

from phy.codec.codec import shipped


def _named(codec: str):
    found = shipped(codec)
    if found.k != 8:
        raise ValueError(f"codec must carry 8 bits a message, {codec} carries {found.k}")
    return found


class codec_encoder(gr.interp_block):
    """Bytes → n complex symbols each, mean energy 1. codec: name of a shipped codec of 8 bits."""

    def __init__(self, codec: str = "image8x4"):
        self.codec = _named(codec)
        gr.interp_block.__init__(
            self, name="privsc codec encoder", in_sig=[np.uint8], out_sig=[np.complex64], interp=self.codec.n
        )

    def work(self, input_items, output_items):
        count = len(output_items[0]) // self.codec.n
        output_items[0][: count * self.codec.n] = self.codec.encode(input_items[0][:count]).reshape(-1)
        return count * self.codec.n


class codec_decoder(gr.decim_block):
    """n complex symbols → a byte. neural: decide with the trained network instead of the nearest codeword."""

    def __init__(self, codec: str = "image8x4", neural: bool = False):
        self.codec, self.neural = _named(codec), bool(neural)
        gr.decim_block.__init__(
            self, name="privsc codec decoder", in_sig=[np.complex64], out_sig=[np.uint8], decim=self.codec.n
        )

    def work(self, input_items, output_items):
        count = len(output_items[0])
        words = input_items[0][: count * self.codec.n].reshape(count, self.codec.n)
        output_items[0][:] = self.codec.demap_neural(words) if self.neural else self.codec.demap(words)
        return count


class message_counter(gr.decim_block):
    """Bytes sent and bytes received → two floats for every ``window`` of them: share of wrong messages, and PSNR [dB]
    of the bytes as pixels (99 where all are right). counts: ``messages``, ``wrong``, both since the block was made."""

    def __init__(self, window: int = 4096):
        if window < 1:
            raise ValueError(f"window must be at least 1 message, got {window}")
        gr.decim_block.__init__(
            self,
            name="privsc message counter",
            in_sig=[np.uint8, np.uint8],
            out_sig=[np.float32, np.float32],
            decim=window,
        )
        self.window = window
        self.counts: Counter[str] = Counter()

    def work(self, input_items, output_items):
        count = len(output_items[0])
        sent, got = (one[: count * self.window].reshape(count, self.window).astype(np.int16) for one in input_items)
        error = got - sent
        wrong = (error != 0).sum(axis=1)
        self.counts["messages"] += count * self.window
        self.counts["wrong"] += int(wrong.sum())
        output_items[0][:] = wrong / self.window
        square = np.maximum(np.mean(error.astype(np.float32) ** 2, axis=1), 255**2 / 10**9.9)
        output_items[1][:] = 10 * np.log10(255**2 / square)
        return count
