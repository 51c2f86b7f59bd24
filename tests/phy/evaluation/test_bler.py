"""The block-error-rate command: stopping, intervals, peers, resuming, bad input."""

import csv
import math

import numpy as np
import pytest

from phy.codec.codec import shipped
from phy.errors import CodecError, PhyError
from phy.evaluation import bler, metrics


def test_a_point_stops_at_its_errors_or_its_blocks():
    one = bler.scheme("bpsk-2-2")
    by_errors = bler.simulate(one, 0.0, errors=100)
    assert by_errors.errors >= 100 and by_errors.blocks == one.batch
    by_blocks = bler.simulate(one, 10.0, errors=100, blocks=120_000)
    assert by_blocks.blocks == 120_000 and by_blocks.errors < 100


def test_intervals_cover():
    low, high = metrics.interval95(100, 100_000)
    assert low == pytest.approx(0.001 * (1 - 1.96 / 10), rel=0.03) and high == pytest.approx(0.00122, rel=0.02)
    assert metrics.interval95(0, 1000)[0] == 0 and metrics.interval95(10, 10)[1] == 1
    rng = np.random.default_rng(0)
    intervals = [metrics.interval95(int(errors), 2000) for errors in rng.binomial(2000, 0.02, 400)]
    inside = [low <= 0.02 <= high for low, high in intervals]
    assert 0.93 < np.mean(inside) <= 1.0


def test_learned_hamming_peer_against_komm_side_by_side():
    """AE (7, 4) is no worse than komm's ML decoding of Hamming (7, 4) at 5 dB, where 0.05 dB are 6 % of the rate."""
    pytest.importorskip("komm")
    peer = bler.simulate(bler.scheme("komm-hamming-ml"), 5.0, errors=1500)
    ours = bler.simulate(bler.scheme("real-7-4"), 5.0, errors=3000)
    assert ours.bler < peer.bler * 1.06 + 3 * peer.bler / math.sqrt(peer.errors)
    own = bler.simulate(bler.scheme("hamming-ml"), 5.0, errors=3000)
    assert own.bler == pytest.approx(peer.bler, rel=4 / math.sqrt(peer.errors))


@pytest.mark.slow
def test_ldpc_waterfall():
    scheme = bler.scheme("qam4-ldpc-256-512")
    assert (scheme.k, scheme.n) == (256, 256)
    below, above = (bler.simulate(scheme, e, errors=1, blocks=60).bler for e in (0.0, 4.0))
    assert below > 0.8 and above < 0.05


def test_ldpc_refuses_what_does_not_divide():
    from phy.evaluation.ldpc import qam_ldpc_errors

    with pytest.raises(CodecError, match="bits=4, k=10, n=30"):
        qam_ldpc_errors(4, 10, 30)


def test_required_eb_n0_of_bpsk_is_theory():
    measured = bler.required_eb_n0_db(bler.scheme("bpsk-2-2"), 1e-2, errors=4000)
    assert measured == pytest.approx(5.20, abs=0.06)  # 1 - (1 - Q)^2 = 1e-2


def test_command_writes_a_table_and_a_plot_and_resumes(tmp_path, capsys):
    arguments = ["--schemes", "real-2-2", "bpsk-2-2", "--from", "0", "--to", "2", "--step", "2", "--out", str(tmp_path)]
    assert bler.main(arguments) == 0
    rows = list(csv.DictReader((tmp_path / "bler.csv").open()))
    assert [(row["scheme"], row["eb_n0_db"]) for row in rows] == [
        ("real-2-2", "0.0"),
        ("real-2-2", "2.0"),
        ("bpsk-2-2", "0.0"),
        ("bpsk-2-2", "2.0"),
    ]
    assert all(float(row["low_95"]) < float(row["bler"]) < float(row["high_95"]) for row in rows)
    assert (tmp_path / "bler.png").stat().st_size > 10_000
    before = (tmp_path / "bler.csv").read_text().replace("real-2-2,0.0,", "real-2-2,0.0,9", 1)
    (tmp_path / "bler.csv").write_text(before)  # a marked point must survive: it is not simulated again
    assert bler.main(arguments) == 0
    assert (tmp_path / "bler.csv").read_text() == before
    assert "real-2-2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--schemes", "morse"], "no scheme named 'morse'"),
        (["--step", "0"], "must be positive"),
        (["--from", "5", "--to", "1"], "--from at most --to"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments, message, tmp_path, capsys):
    assert bler.main([*arguments, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_foreign_table_is_refused(tmp_path):
    (tmp_path / "bler.csv").write_text("a,b\n1,2\n")
    with pytest.raises(PhyError, match="is not a file of this program"):
        bler.read_points(tmp_path / "bler.csv")


def test_cost_aware_against_plain_codec_at_ten_percent_errors():
    plain, careful = shipped("ae8x4"), shipped("image8x4")
    snr_db = metrics.snr_at_error_rate(plain, 0.1)
    assert metrics.measure(plain, snr_db, 100_000, 7).error_rate == pytest.approx(0.1, abs=0.005)
    gain = metrics.measure(careful, snr_db, 100_000, 8).psnr_db - metrics.measure(plain, snr_db, 100_000, 8).psnr_db
    assert gain > 4.0
    with pytest.raises(CodecError, match="rate must be between"):
        metrics.snr_at_error_rate(plain, 1.0)


def test_peak_to_average():
    assert metrics.papr_db(np.exp(1j * np.arange(50))) == pytest.approx(0.0, abs=1e-9)
    assert metrics.papr_db(np.array([1, 0, 0, 0])) == pytest.approx(6.02, abs=0.01)
    quiet = metrics.measure(shipped("ae8x8"), 30.0, 1000, 1)
    assert quiet.errors == 0 and quiet.psnr_db == math.inf
