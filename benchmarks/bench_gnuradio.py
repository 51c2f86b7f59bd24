"""Our blocks beside GNU Radio's own ofdm_rx, in one process: frames delivered, samples and payload a second.

    PYTHONPATH=. /usr/bin/python3 -s -m benchmarks.bench_gnuradio [FRAMES] [delivery | speed]        500, both

Like for like: payloads of the same size at 2 bits a symbol (image8x4 against QPSK), `channels.channel_model` with noise
of the same seed, SNR as `benchmarks.signals` defines it, from the power measured, and no other impairment; rows with
offsets say so, and both sides have them. Each side is timed from the start of its flowgraph until all threads have
ended, which is after the signal's last sample and the last frame; the silence at the end that a receiver needs for that
(64 samples ours, 1,000 ofdm_rx) is timed and not counted. The sides take turns.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from gnuradio import blocks as grb
from gnuradio import gr

from benchmarks import block_speeds, ofdm_peer
from benchmarks.gnuradio_signals import OFFSETS, impaired, ours
from benchmarks.signals import Bursts, exact
from benchmarks.table import Row, Runs, Spent, in_turns, parser, positive, timed, write_rows
from flowgraphs import blocks
from flowgraphs.parts import pdu
from phy.frame.frame import Kind

PACKET, LARGE = 96, 512  # [bytes]; ofdm_tx with its own buffers takes less than 768
SNRS = (20.0, 15.0, 10.0, 5.0)  # [dB], of the delivery
CLEAR = {PACKET: 20.0, LARGE: 25.0}  # [dB], of the speed, by size: where ofdm_rx loses least
TAIL = 64  # samples: the channel model keeps the last eight
APART_TAIL = 1 << 17  # Frame Sync gives a frame out once 65,536 samples have come after it
VARIANTS = ("Frame Receiver", "with the Image Assembler", "Frame Sync, Frame Decoder")


class Graph:
    """source → Frame Receiver (→ Image Assembler), or Frame Sync → Frame Decoder; messages are gathered as well."""

    def __init__(self, samples: np.ndarray, variant: str = VARIANTS[0]) -> None:
        apart = variant == VARIANTS[2]
        self.first = blocks.frame_sync() if apart else blocks.frame_receiver()
        self.last = blocks.frame_decoder() if apart else self.first
        self.ports = {name: grb.message_debug(False) for name in ("ok", "fail")}
        self.top = gr.top_block()
        self.top.connect(grb.vector_source_c(samples.tolist()), self.first)
        if apart:
            self.top.connect(self.first, self.last)
        self._assembler = blocks.image_assembler() if variant == VARIANTS[1] else None
        for name, debug in self.ports.items():
            self.top.msg_connect(self.last, name, debug, "store")
            if self._assembler is not None:
                self.top.msg_connect(self.last, name, self._assembler, name)

    @property
    def whole(self) -> int:
        """Frames so far whose CRC-32 holds, those included that end with the stream; the head's is one."""
        return self.last.counts["ok"] if self.last is not self.first else self.first.receiver.counts["frames"]


def receive_ours(samples: np.ndarray, variant: str = VARIANTS[0]) -> tuple[int, Spent]:
    """(body frames whose CRC-32 holds, what it took to the end) of a flowgraph over samples [N] complex64."""
    graph = Graph(samples, variant)
    _, spent = timed(graph.top.run)
    return graph.whole - 1, spent


def receive_ofdm(samples: np.ndarray, sent: Bursts) -> tuple[int, Spent]:
    """(packets exactly as sent, what it took to the end)."""
    got, spent = ofdm_peer.receive(samples)
    return exact(got, sent.payloads), spent


@dataclass(frozen=True)
class Delivered:
    """exact: payloads equal to what was sent, by their place in the image. usable: payloads whose header was right,
    exact or not. psnr_db: of the usable payloads' bytes taken as pixels."""

    exact: int
    usable: int
    psnr_db: float


