"""A photograph over the air: what `privsc radio loopback` and `record` do between their options and their files."""

from __future__ import annotations

import csv
import datetime
import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from hardware import sigmf_io
from hardware.errors import TransmitRefused
from hardware.profiles.profile import check_transmission
from privsc.knowledge.database import Database
from privsc.networks.files import weights as model_files
from privsc.radio.air import Air, AirCarrier, Ear, payload_digest
from privsc.radio.setup import BOB, EVE, Setup
from privsc.system.build import Models
from privsc.system.config import RunConfig
from privsc.system.trial import Stage, Trial, receive_trial, send

__all__ = ["Air", "check_allowed", "over_the_air"]

DEFAULT_SNR = 15.0  # [dB] of virtual radios
_COLUMNS = ("chain", "start", "end", "kind", "sequence", "image_id", "crc_ok", "snr_db", "evm_db", "cfo", "clock_ppm",
            "codec")  # fmt: skip


def check_allowed(setup: Setup) -> None:
    """Refuse a transmission that nobody allowed, before any network is loaded or any device touched."""
    if setup.sender is None:
        return
    check_transmission(setup.sender)
    if setup.sender.safety.ask and not setup.transmit:
        raise TransmitRefused(
            f"{setup.sender.name}: this would transmit at {setup.sender.frequency / 1e6:g} MHz; connect a cable with "
            "attenuators (or make sure that you may use the band), then add --transmit"
        )


def over_the_air(
    photo: np.ndarray,
    database: Database,
    models: Models,
    config: RunConfig,
    air: Air,
    stage: Stage,
    snr_db: float | None = None,
    eve_snr_db: float | None = None,
    record: Path | None = None,
) -> tuple[Trial, dict[str, bytes]]:
    """S, [H, W, 3] uint8, with every figure of report.json, and frames.csv; ``record`` names a recording to make."""
    carrier = AirCarrier(config.link().transmitter(), air.ears)
    stage("guard and transmitter")
    sent, seconds = send(photo, database, models, config, carrier.transmitter, real=True)
    data = sigmf_io.partial_data(record) if record is not None else None
    try:
        iq, factor = air.scaled(sent.iq)
        set_noise(air, factor, snr_db, eve_snr_db)
        started = datetime.datetime.now(datetime.UTC)
        air.listen(data, expect=len(iq))
        air.send(iq, progress=stage("on the air"))
        ended = air.finish()
        if record is not None and data is not None:
            save(record, data, air, ended, config, database, started)
    finally:
        if data is not None:
            data.unlink(missing_ok=True)
    trial = receive_trial(sent, seconds, database, models, config, stage, carrier)
    trial.figures["radio"] = radio_figures(air, ended)
    return trial, {"frames.csv": frames_csv(air.ears)}


def set_noise(air: Air, factor: float, snr_db: float | None, eve_snr_db: float | None) -> None:
    """Virtual receivers get the noise that makes this Es/N0 [dB]; of real ones none can be asked."""
    setup = air.setup
    if snr_db is not None or setup.bob.virtual:
        air.noise_for(DEFAULT_SNR if snr_db is None else snr_db, factor, BOB)
    if setup.eve is not None and (eve_snr_db is not None or setup.eve.virtual):
        air.noise_for(
            eve_snr_db if eve_snr_db is not None else snr_db if snr_db is not None else DEFAULT_SNR, factor, EVE
        )
    elif eve_snr_db is not None:
        air.noise_for(eve_snr_db, factor, EVE)  # says why not


def radio_figures(air: Air, ended: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The part "radio" of report.json: each receiver's chain and device, and the transmitter's counts."""
    told: dict[str, Any] = {
        "sender": {
            "profile": air.setup.sender.name if air.setup.sender else None,
            "counts": dict(getattr(air, "sent_counts", {})),
        }
    }
    for who in (BOB, EVE):
        place = who if who in ended else BOB
        profile = (air.setup.eve if place == EVE else air.setup.bob) or air.setup.bob
        summary, ear = air.ears[who].summary, air.ears[who]
        cfo = summary["cfo"]
        told[who] = {
            "profile": profile.name,
            "hardware": air.hardware[place],
            "frequency": profile.frequency,
            "sample_rate": profile.sample_rate,
            "frames": summary["frames"],
            "crc_ok": summary["crc_ok"],
            "snr_db": summary["snr_db"],
            "clock_ppm": summary["clock_ppm"],
            "cfo_hz": None if cfo is None else round(cfo * profile.sample_rate / (2 * math.pi), 1),
            "overflows": ended[place]["radio"].get("overflow", 0),
            "samples": ended[place]["samples"],
            "payload_sha256": payload_digest(ear),
            "own_capture": who in ended,
            "front_end": {**(ended[place].get("front_end") or {}), "swapped_iq": summary.get("swapped")},
        }
    return told


def frames_csv(ears: dict[str, Ear]) -> bytes:
    """A line for each frame of both receivers."""
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for ear in ears.values():
        for event in ear.events:
            table.writerow(
                {key: round(value, 6) if isinstance(value, float) else value for key, value in event.items()}
            )
    return text.getvalue().encode()


def save(
    path: Path,
    data: Path,
    air: Air,
    ended: dict[str, dict[str, Any]],
    config: RunConfig | None,
    database: Database | None,
    started: datetime.datetime,
) -> Path:
    """Bob's samples and what his process found in them as a recording."""
    setup, told = air.setup, ended[BOB]
    assert setup.bob.rx is not None
    chains = {
        one["name"]: {
            **one,
            "frames": air.ears[one["name"]].summary["frames"],
            "payload_sha256": payload_digest(air.ears[one["name"]]),
        }
        for one in air.chains(BOB)
    }
    frames = [event for event in air.ears[BOB].events if event["chain"] == BOB]
    digest = database.digest().hex() if database is not None else None
    heard = [frame.header.k_digest.hex() for frame in air.ears[BOB].frames[:1]]
    fields = {
        "profile": setup.bob.name,
        "signal_rate": setup.bob.sample_rate,
        "front_end": setup.correction.as_dict(),
        "settings": air.actual[BOB],
        "codec": config.codec if config else None,
        "coding": config.coding if config else None,
        "seed": config.seed if config else None,
        "k_digest": digest,
        "k_digest_on_air": heard[0] if heard else None,
        "chains": chains,
        "models": {file.name: file.sha256 for file in model_files.read_manifest()},
        "counts": told["radio"],
    }
    return sigmf_io.write(
        path,
        data,
        form=setup.bob.rx.format,
        sample_rate=setup.bob.sample_rate,
        frequency=setup.bob.frequency,
        hardware=f"{setup.bob.about} ({air.hardware[BOB]})",
        started=started,
        frames=frames,
        gaps=air.gaps,
        fields={key: value for key, value in fields.items() if value is not None},
    )
