"""Bytes over AWGN the classical way: CRC, 5G LDPC, Gray QAM, all of Sionna (torch).

    bytes ──blocks of k - 24 bits──CRC-24A──LDPC (k, n)──QAM──► AWGN ──posteriors──belief propagation──CRC──► bytes

What a learned codec is compared with on the same channel uses. It is given for nothing what every receiver has to find:
frame starts, phase, gain and N0; no preamble, header or pilot is counted against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from sionna.phy.channel import AWGN
from sionna.phy.fec.crc import CRCDecoder, CRCEncoder
from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
from sionna.phy.mapping import Demapper, Mapper

from phy.channel.sionna_channel import seeded
from phy.errors import CodecError
from phy.evaluation.baselines import from_db

BLOCK = 8640
"""n, coded bits a block: near the longest that the code allows at rate 5/6 with one block."""
CRC_BITS = 24
PASSES = (3, 8, 30)
"""Iterations of the first pass, and of further ones for blocks whose CRC still fails: decoders stop early like that."""
BATCH = 16


@dataclass(frozen=True)
class Mcs:
    """Modulation and code rate. threshold_db: Es/N0 from which files of about a hundred blocks arrive."""

    bits: int
    rate: Fraction
    threshold_db: float

    @property
    def k(self) -> int:
        return int(BLOCK * self.rate)

    @property
    def uses_a_block(self) -> int:
        return BLOCK // self.bits

    @property
    def payload_a_block(self) -> int:
        """Bits of the file in one block."""
        return self.k - CRC_BITS

    def __str__(self) -> str:
        return f"{'QPSK' if self.bits == 2 else f'{1 << self.bits}-QAM'} {self.rate}"

    def bytes_in(self, uses: int) -> int:
        """Bytes that fit in so many complex channel uses."""
        return uses // self.uses_a_block * self.payload_a_block // 8

    def uses_of(self, count: int) -> int:
        """Complex channel uses of a file of so many bytes."""
        return -(-8 * count // self.payload_a_block) * self.uses_a_block


MCS_TABLE = tuple(
    Mcs(bits, Fraction(rate), threshold)
    for bits, rate, threshold in (
        (2, "1/5", -3.25),
        (2, "1/3", -1.0),
        (2, "1/2", 1.5),
        (2, "2/3", 3.5),
        (4, "1/2", 7.0),
        (4, "2/3", 9.25),
        (6, "1/2", 11.0),
        (6, "2/3", 14.25),
        (6, "5/6", 17.25),
        (8, "3/4", 20.75),
    )
)
"""Thresholds [dB]: as `python -m phy.evaluation.ldpc_link` prints them, 25 November 2026."""


class LdpcLink:
    """A file over AWGN with one modulation and code rate."""

    def __init__(self, mcs: Mcs) -> None:
        if mcs.bits not in (2, 4, 6, 8) or not Fraction(1, 5) <= mcs.rate <= Fraction(9, 10):
            raise CodecError(f"LDPC needs 2, 4, 6 or 8 bits a symbol and a rate of 1/5 to 9/10; got {mcs}")
        self.mcs = mcs
        self._crc = CRCEncoder("CRC24A", device="cpu")
        self._check = CRCDecoder(self._crc, device="cpu")
        self._encoder = LDPC5GEncoder(mcs.k, BLOCK, num_bits_per_symbol=mcs.bits, device="cpu")
        self._decoders = [
            LDPC5GDecoder(self._encoder, num_iter=n, hard_out=True, return_infobits=True, device="cpu") for n in PASSES
        ]
        self._mapper = Mapper("qam", mcs.bits, device="cpu")
        self._demapper = Demapper("app", "qam", mcs.bits, device="cpu")
        self._channel = AWGN(device="cpu")

    def send(self, data: bytes, snr_db: float, seed: int) -> bytes | None:
        """The file as it arrives at Es/N0 = `snr_db` [dB]; None where a block is lost (no repetition)."""
        width = self.mcs.payload_a_block
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        blocks = np.zeros(-(-len(bits) // width) * width, np.float32)
        blocks[: len(bits)] = bits
        rows, arrived = torch.from_numpy(blocks.reshape(-1, width)), []
        with seeded(seed):
            for start in range(0, len(rows), BATCH):
                decided, ok = self._blocks(rows[start : start + BATCH], snr_db)
                if not bool(ok.all()):
                    return None
                arrived.append(decided)
        received = torch.cat(arrived).numpy().ravel()[: len(bits)]
        return np.packbits(received.astype(np.uint8)).tobytes()

    def block_errors(self, snr_db: float, blocks: int, seed: int) -> int:
        """Blocks of random bits, of `blocks`, whose CRC fails at the receiver."""
        lost = 0
        drawn = np.random.default_rng(seed).integers(0, 2, (blocks, self.mcs.payload_a_block)).astype(np.float32)
        with seeded(seed):
            for start in range(0, blocks, BATCH):
                _, ok = self._blocks(torch.from_numpy(drawn[start : start + BATCH]), snr_db)
                lost += int((~ok).sum())
        return lost

    @torch.no_grad()
    def _blocks(self, bits: torch.Tensor, snr_db: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Blocks [B, k - 24] to what is decided, [B, k - 24], and [B] whether the CRC holds."""
        noise_power = 1 / float(from_db(snr_db))
        y = self._channel(self._mapper(self._encoder(self._crc(bits))), noise_power)
        posteriors = self._demapper(y, noise_power)
        decided, ok = torch.empty_like(bits), torch.zeros(len(bits), dtype=torch.bool)
        for decoder in self._decoders:
            left = ~ok
            if bool(left.any()):
                decided[left], holds = self._check(decoder(posteriors[left]))
                ok[left] = holds.reshape(-1).bool()
        return decided, ok


def measure_threshold(mcs: Mcs, start_db: float, blocks: int = 64, step_db: float = 0.5) -> float:
    """First Es/N0 [dB], in steps from `start_db` up, at which no block is lost, and a quarter of a decibel more."""
    link, snr = LdpcLink(mcs), start_db
    while link.block_errors(snr, BATCH, 1) or link.block_errors(snr, blocks - BATCH, 2):
        snr += step_db
        if snr > start_db + 12:
            raise CodecError(f"{mcs} loses blocks up to {snr:g} dB")
    return snr + 0.25


def main() -> None:
    """Print the table's thresholds, looked for from one decibel above capacity up."""
    torch.set_num_threads(1)
    for mcs in MCS_TABLE:
        efficiency = mcs.bits * float(mcs.rate)
        limit = 10 * np.log10(2**efficiency - 1)
        start = round(4 * (limit + 1.0)) / 4
        print(
            f"{mcs!s:14} {efficiency:.2f} bit/use  capacity from {limit:5.2f} dB  threshold "
            f"{measure_threshold(mcs, start):6.2f} dB",
            flush=True,
        )


if __name__ == "__main__":
    main()
