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
# Next state s comes from the predecessors with oldest bit 0 or 1; the new bit is the top bit of s.
_NEXT = np.arange(_STATES)
_FROM = np.stack([((_NEXT << 1) & (_STATES - 1)) | old for old in (0, 1)], axis=1)  # [64, 2] previous states
_BRANCH = ((_NEXT >> (MEMORY - 1)) << MEMORY)[:, None] | _FROM  # [64, 2] register values


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
    frames = soft.shape[0]
    steps = num_bits + MEMORY
    soft = np.asarray(soft, np.float32).reshape(frames, steps, len(GENERATORS))
    metric = np.full((frames, _STATES), -1e30, np.float32)
    metric[:, 0] = 0.0
    decision = np.empty((steps, frames, _STATES), bool)
    signs = np.ascontiguousarray(_SIGNS.T)  # [4, 128]
    for step in range(steps):
        branch = soft[:, step] @ signs  # [F, 128]
        zero = metric[:, _FROM[:, 0]] + branch[:, _BRANCH[:, 0]]
        one = metric[:, _FROM[:, 1]] + branch[:, _BRANCH[:, 1]]
        np.greater(one, zero, out=decision[step])
        metric = np.maximum(zero, one)
    bits = np.empty((frames, steps), np.uint8)
    state = np.zeros(frames, np.intp)  # the tail ends in state 0
    rows = np.arange(frames)
    for step in range(steps - 1, -1, -1):
        bits[:, step] = state >> (MEMORY - 1)
        state = ((state << 1) & (_STATES - 1)) | decision[step, rows, state]
    return bits[:, :num_bits]
