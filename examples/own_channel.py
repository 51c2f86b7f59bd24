"""A channel of one's own: a wall that echoes, a cheap oscillator and noise. Samples in, samples out."""

import numpy as np

from phy.channel.impairments import frequency_offset
from phy.link import Link


class Hall:
    """An echo three samples late at ``echo_db`` [dB], a carrier offset of 0.05 rad/sample, noise at 15 dB."""

    def __init__(self, echo_db: float, seed: int):
        self.echo, self.rng = 10 ** (echo_db / 20), np.random.default_rng(seed)

    def __call__(self, x: np.ndarray, block_starts: np.ndarray | None = None, /) -> np.ndarray:
        late = np.concatenate([np.zeros(3, np.complex64), x[:-3]])
        noise = self.rng.normal(scale=np.sqrt(10**-1.5 / 2), size=(len(x), 2)).view(complex)[:, 0]
        return frequency_offset((x + 1j * self.echo * late + noise).astype(np.complex64), 0.05)


link, digest, body = Link(codec="ae8x8", channel="external"), bytes(8), bytes(range(256)) * 16
sent = link.transmitter().send(b"head", body, k_digest=digest)
for echo_db in (-20, -6, 0, 6):
    image = link.receiver().receive(sent.through(Hall(echo_db, seed=1))).best(digest)
    arrived = "nothing" if image is None else f"{100 * np.mean(image.exact):.0f} % of the bytes exact"
    print(f"echo at {echo_db:>3} dB: {arrived}")
