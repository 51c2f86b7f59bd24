"""Streams of the virtual radio: time, bursts, underflow, overflow, faults on command, slow and absent readers, life
and end."""

from __future__ import annotations

import pytest

from tests.hardware.virtual import measure

pytestmark = pytest.mark.radio("SoapySDR", "scipy")
END, TIMED = 1 << 1, 1 << 2
OVERFLOW, TIME_ERROR, UNDERFLOW = -4, -6, -7


def test_bursts_are_on_the_air_at_their_time_and_late_ones_are_not(driver):
    got = measure(
        driver,
        """
with lab() as bench:
    rx, tx = bench.receiver(), bench.transmitter()
    a, b = noise(5000, 1), noise(5000, 2)
    first = tx.send(a)
    second = tx.send(b, when=first + 7_123_000)
    heard = rx.at(first - 1_000_000, 16000)
    expected = np.zeros(16000, np.complex64)
    expected[1000:6000] = a
    expected[8123:13123] = b
    ends = [(c, f, t + tx.zero - first) for c, f, t in tx.statuses()]
    late = tx.now() - 3_000_000
    tx.device.writeStream(tx.stream, [a], 2500, SOAPY_SDR_HAS_TIME, late - tx.zero, 100000)
    tx.device.writeStream(tx.stream, [a], 2500, SOAPY_SDR_END_BURST, 0, 100000)
    again = tx.send(b)
    told = [(c, f, t + tx.zero - late) for c, f, t in tx.statuses(0.25)]
    quiet = rx.at(again - 90_000_000, 90000)
    print(json.dumps({"error": float(np.abs(heard - expected).max()), "ends": ends, "told": told,
                      "quiet": float(np.abs(quiet).max()), "after": float(np.abs(rx.at(again, 5000) - b).max()),
                      "late": tx.sensor("tx_late"), "dry": tx.sensor("tx_underflows")}))
""",
    )
    assert got["error"] < 1e-6
    assert got["ends"] == [[0, END | TIMED, 5_000_000], [0, END | TIMED, 12_123_000]]
    code, flags, when = got["told"][0]
    assert code == TIME_ERROR and flags & TIMED and abs(when) <= 1000
    assert [one[0] for one in got["told"][1:]] == [0]  # the burst after it
    assert got["quiet"] == 0 and got["after"] < 1e-6
    assert got["late"] == 1 and got["dry"] == 0


def test_a_burst_that_runs_dry_is_an_underflow_and_the_next_samples_begin_again(driver):
    got = measure(
        driver,
        """
with lab() as bench:
    rx, tx = bench.receiver(), bench.transmitter()
    first = tx.send(noise(20000, 1), end=False)
    dry = [(c, f, t + tx.zero - first) for c, f, t in tx.statuses(0.25)]
    tx.device.writeStream(tx.stream, [noise(20000, 2)], 20000, SOAPY_SDR_END_BURST, 0, 100000)
    ended = [c for c, f, t in tx.statuses(0.15)]
    heard = rx.at(first, 500000)
    known = noise(20000, 2)
    at = int(np.argmax(np.abs(np.fft.ifft(np.fft.fft(heard) * np.conj(np.fft.fft(known, len(heard)))))))
    print(json.dumps({"dry": dry, "ended": ended, "error": float(np.abs(heard[at:at + 20000] - known).max()),
                      "count": tx.sensor("tx_underflows"), "gap": float(np.abs(heard[20000:at]).max())}))
""",
    )
    assert [[code, when] for code, _, when in got["dry"]] == [[UNDERFLOW, 20_000_000]]
    assert got["ended"] == [0]
    assert got["error"] < 1e-6 and got["gap"] == 0 and got["count"] == 1


