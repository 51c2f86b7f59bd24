"""The shipped codecs: one table of names, header ids and trainings, and the command that makes them again.

    python -m phy.training.family [NAME ...]

Names: ``aeKxN`` is the plain codec, ``imageKxN`` the cost-aware one (k bits in n complex uses); ``real-n-k`` are the
literature's (n, k) with n real uses. The id travels in every frame header: never give an id a second meaning.
"""

from __future__ import annotations

import sys
from pathlib import Path

from phy.codec.codec import CODEC_FOLDER, available
from phy.errors import TrainingError
from phy.training.autoencoder import TrainingPlan, export, train

FAMILY: dict[str, tuple[int, TrainingPlan]] = {
    "ae8x2": (1, TrainingPlan(8, 2, snr_db=(5, 20), steps=1500)),
    "ae8x4": (2, TrainingPlan(8, 4, snr_db=(5, 20), steps=1500)),
    "ae8x8": (3, TrainingPlan(8, 8, snr_db=(0, 8), steps=1500)),
    "image8x2": (17, TrainingPlan(8, 2, snr_db=(5, 20), steps=1500, message_cost=100.0)),
    "image8x4": (18, TrainingPlan(8, 4, snr_db=(5, 20), steps=1500, message_cost=100.0)),
    "image8x8": (19, TrainingPlan(8, 8, snr_db=(0, 12), steps=1500, message_cost=100.0)),
    "real-2-2": (33, TrainingPlan(2, 2, real=True, power="average", snr_db=(4, 8), steps=2000, growth=16)),
    "real-7-4": (34, TrainingPlan(4, 7, real=True, snr_db=(1, 4), steps=4000, growth=16)),
    "real-8-8": (35, TrainingPlan(8, 8, real=True, power="average", snr_db=(4, 7), steps=2000, growth=16)),
}


def make(name: str, folder: Path = CODEC_FOLDER) -> Path:
    """Train one codec of the family and write it to the folder."""
    if name not in FAMILY:
        raise TrainingError(f"no codec named {name!r}: choose from {', '.join(FAMILY)}")
    codec_id, plan = FAMILY[name]
    checkpoint = Path("runs") / f"{name}.training.safetensors"
    checkpoint.parent.mkdir(exist_ok=True)
    model, curve = train(plan, checkpoint=checkpoint, resume=True)
    codec = export(model, name=name, codec_id=codec_id, extra={"curve": [round(v, 4) for v in curve]})
    path = codec.save(folder / f"{name}.npz")
    checkpoint.unlink(missing_ok=True)
    return path


if __name__ == "__main__":
    for wanted in sys.argv[1:] or [name for name in FAMILY if name not in available()]:
        print(make(wanted).name, flush=True)
