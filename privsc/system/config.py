"""What one run of the chain is made of, checked when it is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from privsc.errors import ConfigError
from privsc.guard.masking import MaskShape

if TYPE_CHECKING:
    from phy.link import Link

MEASURED = ("zmq", "radio")  # channels that we do not make: a flowgraph (phy.net.bridge), a radio (privsc.radio.air)
Decibel = Annotated[float, Field(ge=-30, le=60, allow_inf_nan=False)]


class RunConfig(BaseModel):
    """One transmission and its two receivers.

    Attributes:
        channel: name of the channel between transmitter and both receivers.
        waveform: `burst`, which a receiver must find in the samples itself, or `symbols`, a shortcut for fast sweeps
            whose receiver is given the frame starts (phy.link).
        codec: name of the learned codec that carries the body of the payload.
        coding: how A becomes bytes (privsc.transport.payload).
        quality: 1 to 100, of the lossy codings.
        snr_db: Es/N0 [dB] per complex symbol at Bob.
        eve_snr_db: the same at Eve, None for Bob's.
        seed: of everything random; Bob's channel, Eve's channel and the recovery draw independently from it.
        max_side: longest side [px] of the image sent; a larger photograph is scaled down first.
        steps: denoising steps of the recovery, None for the model's own number.
        init: where Bob's reverse process starts, `reference` (the best-fitting sample of K) or `noise` (the paper's).
        hint: `pose` sends how a sample of K lies over the gap, 59 bytes a region (privsc.hints.pose_hint); `none` is
            the paper's.
        send: how i travels, as an `index` or as the prompt's text `embedding` (privsc.transport.embeddings).
        mask_in_payload: whether M is sent, or Bob and Eve find M̂ in the picture.
        remove: descriptions of those to hide (privsc.knowledge.selection), everybody of K where there are none.
        mask: shape of what is removed, `silhouette`, `silhouette+N` (N pixels more all round) or `box`
            (privsc.guard.masking).
        eve_class_word: the word Eve knows, None for the class word of what was hidden: the strongest Eve of the paper.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: str = "awgn"
    waveform: Literal["burst", "symbols"] = "burst"
    codec: str = "image8x4"
    coding: Literal["pixels", "webp", "avif", "jpeg"] = "pixels"
    quality: Annotated[int, Field(ge=1, le=100)] = 80
    snr_db: Decibel = 10.0
    eve_snr_db: Decibel | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    max_side: Annotated[int, Field(ge=64, le=2048)] = 640
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    init: Literal["reference", "noise"] = "reference"
    hint: Literal["pose", "none"] = "pose"
    send: Literal["index", "embedding"] = "index"
    mask_in_payload: bool = False
    remove: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    mask: str = "silhouette"
    eve_class_word: Annotated[str, Field(min_length=1, max_length=64)] | None = None

    @field_validator("channel")
    @classmethod
    def _known_channel(cls, name: str) -> str:
        from phy.channel.sionna_channel import CHANNELS  # loads torch, which `privsc --help` should not wait for

        if name not in (*CHANNELS, *MEASURED):
            raise ValueError(f"choose one of {', '.join(CHANNELS)}, zmq")
        return name

    @field_validator("codec")
    @classmethod
    def _known_codec(cls, name: str) -> str:
        from phy.codec.codec import available

        if name not in available():
            raise ValueError(f"choose one of {', '.join(available())}")
        return name

    @field_validator("remove", mode="before")
    @classmethod
    def _as_tuple(cls, values: Any) -> Any:
        return tuple(values) if isinstance(values, list) else values

    @field_validator("mask")
    @classmethod
    def _known_mask(cls, text: str) -> str:
        try:
            return str(MaskShape.parse(text))
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("mask: ").rpartition("; got")[0]) from error

    @model_validator(mode="after")
    def _fitting_coding(self) -> RunConfig:
        if self.send == "embedding" and self.coding != "pixels":
            raise ValueError("send embedding goes with the coding pixels only, whose bytes may be wrong")
        if self.waveform == "symbols" and (self.channel in MEASURED or "-" in self.channel):
            raise ValueError(f"the channel {self.channel} needs the waveform burst; got waveform symbols")
        return self

    @classmethod
    def build(cls, **options: Any) -> RunConfig:
        """The configuration, or a ConfigError of one line that names the first option that is wrong."""
        try:
            return cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            option = ".".join(str(part) for part in first["loc"])
            reason = first["msg"].removeprefix("Value error, ")
            if not option:  # of the options together
                raise ConfigError(reason) from error
            raise ConfigError(f"{option}: {reason[0].lower()}{reason[1:]}; got {first['input']!r}") from error

    @property
    def snr_of_eve(self) -> float:
        """Es/N0 [dB] at Eve."""
        return self.snr_db if self.eve_snr_db is None else self.eve_snr_db

    def link(self) -> Link:
        """The link of the configuration; its channel is external where we do not make it."""
        from phy.link import EXTERNAL, Link

        channel = EXTERNAL if self.channel in MEASURED else self.channel
        return Link(self.codec, channel, waveform=self.waveform)

    def seeds(self) -> Seeds:
        """Independent seeds of the parts that draw random numbers."""
        return Seeds(*(int(value) for value in np.random.SeedSequence(self.seed).generate_state(3)))


@dataclass(frozen=True)
class Seeds:
    """Seeds, each in [0, 2^32): of Bob's channel, of Eve's, of the recovery."""

    bob: int
    eve: int
    recovery: int