def test_faults_on_command(driver):
    """Overflow: told, and the time stamps show it. Drop: not told, and they do not. Underflow: a hole in the burst,
    told."""
    got = measure(
        driver,
        """
def stream(rx, key, lost):
    parts, codes, stamps = [], [], []
    for i in range(60):
        if i == 20:
            rx.device.writeSetting(key, str(lost))
        out = rx.empty(4096)
        r = rx.device.readStream(rx.stream, [out], 4096)
        codes.append([r.ret, r.flags, r.timeNs]) if r.ret < 0 else (parts.append(out[:r.ret]), stamps.append(r.timeNs))
    steps = [round((b - a) / 1000) - len(p) for a, b, p in zip(stamps, stamps[1:], parts)]
    place = next((i for i, s in enumerate(steps) if s), 19)
    before, after = np.concatenate(parts[place - 8:place + 1]), np.concatenate(parts[place + 1:place + 9])
    phase = np.angle(after[0] * np.conj(before[-1])) / (2 * np.pi)
    return {"codes": codes, "steps": [s for s in steps if s], "phase": float(phase),
        "lost": rx.sensor("rx_lost_samples"),
            "when": codes and codes[0][2] - stamps[place] - len(parts[place]) * 1000,
            "total": rx.sensor("rx_overflows")}
with lab() as bench:
    rx, tx = bench.receiver(), bench.transmitter()
    done = threading.Event()
    thread = threading.Thread(target=tx.repeat, args=(np.tile(tone(1000, 1000), 8), None, done))
    thread.start()
    time.sleep(0.2)
    rx.read(300000)
    over = stream(rx, "fault_overflow", 12250)
    drop = stream(rx, "fault_drop", 12250)
    tx.statuses(0.01)
    tx.device.writeSetting("fault_underflow", "5000")
    seen = tx.statuses(0.3)
    heard = rx.read(600000)[0]
    done.set(), thread.join()
    quiet = np.flatnonzero(np.abs(heard) < 0.1)
    print(json.dumps({"over": over, "drop": drop, "dry": [c for c, f, t in seen], "hole": [len(quiet),
        int(np.ptp(quiet))],
                      "left": [rx.device.readSetting(k) for k in ("fault_overflow", "fault_drop", "fault_underflow")]}))
""",
    )
    over, drop = got["over"], got["drop"]
    assert [code for code, _, _ in over["codes"]] == [OVERFLOW] and over["codes"][0][1] & TIMED
    assert over["steps"] == [12250] and over["lost"] == 12250 and over["when"] == 0 and over["total"] == 1
    assert over["phase"] == pytest.approx(0.251, abs=1e-3)  # the tone of 1000 samples went on meanwhile: 12251 of them
    assert drop["codes"] == [] and drop["steps"] == [] and drop["total"] == 1
    assert got["dry"] == [UNDERFLOW]
    assert got["hole"] == [5000, 4999]
    assert got["left"] == ["0", "0", "0"]


def test_a_silent_drop_moves_the_signal_against_its_time_stamps(driver):
    got = measure(
        driver,
        """
with lab() as bench:
    rx, tx = bench.receiver(), bench.transmitter()
    known = noise(20000, 3)
    rx.read(20000)
    rx.device.writeSetting("fault_drop", "777")
    start = tx.send(known)
    print(json.dumps(lateness(rx.at(start, 20000), known)))
""",
    )
    assert got == pytest.approx(-777, abs=0.01)


