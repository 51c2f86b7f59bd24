"""What a worker does for a flowgraph: the same transmitter, receivers and report as `privsc run`, bytes in between.

photo ──guard──► head, body        the flowgraph frames and modulates them
head, body, which bytes arrived ──recovery──► Â, Ŝ
S, what Bob and Eve ended with ──report──► the files of `privsc run`
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phy.frame.assembly import ReceivedImage, Reception
from phy.net import messages
from phy.net.messages import WireError
from privsc.errors import ConfigError, WorkerError
from privsc.images.photo_io import MIN_SIDE, decode_photo
from privsc.knowledge.database import Database
from privsc.system.build import DEFAULT, Choice
from privsc.system.chain import Eavesdropper, Heard, Receiver, Seen, Transmitter
from privsc.transport.payload import MAX_PIXELS, MAX_SIDE

if TYPE_CHECKING:
    from privsc.guard.guard import Guard
    from privsc.recovery.recovery import Recovery

Params = dict[str, Any]
Buffers = dict[str, np.ndarray]
Answer = tuple[dict[str, Any], dict[str, Any]]


class Operations:
    """The operations of some roles on one set of networks.

    Args:
        roles: of ``privsc.worker.server.ROLES``.
        guard, recovery: the networks; None where no role needs them.
        database: path of K; None for `generic`. It is opened by the thread that first asks for it.
        steps: denoising steps, None for the model's own number.
        hint: how the guard helps Bob, `pose` or `none` (privsc.system.chain.Transmitter).
        identity: of the encoder that K must have been made with, None for any.
    """

    def __init__(
        self,
        roles: tuple[str, ...],
        guard: Guard | None,
        recovery: Recovery | None,
        database: Path | None,
        steps: int | None = None,
        identity: str | None = None,
        hint: str = "pose",
    ):
        self.roles, self.guard, self.recovery, self.steps, self.hint = roles, guard, recovery, steps, hint
        self._path, self._identity = database, identity
        self._database: Database | None = None

    @property
    def database(self) -> Database:
        """K, where a role has asked for it."""
        if self._path is None:
            raise WorkerError("this worker has no K; start it with --db K.db")
        if self._database is None:
            self._database = Database.open(self._path, self._identity)
        return self._database

    @classmethod
    def load(
        cls,
        roles: tuple[str, ...],
        database: Path | None,
        steps: int | None = None,
        choice: Choice = DEFAULT,
        hint: str = "pose",
    ) -> Operations:
        """Networks and K as the roles need them."""
        needs_k = [role for role in roles if role != "generic"]
        if needs_k and database is None:
            raise ConfigError(f"--db: the role {needs_k[0]} needs K; give --db K.db")
        if not needs_k and database is not None:
            raise ConfigError("--db: the role generic works without K; leave --db out")
        guard = recovery = identity = None
        if "guard" in roles or "report" in roles:
            guard = choice.guard()
        if database is not None:
            identity = choice.pair()[0].identity
            Database.open(database, identity).close()  # a wrong file is an error now, not at the first request
        if "recovery" in roles or "generic" in roles:
            recovery = choice.recover()
        return cls(roles, guard, recovery, database, steps, identity, hint)

    def table(self) -> dict[str, Any]:
        """Name of an operation to the function that does it, for the worker's roles."""
        every = {
            "guard": self.guarded,
            "recovery": partial(self.recovered, generic=False),
            "generic": partial(self.recovered, generic=True),
            "report": self.reported,
        }
        return {role: every[role] for role in self.roles}

    def guarded(self, params: Params, buffers: Buffers) -> Answer:
        """S to (A, i) as bytes. params: coding, quality, max_side. buffers: photo [n] or image [H, W, 3], uint8."""
        coding, quality = _param(params, "coding", str, "pixels"), _param(params, "quality", int, 80)
        max_side = _param(params, "max_side", int, 640)
        if not MIN_SIDE <= max_side <= MAX_SIDE:
            raise WireError(messages.MALFORMED, f"max_side must be {MIN_SIDE} to {MAX_SIDE}; got {max_side}")
        image = (
            _image(buffers, "image") if "image" in buffers else decode_photo(_flat(buffers, "photo"), "photo", max_side)
        )
        assert self.guard is not None
        packed = Transmitter(self.guard, self.database, None, coding, quality, hint=self.hint).pack(image)
        found = packed.guarded.detections
        result = {
            "k_digest": packed.k_digest.hex(),
            "entities": [
                {"name": d.name, "index": d.index, "score": float(d.score), "box": [int(v) for v in d.box]}
                for d in found
            ],
        }
        return result, {
            "head": packed.head,
            "body": packed.body,
            "image": image,
            "masked": packed.guarded.masked,
            "mask": packed.guarded.mask,
        }

    def recovered(self, params: Params, buffers: Buffers, generic: bool) -> Answer:
        """Received bytes to Â and Ŝ.

        params: k_digest (hex, of the headers that arrived, or null), seed, size [H, W] of a grey image where even the
        head was lost, class_word (without K). buffers: head [h] uint8, empty where it was lost; body [n] uint8;
        arrived and exact [n] bool, bytes of frames whose header was valid, and of those whose payload CRC held too.
        """
        reception = _reception(params, buffers)
        size = _size(params.get("size", [256, 256]))
        seed = _param(params, "seed", int, 0)
        word = _param(params, "class_word", str, "")
        assert self.recovery is not None
        receiver: Receiver | Eavesdropper = (
            Eavesdropper(None, self.recovery, word or None, grey_size=size, steps=self.steps)
            if generic
            else Receiver(None, self.recovery, self.database, grey_size=size, steps=self.steps)
        )
        heard = receiver.hear(reception)
        seen = receiver.restore(heard, seed)
        result = {
            "indices": list(heard.indices),
            "failure": heard.failure,
            "k_digest_matches": heard.k_digest_matches,
            "concealed_share": float(heard.concealed.mean()),
        }
        return result, {"received": heard.image, "restored": seen.restored, "concealed": heard.concealed}

    def reported(self, params: Params, buffers: Buffers) -> Answer:
        """The files of `privsc run`. params: link, seconds, config, eve_class_word, and of bob and eve what `recovered`
        gave. buffers: image, and bob_ and eve_ received, restored, concealed."""
        from privsc.system.report import run_files
        from privsc.system.trial import Trial, class_word, trial_figures

        image = _image(buffers, "image")
        assert self.guard is not None
        guarded = self.guard(image, self.database.entities())
        seen = {who: _seen(params, buffers, who, image.shape) for who in ("bob", "eve")}
        link = _param(params, "link", dict, {})
        link = {**link, "cbr": _param(link, "channel_uses", int, 0) / image.size}
        figures = trial_figures(
            image,
            guarded,
            seen["bob"],
            seen["eve"],
            self.database,
            self.guard,
            link=link,
            seconds=_param(params, "seconds", dict, {}),
            config=_param(params, "config", dict, {}),
            eve_class_word=_param(params, "eve_class_word", str, "") or class_word(guarded, self.database),
        )
        return figures, dict(run_files(Trial(image, guarded, seen["bob"], seen["eve"], figures)))


