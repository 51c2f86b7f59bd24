"""The picture code over the burst modem: blind receiver, every channel use counted, Sionna's channels.

    picture ──encode──► head, messages ──SemanticFrames──► bursts ──channel──► samples ──receiver──► frames ──► picture

The receiver is given samples and nothing else; the ratio of channel uses to 3HW is measured, not assumed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phy.channel.sionna_channel import make_channel
from phy.modem.waveform import BurstWaveform
from privsc.evaluation.picture_code import ms_ssim, psnr
from privsc.files import write_atomic
from privsc.networks.picture_code_file import PictureCodeFile, load_picture_code
from privsc.training.picture_code_data import pet_photos, read_rgb
from privsc.transport.semantic import SemanticHead, decode_picture, encode_picture, visible_blocks
from privsc.transport.semantic_frames import SemanticFrames, check_points, head_of, soft_symbols

_DIGEST = bytes(8)


@dataclass(frozen=True)
class Arrived:
    """One reception: the picture (grey where no head arrived), what it took, what was lost.

    Attributes:
        picture: [H, W, 3] uint8.
        ratio: channel uses over 3HW, everything counted.
        head: whether the head arrived.
        frames: how many body frames arrived, whatever their checksum says.
        sent_frames: how many were sent.
    """

    picture: np.ndarray
    ratio: float
    head: bool
    frames: int
    sent_frames: int


def over_the_air(
    code: PictureCodeFile, picture: np.ndarray, rate: float, snr_db: float, seed: int, channel: str = "awgn"
) -> Arrived:
    """One picture through modem and channel.

    Args:
        code: networks and points.
        picture: [H, W, 3] uint8.
        rate: channel uses over 3HW at most.
        snr_db: Es/N0 [dB].
        seed: of the channel.
        channel: one of ``phy.channel.sionna_channel``'s names.
    """
    height, width = picture.shape[:2]
    framing, features = SemanticFrames(), code.model.config.features
    symbols = framing.symbols(rate, height, width, visible_blocks(None, height, width), features)
    head, body = encode_picture(code, picture, None, symbols)
    groups = framing.groups(head.to_bytes(), body, image_id=seed % 65536, k_digest=_DIGEST)
    waveform = BurstWaveform()
    sent = waveform.send(groups)
    samples = make_channel(channel, snr_db=snr_db, seed=seed)(sent.iq, sent.starts)
    frames = list(waveform.receive(samples, Counter()))
    ratio, sent_frames = sent.channel_uses / picture.size, len(groups[-1])
    received = head_of(frames)
    if received is None:
        return Arrived(np.full_like(picture, 128), ratio, False, 0, sent_frames)
    found = SemanticHead.from_bytes(received)
    soft, noise = soft_symbols(frames, found)
    arrived = len({frame.header.sequence for frame in frames if frame.header.total == found.symbols})
    return Arrived(decode_picture(code, found, soft, noise, None), ratio, True, arrived, sent_frames)


def measure_air(
    code: PictureCodeFile,
    pictures: Sequence[np.ndarray],
    rates: Sequence[int],
    snrs_db: Sequence[float],
    channel: str = "awgn",
    log: Callable[[str], object] = print,
) -> list[dict[str, Any]]:
    """Mean figures over pictures [H, W, 3] uint8, one entry for each rate and SNR."""
    check_points(code)
    rows = []
    for rate in rates:
        for snr_db in snrs_db:
            found = [over_the_air(code, p, 1 / rate, snr_db, seed, channel) for seed, p in enumerate(pictures)]
            row: dict[str, Any] = {
                "channel": channel,
                "rate": 1 / rate,
                "snr_db": snr_db,
                "pictures": len(pictures),
                "ratio": max(one.ratio for one in found),
                "psnr_db": float(np.mean([psnr(p, one.picture) for p, one in zip(pictures, found, strict=True)])),
                "ms_ssim": float(np.mean([ms_ssim(p, one.picture) for p, one in zip(pictures, found, strict=True)])),
                "heads_lost": sum(not one.head for one in found),
                "frames_lost": sum(one.sent_frames - one.frames for one in found),
            }
            rows.append(row)
            log(
                f"CBR 1/{rate:<3} (1/{1 / row['ratio']:.2f} counted) {channel} {snr_db:5.1f} dB  "
                f"PSNR {row['psnr_db']:6.2f} dB  MS-SSIM {row['ms_ssim']:.4f}  "
                f"heads lost {row['heads_lost']}, frames {row['frames_lost']}"
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: weights, photographs, table and JSON."""
    parser = argparse.ArgumentParser(description="PSNR and MS-SSIM of the picture code over the burst modem.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("photos", type=Path, help="folder laid out as PRIVSC_PHOTOS")
    parser.add_argument("--set", choices=("kodak", "validation"), default="validation", dest="chosen")
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture")
    parser.add_argument("--rates", type=int, nargs="+", default=[24, 12, 6], help="n of CBR 1/n")
    parser.add_argument("--snr", type=float, nargs="+", default=[0, 5, 10, 15, 20], help="[dB]")
    parser.add_argument("--channel", default="awgn")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    kodak = sorted((options.photos / "kodak").glob("*.png"))
    paths = kodak if options.chosen == "kodak" else pet_photos(options.photos, validation=True)
    pictures = [read_rgb(path) for path in paths[:: options.every]]
    rows = measure_air(load_picture_code(options.weights), pictures, options.rates, options.snr, options.channel)
    if options.json:
        write_atomic(options.json, json.dumps(rows, indent=1).encode())


if __name__ == "__main__":
    main()
