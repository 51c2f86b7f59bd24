"""A recording through the receive chains once more, and to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hardware.process.client import Station
from hardware.sigmf_io import Recording
from privsc.knowledge.database import Database
from privsc.radio.air import Ear, payload_digest
from privsc.radio.setup import BOB, EVE
from privsc.system.chain import Eavesdropper, Receiver, Seen
from privsc.system.trial import Stage


def heard_again(recording: Recording, who: str) -> tuple[Ear, dict[str, Any]]:
    """What a chain makes of the recorded samples, in a radio process as live, and its figures.

    Eve's chain has the noise that it had live; of a recording that she did not share, none.
    """
    live = recording.fields.get("chains", {}).get(who, {})
    ear = Ear()

    def hear(fields: dict[str, Any], buffers: dict[str, np.ndarray]) -> None:
        if fields.get("event") == "frame":
            ear.take(fields, buffers)

    chain = {"name": who, "noise_db": live.get("noise_db"), "seed": live.get("seed", 0)}
    with Station(hear) as station:
        told = station.ask(
            "replay", path=str(recording.path.absolute()), format=recording.format, chains=[chain], timeout=3600.0
        )
    ear.summary = told["chains"][who]
    digest, before = payload_digest(ear), live.get("payload_sha256")
    return ear, {
        "who": who,
        "samples": told["samples"],
        "frames": ear.summary["frames"],
        "crc_ok": ear.summary["crc_ok"],
        "snr_db": ear.summary["snr_db"],
        "clock_ppm": ear.summary["clock_ppm"],
        "payload_sha256": digest,
        "live_payload_sha256": before,
        "identical": None if before is None else digest == before,
        "refusals": ear.summary["refusals"],
    }


def restored_by(
    who: str, ear: Ear, database: Path | None, class_word: str | None, seed: int, steps: int | None, stage: Stage
) -> tuple[Seen, dict[str, Any]]:
    """(Ŝ and what it was made from, figures of the image) of Bob, who has K, or of Eve, who has none."""
    from privsc.networks.image_encoder import load_encoder
    from privsc.recovery.recovery import Recovery

    stage("networks")
    recovery, reception = Recovery(), ear.reception()
    if who == EVE:
        eve = Eavesdropper(None, recovery, class_word, steps=steps)
        heard = eve.hear(reception)
        seen = eve.restore(heard, seed, stage("recovery, Eve"))
    else:
        assert who == BOB and database is not None
        with Database.open(database, load_encoder().identity) as db:
            bob = Receiver(None, recovery, db, steps=steps)
            heard = bob.hear(reception)
            seen = bob.restore(heard, seed, stage("recovery, Bob"))
    image = heard.received
    missing = () if image is None else image.missing
    return seen, {
        "indices": list(heard.indices),
        "images": len(reception.images),
        "frames_sent": 0 if image is None else image.count or 0,
        "frames_lost": (len(missing) if image is None or not heard.wrong_frames_used else image.lost) or 0,
        "crc_failures": 0 if image is None else image.crc_failures,
        "k_digest_matches": heard.k_digest_matches,
        "failure": heard.failure,
        "concealed_share": float(heard.concealed.mean()),
    }
