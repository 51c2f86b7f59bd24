"""One transmission, measured: the chain once for Bob and once for Eve, with every figure of `report.json`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phy.link import Link
from privsc.images import metrics
from privsc.knowledge.database import Database
from privsc.system.build import Models
from privsc.system.chain import Eavesdropper, Receiver, Seen, Sent, Transmitter
from privsc.system.config import MEASURED, RunConfig

if TYPE_CHECKING:
    from privsc.guard.guard import Guard
    from privsc.knowledge.detection import GuardResult

Stage = Callable[[str], Callable[..., None] | None]
"""Told the name of a stage that begins, returns the callback that gets (steps done, steps in all), or None."""


@dataclass(frozen=True)
class Trial:
    """What one run of the chain showed.

    Attributes:
        sent: S, (A, M) and the symbols.
        bob, eve: Ŝ and Ŝe with the link's figures.
        figures: the contents of report.json.
    """

    sent: Sent
    bob: Seen
    eve: Seen
    figures: dict[str, Any]


def no_stage(name: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Links:
    """Bob's link, which is the transmitter's too, and Eve's."""

    bob: Link
    eve: Link

    @classmethod
    def simulated(cls, config: RunConfig) -> Links:
        """The channel that the configuration names, for both."""
        link = Link(config.codec, config.channel)
        return cls(link, link)


def send(
    image: np.ndarray, database: Database, models: Models, config: RunConfig, links: Links | None = None
) -> tuple[Sent, dict[str, float]]:
    """Guard and transmitter; S is [H, W, 3] uint8. Also says how long each took [s]."""
    link = (links or Links.simulated(config)).bob
    transmitter = Transmitter(
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
    start = time.perf_counter()
    guarded = transmitter.guarded(image)
    middle = time.perf_counter()
    sent = transmitter.send(image, guarded, config.seeds().image_id)
    return sent, {"guard": middle - start, "transmit": time.perf_counter() - middle}


def run_trial(
    image: np.ndarray,
    database: Database,
    models: Models,
    config: RunConfig,
    stage: Stage = no_stage,
    links: Links | None = None,
) -> Trial:
    """S, [H, W, 3] uint8, through the whole chain; `links` where no simulated channel carries it."""
    stage("guard and transmitter")
    sent, seconds = send(image, database, models, config, links)
    return receive_trial(sent, seconds, database, models, config, stage, links)


def receive_trial(
    sent: Sent,
    seconds: dict[str, float],
    database: Database,
    models: Models,
    config: RunConfig,
    stage: Stage = no_stage,
    links: Links | None = None,
) -> Trial:
    """Both receivers and all figures, for what `send` made with the same codec and coding."""
    links, seeds, size = links or Links.simulated(config), config.seeds(), sent.image.shape[:2]
    bob = Receiver(links.bob, models.recovery, database, steps=config.steps, init=config.init)
    word = config.eve_class_word or class_word(sent.guarded, database)
    eve = Eavesdropper(links.eve, models.recovery, word, steps=config.steps)

    stage("channel and receivers")
    start = time.perf_counter()
    bob_heard = bob.listen(sent.on_air, config.snr_db, seeds.bob, size)
    eve_heard = eve.listen(sent.on_air, config.snr_of_eve, seeds.eve, size)
    middle = time.perf_counter()
    bob_seen = bob.restore(bob_heard, seeds.recovery, stage("recovery, Bob"))
    eve_seen = eve.restore(eve_heard, seeds.recovery, stage("recovery, Eve"))
    end = time.perf_counter()

    stage("figures")
    timing = {
        "guard": seconds["guard"],
        "transmit": seconds["transmit"] + middle - start,
        "recover": end - middle,
    }
    figures = trial_figures(
        sent,
        bob_seen,
        eve_seen,
        database,
        models.guard,
        link=_link_figures(sent, bob_seen, eve_seen, config),
        seconds=timing,
        eve_class_word=eve.class_word,
        config={**config.model_dump(), "models": models.names},
    )
    return Trial(sent, bob_seen, eve_seen, figures)


def trial_figures(
    sent: Sent,
    bob: Seen,
    eve: Seen,
    database: Database,
    guard: Guard,
    *,
    link: dict[str, Any],
    seconds: dict[str, float],
    eve_class_word: str | None,
    config: dict[str, Any],
) -> dict[str, Any]:
    """The contents of report.json, whatever carried the symbols; `link` as `_link_figures` makes it."""
    height, width = sent.image.shape[:2]
    return {
        "bob": _receiver_figures(sent, bob, database, guard),
        "eve": _receiver_figures(sent, eve, database, guard),
        "link": link,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "hidden": [
            {"name": d.name, "index": d.index, "score": round(d.score, 4), "box": list(d.box)}
            for d in sent.guarded.detections
        ],
        "image_size": [width, height],
        "private_share": float(sent.guarded.mask.mean()),
        "eve_class_word": eve_class_word,
        "config": config,
        "k_digest": database.digest().hex(),
    }


def class_word(guarded: GuardResult, database: Database) -> str | None:
    """The class words of what was hidden: what the strongest Eve of the paper knows."""
    entities = database.by_index([detection.index for detection in guarded.detections])
    return " and ".join(dict.fromkeys(entity.class_word for entity in entities)) or None


def _receiver_figures(sent: Sent, seen: Seen, database: Database, guard: Guard) -> dict[str, Any]:
    """PSNR [dB], SSIM and eq. (8): whom the guard sees in each private region of what a receiver ends with."""
    figures: dict[str, Any] = dict(metrics.quality(sent.image, seen.restored, sent.guarded.mask))
    entities = database.entities()
    identified = []
    for detection in sent.guarded.detections:
        found = guard.identify(seen.restored, entities, mask=detection.mask)
        identified.append({"hidden": detection.name, "identified": found.name if found else None})
    figures["identified"] = identified[0]["identified"] if identified else None
    figures["regions"] = identified
    figures["exact"] = bool(np.array_equal(sent.image, seen.restored))
    figures["concealed_share"] = float(seen.heard.concealed.mean())
    figures["failure"] = seen.heard.failure
    return figures


def _link_figures(sent: Sent, bob: Seen, eve: Seen, config: RunConfig) -> dict[str, Any]:
    at_bob, at_eve = bob.heard.reception.stats, eve.heard.reception.stats
    uses = int(sent.on_air.channel_uses)
    return {
        "channel": config.channel,
        "snr_db": _measured(bob) if config.channel in MEASURED else config.snr_db,
        "eve_snr_db": _measured(eve) if config.channel in MEASURED else config.snr_of_eve,
        "message_error_rate": at_bob.message_error_rate,
        "frames_sent": at_bob.frames_sent,
        "frames_lost": at_bob.frames_lost,
        "channel_uses": uses,
        "cbr": uses / sent.image.size,
        "eve_message_error_rate": at_eve.message_error_rate,
        "eve_frames_lost": at_eve.frames_lost,
        "codec": config.codec,
        "coding": config.coding,
    }


def _measured(seen: Seen) -> float | None:
    """Es/N0 [dB] as the receiver found it, where a flowgraph or the air sets it; None where no frame arrived."""
    value = seen.heard.reception.snr_db
    return round(value, 2) if math.isfinite(value) else None
