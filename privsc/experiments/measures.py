"""The figures of a transmission that are drawn and summarised: their names, labels and how they are compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FigureOf:
    """One figure of a receiver.

    Attributes:
        column: of the table, behind ``bob_`` and ``eve_``.
        label: under a curve.
        unit: "dB", "%" or "".
        ratio: Bob is compared with Eve by their ratio, not by their difference.
    """

    column: str
    label: str
    unit: str = ""
    ratio: bool = False


FIGURES: dict[str, FigureOf] = {
    "psnr": FigureOf("psnr", "PSNR, whole picture", "dB"),
    "psnr_private": FigureOf("psnr_private", "PSNR, private region", "dB"),
    "ssim": FigureOf("ssim", "SSIM, whole picture", ratio=True),
    "ssim_private": FigureOf("ssim_private", "SSIM, private region", ratio=True),
    "identified": FigureOf("correct", "identified as who it is", "%"),
    "rank1": FigureOf("rank1", "likeliest of K is who it is", "%"),
}
