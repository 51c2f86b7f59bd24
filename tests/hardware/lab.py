"""Virtual radios for measuring; runs in the distribution's Python.

with lab() as bench:
    rx, tx = bench.receiver(), bench.transmitter()
    start = tx.send(samples)                    # time of the first sample [ns]
    got = rx.at(start, len(samples))            # complex64, by the receiver's own timestamps
"""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import SoapySDR
from SoapySDR import SOAPY_SDR_CF32, SOAPY_SDR_END_BURST, SOAPY_SDR_HAS_TIME, SOAPY_SDR_RX, SOAPY_SDR_TX

from hardware.process.priority import hurry

SILENT = {"noise_floor": "-inf", "adc_noise": "-inf"}


class Lab:
    """Radios of one test; endpoints that no other test has."""

    def __init__(self) -> None:
        self.radios: list[Radio] = []
        self.count = 0

    def endpoint(self, name: str) -> str:
        return f"ipc://@privsc-test-{os.getpid()}-{name}"

    def receiver(
        self, name: str = "rx", form: str = SOAPY_SDR_CF32, active: bool = True, **arguments: object
    ) -> Receiver:
        arguments = {"rx_buffer_ms": 3000, "latency_ms": 100, **arguments}  # tests think, and the machine is busy
        made = Receiver({"rx": self.endpoint(name), "tx": "none", **SILENT, **arguments}, form)
        self.radios.append(made)
        if active:
            made.activate()
        return made

    def transmitter(self, *names: str, form: str = SOAPY_SDR_CF32, **arguments: object) -> Transmitter:
        self.count += 1
        where = ";".join(self.endpoint(name) for name in names or ("rx",))
        made = Transmitter({"rx": "none", "tx": where, "serial": f"tx{self.count}", **arguments}, form)
        self.radios.append(made)
        made.activate()
        time.sleep(0.1)  # until the sockets are connected
        return made

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        for radio in self.radios:
            radio.close()


class Radio:
    direction: int

    def __init__(self, arguments: dict, form: str):
        rate, frequency = float(arguments.pop("rate", 1e6)), float(arguments.pop("frequency", 1e9))
        self.device = SoapySDR.Device({"driver": "zmq", **{k: str(v) for k, v in arguments.items()}})
        self.rate, self.form = rate, form
        # Hardware time is 0 at a whole second; times in tests are those of CLOCK_MONOTONIC, common to all radios.
        self.zero = round((time.monotonic_ns() - self.device.getHardwareTime()) / 1e9) * 1_000_000_000
        self.device.setSampleRate(self.direction, 0, rate)
        self.device.setFrequency(self.direction, 0, frequency)
        self.stream = self.device.setupStream(self.direction, form)

    def now(self) -> int:
        """[ns]; off by this radio's ppm."""
        return self.device.getHardwareTime() + self.zero

    def activate(self, *arguments: int) -> None:
        assert self.device.activateStream(self.stream, *arguments) == 0

    def sensor(self, name: str) -> int:
        return int(self.device.readSensor(name))

    def empty(self, count: int) -> np.ndarray:
        return np.zeros(count, np.complex64) if self.form == SOAPY_SDR_CF32 else np.zeros((count, 2), np.int16)

    def close(self) -> None:
        if self.stream is not None:
            self.device.deactivateStream(self.stream)
            self.device.closeStream(self.stream)
            self.stream = None


class Receiver(Radio):
    direction = SOAPY_SDR_RX
    nothing: tuple[np.ndarray, int] = (np.empty(0), 0)
    left = nothing  # read by `at` and not asked for yet, with its time

    def read(self, count: int, seconds: float = 2.0) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
        """At least count samples in one array, and (result, flags, time [ns]) of each read."""
        parts, reads, have = [], [], 0
        end = time.monotonic() + seconds + count / self.rate
        while have < count and time.monotonic() < end:
            out = self.empty(4096)
            got = self.device.readStream(self.stream, [out], 4096)
            reads.append((got.ret, got.flags, got.timeNs))
            if got.ret > 0:
                parts.append(out[: got.ret])
                have += got.ret
        assert have >= count, reads[-3:]
        return np.concatenate(parts), reads

    def at(self, when: int, count: int) -> np.ndarray:
        """Samples from a hardware time [ns] on; what is before it is thrown away."""
        parts, have = [], 0
        while have < count:
            out, stamp = self.left
            self.left = self.nothing
            if not len(out):
                out = self.empty(4096)
                got = self.device.readStream(self.stream, [out], 4096)
                assert got.ret > 0, got
                out, stamp = out[: got.ret], got.timeNs
            skip = round((when - self.zero - stamp) * 1e-9 * self.rate)
            assert skip >= 0 or parts, f"read from {stamp} on, that is after {when - self.zero}"
            skip = max(0, skip)
            if skip < len(out):
                take = min(len(out) - skip, count - have)
                parts.append(out[skip : skip + take])
                have += take
                self.left = out[skip + take :], stamp + round((skip + take) * 1e9 / self.rate)
        return np.concatenate(parts)


