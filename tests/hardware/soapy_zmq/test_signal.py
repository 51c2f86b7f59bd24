"""What the virtual radio does to a signal: gains, noise, carriers, clocks, delay, rates, impairments. All of it
measured."""

from __future__ import annotations

import pytest

from tests.hardware.virtual import measure

pytestmark = pytest.mark.radio("SoapySDR", "scipy")


def test_gains_scale_and_saturate(driver):
    """Each stage at both ends in dB; the transmitter saturates before its gain, the receiver after its own."""
    got = measure(
        driver,
        """
with lab() as bench:
    rx, tx = bench.receiver(), bench.transmitter()
    rows = []
    for tx_gain, rx_gain, loss, amplitude in ((30, 30, 60, 0.5), (10, 30, 60, 0.5), (30, 42, 60, 0.1), (60, 7, 100,
        0.5),
                                              (30, 60, 60, 0.5), (30, 30, 66, 4.0)):
        tx.device.setGain(SOAPY_SDR_TX, 0, tx_gain)
        rx.device.setGain(SOAPY_SDR_RX, 0, rx_gain)
        rx.device.writeSetting("path_loss", str(loss))
        start = tx.send(np.full(20000, amplitude * (1 + 0j), np.complex64))
        rows.append([float(np.abs(rx.at(start, 20000)[100:-100]).mean()), rx.sensor("rx_clipped"),
            tx.sensor("tx_clipped")])
    rx.device.writeSetting("path_loss", "60")
    stages = []
    for way, radio, names in ((SOAPY_SDR_TX, tx, ("PGA", "PA")), (SOAPY_SDR_RX, rx, ("LNA", "VGA"))):
        for name in names:
            radio.device.setGain(way, 0, name, 15)
    for way, radio, names in ((SOAPY_SDR_TX, tx, ("PGA", "PA")), (SOAPY_SDR_RX, rx, ("LNA", "VGA"))):
        for name in names:
            before = radio.device.getGain(way, 0, name)
            radio.device.setGain(way, 0, name, before - 10)
            start = tx.send(np.full(20000, 0.5 + 0j, np.complex64))
            stages.append(20 * np.log10(np.abs(rx.at(start, 20000)[100:-100]).mean() / 0.5))
            radio.device.setGain(way, 0, name, before)
print(json.dumps([rows, stages]))
""",
    )
    rows, stages = got
    means = [row[0] for row in rows]
    assert means[0] == pytest.approx(0.5, rel=1e-5)
    assert means[1] == pytest.approx(0.05, rel=1e-4)
    assert means[2] == pytest.approx(0.1 * 10 ** (12 / 20), rel=1e-4)
    assert means[3] == pytest.approx(0.5 * 10 ** (-33 / 20), rel=1e-4)
    assert means[4] == 1.0 and rows[4][1] >= 19000  # 24 dBFS: clipped at full scale, and counted
    assert means[5] == pytest.approx(10 ** (-6 / 20), rel=1e-4) and rows[5][2] >= 19000
    assert [row[1] for row in rows[:4]] == [0] * 4
    assert stages == pytest.approx([-10] * 4, abs=1e-3)


def test_noise_has_its_power_and_belongs_to_its_seed(driver):
    got = measure(
        driver,
        """
def record(**arguments):
    with lab() as bench:
        return bench.receiver(**arguments).read(200000)[0][:200000]
plain = record(noise_floor=-80, adc_noise=-90, seed=7)       # gain 30: -50 dBFS, and -90
adc = record(noise_floor="-inf", adc_noise=-60, seed=7)
again, other = record(noise_floor=-80, adc_noise=-90, seed=7), record(noise_floor=-80, adc_noise=-90, seed=8)
x = plain.astype(np.complex128)
power = np.mean(np.abs(x) ** 2)
lags = [abs(np.mean(x[k:] * np.conj(x[:len(x) - k]))) / power for k in (1, 2, 8, 512, 4096)]
print(json.dumps({
    "power": [decibels(plain), decibels(adc), decibels(other)], "same": bool(np.array_equal(plain, again)),
    "cross": abs(np.mean(x * np.conj(other))) / power, "lags": lags, "silence": float(np.abs(record()).max()),
    "circular": abs(np.mean(x * x)) / power, "fourth": float(np.mean(np.abs(x) ** 4) / power ** 2),
    "tail": float(np.mean(np.abs(x) ** 2 > power * np.log(1000)))}))
""",
    )
    five_sigma = 5 / 200000**0.5
    assert got["power"] == pytest.approx([-50, -60, -50], abs=0.06)  # five sigma: 0.05 dB
    assert got["same"]
    assert got["cross"] < five_sigma and max(got["lags"]) < five_sigma and got["circular"] < 1.5 * five_sigma
    assert got["fourth"] == pytest.approx(2, abs=0.05)  # of a complex Gaussian
    assert got["tail"] == pytest.approx(1e-3, abs=4e-4)
    assert got["silence"] == 0


