"""The burst modem beside liquid-dsp's framesync64 and GNU Radio's ofdm_rx: throughput, sensitivity, range of frequency.

    PYTHONPATH=. /usr/bin/python3 -s -m benchmarks.bench_burst [--frames N] [--rounds R]

Runs under the distribution's interpreter, which has the peers; a peer that is not installed is named and left out. All
receivers get the same noise: the same realisation, at the same SNR as `benchmarks.signals` defines it, from the power
that was measured. Frames count where their payload came back; they are counted outside the clock.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import liquid_peer, ofdm_peer
from benchmarks.signals import Bursts, exact
from benchmarks.table import Row, Spent, failure, in_turns, parser, positive, timed, write_rows
from phy.channel.impairments import white_noise
from phy.evaluation.trials import Frames, image_frames, receive, short_frames
from phy.modem.pulse import occupied_bandwidth, papr_db
from phy.modem.stream import StreamReceiver

GAP = 200  # samples between frames where sensitivity is measured
PACKET = 96  # [bytes]
SNR = 20.0  # [dB], of the throughput: all of them receive nearly all
SEED = 7
_OFDM_MISSING = "GNU Radio is not installed: sudo apt-get install gnuradio"

Work = Callable[[], tuple[int, Spent]]  # one run: frames whose payload came back, and what it took


def ours(frames: Frames, samples: np.ndarray) -> tuple[int, Spent]:
    """Our stream receiver over the whole of the samples, flush included."""
    got, spent = timed(lambda: receive(StreamReceiver(frames.layout, frames.frame_format), samples))
    return exact([frame.payload for frame in got if frame.crc_ok], frames.payloads), spent


def liquid(lib, samples: np.ndarray) -> tuple[int, Spent]:
    """framesync64 over the whole of the samples."""
    sync = liquid_peer.FrameSync(lib)
    _, spent = timed(lambda: sync.push(samples))
    good = sync.stats.payloads
    sync.close()
    return good, spent


def ofdm(packets: Bursts, samples: np.ndarray) -> tuple[int, Spent]:
    """ofdm_rx over the whole of the samples."""
    got, spent = ofdm_peer.receive(samples)
    return exact(got, packets.payloads), spent


def bursts(frames: Frames) -> Bursts:
    """Ours, as what all receivers' signals are made of."""
    return Bursts(frames.bursts, frames.payloads)


def compare(
    what: str, sizes: tuple[int, int], frames: int, payload: int, works: dict[str, Work], rounds: int
) -> list[Row]:
    """Receive in turns; prints both sides. sizes: samples of each side, the silence at the end not counted."""
    runs = in_turns(works, rounds)
    (here, one), (peer, other) = runs.items()
    speed, rate = [], []
    for (name, run), size in zip(runs.items(), sizes, strict=True):
        speed.append(size / run.spent.processor / 1e6)
        rate.append(run.result * payload * 8 / run.spent.processor / 1e6)
        wall = size / run.spent.wall / 1e6
        print(
            f"  {what:34s} {name:14s} {size:9.2e} {run.result:5d}/{frames:<5d} {wall:10.2f} {speed[-1]:14.2f}"
            f" {rate[-1]:14.2f}",
            flush=True,
        )
    note = f"frames {one.result} / {other.result} of {frames}" if frames else ""
    rows = [Row(f"{what}, {here}", speed[0], peer, speed[1], "Msps of processor time", note=note)]
    if payload:
        rows.append(Row(f"{what}, {here}", rate[0], peer, rate[1], "payload Mbit per processor second", note=note))
    return rows


def throughput(count: int, rounds: int) -> list[Row]:
    """Frames back to back at 20 dB, and noise alone."""
    lib, rng, rows = liquid_peer.library(), np.random.default_rng(1), []
    print(f"\nReceive throughput at {SNR:g} dB, medians of {rounds} runs in turns")
    columns = f"{'frames':>11s} {'Msps clock':>10s} {'Msps processor':>14s} {'payload Mbit/s':>14s}"
    print(f"  {'what':34s} {'receiver':14s} {'samples':>9s} {columns}")
    short = short_frames(count, rng)
    if lib is None:
        rows.append(failure("receive frames of 72 bytes beside framesync64", liquid_peer.MISSING))
    else:
        theirs = liquid_peer.frames(lib, count, rng)
        x, y = (one.heard(SNR, SEED, tail=GAP) for one in (bursts(short), theirs))
        works: dict[str, Work] = {"ours": lambda: ours(short, x), "framesync64": lambda: liquid(lib, y)}
        rows += compare("72 bytes in 1440 samples", (x.size - GAP, y.size - GAP), count, 72, works, rounds)
        noise = white_noise(np.zeros(max(count, 100) << 11), 1.0, np.random.default_rng(SEED))
        works = {"ours": lambda: ours(short, noise), "framesync64": lambda: liquid(lib, noise)}
        rows += compare("noise alone", (noise.size, noise.size), 0, 0, works, rounds)
    if not ofdm_peer.available():
        return [*rows, failure("receive packets of 96 bytes beside ofdm_rx", _OFDM_MISSING)]
    image, packets = image_frames(count, PACKET, "image8x4", rng), ofdm_peer.packets(count, PACKET, rng)
    tail = ofdm_peer.TAIL
    p, q = (one.heard(SNR, SEED, tail=tail) for one in (bursts(image), packets))
    works = {"ours, image8x4": lambda: ours(image, p), "ofdm_rx, QPSK": lambda: ofdm(packets, q)}
    what = f"{PACKET} bytes, 2 bits a symbol"
    return rows + compare(what, (p.size - tail, q.size - tail), count, PACKET, works, rounds)


