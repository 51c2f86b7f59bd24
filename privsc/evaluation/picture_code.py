"""The picture code on photographs: PSNR and MS-SSIM against rate and signal-to-noise ratio, beside the linear code.

The network's figures go through everything but the modem: 256 points, noise on each symbol, posterior, linear estimate.
The linear code is the best of its kind and is given more: no rounding, energies exactly known, nothing else counted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import correlate1d

from privsc.files import write_atomic
from privsc.networks.picture_code import BLOCK
from privsc.networks.picture_code_file import PictureCodeFile, load_picture_code
from privsc.networks.picture_mixing import GRAIN, Placement, mix, unmix
from privsc.training.picture_code_data import pet_photos, read_rgb
from privsc.transport.semantic import decode_picture, encode_picture

RATES = (48, 24, 12, 6)  # channel bandwidth ratio 1 / rate, complex symbols over 3 H W
SNR_DB = (0.0, 5.0, 10.0, 15.0, 20.0)
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik 2003
_WINDOW = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))


def psnr(reference: np.ndarray, image: np.ndarray) -> float:
    """Peak signal-to-noise ratio [dB] of two [H, W, 3] uint8."""
    error = np.mean((reference.astype(np.float64) - image) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-10)))


def _smooth(planes: np.ndarray) -> np.ndarray:
    """Gaussian means over 11×11 windows that lie inside: [H, W, C] to [H - 10, W - 10, C]."""
    window = (_WINDOW / _WINDOW.sum()).astype(planes.dtype)
    rows = correlate1d(planes, window, axis=0)[5:-5]
    return correlate1d(rows, window, axis=1)[:, 5:-5]


def ms_ssim(reference: np.ndarray, image: np.ndarray) -> float:
    """Multi-scale structural similarity of two [H, W, 3] uint8, each side at least 176 px, mean over the colours.

    Five scales, windows of 11×11 (Wang, Simoncelli and Bovik, Asilomar 2003).
    """
    x, y = reference.astype(np.float32), image.astype(np.float32)
    result = np.ones(x.shape[2])
    for scale, weight in enumerate(_SCALES):
        mean_x, mean_y = _smooth(x), _smooth(y)
        var_x, var_y = _smooth(x * x) - mean_x**2, _smooth(y * y) - mean_y**2
        both = _smooth(x * y) - mean_x * mean_y
        value = (2 * both + 58.5225) / (var_x + var_y + 58.5225)  # (0.03 · 255)²
        if scale == len(_SCALES) - 1:
            value = value * (2 * mean_x * mean_y + 6.5025) / (mean_x**2 + mean_y**2 + 6.5025)  # (0.01 · 255)²
        result *= np.maximum(value.mean((0, 1)), 0) ** weight
        rows, columns = (size // 2 * 2 for size in x.shape[:2])
        x, y = (a[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2, -1).mean((1, 3)) for a in (x, y))
    return float(result.mean())


def whole_blocks(picture: np.ndarray) -> np.ndarray:
    """The picture without the rows and columns that do not fill a block."""
    height, width = (size // BLOCK * BLOCK for size in picture.shape[:2])
    return picture[:height, :width]


def noisy(symbols: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Symbols [N] of energy 1 plus white noise."""
    noise = rng.standard_normal((len(symbols), 2)) @ (1, 1j)
    return (symbols + noise * np.sqrt(10 ** (-snr_db / 10) / 2)).astype(np.complex64)


def with_network(code: PictureCodeFile, picture: np.ndarray, symbols: int, snr_db: float, seed: int) -> np.ndarray:
    """One picture through the semantic code and white noise."""
    head, body = encode_picture(code, picture, None, symbols)
    sent = code.points.codebook[np.frombuffer(body, np.uint8)]
    received = noisy(sent, snr_db, np.random.default_rng([seed, round(snr_db)]))
    return decode_picture(code, head, received, np.full(symbols, 10 ** (-snr_db / 10)), None)