def test_a_reader_that_sleeps_overflows_and_nobody_else_loses_anything(driver):
    """Bob sleeps 1 s with 100 ms of room: one overflow with the gap in his time stamps; Eve's stream has no flaw;
    bounded memory."""
    got = measure(
        driver,
        """
import resource
with lab() as bench:
    bob, eve = bench.receiver("bob", rx_buffer_ms=100), bench.receiver("eve")
    tx = bench.transmitter("bob", "eve")
    x = np.tile(tone(1000, 1000), 8)
    done = threading.Event()
    eves = []
    def listen():
        while not done.is_set():
            out = eve.empty(4096)
            r = eve.device.readStream(eve.stream, [out], 4096)
            eves.append((r.ret, r.timeNs, out[:max(0, r.ret)]))
    threads = [threading.Thread(target=tx.repeat, args=(x, None, done)), threading.Thread(target=listen)]
    [t.start() for t in threads]
    _, prior = bob.read(300000)
    earlier = bob.sensor("rx_overflows"), bob.sensor("rx_lost_samples")
    size = int(open("/proc/self/statm").read().split()[1])
    time.sleep(1)
    grown = int(open("/proc/self/statm").read().split()[1]) - size
    _, reads = bob.read(400000)
    done.set()
    [t.join() for t in threads]
    stamps = [r for r in prior[-1:] + reads if r[0] > 0]
    gap = sum(b[2] - a[2] - a[0] * 1000 for a, b in zip(stamps, stamps[1:]))
    good = [(n, t, s) for n, t, s in eves[20:] if n > 0]
    ring = np.concatenate([s for _, _, s in good])[300000:]
    print(json.dumps({"codes": [r[0] for r in reads if r[0] < 0], "bob": [bob.sensor("rx_overflows") - earlier[0],
        bob.sensor("rx_lost_samples") - earlier[1]],
                      "gap": gap, "eve": [n for n, _, _ in eves if n < 0], "eve_gaps": sum(
                      1 for a, b in zip(good, good[1:]) if a[1] + a[0] * 1000 != b[1]),
                      "flaw": float(np.abs(ring[1000:] - ring[:-1000]).max()),
                      "dropped": tx.sensor("tx_dropped_packets"), "dry": tx.sensor("tx_underflows"),
                      "grown": grown * resource.getpagesize() / 8}))
""",
    )
    assert set(got["codes"]) == {OVERFLOW} and got["bob"][0] == len(got["codes"])
    assert got["bob"][1] > 800_000
    assert got["gap"] == 1000 * got["bob"][1]  # [ns]
    assert got["eve"] == [] and got["eve_gaps"] == 0 and got["flaw"] < 1e-5
    assert got["dropped"] == 0 and got["dry"] == 0
    # Eve's samples of that second are kept by this test (1e6); Bob's would be as many again.
    assert got["grown"] < 1_300_000


def test_a_receiver_that_is_gone_or_stopped_costs_only_itself(driver):
    """One endpoint that nobody takes from and one where nobody is: the transmitter goes on, Bob hears all, memory is
    bounded."""
    got = measure(
        driver,
        """
import zmq, resource
with lab() as bench:
    stuck = zmq.Context.instance().socket(zmq.PULL)
    stuck.setsockopt(zmq.RCVHWM, 4)
    stuck.bind(bench.endpoint("stuck"))
    bob = bench.receiver("bob", rate=4e6)
    tx = bench.transmitter("bob", "stuck", "nobody", rate=4e6)
    time.sleep(0.2)
    x = np.tile(tone(1000, 1000), 400)
    tx.send(x, end=False)
    size, told = None, 0
    for i in range(25):
        tx.repeat(x, 1)
        if i == 8:
            size = int(open("/proc/self/statm").read().split()[1])
    grown = (int(open("/proc/self/statm").read().split()[1]) - size) * resource.getpagesize()
    heard = bob.read(4000000)[0]
    inside = heard[np.flatnonzero(np.abs(heard) > 0.1)[0]:]
    print(json.dumps({"flaw": float(np.abs(inside[1000:] - inside[:-1000]).max()), "length": len(inside),
                      "dry": tx.sensor("tx_underflows"), "dropped": tx.sensor("tx_dropped_packets"),
                      "lost": bob.sensor("rx_lost_packets"), "grown": grown}))
    stuck.close(0)
""",
    )
    assert got["flaw"] < 1e-5 and got["length"] > 1_500_000
    assert got["lost"] == 0 and got["dry"] == 0
    assert got["dropped"] > 3000  # one of nobody's for each packet, and the stuck one's after its queues were full
    assert got["grown"] < 8e6


def test_reception_starts_at_its_time_and_ends_after_its_number(driver):
    got = measure(
        driver,
        """
with lab() as bench:
    rx = bench.receiver(active=False, noise_floor=-80)
    start = rx.device.getHardwareTime() + 100_000_000
    rx.activate(SOAPY_SDR_HAS_TIME | SOAPY_SDR_END_BURST, start, 10000)
    early = rx.device.readStream(rx.stream, [rx.empty(4096)], 4096, timeoutUs=10000).ret
    samples, reads = rx.read(10000)
    after = rx.device.readStream(rx.stream, [rx.empty(4096)], 4096, timeoutUs=10000).ret
    rx.device.deactivateStream(rx.stream)
    rx.activate(SOAPY_SDR_HAS_TIME, rx.device.getHardwareTime() - 1_000_000)
    late = rx.device.readStream(rx.stream, [rx.empty(4096)], 4096).ret
    rx.device.setHardwareTime(5_000_000_000)
    now = rx.device.getHardwareTime()
    rx.activate()
    stamp = rx.device.readStream(rx.stream, [rx.empty(4096)], 4096).timeNs
    first = next(r for r in reads if r[0] > 0)
    print(json.dumps([early, len(samples), first[2] - start, reads[-1][1], after, late, now - 5_000_000_000,
        stamp - now]))
""",
    )
    early, count, off, flags, after, late, clock, stamp = got
    assert early == -1 and count == 10000 and abs(off) <= 1000 and flags & END and after == -1
    assert late == TIME_ERROR
    assert 0 <= clock < 200_000_000 and -1_000_000 < stamp < 200_000_000


