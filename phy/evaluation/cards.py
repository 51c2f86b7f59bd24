"""Model cards of the shipped codecs, with figures measured when the card is written.

    python -m phy.evaluation.cards [--plots DIR] [NAME ...]

Writes phy/codecs/NAME.md; with ``--plots`` also a constellation and a learning curve per codec as DIR/NAME.png.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from phy.codec.codec import CODEC_FOLDER, Codec, available, shipped
from phy.errors import PhyError
from phy.evaluation import metrics
from phy.evaluation.bler import codec_scheme, required_eb_n0_db

_MESSAGES = 200_000
_PLAIN_OF = {"image8x2": "ae8x2", "image8x4": "ae8x4", "image8x8": "ae8x8"}


def card(codec: Codec) -> str:
    """The card's text."""
    plan = codec.training
    uses = "real" if codec.real else "complex"
    rule = "each codeword" if plan["power"] == "codeword" else "the codebook"
    widths = [codec.demapper[0][0].shape[0], *(weight.shape[1] for weight, _ in codec.demapper)]
    low, high = plan["snr_db"]
    snrs = (0, 5, 10, 15, 20) if codec.bits_per_use > 1 else (0, 2, 4, 6, 8)
    lines = [
        f"# {codec.name}",
        "",
        f"One-hot autoencoder, {codec.k} bits in {codec.n} {uses} channel uses, header id {codec.codec_id}. "
        f"Codebook [{1 << codec.k}, {codec.n}], demappers: maximum likelihood over it, and a network of "
        f"{'-'.join(map(str, widths))}.",
        "",
        "## Training",
        "",
        f"Through Sionna's AWGN, Es/N0 {low:g} to {high:g} dB per channel use, {plan['steps']} Adam steps, batch "
        f"{plan['batch']} growing {plan['growth']}-fold, learning rate {plan['learning_rate']} falling as a cosine, "
        f"seed {plan['seed']}. Power: mean energy 1 per channel use over {rule}. Message cost "
        f"{plan['message_cost']:g}"
        + (
            ": likely confusions are near in sample value, at the price of a higher message error rate."
            if plan["message_cost"]
            else " (plain: every confusion counts the same)."
        ),
        "",
        f"Made by `python -m phy.training.family {codec.name}`; uniform random messages, no other data.",
        "",
        "## Measured",
        "",
        f"{_MESSAGES} messages a row. PSNR: messages taken as samples of full scale {(1 << codec.k) - 1}.",
        "",
        "| Es/N0 dB | message error rate, ML | network | PSNR dB, ML |",
        "| --- | --- | --- | --- |",
    ]
    for snr_db in snrs:
        best = metrics.measure(codec, snr_db, _MESSAGES, 11)
        neural = metrics.measure(codec, snr_db, _MESSAGES, 11, codec.demap_neural)
        shown = "no error" if best.errors == 0 else f"{best.psnr_db:.1f}"
        lines.append(f"| {snr_db} | {_rate(best)} | {_rate(neural)} | {shown} |")
    required = required_eb_n0_db(codec_scheme(codec), 1e-3, errors=4000)
    lines += [
        "",
        f"Eb/N0 at message error rate 1e-3 (ML): {required:.2f} dB. Peak over mean power of the symbols: "
        f"{metrics.papr_db(codec.codebook):.1f} dB.",
    ]
    if codec.name in _PLAIN_OF:
        lines += ["", _comparison(codec, shipped(_PLAIN_OF[codec.name]))]
    lines += [
        "",
        "## Limits",
        "",
        "The figures hold for AWGN after equalisation. A message says nothing about its neighbours: there is no outer "
        "code here, errors are found by the frame's CRC-32. Licence: Apache-2.0, as the rest of this package.",
        "",
    ]
    return "\n".join(lines)


def _rate(point: metrics.Measured) -> str:
    """Error rate, or its 95 % upper limit where no error was seen."""
    if point.errors:
        return f"{point.error_rate:.2e}"
    return f"< {metrics.interval95(0, point.messages)[1]:.0e}"


def _comparison(codec: Codec, plain: Codec) -> str:
    """Cost-aware against plain at equal k and n, where one message in ten is wrong."""
    at, own = metrics.snr_at_error_rate(plain, 0.1), metrics.snr_at_error_rate(codec, 0.1)
    base = metrics.measure(plain, at, _MESSAGES, 12).psnr_db
    same, there = metrics.measure(codec, at, _MESSAGES, 12), metrics.measure(codec, own, _MESSAGES, 12)
    return (
        f"Against {plain.name}, which has 10 % of its messages wrong at {at:.2f} dB and PSNR {base:.1f} dB there: at "
        f"the same SNR PSNR {same.psnr_db:.1f} dB (+{same.psnr_db - base:.1f}) with {100 * same.error_rate:.1f} % "
        f"wrong; at its own 10 % point, {own:.2f} dB, PSNR {there.psnr_db:.1f} dB (+{there.psnr_db - base:.1f})."
    )


def plot(codec: Codec, path: Path) -> None:
    """Constellation (all channel uses, colour is the message) and learning curve side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 5), constrained_layout=True)
    colour = np.repeat(np.arange(1 << codec.k)[:, None], codec.n, axis=1)
    dots = left.scatter(codec.codebook.real, codec.codebook.imag, c=colour, s=12, cmap="viridis")
    figure.colorbar(dots, ax=left, label="message")
    left.set(title=f"{codec.name}: symbols", xlabel="in phase", ylabel="quadrature", aspect="equal")
    curve = codec.training.get("curve", [])
    right.plot(np.linspace(0, codec.training.get("steps", len(curve)), len(curve)), curve)
    right.set(title="training", xlabel="step", ylabel="loss [nat]", yscale="log")
    right.grid(True, which="both", alpha=0.3)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def write(name: str, folder: Path, plots: Path | None = None) -> Path:
    """Measure a shipped codec and write its card as ``folder``/NAME.md, its plot as ``plots``/NAME.png."""
    codec = shipped(name)
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        plot(codec, plots / f"{name}.png")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.md"
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(card(codec))
    return temporary.replace(path)


def main(argv: list[str] | None = None) -> int:
    """Command line; an unknown codec ends in one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m phy.evaluation.cards", description="Cards of the shipped codecs")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--out", type=Path, default=CODEC_FOLDER)
    options = parser.parse_args(argv)
    try:
        for name in options.names or available():
            print(write(name, options.out, options.plots).name, flush=True)
    except PhyError as error:
        print(f"cards: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