def test_the_carrier_offset_is_that_of_both_oscillators_and_of_the_tuning(driver):
    """A tone of 100 kHz at 2.44 GHz, +20 and -15 ppm, tuned 50 kHz apart: to 0.1 Hz, from the oscillators' own
    definition."""
    got = measure(
        driver,
        """
found = {}
for name, ppm_tx, ppm_rx, apart in (("plain", 0, 0, 0), ("ppm", 20, -15, 0), ("tuned", 0, 0, 5e4), ("both", -7, 3,
    -5e4)):
    with lab() as bench:
        rx = bench.receiver(frequency=2.44e9, ppm=ppm_rx)
        rx.device.setFrequency(SOAPY_SDR_RX, 0, 2.44e9,
            {"OFFSET": "3e5"})  # of the first oscillator; the second takes it back
        assert rx.device.getFrequency(SOAPY_SDR_RX, 0, "RF") == 2.44e9 + 3e5 and rx.device.getFrequency(SOAPY_SDR_RX,
            0) == 2.44e9
        tx = bench.transmitter(frequency=2.44e9 + apart, ppm=ppm_tx)
        start = rx.now() + 300_000_000
        tx.send(tone(1e5, 400000))
        heard = rx.at(start, 200000)
        seen = 1e5 * (1 + ppm_tx * 1e-6) + (2.44e9 + apart) * (1 + ppm_tx * 1e-6) - 2.44e9 * (1 + ppm_rx * 1e-6)
        found[name] = [pitch(heard), seen / (1 + ppm_rx * 1e-6)]  # its own seconds are that much shorter
print(json.dumps(found))
""",
    )
    for name, (measured, expected) in got.items():
        assert measured == pytest.approx(expected, abs=0.1), name
    assert got["ppm"][0] - got["plain"][0] == pytest.approx(
        2.44e9 * 35e-6, abs=10
    )  # the rest: the tone's own 100 kHz are scaled too


def test_sample_clocks_run_apart_by_the_difference_in_ppm(driver):
    """Two bursts half a second apart by the transmitter's clock arrive that much and 60 ppm of it apart."""
    got = measure(
        driver,
        """
with lab() as bench:
    rx, tx = bench.receiver(ppm=-40, frequency=1e6), bench.transmitter(ppm=20, frequency=1e6)
    known = noise(4096, 1)
    first = tx.send(known)
    second = tx.send(known, when=first + 500_000_000)
    begin = rx.now() + 150_000_000     # the other's hardware time is not ours
    heard = rx.at(begin, 650000)
places = []
for low, high in ((0, 300000), (300000, 650000)):
    part = heard[low:high]
    peak = int(np.argmax(np.abs(np.fft.ifft(np.fft.fft(part) * np.conj(np.fft.fft(known, len(part)))))))
    places.append(low + peak + lateness(part[peak:peak + 4096], known))
print(json.dumps({"apart": places[1] - places[0], "gain": [decibels(heard[round(p):round(p) + 4096]) - decibels(known)
    for p in places]}))
""",
    )
    assert got["apart"] == pytest.approx(500000 * (1 - 40e-6) / (1 + 20e-6), abs=0.02)
    assert got["gain"] == pytest.approx([0, 0], abs=0.02)


def test_resampling_leaves_no_image_and_no_jump(driver):
    """A tone at 0.3 and at 0.4 of the rate through 37 ppm: what is left beside the fitted tone, over a whole phase."""
    got = measure(
        driver,
        """
left = []
with lab() as bench:
    rx, tx = bench.receiver(ppm=37), bench.transmitter()
    for frequency in (3e5, -4e5):
        begin = rx.now() + 300_000_000
        tx.send(tone(frequency, 250000))
        heard = rx.at(begin, 131072).astype(np.complex128)
        seen = pitch(heard)
        carrier = np.exp(2j * np.pi * seen * 1e-6 * np.arange(len(heard)))
        fit = np.vdot(carrier, heard) / len(heard)
        rest = heard - fit * carrier
        left.append([decibels(rest) - decibels(heard), float(np.abs(rest).max() / abs(fit)), float(abs(fit))])
print(json.dumps(left))
""",
    )
    for relative, worst, amplitude in got:
        assert relative < -70  # [dB]; includes the estimate of the tone's frequency
        assert worst < 2e-3
        assert amplitude == pytest.approx(0.5, abs=0.005)