class Transmitter(Radio):
    direction = SOAPY_SDR_TX

    def send(self, samples: np.ndarray, lead: float = 0.2, when: int | None = None, end: bool = True) -> int:
        """Samples as a burst at a time [ns], `lead` seconds from now if left out; that time, on the sample grid."""
        first = self.device.getHardwareTime() + int(lead * 1e9) if when is None else when - self.zero
        first = round(round(first * 1e-9 * self.rate) * 1e9 / self.rate)
        done = 0
        while done < len(samples):
            flags = (SOAPY_SDR_HAS_TIME if done == 0 else 0) | (SOAPY_SDR_END_BURST if end else 0)
            rest = samples[done:]
            got = self.device.writeStream(self.stream, [rest], len(rest), flags, first, 1_000_000)
            assert got.ret > 0, got
            done += got.ret
        return first + self.zero

    def repeat(self, samples: np.ndarray, times: int | None = None, stop: threading.Event | None = None) -> None:
        """The same samples over and over without a gap, until told."""
        while not (stop and stop.is_set()) and times != 0:
            times = None if times is None else times - 1
            done = 0
            while done < len(samples):
                got = self.device.writeStream(self.stream, [samples[done:]], len(samples) - done, 0, 0, 1_000_000)
                assert got.ret > 0, got
                done += got.ret

    def statuses(self, seconds: float = 0.1) -> list[tuple[int, int, int]]:
        """(code, flags, time [ns]) of everything that was reported."""
        found = []
        while True:
            got = self.device.readStreamStatus(self.stream, int(seconds * 1e6))
            if got.ret == SoapySDR.SOAPY_SDR_TIMEOUT:
                return found
            found.append((got.ret, got.flags, got.timeNs))


def lab() -> Lab:
    hurry()  # a test that is starved measures the computer
    SoapySDR.setLogLevel(SoapySDR.SOAPY_SDR_ERROR)
    return Lab()


def tone(frequency: float, count: int, rate: float = 1e6, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.exp(2j * np.pi * frequency / rate * np.arange(count))).astype(np.complex64)


def noise(count: int, seed: int = 0, band: float = 0.7, power: float = 0.02) -> np.ndarray:
    """Complex noise that fills `band` of the rate, tapered at both ends."""
    spectrum = np.random.default_rng(seed).normal(size=(count, 2)) @ [1, 1j]
    spectrum[np.abs(np.fft.fftfreq(count)) > band / 2] = 0
    made = np.fft.ifft(spectrum)
    ramp = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / 64)
    return (made / np.sqrt(np.mean(np.abs(made) ** 2)) * np.sqrt(power) * ramp).astype(np.complex64)


def decibels(samples: np.ndarray) -> float:
    """Mean power [dBFS]."""
    return float(10 * np.log10(np.mean(np.abs(samples.astype(np.complex128)) ** 2) + 1e-30))


def level(samples: np.ndarray, frequency: float, rate: float = 1e6) -> float:
    """Power of a tone [dBFS] in a Blackman-Harris window: its neighbours are 90 dB down."""
    from scipy.signal.windows import blackmanharris

    window = blackmanharris(len(samples))
    part = np.sum(samples * window * np.exp(-2j * np.pi * frequency / rate * np.arange(len(samples)))) / window.sum()
    return float(20 * np.log10(abs(part) + 1e-15))


def pitch(samples: np.ndarray, rate: float = 1e6) -> float:
    """Frequency of the one tone in there [Hz], to a small fraction of a hertz."""
    count = len(samples)
    coarse = np.fft.fftfreq(count)[np.argmax(np.abs(np.fft.fft(samples * np.hanning(count))))]
    flat = samples * np.exp(-2j * np.pi * coarse * np.arange(count))
    half = count // 2
    step = np.angle(np.sum(flat[half : 2 * half]) * np.conj(np.sum(flat[:half]))) / (2 * np.pi * half)
    return float((coarse + step) * rate)


def lateness(got: np.ndarray, sent: np.ndarray) -> float:
    """By how many samples `got` is behind `sent`, fractions included; both of one length, behind by less than half
    of it."""
    cross = np.fft.fft(got) * np.conj(np.fft.fft(sent))
    count = len(sent)
    whole = int(np.argmax(np.abs(np.fft.ifft(cross))))
    whole -= count if whole > count // 2 else 0
    bins = np.fft.fftfreq(count)
    cross = cross * np.exp(2j * np.pi * bins * whole)
    used = np.abs(cross) > 0.05 * np.abs(cross).max()
    slope = np.sum(np.angle(cross[used] / np.exp(1j * np.angle(np.sum(cross)))) * bins[used] * np.abs(cross[used]))
    return whole - float(slope / np.sum(bins[used] ** 2 * np.abs(cross[used])) / (2 * np.pi))