def test_samples_come_at_their_rate(driver):
    """3 s at 2 Msps: the reader's clock, and the steadiness of the moments at which blocks of 2 ms arrive."""
    got = measure(
        driver,
        """
with lab() as bench:
    rx = bench.receiver(rate=2e6, noise_floor=-80)
    out, times, total = rx.empty(4096), [], 0
    rx.read(200000)
    while total < 6_000_000:
        r = rx.device.readStream(rx.stream, [out], 4096)
        assert r.ret > 0, r
        total += r.ret
        times.append((time.monotonic_ns(), total))
    t, n = np.array(times, float).T
    late = (t - n / 2e6 * 1e9) / 1e6
    print(json.dumps([float((n[-1] - n[0]) / (t[-1] - t[0]) * 1e9 / 2e6), float(np.median(late) - late.min())]))
""",
    )
    assert got[0] == pytest.approx(1, abs=1e-2)
    assert got[1] < 20  # [ms] of the median block after the earliest, on a machine that does other things


def test_another_machines_clock(driver):
    """A transmitter whose clock is an hour off (its packets say that it is another one) is heard whole."""
    got = measure(
        driver,
        """
with lab() as bench:
    rx, tx = bench.receiver(), bench.transmitter(clock_shift_ms=3_600_000)
    known = noise(50000, 4)
    tx.send(known, when=(tx.device.getHardwareTime() + 80_000_000) + tx.zero)
    heard = rx.read(400000)[0]
    at = int(np.argmax(np.abs(np.fft.ifft(np.fft.fft(heard) * np.conj(np.fft.fft(known, len(heard)))))))
    part = heard[at:at + 50000]
    moved = lateness(part, known)
    print(json.dumps([decibels(part) - decibels(known), float(abs(np.vdot(part,
        known)) / np.linalg.norm(part) / np.linalg.norm(known)), moved]))
""",
    )
    assert got[0] == pytest.approx(0, abs=0.1)
    assert abs(got[2]) < 0.6 and got[1] > 0.5


def test_what_is_no_packet_is_counted_and_changes_nothing(driver):
    got = measure(
        driver,
        """
import zmq, struct
with lab() as bench:
    rx = bench.receiver()
    push = zmq.Context.instance().socket(zmq.PUSH)
    push.connect(bench.endpoint("rx"))
    good = struct.pack("<4sHHIIQQqqqdddQQ", b"SZMQ", 1, 96, 1, 4, 9, 0, 10**9, 0, 0, 0.0, 1e6, 1e9, 1, 0) + bytes(32)
    def field(at, value):
        return good[:at] + value + good[at + len(value):]
    bad = [b"", b"x", good[:95], good[:-1], good + b"x", field(0, b"ZZZZ"), field(4, b"\\x02\\x00"), field(12,
        struct.pack("<I", 2**31)),
           field(12, bytes(4)), field(64, struct.pack("<d", float("nan"))), field(64, struct.pack("<d",
               -1)), field(72, struct.pack("<d", float("inf")))]
    for one in bad:
        push.send(one)
    bad += [field(at, struct.pack("<q", place)) for at in (32, 40, 48) for place in (2**62, -2**62, -2**63)]
    for one in bad[-9:]:
        push.send(one)
    push.send(field(32, struct.pack("<q", 2**60)))       # far from everything, and harmless
    time.sleep(0.2)
    tx = bench.transmitter()
    known = noise(20000, 6)
    heard = rx.at(tx.send(known), 20000)
    push.close(0)
    print(json.dumps([rx.sensor("rx_malformed"), len(bad), float(np.abs(heard - known).max())]))
""",
    )
    assert got[0] == got[1]
    assert got[2] < 1e-6