def _param(params: Params, name: str, kind: type, default: Any) -> Any:
    value = params.get(name, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise WireError(messages.MALFORMED, f"{name} must be of type {kind.__name__}; got {type(value).__name__}")
    return value


def _size(value: Any) -> tuple[int, int]:
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(n, int) for n in value)):
        raise WireError(messages.MALFORMED, "size must be [H, W]")
    if not (min(value) >= 1 and max(value) <= MAX_SIDE and value[0] * value[1] <= MAX_PIXELS):
        raise WireError(messages.TOO_LARGE, f"size must be at most {MAX_PIXELS} pixels; got {value[0]}x{value[1]}")
    return value[0], value[1]


def _buffer(buffers: Buffers, name: str, dtype: str, ndim: int) -> np.ndarray:
    if name not in buffers:
        raise WireError(messages.MALFORMED, f"buffer {name} is missing")
    array = buffers[name]
    if array.dtype.name != dtype or array.ndim != ndim:
        raise WireError(
            messages.MALFORMED,
            f"buffer {name} must be {dtype} of {ndim} dimension(s); got {array.dtype} {list(array.shape)}",
        )
    return array


def _flat(buffers: Buffers, name: str) -> bytes:
    return _buffer(buffers, name, "uint8", 1).tobytes()


def _image(buffers: Buffers, name: str, dtype: str = "uint8") -> np.ndarray:
    image = _buffer(buffers, name, dtype, 3)
    if image.shape[2] != 3 or min(image.shape) < 1:
        raise WireError(messages.MALFORMED, f"buffer {name} must be [H, W, 3]; got {list(image.shape)}")
    _size(list(image.shape[:2]))
    return image.copy()  # what came over the wire is read-only


def _reception(params: Params, buffers: Buffers) -> Reception:
    """What `phy.link` would have returned, from what the flowgraph's assembler gathered of one image."""
    head, body = _flat(buffers, "head"), _flat(buffers, "body")
    flags = {name: _buffer(buffers, name, "bool", 1) for name in ("arrived", "exact")}
    if any(len(flag) != len(body) for flag in flags.values()):
        raise WireError(messages.MALFORMED, f"arrived and exact must hold one flag for each of the {len(body)} bytes")
    digest = params.get("k_digest")
    if digest is None and not head and not flags["arrived"].any():
        return Reception(())  # nothing arrived
    try:
        received = bytes.fromhex(digest if isinstance(digest, str) else "")
    except ValueError:
        raise WireError(messages.MALFORMED, f"k_digest must be hexadecimal; got {digest!r}") from None
    return Reception((ReceivedImage(0, received, head or None, body, flags["arrived"], flags["exact"]),))


def _seen(params: Params, buffers: Buffers, who: str, shape: tuple[int, ...]) -> Seen:
    """What a receiver ended with, from what `recovered` gave the flowgraph."""
    images = [_image(buffers, f"{who}_{name}") for name in ("received", "restored")]
    concealed = _image(buffers, f"{who}_concealed", "bool")
    if any(one.shape != shape for one in (*images, concealed)):
        raise WireError(messages.MALFORMED, f"images of {who} must have the size of the image sent, {list(shape)}")
    failure = params.get(who, {}).get("failure") if isinstance(params.get(who, {}), dict) else None
    heard = Heard(images[0], np.zeros(shape[:2], bool), (), concealed, failure)
    return Seen(images[1], heard)
