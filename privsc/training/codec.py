"""``privsc train codec``: train one codec and write it as a file that the numpy side reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from privsc.errors import OutputError


def train_codec(
    k: int,
    n: int,
    *,
    out: Path,
    snr_db: tuple[float, float] = (5.0, 20.0),
    steps: int = 1500,
    power: str = "codeword",
    message_cost: float = 0.0,
    seed: int = 1,
    resume: bool = False,
    progress: Callable[[int, int, float], object] | None = None,
    real: bool = False,
    codec_id: int = 100,
    channel: str = "awgn",
) -> Path:
    """Train a one-hot autoencoder of k bits in n channel uses through Sionna's AWGN; returns ``out``.

    out: the .npz file to write; the training's state lies beside it as ``<out>.training`` until the end, and with
    ``resume`` the training goes on from there (to exactly the weights of an uninterrupted one).
    snr_db: (low, high) [dB], Es/N0 per channel use, drawn uniformly. power: "codeword" or "average".
    message_cost: 0 for the plain codec; about 100 makes likely confusions near in sample value (``pixels`` payload).
    real: real channel uses, as in the literature's (n, k). progress: called as progress(step, steps, loss).
    codec_id: what the frame header carries; 64 to 119 are free for one's own codecs. channel: "awgn" or "rayleigh"
    (a gain per codeword that the receiver knows). ``Link(codec=str(out))`` uses the file at once.
    Impossible values raise ``phy.errors.TrainingError`` or ``CodecError``, one line each.
    """
    from phy.training.autoencoder import TrainingPlan, export, train  # torch and Sionna: only where a training runs

    out = Path(out)
    if out.suffix != ".npz":
        raise OutputError(f"a codec file ends in .npz, got {out.name}")
    if not out.parent.is_dir():
        raise OutputError(f"no folder {out.parent}: create it first")
    plan = TrainingPlan(
        k,
        n,
        real=real,
        power=power,
        snr_db=(float(snr_db[0]), float(snr_db[1])),
        steps=steps,
        message_cost=message_cost,
        seed=seed,
        channel=channel,
    )
    checkpoint = out.with_name(out.name + ".training")
    model, curve = train(plan, checkpoint=checkpoint, resume=resume, progress=progress)
    codec = export(model, name=out.stem, codec_id=codec_id, extra={"curve": [round(value, 4) for value in curve]})
    codec.save(out)
    checkpoint.unlink(missing_ok=True)
    return out