@torch.no_grad()
def with_linear_code(code: PictureCodeFile, picture: np.ndarray, symbols: int, snr_db: float, seed: int) -> np.ndarray:
    """One picture through the linear code: unrounded symbols, energies exactly known."""
    model = code.model
    features = model.encode(torch.from_numpy(picture[None].astype(np.float32) / 255 - 0.5), linear=True)
    flat = features[0].flatten(0, 1).numpy()
    placement = Placement(len(flat), symbols, flat.shape[1])
    energies = np.mean(flat.astype(np.float64) ** 2, axis=0) + 1e-9
    sent = mix(flat, energies, placement)
    received = noisy(sent, snr_db, np.random.default_rng([seed, round(snr_db)]))
    estimate, trust = unmix(received, np.full(symbols, 10 ** (-snr_db / 10)), energies, placement)
    grid = features.shape
    decoded = model.decode(torch.from_numpy(estimate).reshape(grid), torch.from_numpy(trust).reshape(grid), linear=True)
    return ((decoded[0] + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def measure(
    code: PictureCodeFile,
    pictures: Sequence[np.ndarray],
    rates: Sequence[int] = RATES,
    snrs_db: Sequence[float] = SNR_DB,
    structure: bool = True,
    log: Callable[[str], object] = print,
) -> list[dict[str, float]]:
    """Mean figures over pictures [H, W, 3] uint8: one entry for each rate and SNR, network and linear code."""
    rows = []
    for rate in rates:
        for snr_db in snrs_db:
            sums: dict[str, list[float]] = {}
            for seed, whole in enumerate(pictures):
                picture = whole_blocks(whole)
                symbols = picture.size // rate // GRAIN * GRAIN
                for name, run in (("network", with_network), ("linear", with_linear_code)):
                    got = run(code, picture, symbols, snr_db, seed)
                    sums.setdefault(f"{name}_psnr_db", []).append(psnr(picture, got))
                    if structure and name == "network":
                        sums.setdefault("network_ms_ssim", []).append(ms_ssim(picture, got))
            row = {"rate": 1 / rate, "snr_db": snr_db, "pictures": len(pictures)}
            row |= {name: float(np.mean(values)) for name, values in sums.items()}
            rows.append(row)
            log(line(row))
    return rows


def line(row: dict[str, float]) -> str:
    """One entry as a row of the printed table."""
    text = f"CBR 1/{round(1 / row['rate']):<3} {row['snr_db']:5.1f} dB"
    gain = row["network_psnr_db"] - row["linear_psnr_db"]
    text += (
        f"   network {row['network_psnr_db']:6.2f} dB   linear {row['linear_psnr_db']:6.2f} dB   gain {gain:+5.2f} dB"
    )
    if "network_ms_ssim" in row:
        text += f"  MS-SSIM {row['network_ms_ssim']:.4f}"
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: weights, photographs, table and JSON."""
    parser = argparse.ArgumentParser(description="PSNR and MS-SSIM of the picture code over white noise.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("photos", type=Path, help="folder laid out as PRIVSC_PHOTOS")
    parser.add_argument("--set", choices=("kodak", "validation"), default="validation", dest="chosen")
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture")
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES), help="n of CBR 1/n")
    parser.add_argument("--snr", type=float, nargs="+", default=list(SNR_DB), help="[dB]")
    parser.add_argument("--no-structure", action="store_true", help="without MS-SSIM")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    kodak = sorted((options.photos / "kodak").glob("*.png"))
    paths = kodak if options.chosen == "kodak" else pet_photos(options.photos, validation=True)
    pictures = [read_rgb(path) for path in paths[:: options.every]]
    rows = measure(load_picture_code(options.weights), pictures, options.rates, options.snr, not options.no_structure)
    if options.json:
        write_atomic(options.json, json.dumps(rows, indent=1).encode())


if __name__ == "__main__":
    main()
