"""One transmission, measured: the chain once for Bob and once for Eve, with every figure of `report.json`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from phy.frame.assembly import Reception
from phy.protocols import Channel, SampleReceiver, Sender
from privsc.knowledge.detection import GuardResult
from privsc.system.build import Models
from privsc.system.chain import Eavesdropper, Receiver, Seen, Sent, Transmitter
from privsc.system.config import MEASURED, RunConfig
from privsc.system.measure import fitted, link_stats, picture_figures
from privsc.system.protocols import GuardLike, Knowledge

BOB, EVE = "bob", "eve"

Stage = Callable[[str], Callable[..., None] | None]
"""Told the name of a stage that begins, returns the callback that gets (steps done, steps in all), or None."""


@dataclass(frozen=True)
class Trial:
    """What one run of the chain showed.

    Attributes:
        image: S.
        guarded: (A, M, detections).
        bob, eve: Ŝ and Ŝe, and what they were made from.
        figures: the contents of report.json.
    """

    image: np.ndarray
    guarded: GuardResult
    bob: Seen
    eve: Seen
    figures: dict[str, Any]


def no_stage(name: str) -> None:
    """Tell nobody."""


class Carrier(Protocol):
    """What brings a transmission to both receivers. synchronisation: "blind", or "given" by the waveform "symbols"."""

    @property
    def synchronisation(self) -> str: ...

    @property
    def transmitter(self) -> Sender: ...

    def reception(self, sent: Sent, who: str) -> Reception:
        """What the receiver of `who`, BOB or EVE, makes of the samples at its antenna."""
        ...


@dataclass(frozen=True)
class LinkCarrier:
    """Channels in memory or behind sockets: one for each receiver, between the same transmitter and receivers."""

    transmitter: Sender
    receiver: SampleReceiver
    channels: Mapping[str, Channel]

    @property
    def synchronisation(self) -> str:
        return self.receiver.synchronisation

    @classmethod
    def simulated(cls, config: RunConfig) -> LinkCarrier:
        """The channel that the configuration names, drawn for each receiver."""
        link, seeds = config.link(), config.seeds()
        channels = {
            BOB: link.channel_at(config.snr_db, seeds.bob),
            EVE: link.channel_at(config.snr_of_eve, seeds.eve),
        }
        return cls(link.transmitter(), link.receiver(), channels)

    def reception(self, sent: Sent, who: str) -> Reception:
        return self.receiver.receive(sent.through(self.channels[who]))


def make_transmitter(database: Knowledge, models: Models, config: RunConfig, link: Sender) -> Transmitter:
    """The transmitter that the configuration describes."""
    return Transmitter(
        models.guard,
        database,
        link,
        config.coding,
        config.quality,
        mask=config.mask,
        remove=config.remove,
        send=config.send,
        mask_in_payload=config.mask_in_payload,
        hint=config.hint,
    )


def send(
    image: np.ndarray,
    database: Knowledge,
    models: Models,
    config: RunConfig,
    link: Sender | None = None,
    *,
    real: bool = False,
) -> tuple[Sent, dict[str, float]]:
    """Guard and transmitter; S is [H, W, 3] uint8. Also says how long each took [s].

    Args:
        link: the transmitter's; the configuration's where None.
        real: it goes on the air, where the image's number must not depend on the seed.
    """
    transmitter = make_transmitter(database, models, config, link or config.link().transmitter())
    start = time.perf_counter()
    guarded = transmitter.guarded(image)
    middle = time.perf_counter()
    sent = transmitter.send(image, guarded, seed=None if real else config.seed)
    return sent, {"guard": middle - start, "transmit": time.perf_counter() - middle}


def run_trial(
    image: np.ndarray,
    database: Knowledge,
    models: Models,
    config: RunConfig,
    stage: Stage = no_stage,
    carrier: Carrier | None = None,
) -> Trial:
    """S, [H, W, 3] uint8, through the whole chain; `carrier` where no simulated channel carries it."""
    stage("guard and transmitter")
    carrier = carrier or LinkCarrier.simulated(config)
    sent, seconds = send(image, database, models, config, carrier.transmitter)
    return receive_trial(sent, seconds, database, models, config, stage, carrier)


def receive_trial(
    sent: Sent,
    seconds: dict[str, float],
    database: Knowledge,
    models: Models,
    config: RunConfig,
    stage: Stage = no_stage,
    carrier: Carrier | None = None,
) -> Trial:
    """Both receivers and all figures, for what `send` made with the same codec and coding.

    The receivers get what the carrier delivers. Only afterwards is what they end with held against what was sent: a
    grey image that stands for a lost one then takes the size of the photograph.
    """
    carrier, seeds = carrier or LinkCarrier.simulated(config), config.seeds()
    bob = Receiver(None, models.recovery, database, steps=config.steps, init=config.init)
    word = config.eve_class_word or class_word(sent.truth.guarded, database)
    eve = Eavesdropper(None, models.recovery, word, steps=config.steps)

    stage("channel and receivers")
    start = time.perf_counter()
    bob_heard = bob.hear(carrier.reception(sent, BOB))
    eve_heard = eve.hear(carrier.reception(sent, EVE))
    middle = time.perf_counter()
    bob_seen = bob.restore(bob_heard, seeds.recovery, stage("recovery, Bob"))
    eve_seen = eve.restore(eve_heard, seeds.recovery, stage("recovery, Eve"))
    end = time.perf_counter()

    stage("figures")
    size = sent.truth.image.shape[:2]
    bob_seen, eve_seen = fitted(bob_seen, size), fitted(eve_seen, size)
    timing = {
        "guard": seconds["guard"],
        "transmit": seconds["transmit"] + middle - start,
        "recover": end - middle,
    }
    figures = trial_figures(
        sent.truth.image,
        sent.truth.guarded,
        bob_seen,
        eve_seen,
        database,
        models.guard,
        link=_link_figures(sent, bob_seen, eve_seen, config, carrier.synchronisation),
        seconds=timing,
        eve_class_word=eve.class_word,
        config={**config.model_dump(), "models": models.names},
    )
    return Trial(sent.truth.image, sent.truth.guarded, bob_seen, eve_seen, figures)


def trial_figures(
    image: np.ndarray,
    guarded: GuardResult,
    bob: Seen,
    eve: Seen,
    database: Knowledge,
    guard: GuardLike,
    *,
    link: dict[str, Any],
    seconds: dict[str, float],
    eve_class_word: str | None,
    config: dict[str, Any],
) -> dict[str, Any]:
    """The contents of report.json, whatever carried the symbols; `link` as `_link_figures` makes it."""
    height, width = image.shape[:2]
    return {
        "bob": _receiver_figures(image, guarded, bob, database, guard),
        "eve": _receiver_figures(image, guarded, eve, database, guard),
        "link": link,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "hidden": [
            {"name": d.name, "index": d.index, "score": round(d.score, 4), "box": list(d.box)}
            for d in guarded.detections
        ],
        "image_size": [width, height],
        "private_share": float(guarded.mask.mean()),
        "eve_class_word": eve_class_word,
        "config": config,
        "k_digest": database.digest().hex(),
    }


def class_word(guarded: GuardResult, database: Knowledge) -> str | None:
    """The class words of what was hidden: what the strongest Eve of the paper knows."""
    entities = database.by_index([detection.index for detection in guarded.detections])
    return " and ".join(dict.fromkeys(entity.class_word for entity in entities)) or None


def _receiver_figures(
    image: np.ndarray, guarded: GuardResult, seen: Seen, database: Knowledge, guard: GuardLike
) -> dict[str, Any]:
    """PSNR [dB], SSIM and eq. (8): whom the guard sees in each private region of what a receiver ends with."""
    figures = picture_figures(seen, image, guarded.mask)
    entities = database.entities()
    identified = []
    for detection in guarded.detections:
        found = guard.identify(seen.restored, entities, mask=detection.mask)
        identified.append({"hidden": detection.name, "identified": found.name if found else None})
    figures["identified"] = identified[0]["identified"] if identified else None
    figures["regions"] = identified
    return figures


def _link_figures(sent: Sent, bob: Seen, eve: Seen, config: RunConfig, synchronisation: str) -> dict[str, Any]:
    at_bob, at_eve = link_stats(bob.heard, sent), link_stats(eve.heard, sent)
    return {
        "channel": config.channel,
        "waveform": config.waveform,
        "synchronisation": synchronisation,
        "snr_db": _measured(bob) if config.channel in MEASURED else config.snr_db,
        "eve_snr_db": _measured(eve) if config.channel in MEASURED else config.snr_of_eve,
        "message_error_rate": at_bob.message_error_rate,
        "frames_sent": at_bob.frames_sent,
        "frames_lost": at_bob.frames_lost,
        "channel_uses": at_bob.channel_uses,
        "cbr": at_bob.channel_uses / sent.truth.image.size,
        "eve_message_error_rate": at_eve.message_error_rate,
        "eve_frames_lost": at_eve.frames_lost,
        "codec": config.codec,
        "coding": config.coding,
    }


def _measured(seen: Seen) -> float | None:
    """Es/N0 [dB] as the receiver found it, where a flowgraph or the air sets it; None where no frame arrived."""
    value = math.nan if seen.heard.received is None else seen.heard.received.snr_db
    return round(value, 2) if math.isfinite(value) else None