def delivered(samples: np.ndarray, sent: np.ndarray) -> Delivered:
    """What the Frame Receiver's messages hold of the payloads sent [F, P] uint8; not timed."""
    graph = Graph(np.concatenate([samples, np.zeros(2 * APART_TAIL, np.complex64)]))
    graph.top.start()
    while graph.first.receiver.counts["samples"] < len(samples) + APART_TAIL:
        time.sleep(0.005)
    time.sleep(0.5)  # messages are on their way
    graph.top.stop()
    graph.top.wait()
    got = np.zeros(sent.shape, np.uint8)
    usable, right = np.zeros(len(sent), bool), np.zeros(len(sent), bool)
    for debug in graph.ports.values():
        for i in range(debug.num_messages()):
            meta, vector = pdu.split(debug.get_message(i))
            if meta["kind"] == Kind.BODY and len(vector) == sent.shape[1] + 4:
                row = meta["sequence"]
                usable[row], got[row] = True, vector[:-4]
                right[row] = meta["crc_ok"] and np.array_equal(got[row], sent[row])
    error = np.mean((got[usable].astype(float) - sent[usable]) ** 2) if usable.any() else np.nan
    psnr = float(10 * np.log10(255**2 / error)) if error else np.inf
    return Delivered(int(right.sum()), int(usable.sum()), psnr)


def delivery(frames: int) -> list[Row]:
    """Who delivers what, from 20 to 5 dB, without and with offsets."""
    packets = ofdm_peer.packets(frames, PACKET, np.random.default_rng(2))
    print(f"Delivery, {frames} packets. Exact: every byte as sent. Usable: header right, so that the payload has its")
    print("place in the picture; a wrong message is one pixel of about the right value (PSNR of the bytes).")
    print(f"Offsets: {OFFSETS}.")
    columns = f"{'bits/symbol':>11} {'offsets':>7} {'SNR dB':>6} {'exact':>6} {'usable':>6} {'PSNR dB':>7}"
    print(f"{'receiver':30} {'meant for':14} {columns}", flush=True)
    rows, cases = [], [(offsets, snr) for offsets in (False, True) for snr in SNRS]
    theirs = {}
    for offsets, snr in cases:
        heard = impaired(packets, snr, offsets=offsets, tail=ofdm_peer.TAIL)
        theirs[offsets, snr], _ = receive_ofdm(heard, packets)
        print(
            f"{'GNU Radio ofdm_rx, QPSK, 96 B':30} {'exact data':14} {2:11g} {_yes(offsets):>7} {snr:6g} "
            f"{theirs[offsets, snr]:6d}",
            flush=True,
        )
    for codec, meant, bits in (("ae8x8", "exact data", 1), ("ae8x4+outer", "exact data", 1), ("image8x4", "pixels", 2)):
        signal = ours(codec, frames, PACKET)
        for offsets, snr in cases:
            r = delivered(impaired(signal, snr, offsets=offsets, tail=TAIL), signal.payloads)
            print(
                f"{f'privsc, {codec}, {PACKET} B':30} {meant:14} {bits:11g} {_yes(offsets):>7} {snr:6g} {r.exact:6d} "
                f"{r.usable:6d} {r.psnr_db:7.1f}",
                flush=True,
            )
            if bits == 2:
                what = f"{PACKET} bytes at {snr:g} dB, {'offsets' if offsets else 'no offsets'}, exact, {codec}"
                rows.append(Row(what, r.exact, "ofdm_rx, QPSK", theirs[offsets, snr], f"packets of {frames}"))
    return rows


