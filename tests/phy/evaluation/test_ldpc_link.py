"""Files over Sionna's 5G LDPC: whole above the threshold, lost below, and rates that add up."""

from fractions import Fraction

import numpy as np
import pytest

from phy.errors import CodecError
from phy.evaluation.ldpc_link import BLOCK, CRC_BITS, MCS_TABLE, LdpcLink, Mcs


def test_the_table_is_in_order_and_above_capacity() -> None:
    """Thresholds rise with the efficiency and lie within 0.5 to 3.5 dB of where capacity allows the rate."""
    rates = [mcs.bits * float(mcs.rate) for mcs in MCS_TABLE]
    assert rates == sorted(rates)
    for mcs, rate in zip(MCS_TABLE, rates, strict=True):
        gap = mcs.threshold_db - 10 * np.log10(2**rate - 1)
        assert 0.5 < gap < 3.5, str(mcs)
        assert mcs.k == BLOCK * mcs.rate
        assert BLOCK % mcs.bits == 0


def test_budgets_agree() -> None:
    """What fits into so many channel uses needs no more than them."""
    for mcs in MCS_TABLE:
        for uses in (mcs.uses_a_block, 50_000, 123_457):
            assert mcs.uses_of(mcs.bytes_in(uses)) <= uses
    assert MCS_TABLE[0].bytes_in(MCS_TABLE[0].uses_a_block - 1) == 0


def test_a_file_arrives_above_the_threshold_and_not_below() -> None:
    mcs = next(m for m in MCS_TABLE if (m.bits, m.rate) == (4, Fraction(2, 3)))
    link, data = LdpcLink(mcs), bytes(np.random.default_rng(0).integers(0, 256, 3000, dtype=np.uint8))
    assert link.send(data, mcs.threshold_db, seed=1) == data
    assert link.send(data, mcs.threshold_db - 2.5, seed=1) is None  # the cliff


def test_block_errors_are_counted() -> None:
    mcs = Mcs(2, Fraction(1, 2), 1.5)
    link = LdpcLink(mcs)
    assert link.block_errors(mcs.threshold_db, 4, 1) == 0
    assert link.block_errors(-3.0, 2, 1) == 2
    assert mcs.payload_a_block == 4320 - CRC_BITS


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(CodecError, match=r"rate of 1/5 to 9/10; got QPSK 1/6"):
        LdpcLink(Mcs(2, Fraction(1, 6), 0.0))
    with pytest.raises(CodecError, match="2, 4, 6 or 8 bits"):
        LdpcLink(Mcs(3, Fraction(1, 2), 0.0))
