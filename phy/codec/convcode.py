"""Convolutional code of the frame header: constraint length 7, rate 1/4, zero-terminated, Viterbi over many frames.

Everything is vectorised over frames: the decoder walks the bits once for all of them. The free distance of the four
generators is 20, the most a rate-1/4 code of this length has (a test computes it).
"""

from __future__ import annotations

import numpy as np

GENERATORS = (0o135, 0o135, 0o147, 0o163)
MEMORY = 6
_STATES = 1 << MEMORY


def _parity(values: np.ndarray) -> np.ndarray:
    """Parity of each 7-bit value, uint8."""
    return (np.unpackbits(values.astype(np.uint8)[..., None], axis=-1).sum(axis=-1) & 1).astype(np.uint8)


# A register value is (bit << 6) | state; state holds the six previous bits, the newest at the top.
_REGISTERS = np.arange(2 * _STATES)
_OUTPUTS = np.stack([_parity(_REGISTERS & g) for g in GENERATORS], axis=1)  # [128, 4] bits
_SIGNS = (1.0 - 2.0 * _OUTPUTS).astype(np.float32)  # [128, 4], bit 0 is +1
_STEPS_AT_ONCE, _FRAMES_AT_ONCE = 8, 128  # branch metrics are 512 KiB, which the cache holds


def coded_length(num_bits: int) -> int:
    """Coded bits of num_bits information bits, tail included."""
    return (num_bits + MEMORY) * len(GENERATORS)


def encode(bits: np.ndarray) -> np.ndarray:
    """bits [F, K] uint8 (0, 1) to coded bits [F, 4 (K + 6)] uint8."""
    bits = np.asarray(bits, dtype=np.uint8)
    frames, num_bits = bits.shape
    padded = np.zeros((frames, num_bits + 2 * MEMORY), np.uint8)
    padded[:, MEMORY : MEMORY + num_bits] = bits
    steps = num_bits + MEMORY
    register = np.zeros((frames, steps), np.intp)
    for delay in range(MEMORY + 1):  # the newest bit has weight 64
        register |= padded[:, MEMORY - delay : MEMORY - delay + steps].astype(np.intp) << (MEMORY - delay)
    return _OUTPUTS[register].reshape(frames, steps * len(GENERATORS))


def decode(soft: np.ndarray, num_bits: int) -> np.ndarray:
    """Maximum likelihood: soft [F, 4 (K + 6)] float, positive for bit 0 (any common scale), to bits [F, K] uint8."""
    soft = np.asarray(soft, np.float32)
    parts = [_decode(soft[k : k + _FRAMES_AT_ONCE], num_bits) for k in range(0, len(soft), _FRAMES_AT_ONCE)]
    return np.concatenate(parts) if parts else np.empty((0, num_bits), np.uint8)


def _decode(soft: np.ndarray, num_bits: int) -> np.ndarray:
    """Viterbi with the frames along the last axis, so that every operation runs over contiguous memory.

    Next state s = (bit, r) comes from states 2 r and 2 r + 1, whose register values are neighbours too: one step is one
    addition of [1, 32, 2, F] metrics to [2, 32, 2, F] branches, without look-ups.
    """
    frames, steps, half = len(soft), num_bits + MEMORY, _STATES // 2
    soft = np.ascontiguousarray(soft.reshape(frames, steps, len(GENERATORS)).transpose(1, 2, 0))  # [steps, 4, F]
    metric = np.full((2, half, frames), -1e30, np.float32)
    metric[0, 0] = 0.0
    decision = np.empty((steps, 2, half, frames), bool)
    sums = np.empty((2, half, 2, frames), np.float32)
    zero, one = sums[:, :, 0], sums[:, :, 1]
    for first in range(0, steps, _STEPS_AT_ONCE):
        branches = np.matmul(_SIGNS, soft[first : first + _STEPS_AT_ONCE])  # [steps, 128, F]
        for step, branch in enumerate(branches.reshape(-1, *sums.shape), first):
            np.add(branch, metric.reshape(1, half, 2, frames), out=sums)
            np.greater(one, zero, out=decision[step])
            np.maximum(zero, one, out=metric)
    flat = decision.reshape(steps, _STATES * frames).view(np.uint8)
    bits = np.empty((steps, frames), np.uint8)
    state = np.zeros(frames, np.intp)  # the tail ends in state 0
    columns = np.arange(frames)
    for step in range(steps - 1, -1, -1):
        np.right_shift(state, MEMORY - 1, out=bits[step], casting="unsafe")
        old = flat[step].take(state * frames + columns)
        state <<= 1
        state &= _STATES - 1
        state |= old
    return np.ascontiguousarray(bits[:num_bits].T)
