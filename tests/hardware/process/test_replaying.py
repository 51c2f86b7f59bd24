"""Chains and replays: I and Q found out, the signal's rate found, what no generator can be asked for refused."""

import numpy as np
import pytest

from hardware.diagnosis.train import known_train
from hardware.errors import StationError
from hardware.frontend.frontend import Correction, FrontEnd
from hardware.process.chain import Chain
from hardware.process.client import Station
from hardware.process.replaying import find_rate, replay
from hardware.recordings.samples import SampleFormat, SampleSource
from tests.hardware.recordings.make import resampled


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(2)
    iq = np.concatenate([np.zeros(3000, np.complex64), known_train(6, 128, gap=300).iq, np.zeros(3000, np.complex64)])
    return (0.3 * (iq + 0.1 * rng.standard_normal(2 * len(iq)).view(np.complex128))).astype(np.complex64)


def source(path, samples):
    samples.astype("<c8").tofile(path)
    return SampleSource(path, SampleFormat("f", 32), ((0, len(samples)),))


@pytest.mark.parametrize(("swap", "frames"), [("no", (6, 0)), ("yes", (0, 6)), ("auto", (6, 6))])
def test_exchanged_i_and_q_are_found_out(samples, swap, frames):
    mirrored = (samples.imag + 1j * samples.real).astype(np.complex64)
    for given, wanted in zip((samples, mirrored), frames, strict=True):
        chain = Chain("bob", swap_iq=swap)
        for first in range(0, len(given), 20_000):
            chain.push(given[first : first + 20_000])
        chain.finish()
        assert chain.tally.frames == wanted
        if swap == "auto":
            assert chain.summary()["swapped"] is (given is mirrored)


def test_nobody_knows_of_silence():
    chain = Chain("bob", swap_iq="auto")
    chain.push(np.zeros(60_000, np.complex64))
    chain.finish()
    assert chain.summary()["swapped"] is None and chain.summary()["frames"] == 0


@pytest.mark.parametrize(
    "noise", [{"noise_db": 1e308}, {"noise_db": float("nan")}, {"noise_db": "loud"}, {"noise_db": True}, {"seed": -1},
              {"seed": 1.5}, {"seed": 1 << 64}]
)  # fmt: skip
def test_a_noise_that_is_none_is_refused(noise):
    with pytest.raises(StationError, match=r"bob: (noise_db|seed) must be"):
        Chain("bob", **noise)


def test_the_rate_of_the_signal_is_found(tmp_path, samples):
    wide = source(tmp_path / "wide", resampled(samples, 2.4))
    assert find_rate(wide, 2.4e6, [2.4e6, 1e6, 2e6, 1e9], Correction("no", "auto")) == 1e6
    assert find_rate(wide, 2.4e6, [2.4e6, 2e6], Correction()) is None
    chain, seen = Chain("bob"), []
    total = replay(wide, [chain], FrontEnd(Correction(), 2.4e6, 1e6), progress=lambda done, whole: seen.append(done))
    assert chain.tally.good == 6 and total == wide.samples


@pytest.mark.radio("numpy", "scipy", "zmq")
def test_a_request_that_nobody_foresaw_is_answered(tmp_path, samples):
    """The thread that answers must outlive whatever it is asked: else the other side waits for ever."""
    told = source(tmp_path / "r", samples).as_dict()
    with Station() as station:
        for params, words in (
            ({"source": told, "chains": [{"name": "eve", "noise_db": 1e308}]}, "noise_db must be"),
            ({"source": told, "chains": 5}, "bad request"),
            ({"source": {**told, "stretches": [[0, 1 << 50]]}, "chains": []}, "do not lie in its"),
            ({"source": told, "chains": [], "recorded": 1e300, "signal": 1e-300}, "their ratio must be"),
        ):
            with pytest.raises(StationError, match=words):
                station.ask("replay", timeout=20.0, **params)
        assert station.ask("replay", source=told, chains=[{"name": "bob"}])["chains"]["bob"]["frames"] == 6