def speed(frames: int, rounds: int) -> list[Row]:
    """Samples and payload a second where both decode: like for like, then with offsets, then other codecs."""
    snr = f"{CLEAR[PACKET]:g} dB ({LARGE} B: {CLEAR[LARGE]:g} dB)"
    print(f"\nSpeed at {snr}, medians of {rounds} runs in turns; processor: all threads, source included")
    print(f"Offsets: {OFFSETS}. Times: of ofdm_rx in the same turns.")
    columns = f"{'frames':>11} {'Msps':>6} {'times':>6} {'clock Msps':>10} {'times':>6} {'Mbit/s':>7} {'times':>6}"
    print(f"{'what':52} {columns}", flush=True)
    rows, reference = [], 0.0
    for codec, size, offsets in (
        ("image8x4", PACKET, False),
        ("image8x4", LARGE, False),
        ("image8x4", PACKET, True),
        ("ae8x8", PACKET, False),
        ("ae8x4+outer", PACKET, False),
    ):
        count = max(frames * PACKET // size, 8)
        case, theirs = _turn(codec, size, count, offsets, rounds)
        reference = reference or theirs
        rows += case if codec == "image8x4" else []
    for name, rate in block_speeds.every(frames // 4, rounds):
        print(f"{name:52} {'':11} {rate:6.2f} {rate / reference:6.2f}", flush=True)
    return rows


def _turn(codec: str, size: int, count: int, offsets: bool, rounds: int) -> tuple[list[Row], float]:
    """(rows of the Frame Receiver, ofdm_rx's Msps) for one kind of frame; prints all variants."""
    signal, packets = ours(codec, count, size), ofdm_peer.packets(count, size, np.random.default_rng(2))
    heard = {name: impaired(signal, CLEAR[size], offsets=offsets, tail=TAIL) for name in VARIANTS[:2]}
    heard[VARIANTS[2]] = impaired(signal, CLEAR[size], offsets=offsets, tail=APART_TAIL)
    other = impaired(packets, CLEAR[size], offsets=offsets, tail=ofdm_peer.TAIL)
    peer = "ofdm_rx, QPSK"
    works = {peer: lambda: receive_ofdm(other, packets)}
    works |= {name: (lambda name=name: receive_ours(heard[name], name)) for name in VARIANTS}
    runs = in_turns(works, rounds)
    figures = {
        name: _figures(run, (packets if name == peer else signal).bursts.size, size) for name, run in runs.items()
    }
    suffix = f"{size} B{', offsets' if offsets else ''}"
    rows = []
    for name, (processor, clock, payload) in figures.items():
        shown = f"{name}, {suffix}" if name == peer else f"{name}, {codec}, {suffix}"
        times = [one / two for one, two in zip(figures[name], figures[peer], strict=True)]
        print(
            f"{shown:52} {runs[name].result:5d}/{count:<5d} {processor:6.2f} {times[0]:6.2f} {clock:10.2f} "
            f"{times[1]:6.2f} {payload:7.2f} {times[2]:6.2f}",
            flush=True,
        )
    note = f"{CLEAR[size]:g} dB, frames {runs[VARIANTS[0]].result} / {runs[peer].result} of {count}"
    note += f"; both with offsets: {OFFSETS}" if offsets else ""
    units = ("Msps of processor time", "Msps by the clock", "payload Mbit per processor second")
    for unit, here, there in zip(units, figures[VARIANTS[0]], figures[peer], strict=True):
        rows.append(Row(f"Frame Receiver, {codec}, {suffix}", here, peer, there, unit, note=note))
    return rows, figures[peer][0]


def _figures(run: Runs[int], samples: int, size: int) -> tuple[float, float, float]:
    """(Msps of processor time, Msps by the clock, payload Mbit per processor second)."""
    spent = run.spent
    return samples / spent.processor / 1e6, samples / spent.wall / 1e6, run.result * size * 8 / spent.processor / 1e6


def _yes(offsets: bool) -> str:
    return "yes" if offsets else "no"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("frames", nargs="?", type=positive, default=500)
    options.add_argument("part", nargs="?", choices=("delivery", "speed"))
    given = options.parse_args()
    receive_ours(impaired(ours("ae8x8", 50, PACKET), CLEAR[PACKET], tail=TAIL))  # tables are made at the first use
    rows: list[Row] = []
    if given.part != "speed":
        rows += delivery(given.frames)
    if given.part != "delivery":
        rows += speed(given.frames, given.rounds)
    write_rows(given.rows, rows)


if __name__ == "__main__":
    main()
