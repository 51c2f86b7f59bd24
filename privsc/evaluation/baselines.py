"""Our payload against a separate source and channel code on the same channel uses: `privsc eval baselines`.

    ours        raw samples ──learned codec──► AWGN ──► samples                           every channel use counted
    classical   JPEG | WebP | AVIF ──CRC, 5G LDPC, QAM──► AWGN ──► file, or grey where a block is lost

The classical side gets exactly the channel uses that our transmission of that picture took (training, headers, pilots
and repetition included), and needs none itself for synchronisation. It sends the best file of any format that fits. It
comes in two: `adaptive` knows the SNR and picks the best modulation and code rate for it; `fixed` chose once, for
DESIGN_DB.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from phy.evaluation.ldpc_link import MCS_TABLE, LdpcLink, Mcs
from phy.link import Link
from privsc.datasets.subjects import subject_photos, subjects_in
from privsc.errors import ConfigError
from privsc.images import metrics
from privsc.images.photo_io import read_photo
from privsc.system.heard import read
from privsc.transport import payload

DESIGN_DB = 10.0
"""Es/N0 [dB] that the classical side without knowledge of the SNR was set up for."""
EXACT_DB = 60.0
"""What an identical picture counts for in a mean of PSNRs [dB]."""
QUALITIES = (1, 3, 5, 8, 12, 16, 20, 25, 30, 40, 50, 60, 70, 80, 88, 94, 97, 100)
WHO = ("ours", "adaptive", "fixed")


@dataclass(frozen=True)
class System:
    """Our transmission: a codec for raw samples, of the picture at a share of its side."""

    codec: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.scale <= 1:
            raise ConfigError(f"scale must be more than 0 and at most 1; got {self.scale}")

    def __str__(self) -> str:
        return self.codec + ("" if self.scale == 1 else f" at 1/{1 / self.scale:g} of the side")


SYSTEMS = (System("image8x4"), System("image8x2"), System("image8x2", 0.5), System("image8x2", 0.25))


@dataclass(frozen=True)
class Coded:
    """A picture as a file: format and setting, the bytes, and its PSNR [dB] (EXACT_DB where lossless)."""

    name: str
    data: bytes
    psnr: float


@dataclass(frozen=True)
class Cell:
    """One picture through one system at one SNR.

    psnr: of what the receiver shows, EXACT_DB at most; arrived: False where the classical file was lost; uses: complex
    channel uses that our side took; how: file and modulation that the classical side sent.
    """

    image: str
    system: str
    who: str
    snr_db: float
    psnr: float
    arrived: bool
    uses: int
    cbr: float
    how: str = ""


def pictures(folder: Path | None, count: int, side: int) -> dict[str, NDArray[np.uint8]]:
    """Four photographs that scikit-image carries, and the first one of up to `count` subjects; at most `side` px."""
    from skimage import data

    found = {name: getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}
    if folder is not None and count > 0:
        names = subjects_in(folder)
        chosen = [names[round(i)] for i in np.linspace(0, len(names) - 1, min(count, len(names)))]
        found |= {name: read_photo(subject_photos(folder, name)[0][0]) for name in chosen}
    return {name: fitted(image, side) for name, image in found.items()}


def fitted(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """HWC uint8 with its longer side at most `side` px."""
    scale = min(1.0, side / max(image.shape[:2]))
    return _resized(image, (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))))


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if (image.shape[1], image.shape[0]) == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def ours(
    image: NDArray[np.uint8], system: System, snr_db: float, seed: int, waveform: str = "burst"
) -> tuple[NDArray[np.uint8], int]:
    """What our receiver shows of HWC uint8, and the channel uses, everything counted."""
    height, width = image.shape[:2]
    small = _resized(image, (max(1, round(width * system.scale)), max(1, round(height * system.scale))))
    link = Link(system.codec, "awgn", waveform=waveform)
    head, body = payload.encode(small, (), "pixels")
    sent = link.transmitter().send(head, body, k_digest=bytes(8), image_id=1)
    heard = read(link.receiver().receive(sent.through(link.channel_at(snr_db, seed))))
    return _resized(heard.image, (width, height)), sent.channel_uses


def code(image: NDArray[np.uint8]) -> list[Coded]:
    """HWC uint8 in every format and quality of this installation, and without loss."""
    choices: list[tuple[str, str, dict]] = []
    for quality in QUALITIES:
        choices += [
            ("jpeg", f"quality {quality}", {"quality": quality, "optimize": True}),
            ("jpeg", f"quality {quality}, 4:4:4", {"quality": quality, "optimize": True, "subsampling": 0}),
            ("webp", f"quality {quality}", {"quality": quality, "method": 6}),
            ("avif", f"quality {quality}", {"quality": quality, "speed": 4}),
            ("avif", f"quality {quality}, 4:4:4", {"quality": quality, "speed": 4, "subsampling": "4:4:4"}),
        ]
    choices.append(("webp", "lossless", {"lossless": True, "quality": 100, "method": 6}))
    picture, found = Image.fromarray(image), []
    for kind, setting, options in choices:
        if kind not in payload.available_codings():
            continue
        buffer = io.BytesIO()
        picture.save(buffer, kind.upper(), **options)
        found.append(Coded(f"{kind} {setting}", buffer.getvalue(), capped_psnr(image, opened(buffer.getvalue()))))
    return found


def opened(data: bytes) -> NDArray[np.uint8]:
    """A file of `code` as HWC uint8."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def capped_psnr(image: NDArray[np.uint8], shown: NDArray[np.uint8]) -> float:
    """PSNR [dB] of the whole picture, EXACT_DB at most."""
    value = metrics.psnr(image, shown)
    return EXACT_DB if value is None else min(value, EXACT_DB)