def test_a_receiver_on_another_frequency_hears_what_lies_in_its_band(driver):
    """3 MHz away nothing but noise. 0.4 of the rate away: what is in both bands, shifted; the rest neither there nor
    aliased."""
    got = measure(
        driver,
        """
with lab() as bench:
    rx, tx = bench.receiver(noise_floor=-100, adc_noise=-95), bench.transmitter()
    rows = {}
    sent = tone(-3e5, 60000, amplitude=0.25) + tone(3e5, 60000, amplitude=0.25)
    for name, offset in (("same", 0), ("overlap", 4e5), ("far", 3e6)):
        tx.device.setFrequency(SOAPY_SDR_TX, 0, 1e9 + offset)
        heard = rx.at(tx.send(sent) + 5_000_000, 50000)
        rows[name] = [decibels(heard)] + [level(heard, f) for f in (-3e5, 1e5, 3e5)]
print(json.dumps(rows))
""",
    )
    tone_level = 20 * -0.60206
    assert got["same"][1::2] == pytest.approx([tone_level, tone_level], abs=0.05)
    assert got["overlap"][2] == pytest.approx(tone_level, abs=0.05)  # -3e5 + 4e5
    assert got["overlap"][1] < -90 and got["overlap"][3] < -90  # 3e5 + 4e5 is outside; aliased it would be at -3e5
    assert got["far"][0] == pytest.approx(-69.99, abs=0.2)  # -100 + 30 dB of gain, and -95


def test_delay_to_a_fraction_of_a_sample(driver):
    got = measure(
        driver,
        """
late = []
with lab() as bench:
    rx, tx = bench.receiver(), bench.transmitter()
    known = noise(16384, 2)
    for delay in (0, 3000, 2345.5, 250):
        rx.device.writeSetting("delay_ns", str(delay))
        start = tx.send(known)
        late.append(lateness(rx.at(start, len(known)), known) * 1000)
print(json.dumps(late))
""",
    )
    assert got == pytest.approx([0, 3000, 2345.5, 250], abs=2)  # [ns] at 1 Msps


def test_rates_may_differ(driver):
    """1 Msps to a receiver of 2.5 Msps and of 0.5 Msps: frequency and level in hertz and dB; the slow one does not
    alias."""
    got = measure(
        driver,
        """
rows = {}
for rate in (2.5e6, 5e5):
    with lab() as bench:
        rx, tx = bench.receiver(rate=rate), bench.transmitter()
        start = tx.send(tone(1e5, 80000, amplitude=0.3) + tone(4e5, 80000, amplitude=0.3)) + 10_000_000
        heard = rx.at(start, int(0.05 * rate))
        rows[rate] = [level(heard, f, rate) for f in (1e5, 4e5, -1e5)]
print(json.dumps(rows))
""",
    )
    tone_level = 20 * -0.522879
    assert got["2500000.0"] == pytest.approx([tone_level, tone_level, got["2500000.0"][2]], abs=0.1)
    assert got["2500000.0"][2] < -80
    assert got["500000.0"][0] == pytest.approx(tone_level, abs=0.1)
    assert got["500000.0"][2] < -80  # 4e5 aliases to -1e5 at this rate


def test_several_receivers_hear_the_same_and_several_transmitters_add_up(driver):
    got = measure(
        driver,
        """
with lab() as bench:
    bob, eve, dan = bench.receiver("bob"), bench.receiver("eve"), bench.receiver("dan")
    alice, carol = bench.transmitter("bob", "eve", "dan"), bench.transmitter("bob")
    a, c = noise(100000, 3), noise(100000, 4)
    start = alice.send(a)
    carol.send(c, when=start + 20_000)
    at_bob, at_eve, at_dan = bob.at(start, 100000), eve.at(start, 100000), dan.at(start, 100000)
    both = a.copy()
    both[20:] += c[:-20]
    print(json.dumps([bool(np.array_equal(at_eve, at_dan)), float(np.abs(at_eve - a).max()),
        float(np.abs(at_bob - both).max()), bob.sensor("rx_transmitters"),
                      eve.sensor("rx_transmitters"), bob.sensor("rx_lost_packets")]))
""",
    )
    assert got[0]
    assert got[1] < 1e-6 and got[2] < 1e-6  # rounding of the gains
    assert got[3:] == [2, 1, 0]


