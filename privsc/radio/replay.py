"""A recording through the receive chains once more, and to pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware.errors import HardwareError, RecordingError
from hardware.frontend.frontend import Correction
from hardware.process.chain import check_noise
from hardware.process.client import Station
from hardware.profiles.profile import available, load
from hardware.recordings.recording import Recording, checked_rate
from privsc.knowledge.database import Database
from privsc.radio.air import Ear, payload_digest
from privsc.radio.setup import BOB, EVE
from privsc.system.chain import Eavesdropper, Receiver, Seen
from privsc.system.trial import Stage

MAX_SAMPLES = 1 << 33  # of one replay: at 4 Msps more than half an hour
_SILENT = 300.0  # [s] without progress after which a replay is given up


@dataclass(frozen=True)
class ReplayOptions:
    """How a recording is replayed. None: as it was live, and found out where others made it.

    signal_rate: [samples/s] at which the signal was sent. dc_block, swap_iq: "auto", "yes" or "no". seconds: of the
    recording, from its start.
    """

    signal_rate: float | None = None
    dc_block: str | None = None
    swap_iq: str | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.signal_rate is not None:
            checked_rate(self.signal_rate, "--signal-rate")
        if self.seconds is not None and not self.seconds > 0:
            raise RecordingError(f"--seconds: must be above 0; got {self.seconds:g}")
        Correction(self.dc_block or "no", self.swap_iq or "no")


def heard_again(
    recording: Recording,
    who: str,
    options: ReplayOptions | None = None,
    progress: Callable[[int, int], Any] = lambda done, whole: None,
) -> tuple[Ear, dict[str, Any]]:
    """What a chain makes of the recorded samples, in a radio process as live, and its figures.

    Eve's chain has the noise that it had live; of a recording that she did not share, none.

    Raises:
        RecordingError: the recording says impossible things, or cannot hold the signal.
    """
    options = ReplayOptions() if options is None else options
    live, before = _live_chain(recording, who)
    as_live = _live_correction(recording)
    otherwise = as_live or Correction("auto", "auto")
    correction = Correction(options.dc_block or otherwise.dc_block, options.swap_iq or otherwise.swap_iq)
    most = _most(recording, options)
    ear = Ear()

    def hear(fields: dict[str, Any], buffers: dict[str, np.ndarray]) -> None:
        if fields.get("event") == "frame":
            ear.take(fields, buffers)
        elif fields.get("event") == "progress":
            progress(fields["done"], fields["whole"])

    told: dict[str, Any]
    with Station(hear) as station:
        common: dict[str, Any] = {"source": recording.source.as_dict(), "recorded": recording.sample_rate}
        rate, found = _signal_rate(recording, options, correction, common, station)
        told = station.ask(
            "replay", **common, signal=rate, most=most, front_end=correction.as_dict(),
            chains=[{"name": who, **live}], timeout=_SILENT,
        )  # fmt: skip
    ear.summary = told["chains"][who]
    digest = payload_digest(ear)
    comparable = before is not None and most is None and correction == as_live and rate == recording.sample_rate
    return ear, {
        "who": who,
        "recording": {
            "kind": recording.about,
            "sample_rate": recording.sample_rate,
            "signal_rate": rate,
            "signal_rate_found": found,
            "captures": recording.captures,
            "channel": recording.source.channel,
        },
        "front_end": {**told["front_end"], "swapped_iq": ear.summary["swapped"]},
        "samples": told["samples"],
        "frames": ear.summary["frames"],
        "frames_left_out": ear.left_out,
        "crc_ok": ear.summary["crc_ok"],
        "snr_db": ear.summary["snr_db"],
        "clock_ppm": ear.summary["clock_ppm"],
        "payload_sha256": digest,
        "live_payload_sha256": before,
        "identical": digest == before if comparable else None,
        "refusals": ear.summary["refusals"],
    }


def _live_chain(recording: Recording, who: str) -> tuple[dict[str, Any], str | None]:
    """(noise and seed of a chain as it was live, digest of its payloads): of others' recordings, nothing."""
    where = f"{recording.source.path}: privsc:chains"
    chains = recording.fields.get("chains", {})
    live = chains.get(who, {}) if isinstance(chains, dict) else None
    if not isinstance(live, dict):
        raise RecordingError(f"{where}: must be an object for each chain; got {str(chains)[:40]!r}")
    noise, seed, before = live.get("noise_db"), live.get("seed", 0), live.get("payload_sha256")
    try:
        check_noise(noise, seed, f"{where}: {who}")
    except HardwareError as error:
        raise RecordingError(str(error)) from error
    return {"noise_db": noise, "seed": seed}, before if isinstance(before, str) else None


def _live_correction(recording: Recording) -> Correction | None:
    """What the front end did live; None for recordings that others made."""
    told = recording.fields.get("front_end")
    if told is None:
        return Correction() if "chains" in recording.fields else None
    if not isinstance(told, dict):
        raise RecordingError(f"{recording.source.path}: privsc:front_end must be an object; got {str(told)[:40]!r}")
    try:
        return Correction.from_dict(told)
    except HardwareError as error:
        raise RecordingError(f"{recording.source.path}: privsc:front_end: {error}") from error


def _most(recording: Recording, options: ReplayOptions) -> int | None:
    """Samples that are replayed; None for all."""
    most = None if options.seconds is None else round(min(options.seconds, 1e6) * recording.sample_rate)
    if most is None and recording.samples > MAX_SAMPLES:
        raise RecordingError(
            f"{recording.source.path}: holds {recording.samples} samples ({recording.seconds:.0f} s), at most "
            f"{MAX_SAMPLES} are replayed at once; --seconds takes a part"
        )
    return most


def _signal_rate(
    recording: Recording, options: ReplayOptions, correction: Correction, common: dict[str, Any], station: Station
) -> tuple[float, bool | None]:
    """([samples/s] of the signal, whether it was found by looking; None where somebody said it)."""
    if options.signal_rate is not None:
        return options.signal_rate, None
    if "signal_rate" in recording.fields:
        return checked_rate(recording.fields["signal_rate"], f"{recording.source.path}: privsc:signal_rate"), None
    if "chains" in recording.fields:
        return recording.sample_rate, None
    rates = dict.fromkeys([recording.sample_rate, *sorted({load(name).sample_rate for name in available()})])
    found = station.ask("find_rate", **common, candidates=list(rates), front_end=correction.as_dict(), timeout=_SILENT)
    rate = found["signal"]
    return (recording.sample_rate if rate is None else rate), rate is not None


def front_end_lines(figures: dict[str, Any]) -> list[str]:
    """What was done to the samples, and what was not found, a line each."""
    told, about, lines = figures["front_end"], figures["recording"], []
    if told["resampled"]:
        lines.append(
            f"resampled from {about['sample_rate']:g} to {about['signal_rate']:g} samples/s ({told['resampled']})"
        )
    elif about["signal_rate_found"] is False:
        lines.append("no frame was found at any rate that the profiles know; --signal-rate says the sender's")
    if told["dc_removed"]:
        lines.append(f"a DC of {told['dc_dbfs']} dBFS was removed, {told['dc_db']:+} dB against the rest")
    if told["swapped_iq"]:
        lines.append("I and Q are exchanged; they were changed back")
    if wrong := told["non_finite"] + told["too_large"]:
        lines.append(f"{wrong} samples were no numbers or absurdly large, and taken as zeros")
    if figures["frames_left_out"]:
        lines.append(f"{figures['frames_left_out']} frames did not fit into memory and were left out")
    return lines


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
