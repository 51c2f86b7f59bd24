"""A codec of one's own: two bits a symbol, as QPSK sends them, beside the learned one at the same rate."""

import numpy as np

from phy.codec.codec import Codec
from phy.link import Link, compare

digits = np.indices((4, 4, 4, 4)).reshape(4, 256).T  # [256, 4], the four pairs of bits of each byte
gray = np.array([0, 1, 3, 2])[digits]
qpsk = Codec("qpsk", codec_id=64, k=8, codebook=np.exp(1j * (np.pi / 4 + np.pi / 2 * gray)))
path = qpsk.save("qpsk.npz")

ramp, digest = bytes(np.tile(np.arange(256, dtype=np.uint8), 64)), bytes(8)
for name in (str(path), "image8x4"):
    link = Link(codec=name, channel="awgn")
    sent = link.transmitter().send(b"a ramp", ramp, k_digest=digest)
    image = link.receiver().receive(sent.through(link.channel_at(snr_db=6, seed=1))).best(digest)
    difference = np.frombuffer(image.body, np.uint8).astype(float) - np.frombuffer(ramp, np.uint8)
    psnr = 10 * np.log10(255**2 / np.mean(difference**2))
    print(f"{name:>10}: {100 * compare(image, sent).message_error_rate:.1f} % of the messages wrong, {psnr:.1f} dB")
