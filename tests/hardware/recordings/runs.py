"""The run that recordings are made of: the virtual radio's in real time, or made without one."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np

from hardware import sigmf_io
from hardware.diagnosis.train import known_train
from hardware.process.chain import Chain
from hardware.profiles.profile import load
from hardware.recordings.opening import open_recording
from privsc.radio.air import Air, payload_digest
from privsc.radio.loopback import save, set_noise
from privsc.radio.setup import BOB, EVE, Setup
from tests.hardware.recordings.make import FULL, Run

RATE, FREQUENCY, SNR, EVE_NOISE = 1e6, 433.92e6, 15.0, -26.5
FRAMES = 40


def live_run(folder: Path, tries: int = 4) -> Run:
    """40 frames over the virtual radio, received as CS16; also leaves its own recording ``live`` in the folder."""
    tables = {"radio": {"sample_rate": RATE, "frequency": FREQUENCY}}
    chosen = Setup(
        load("virtual", tables), load("virtual-bob", {**tables, "rx": {"format": "CS16"}}), None, EVE_NOISE, seed=4
    )
    train = known_train(FRAMES, codec="image8x4")
    for _ in range(tries):
        data = sigmf_io.partial_data(folder / "live")
        with Air(chosen) as air:
            iq, factor = air.scaled(train.iq)
            set_noise(air, factor, SNR, None)
            started = datetime.datetime.now(datetime.UTC)
            air.listen(data, expect=len(iq))
            air.send(iq)
            ended = air.finish()
            meta = save(folder / "live", data, air, ended, None, None, started)
        if air.ears[BOB].summary["frames"] == FRAMES:  # else a busy computer let the transmitter run dry
            break
    found = open_recording(meta)
    parts = np.fromfile(found.source.path, "<i2").reshape(-1, 2)
    fields = {key: found.fields[key] for key in ("signal_rate", "front_end", "chains")}
    return Run(parts, RATE, fields, {who: payload_digest(air.ears[who]) for who in (BOB, EVE)})


def made_run(seed: int = 1) -> Run:
    """The same without a radio: the train in noise, 20 ppm beside, and what the chain makes of it."""
    rng = np.random.default_rng(seed)
    iq = np.concatenate([np.zeros(5000, np.complex64), known_train(FRAMES, codec="image8x4").iq])
    iq = iq * np.exp(1j * 0.05 * np.arange(len(iq)))
    noise = rng.standard_normal((len(iq), 2)) @ [1, 1j] * np.sqrt(10 ** (-SNR / 10) / 2)
    samples = 0.25 * (iq + noise)
    parts = np.rint(np.stack([samples.real, samples.imag], axis=1) * FULL).clip(-FULL, FULL).astype(np.int16)
    run = Run(parts, RATE)
    digests = {}
    for who, noise_db in ((BOB, None), (EVE, EVE_NOISE)):
        chain = Chain(who, noise_db=noise_db, seed=4)
        for first in range(0, len(parts), 1 << 16):
            chain.push(run.samples[first : first + (1 << 16)])
        chain.finish()
        digests[who] = chain.digest
    chains = {
        BOB: {"name": BOB, "payload_sha256": digests[BOB]},
        EVE: {"name": EVE, "noise_db": EVE_NOISE, "seed": 4, "payload_sha256": digests[EVE]},
    }
    return Run(
        parts, RATE, {"signal_rate": RATE, "front_end": {"dc_block": "no", "swap_iq": "no"}, "chains": chains}, digests
    )