def test_twenty_openings_and_closings_leave_nothing_behind(driver):
    got = measure(
        driver,
        """
from pathlib import Path
counts = []
for _ in range(20):
    with lab() as bench:
        rx, tx = bench.receiver(), bench.transmitter()
        tx.send(noise(2000, 1), lead=0.02)
        rx.read(4096)
    del rx, tx, bench
    counts.append([len(list(Path(f"/proc/self/{kind}").iterdir())) for kind in ("fd", "task")])
print(json.dumps(counts))
""",
    )
    assert len(got) == 20
    assert got[-1][0] <= got[1][0] and got[-1][1] <= got[1][1], got


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("d.setupStream(SOAPY_SDR_RX, 'CU8')", "stream format must be CF32 or CS16; got 'CU8'"),
        ("d.setSampleRate(SOAPY_SDR_RX, 0, 1)", "sample rate: must be from 10000 to 100000000 samples/s; got 1"),
        ("d.setFrequency(SOAPY_SDR_RX, 0, 7e9)", "frequency: must be from 1000000 to 6000000000 Hz; got 7000000000"),
        ("d.setGain(SOAPY_SDR_RX, 0, 'LNA', 31)", "RX gain LNA: must be from 0 to 30 dB; got 31"),
        ("d.setGain(SOAPY_SDR_TX, 0, 'LNA', 3)", "TX gain stages are PGA and PA; got 'LNA'"),
        ("d.setAntenna(SOAPY_SDR_RX, 0, 'TX')", "antenna must be RX; got 'TX'"),
        ("d.writeSetting('ppm', '2000')", "ppm: must be a number from -1000 to 1000; got '2000'"),
        ("d.writeSetting('ppm', 'nan')", "ppm: must be a number from -1000 to 1000; got 'nan'"),
        ("d.writeSetting('pmp', '2')", "there is no setting 'pmp'; there are ppm, noise_floor"),
        ("d.writeSetting('seed', '-1')", "seed: must be an integer from 0 to 2^64 - 1; got '-1'"),
        ("d.readSensor('nothing')", "there is no sensor 'nothing'"),
        ("d.setupStream(SOAPY_SDR_RX, 'CF32', [1])", "this device has one RX channel; got channel 1"),
        (
            "d.setupStream(SOAPY_SDR_RX, 'CF32'), d.setupStream(SOAPY_SDR_RX, 'CF32')",
            "has an RX stream already; close it first",
        ),
        ("SoapySDR.Device('driver=zmq,rx=udp://x')", "rx: endpoints begin with tcp:// or ipc://; got 'udp://x'"),
        ("SoapySDR.Device('driver=zmq,rx=none').setSampleRate(SOAPY_SDR_RX, 0, 1e6)", "this device has no RX channel"),
        ("SoapySDR.Device('driver=zmq,latency_ms=-1')", "latency_ms: must be a number from 0 to 1000; got '-1'"),
        (
            "two('ipc://@privsc-test-two')",
            "rx=ipc://@privsc-test-two: cannot listen there; give this one an endpoint of its own",
        ),
        (
            "two('ipc:///tmp/privsc-test-%d' % __import__('os').getpid())",
            "another receiver listens there; give this one an endpoint of its own",
        ),
    ],
)
def test_what_it_refuses_it_names(driver, code, said):
    got = measure(
        driver,
        f"""
def two(where):
    a, b = (SoapySDR.Device(dict(driver="zmq", rx=where, serial=s)) for s in "ab")
    s = a.setupStream(SOAPY_SDR_RX, "CF32")
    try:
        b.setupStream(SOAPY_SDR_RX, "CF32")
    finally:
        a.closeStream(s)
d = SoapySDR.Device("driver=zmq,rx=ipc://@privsc-test-refuse")
try:
    {code}
    print(json.dumps("nothing"))
except Exception as error:
    print(json.dumps(str(error)))
""",
    )
    assert said in got and "\\n" not in got
