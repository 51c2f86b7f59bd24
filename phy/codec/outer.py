"""Outer code over a codec's messages: non-binary LDPC on GF(2^k), decoded with the codec's posteriors.

    messages [F, K] ──encode──► messages [F, N] ──codec──► channel ──posteriors──► [F, N, 2^k] ──decode──► messages [F,
    K]

One field element is one message, so nothing is lost on the way from the codec's posteriors to the decoder: no bit
labels. Every message takes part in two checks (a cycle code), which in large fields is the best choice for short blocks
(Poulliat, Fossorier, Declercq, IEEE Trans. Commun. 56 (2008) 1626). Parity messages form one ring through all checks,
so encoding is an accumulation; the other messages join pairs of checks that are far apart (progressive edge growth, Hu,
Eleftheriou, Arnold, IEEE Trans. Inf. Theory 51 (2005) 386). Decoding is belief propagation with Walsh-Hadamard
transforms at the checks (Declercq, Fossorier, IEEE Trans. Commun. 55 (2007) 633).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np

from phy.errors import CodecError

_PRIMITIVE = {2: 0x7, 3: 0xB, 4: 0x13, 5: 0x25, 6: 0x43, 7: 0x89, 8: 0x11D}
_FRAMES_AT_ONCE = 4  # their edge messages, 4 x 310 x 256 x 4 bytes, about fit the second-level cache
_LOOK, _HOPE = 8, 0.01
"""Every so many iterations a block is given up whose share of satisfied checks has not grown by so much (at first: over
what chance gives): noise, or what a forged header claims, does not cost all iterations."""


@functools.cache
def _field(k: int) -> tuple[np.ndarray, np.ndarray]:
    """(exp [2 (2^k - 1)], log [2^k]) of GF(2^k)."""
    size = 1 << k
    exp, log, x = np.zeros(2 * (size - 1), np.int64), np.zeros(size, np.int64), 1
    for i in range(size - 1):
        exp[i] = exp[i + size - 1] = x
        log[x] = i
        x <<= 1
        if x & size:
            x ^= _PRIMITIVE[k]
    return exp, log


def multiply(a: np.ndarray | int, b: np.ndarray | int, k: int) -> np.ndarray:
    """Product in GF(2^k), elementwise with broadcasting, int64."""
    exp, log = _field(k)
    a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    return np.where((a == 0) | (b == 0), 0, exp[log[a] + log[b]])


def inverse(a: np.ndarray | int, k: int) -> np.ndarray:
    """1 / a in GF(2^k), a not 0."""
    exp, log = _field(k)
    return exp[(1 << k) - 1 - log[np.asarray(a, np.int64)]]


def _hash(index: np.ndarray, salt: int) -> np.ndarray:
    """Multiplicative hash, the same with every numpy: [..] uint64."""
    state = (np.asarray(index, np.uint64) + np.uint64(salt << 20)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return state ^ (state >> np.uint64(27))


def _grow(info: int, checks: int) -> np.ndarray:
    """Pairs of checks that the information messages join, [info, 2]: far apart in the graph grown so far."""
    neighbours: list[set[int]] = [{(c - 1) % checks, (c + 1) % checks} for c in range(checks)]
    degree = np.full(checks, 2)
    order = _hash(np.arange(checks), 7)
    pairs = np.empty((info, 2), np.int64)
    for i in range(info):
        u = int(np.lexsort((order, degree))[0])
        far = np.full(checks, checks, np.int64)  # distance from u
        far[u], ring, step = 0, {u}, 0
        while ring:
            step += 1
            ring = {n for c in ring for n in neighbours[c] if far[n] == checks}
            far[list(ring)] = step
        free = np.flatnonzero(degree <= degree.min() + 1)
        free = free[free != u]
        v = int(free[np.lexsort((order[free], degree[free], -far[free]))[0]])
        neighbours[u].add(v)
        neighbours[v].add(u)
        degree[[u, v]] += 1
        order = _hash(order, 11)
        pairs[i] = u, v
    return pairs


@dataclass(frozen=True)
class OuterCode:
    """k: bits of a message, 2 to 8. info: messages in, K. total: messages out, N; at least 8 checks, rate above 1/3."""

    k: int
    info: int
    total: int
    _checks_of: np.ndarray = field(init=False, repr=False, compare=False)  # [N, 2] checks of every message
    _weights: np.ndarray = field(init=False, repr=False, compare=False)  # [N, 2] its coefficients there
    _tables: tuple[np.ndarray, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.k not in _PRIMITIVE:
            raise CodecError(f"outer code: k must be 2 to 8 bits, got {self.k}")
        checks = self.total - self.info
        if self.info < 1 or checks < 8 or self.total > 4096 or 2 * self.info < checks:
            raise CodecError(f"outer code: {self.info} messages in and {self.total} out are impossible")
        ring = np.stack([np.arange(checks), (np.arange(checks) + 1) % checks], axis=1)
        checks_of = np.concatenate([_grow(self.info, checks), ring])
        weights = 1 + (_hash(np.arange(2 * self.total), 3) % np.uint64((1 << self.k) - 1)).astype(np.int64)
        weights = weights.reshape(-1, 2)
        while self._ring_gain(weights[self.info :]) == 1:  # the ring could not be solved
            weights[-1, 1] = 1 + weights[-1, 1] % ((1 << self.k) - 1)
        object.__setattr__(self, "_checks_of", checks_of)
        object.__setattr__(self, "_weights", weights)
        object.__setattr__(self, "_tables", self._build_tables())

    def _ring_gain(self, ring: np.ndarray) -> int:
        """What parity message -1 becomes after one turn around the ring."""
        gain = 1
        for j in range(len(ring)):  # check j: ring[j, 0] p_j + ring[j - 1, 1] p_{j - 1} + s_j = 0
            ratio = multiply(ring[j - 1, 1], inverse(ring[j, 0], self.k), self.k)
            gain = int(multiply(gain, ratio, self.k))
        return gain

    def _build_tables(self) -> tuple[np.ndarray, ...]:
        """Index tables of the decoder; edge e = 2 n + side."""
        size, edges = 1 << self.k, 2 * self.total
        check = self._checks_of.reshape(-1)
        order = np.argsort(check, kind="stable")
        count = np.bincount(check, minlength=self.total - self.info)
        slots = np.full((len(count), int(count.max())), edges)  # edge `edges` is neutral
        column = np.arange(edges) - np.repeat(np.cumsum(count) - count, count)
        slots[check[order], column] = order
        place = np.empty(edges, np.int64)  # of every edge in the flattened slots
        place[order] = check[order] * slots.shape[1] + column
        value = np.arange(size)
        weight = self._weights.reshape(-1, 1)
        into = multiply(inverse(weight, self.k), value, self.k) + size * np.arange(edges)[:, None]
        back = multiply(weight, value, self.k) + size * np.arange(edges)[:, None]
        return slots, place, into.reshape(-1).astype(np.int32), back.reshape(-1).astype(np.int32)

    def encode(self, messages: np.ndarray) -> np.ndarray:
        """messages [F, K] integers to [F, N] uint16, the first K unchanged."""
        messages = np.asarray(messages)
        if messages.ndim != 2 or messages.shape[1] != self.info:
            raise CodecError(f"outer code: messages must be [F, {self.info}], got shape {list(messages.shape)}")
        k, checks = self.k, self.total - self.info
        sums = np.zeros((checks, len(messages)), np.int64)
        for side in range(2):
            product = multiply(messages.T, self._weights[: self.info, side, None], k)
            np.bitwise_xor.at(sums, self._checks_of[: self.info, side], product)
        ring = self._weights[self.info :]
        scale = inverse(ring[:, 0], k)
        last = np.zeros(len(messages), np.int64)
        for _ in range(2):  # first turn from 0 gives the offset, second turn from the solution gives the parities
            parity = np.empty((checks, len(messages)), np.int64)
            running = last
            for j in range(checks):
                running = multiply(sums[j] ^ multiply(running, ring[j - 1, 1], k), scale[j], k)
                parity[j] = running
            last = multiply(running, inverse(1 ^ self._ring_gain(ring), k), k)  # p = offset + gain p
        return np.concatenate([messages, parity.T], axis=1).astype(np.uint16)

    def satisfied(self, messages: np.ndarray) -> np.ndarray:
        """messages [F, N] to [F] float: share of the checks that are satisfied."""
        sums = np.zeros((self.total - self.info, len(messages)), np.int64)
        for side in range(2):
            product = multiply(np.asarray(messages).T, self._weights[:, side, None], self.k)
            np.bitwise_xor.at(sums, self._checks_of[:, side], product)
        return np.asarray((sums == 0).mean(axis=0))

    def holds(self, messages: np.ndarray) -> np.ndarray:
        """messages [F, N] to [F] bool: every check is satisfied."""
        return self.satisfied(messages) == 1

    def decode(self, posteriors: np.ndarray, iterations: int = 40) -> tuple[np.ndarray, np.ndarray]:
        """posteriors [F, N, 2^k] float32 of single messages to (messages [F, K] uint16, checks satisfied [F] bool)."""
        if posteriors.ndim != 3 or posteriors.shape[1:] != (self.total, 1 << self.k):
            raise CodecError(f"outer code: posteriors must be [F, {self.total}, {1 << self.k}], got {posteriors.shape}")
        out = np.empty((len(posteriors), self.total), np.uint16)
        good = np.zeros(len(posteriors), bool)
        for first in range(0, len(posteriors), _FRAMES_AT_ONCE):
            part = slice(first, first + _FRAMES_AT_ONCE)
            out[part], good[part] = self._propagate(np.ascontiguousarray(posteriors[part], np.float32), iterations)
        return out[:, : self.info], good

    def _propagate(self, prior: np.ndarray, iterations: int) -> tuple[np.ndarray, np.ndarray]:
        slots, place, into, back = self._tables
        size = 1 << self.k
        prior = prior / np.maximum(prior.sum(axis=2, keepdims=True), 1e-30) + np.float32(1e-12)
        decided = prior.argmax(axis=2)
        good = self.holds(decided)
        active = np.flatnonzero(~good)
        before = np.full(len(active), 1 / size + _HOPE)
        belief = prior[active]
        message = np.repeat(belief[:, :, None, :], 2, axis=2)  # [A, N, 2, size] to the checks
        for step in range(iterations):
            if len(active) == 0:
                break
            flat = message.reshape(len(active), -1).take(into, axis=1)
            spectrum = np.empty((len(active), 2 * self.total + 1, size), np.float32)
            spectrum[:, :-1] = _transform(flat.reshape(len(active), -1, size))
            spectrum[:, -1] = 1.0
            others = _products_of_others(spectrum[:, slots])  # [A, C, D, size]
            others = others.reshape(len(active), -1, size)[:, place]
            answer = _transform_back(others).reshape(len(active), -1).take(back, axis=1)
            answer = answer.reshape(message.shape)
            np.maximum(answer, 1e-9 * size, out=answer)
            belief = prior[active][:, :, None, :] * answer[:, :, ::-1]  # what each check hears from the other one
            belief /= belief.sum(axis=3, keepdims=True)
            message = belief
            total = belief[:, :, 1] * answer[:, :, 1]
            decided[active] = total.argmax(axis=2)
            share = self.satisfied(decided[active])
            good[active[share == 1]] = True
            go_on = share < 1
            if (step + 1) % _LOOK == 0:
                go_on &= share > before + _HOPE
                before = np.maximum(before, share)
            active, message, before = active[go_on], message[go_on], before[go_on]
        return decided.astype(np.uint16), good


@functools.cache
def _hadamard(size: int) -> np.ndarray:
    """[size, size] float32, entries +-1."""
    index = np.arange(size)
    parity = np.unpackbits((index[:, None] & index[None, :]).astype(np.uint8)[..., None], axis=-1).sum(axis=-1) & 1
    return (1 - 2.0 * parity).astype(np.float32)


def _transform(x: np.ndarray) -> np.ndarray:
    """Walsh-Hadamard transform along the last axis, in an order of its own (``_transform_back`` undoes both)."""
    size = x.shape[-1]
    low = 1 << ((size.bit_length() - 1) // 2)
    y = x.reshape(-1, low) @ _hadamard(low)
    y = y.reshape(-1, size // low, low).swapaxes(1, 2).reshape(-1, size // low) @ _hadamard(size // low)
    return y.reshape(x.shape)


def _transform_back(x: np.ndarray) -> np.ndarray:
    """Inverse of ``_transform`` times the size."""
    size = x.shape[-1]
    low = 1 << ((size.bit_length() - 1) // 2)
    y = x.reshape(-1, size // low) @ _hadamard(size // low)
    y = y.reshape(-1, low, size // low).swapaxes(1, 2).reshape(-1, low) @ _hadamard(low)
    return y.reshape(x.shape)


def _products_of_others(x: np.ndarray) -> np.ndarray:
    """x [A, C, D, size] to the product over the other D - 1 slots, same shape."""
    degree = x.shape[2]
    out = np.empty_like(x)
    ahead = np.ones_like(x[:, :, 0])
    for d in range(degree):
        out[:, :, d] = ahead
        ahead = ahead * x[:, :, d]
    behind = np.ones_like(ahead)
    for d in range(degree - 1, -1, -1):
        out[:, :, d] *= behind
        behind *= x[:, :, d]
    return out