def test_offsets_and_imbalance_of_the_receiver(driver):
    """DC at its value, an image at that of theory, and both correctable."""
    got = measure(
        driver,
        """
with lab() as bench:
    rx, tx = bench.receiver(dc_i=0.02, dc_q=-0.03, iq_gain_db=0.6, iq_phase_deg=4), bench.transmitter()
    heard = rx.at(tx.send(tone(1e5, 60000)) + 5_000_000, 50000)
    dc = np.mean(heard)
    image = level(heard, -1e5) - level(heard, 1e5)
    g = 10 ** (0.6 / 20) * np.exp(1j * np.radians(4))
    rx.device.setDCOffset(SOAPY_SDR_RX, 0, -0.02 + 0.03j)
    corrected = abs(np.mean(rx.at(tx.send(tone(1e5, 60000)) + 5_000_000, 50000)))
    rx.device.setDCOffset(SOAPY_SDR_RX, 0, 0j)
    rx.device.setDCOffsetMode(SOAPY_SDR_RX, 0, True)
    time.sleep(0.05)
    rx.read(200000)
    automatic = abs(np.mean(rx.read(50000)[0]))
    print(json.dumps([float(x) for x in (dc.real, dc.imag, image, 20 * np.log10(abs((1 - g) / (1 + g))), corrected,
        automatic)]))
""",
    )
    assert got[:2] == pytest.approx([0.02, -0.03], abs=1e-3)
    assert got[2] == pytest.approx(got[3], abs=0.3)
    assert got[4] < 1e-3 and got[5] < 1e-3


def test_short_samples_are_the_float_ones_rounded(driver):
    """Two receivers of one transmission with one seed, CF32 and CS16; and a transmission in CS16."""
    got = measure(
        driver,
        """
with lab() as bench:
    common = {"noise_floor": -80, "seed": 3}
    floats, shorts = bench.receiver("a", **common), bench.receiver("b", form=SOAPY_SDR_CS16, **common)
    floats.device.writeSetting("noise_floor", "-inf"), shorts.device.writeSetting("noise_floor", "-inf")
    tx, short_tx = bench.transmitter("a", "b"), bench.transmitter("a", form=SOAPY_SDR_CS16)
    sent = noise(50000, 5)
    start = tx.send(sent)
    x, y = floats.at(start, 50000), shorts.at(start, 50000)
    start = short_tx.send(np.round(np.stack([sent.real, sent.imag], 1) * 32767).astype(np.int16))
    z = floats.at(start, 50000)
    flat = np.stack([x.real, x.imag], 1)
    print(json.dumps([float(np.abs(flat * 32767 - y).max()), float(np.abs(x - sent).max()),
                      float(np.abs(np.stack([z.real, z.imag], 1) - flat).max() * 32767)]))
""",
    )
    assert got[0] <= 0.501
    assert got[1] < 1e-6
    assert got[2] <= 0.51


def test_automatic_gain_settles_and_a_stuck_one_clips(driver):
    got = measure(
        driver,
        """
with lab() as bench:
    rx, tx = bench.receiver(path_loss=75), bench.transmitter()
    rx.device.setGainMode(SOAPY_SDR_RX, 0, True)
    start = tx.send(tone(1e5, 400000), lead=0.25)
    rx.at(start, 300000)
    settled = rx.read(50000)[0]
    rx.device.setGainMode(SOAPY_SDR_RX, 0, False)
    rx.device.writeSetting("fault_agc", "true")
    before = rx.sensor("rx_clipped")
    stuck = rx.at(tx.send(tone(1e5, 60000)) + 5_000_000, 50000)
    clipped = rx.sensor("rx_clipped") - before
    rx.device.writeSetting("fault_agc", "false")
    after = rx.at(tx.send(tone(1e5, 60000)) + 5_000_000, 50000)
    print(json.dumps([decibels(settled), float(np.mean(np.maximum(abs(stuck.real), abs(stuck.imag)) == 1)), clipped,
        decibels(after)]))
""",
    )
    assert got[0] == pytest.approx(-12, abs=0.5)
    assert got[1] > 0.9 and got[2] > 40000
    assert got[3] == pytest.approx(-21.02, abs=0.05)  # 0.5, 15 dB more loss than gain
