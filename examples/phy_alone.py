"""The link without pictures: a codec, the modem, a channel, in five lines each. numpy and scipy only, no torch."""

import numpy as np

from phy.channel.impairments import clock_offset, frequency_offset
from phy.codec.codec import Codec
from phy.link import Link

rng = np.random.default_rng(1)


def noise(n: int, power: float) -> np.ndarray:
    """Complex Gaussian noise [n] of a given power a sample."""
    return rng.normal(scale=np.sqrt(power / 2), size=(n, 2)).view(complex)[:, 0].astype(np.complex64)


# codec: messages of 8 bits in 4 complex symbols, and back, at Es/N0 = 10 dB
codec = Codec.load("image8x4")
messages = rng.integers(0, 1 << codec.k, 20_000)
symbols = codec.encode(messages)  # [20000, 4] complex64
received = codec.demap(symbols + noise(symbols.size, 0.1).reshape(symbols.shape))
print(f"codec: {100 * (received != messages).mean():.2f} % of the messages wrong")

# modem: bytes to samples, and back from samples alone
link = Link(codec="ae8x8", channel="external")
digest, body = bytes(8), rng.bytes(2000)
sent = link.transmitter().send(b"head", body, k_digest=digest)
image = link.receiver().receive(sent.iq).best(digest)
print(f"modem: {len(sent.iq)} samples, body exact: {image.body == body}")

# channel: an oscillator and a clock that are off, and noise
samples = frequency_offset(clock_offset(sent.iq, ppm=50), cfo=0.1)  # [rad/sample]
samples = samples + noise(len(samples), 0.1)
reception = link.receiver().receive(samples)
image = reception.best(digest)
print(f"channel: SNR measured {image.snr_db:.1f} dB, body exact: {image.body == body}, refused: {reception.refusals}")