def sensitivity(count: int) -> list[Row]:
    """Frames of 72 bytes in 1440 samples, each in a slot of its own; both in the same noise."""
    lib, rng = liquid_peer.library(), np.random.default_rng(2)
    frames = short_frames(count, rng)
    theirs = liquid_peer.frames(lib, count, rng) if lib is not None else None
    slot = liquid_peer.FRAME_SAMPLES + GAP
    print(f"\n72 bytes in 1440 samples, frames of {count} whose payload came back")
    print(f"  {'SNR dB':>7s} {'CFO':>6s} {'ours':>7s} {'framesync64':>12s}")
    rows = []
    for cfo in (0.0, 0.015, 0.1, 0.3):
        for snr in (1.0, 1.5, 2.0, 3.0, 5.0, 6.0, 7.0, 8.0) if cfo == 0 else (8.0,):
            here, _ = ours(frames, bursts(frames).heard(snr, SEED, slot=slot, tail=GAP, cfo=cfo))
            there = None
            if theirs is not None:
                there, _ = liquid(lib, theirs.heard(snr, SEED, slot=slot, tail=GAP, cfo=cfo))
            print(f"  {snr:7.1f} {cfo:6.3f} {here:7d} {'not there' if there is None else there:>12}", flush=True)
            if there is not None and snr in (2.0, 5.0, 8.0):
                what = f"72 bytes in 1440 samples at {snr:g} dB, carrier off by {cfo:g} rad/sample"
                rows.append(Row(what, here, "framesync64", there, f"frames of {count}"))
    for name, one in (("ours", bursts(frames)), ("framesync64", theirs)):
        if one is not None:
            stretch = one.bursts[:200].reshape(-1)
            width = occupied_bandwidth(stretch)
            print(f"  {name}: occupied bandwidth (99 %) {width:.3f} of the sample rate, PAPR {papr_db(stretch):.1f} dB")
    return rows


def packet_radio(count: int) -> list[Row]:
    """Packets of 96 bytes beside ofdm_rx, which sends 2 bits a symbol, as ae8x4 does."""
    if not ofdm_peer.available():
        return [failure("96-byte packets beside ofdm_rx", _OFDM_MISSING)]
    rng, tail = np.random.default_rng(3), ofdm_peer.TAIL
    made = {codec: image_frames(count, PACKET, codec, rng) for codec in ("ae8x4", "ae8x4+outer")}
    packets = ofdm_peer.packets(count, PACKET, rng)
    gap = 2 * GAP
    print(f"\n96-byte packets delivered exactly of {count}")
    print(f"  {'SNR dB':>7s} {'ours, ae8x4':>12s} {'with outer code':>16s} {'ofdm_rx':>8s}")
    rows = []
    for snr in (20.0, 15.0, 10.0, 5.0):
        here = {
            codec: ours(one, bursts(one).heard(snr, SEED, slot=one.bursts.shape[1] + gap, tail=tail))[0]
            for codec, one in made.items()
        }
        slot = packets.bursts.shape[1] + gap
        there, _ = ofdm(packets, packets.heard(snr, SEED, slot=slot, tail=tail))
        print(f"  {snr:7.1f} {here['ae8x4']:12d} {here['ae8x4+outer']:16d} {there:8d}", flush=True)
        what = f"{PACKET}-byte packets at {snr:g} dB, 2 bits a symbol, ae8x4"
        rows.append(Row(what, here["ae8x4"], "ofdm_rx, QPSK", there, f"packets of {count}"))
    return rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--frames", type=positive, default=1000)
    given = options.parse_args()
    if liquid_peer.library() is None:
        print(liquid_peer.MISSING)
    rows = throughput(given.frames, given.rounds)
    rows += sensitivity(given.frames)
    rows += packet_radio(min(given.frames, 500))
    write_rows(given.rows, rows)


if __name__ == "__main__":
    main()
