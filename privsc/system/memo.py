"""The chain's parts with a memory, so that a sweep does nothing twice that is the same twice.

At a high SNR several receptions of one photograph are bit-identical, Bob's do not depend on Eve's SNR, and what the
guard finds depends on no axis of the radio. Nothing here is an approximation: a result is used again only where every
input is equal to the last bit. All parts are deterministic (the seed is an input).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from phy.frame.assembly import Reception
from phy.link import Transmission
from phy.protocols import Sender
from privsc.hints.pose_hint import PoseHint
from privsc.knowledge.database import Database
from privsc.knowledge.entity import Entity
from privsc.system.chain import Sent
from privsc.system.trial import LinkCarrier

KEEP = 32  # results of each kind, some MB at most each


class Memory:
    """The latest results, by a digest of their inputs."""

    def __init__(self, keep: int = KEEP) -> None:
        self._kept: OrderedDict[bytes, Any] = OrderedDict()
        self._keep = keep
        self.hits = self.misses = 0

    def of(self, make: Callable[[], Any], *inputs: Any) -> Any:
        """What `make` gives for these inputs, from memory where it was made before."""
        key = digest(inputs)
        if key in self._kept:
            self.hits += 1
            self._kept.move_to_end(key)
            return self._kept[key]
        self.misses += 1
        made = make()
        self._kept[key] = made
        if len(self._kept) > self._keep:
            self._kept.popitem(last=False)
        return made


def digest(value: Any) -> bytes:
    """SHA-256 over arrays, entities, text, numbers, and sequences of them, with their types and shapes."""
    hasher = hashlib.sha256()
    _feed(hasher, value)
    return hasher.digest()


def _feed(hasher: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        hasher.update(f"a{value.dtype.str}{value.shape}".encode())
        hasher.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Entity):
        hasher.update(f"e{value.index};{value.name};{value.class_word};{value.gamma};".encode())
        for part in (value.f_k, value.prototypes, value.text_embedding, value.adapter):
            _feed(hasher, part)
        for sample in value.samples:
            _feed(hasher, sample.photo)
            _feed(hasher, sample.mask_png)
    elif isinstance(value, tuple | list):
        hasher.update(f"t{len(value)};".encode())
        for part in value:
            _feed(hasher, part)
    elif isinstance(value, PoseHint):
        hasher.update(b"p")
        _feed(hasher, value.to_bytes())
    elif isinstance(value, bytes):
        hasher.update(f"b{len(value)};".encode() + value)
    elif value is None or isinstance(value, str | int | float | bool):
        hasher.update(f"{type(value).__name__}{value!r};".encode())
    else:
        raise TypeError(f"{type(value).__name__} has no digest")


class FrozenDatabase(Database):
    """K read once: a sweep asks it for the same entities and the same digest thousands of times."""

    @cached_property
    def _entities(self) -> tuple[Entity, ...]:
        return super().entities()

    @cached_property
    def _digest(self) -> bytes:
        return super().digest()

    def entities(self) -> tuple[Entity, ...]:
        return self._entities

    def digest(self) -> bytes:
        return self._digest


class RememberingGuard:
    """A guard that has seen the picture before. K must stay what it is while this lives."""

    def __init__(self, guard: Any) -> None:
        self._guard = guard
        self._found, self._ranked, self._hinted = Memory(), Memory(), Memory()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guard, name)

    def __call__(self, image: np.ndarray, entities: Sequence[Entity], **options: Any) -> Any:
        return self._found.of(
            lambda: self._guard(image, entities, **options), image, _who(entities), sorted(options.items())
        )

    def hint(self, image: np.ndarray, region: np.ndarray, entity: Entity, removed: np.ndarray | None = None) -> Any:
        """As Guard.hint."""
        return self._hinted.of(lambda: self._guard.hint(image, region, entity, removed), image, region, entity, removed)

    def rank(self, image: np.ndarray, entities: Sequence[Entity], mask: np.ndarray | None = None) -> Any:
        """As Guard.rank."""
        return self._ranked.of(lambda: self._guard.rank(image, entities, mask), image, _who(entities), mask)

    def identify(self, image: np.ndarray, entities: Sequence[Entity], mask: np.ndarray | None = None) -> Any:
        """As Guard.identify."""
        ranked = self.rank(image, entities, mask)
        return ranked[0] if ranked and ranked[0].score >= ranked[0].gamma else None


def _who(entities: Sequence[Entity]) -> tuple[Any, ...]:
    return tuple((entity.index, entity.name, entity.gamma) for entity in entities)


class RememberingRecovery:
    """A recovery that has painted the picture before."""

    def __init__(self, recovery: Any) -> None:
        self._recovery = recovery
        self.memory = Memory()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recovery, name)

    def __call__(
        self,
        received: np.ndarray,
        region: np.ndarray,
        entities: Sequence[Entity | None] | None,
        *,
        progress: Any = None,
        **options: Any,
    ) -> np.ndarray:
        known = None if entities is None else tuple(entities)
        inputs = [(name, tuple(v) if isinstance(v, list) else v) for name, v in sorted(options.items())]
        painted = self.memory.of(
            lambda: self._recovery(received, region, entities, progress=progress, **options),
            received,
            region,
            known,
            inputs,
        )
        return painted.copy()


class RememberingCarrier:
    """A carrier of simulated channels that has brought these samples before: a channel's noise is that of its seed.

    A reception is known by what the receiver can know: the samples that were put on the air (with the blocks in which
    the channel fades) and the channel, never by what they mean.
    """

    def __init__(self, carrier: LinkCarrier, sent: Memory, received: Memory) -> None:
        self._carrier, self._received = carrier, received
        self.transmitter: Sender = _RememberingSender(carrier.transmitter, sent)

    @property
    def synchronisation(self) -> str:
        """As the carrier's."""
        return self._carrier.synchronisation

    def reception(self, sent: Sent, who: str) -> Reception:
        """As the carrier's."""
        on_air, receiver = sent.truth.on_air, self._carrier.receiver
        return self._received.of(
            lambda: self._carrier.reception(sent, who),
            repr(receiver),
            repr(self._carrier.channels[who]),
            on_air.iq,
            on_air.starts,
        )


class _RememberingSender:
    """A transmitter that has sent the bytes before."""

    def __init__(self, sender: Sender, memory: Memory) -> None:
        self._sender, self._memory = sender, memory

    def send(self, head: bytes, body: bytes, **options: Any) -> Transmission:
        """As the transmitter's."""
        return self._memory.of(
            lambda: self._sender.send(head, body, **options), repr(self._sender), head, body, sorted(options.items())
        )