def choose(files: Sequence[Coded], uses: int, snr_db: float) -> tuple[Coded, Mcs] | None:
    """The best file that any modulation fit for this SNR carries in so many channel uses; of equals the safest.

    None where not even the smallest file fits.
    """
    best: tuple[tuple[float, float], Coded, Mcs] | None = None
    for mcs in MCS_TABLE:
        fitting = [file for file in files if len(file.data) <= mcs.bytes_in(uses)]
        if mcs.threshold_db > snr_db or not fitting:
            continue
        file = max(fitting, key=lambda f: (f.psnr, -len(f.data)))
        rank = (file.psnr, -mcs.threshold_db)
        if best is None or rank > best[0]:
            best = rank, file, mcs
    return None if best is None else best[1:]


@lru_cache(maxsize=4)
def _link(mcs: Mcs) -> LdpcLink:
    return LdpcLink(mcs)


def classical(
    image: NDArray[np.uint8], chosen: tuple[Coded, Mcs] | None, snr_db: float, seed: int
) -> tuple[NDArray[np.uint8], bool, str]:
    """What the classical receiver shows of HWC uint8, whether the file arrived, and what was sent."""
    grey = payload.grey(*image.shape[:2]).image
    if chosen is None:
        return grey, False, "nothing fits"
    file, mcs = chosen
    got = _link(mcs).send(file.data, snr_db, seed)
    return (grey if got is None else opened(got)), got is not None, f"{file.name}, {mcs}"


def cells(
    name: str,
    image: NDArray[np.uint8],
    files: Sequence[Coded],
    system: System,
    snrs: Sequence[float],
    seed: int,
    waveform: str = "burst",
) -> Iterator[Cell]:
    """One picture through one system and its two classical rivals, at every SNR [dB]."""
    fixed: tuple[Coded, Mcs] | None = None
    for number, snr in enumerate(snrs):
        draw = seed + 1000 * number
        shown, uses = ours(image, system, snr, draw, waveform)
        if number == 0:
            fixed = choose(files, uses, DESIGN_DB)
        adaptive = choose(files, uses, snr)
        cbr = uses / image.size
        yield Cell(name, str(system), "ours", snr, capped_psnr(image, shown), True, uses, cbr)
        got = classical(image, adaptive, snr, draw + 1)
        for who, chosen in (("adaptive", adaptive), ("fixed", fixed)):
            shown, arrived, how = got if chosen == adaptive else classical(image, chosen, snr, draw + 1)
            yield Cell(name, str(system), who, snr, capped_psnr(image, shown), arrived, uses, cbr, how)
