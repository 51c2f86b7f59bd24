"""The coded baseline: 5G LDPC on Gray QAM, both Sionna's (torch)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sionna.phy.channel import AWGN
from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
from sionna.phy.mapping import Demapper, Mapper

from phy.channel.sionna_channel import seeded
from phy.errors import CodecError
from phy.evaluation.baselines import from_db


def qam_ldpc_errors(
    bits: int, k: int, n: int, iterations: int = 20
) -> Callable[[float, int, np.random.Generator], int]:
    """Block-error counter of a rate k/n 5G LDPC code on 2^bits-QAM, n / bits complex channel uses a block.

    Returns errors(eb_n0_db, blocks, rng): blocks of k bits with at least one wrong bit after ``iterations`` of belief
    propagation on exact bitwise posteriors.
    """
    if bits not in (2, 4, 6, 8) or n % bits or not 0 < k < n:
        raise CodecError(f"LDPC needs bits 2, 4, 6 or 8 that divide n, and k below n: got bits={bits}, k={k}, n={n}")
    encoder = LDPC5GEncoder(k, n, num_bits_per_symbol=bits, device="cpu")
    decoder = LDPC5GDecoder(encoder, num_iter=iterations, hard_out=True, return_infobits=True, device="cpu")
    mapper = Mapper("qam", bits, device="cpu")
    demapper = Demapper("app", "qam", bits, device="cpu")
    channel = AWGN(device="cpu")

    @torch.no_grad()
    def errors(eb_n0_db: float, blocks: int, rng: np.random.Generator) -> int:
        noise_power = n / bits / k / float(from_db(eb_n0_db))
        sent = torch.from_numpy(rng.integers(0, 2, (blocks, k)).astype(np.float32))
        with seeded(int(rng.integers(1 << 62))):
            y = channel(mapper(encoder(sent)), noise_power)
        decided = decoder(demapper(y, noise_power))
        return int((decided != sent).any(dim=1).sum())

    return errors
