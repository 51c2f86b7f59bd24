"""Photographs of somebody to K, another photograph to Bob and to Eve.

    python examples/own_photographs.py NAME CLASS_WORD FOLDER PHOTO     yours
    python examples/own_photographs.py                                  the puppy that comes along

Without Algorithm 2, so that it takes seconds; `privsc db enrol` does it by default.
"""

import sys
from pathlib import Path

from phy.link import Link
from privsc.datasets import album
from privsc.images.photo_io import encode_png, read_photo
from privsc.knowledge.database import Database
from privsc.networks.text_encoder import load_text_encoder
from privsc.system.build import Models
from privsc.system.chain import Eavesdropper, Receiver, Transmitter
from privsc.system.enrol import enrol
from privsc.system.measure import measure

if len(sys.argv) == 5:
    name, word = sys.argv[1:3]
    enrolled = [path.read_bytes() for path in sorted(Path(sys.argv[3]).glob("*.jpg"))]
    photo = read_photo(sys.argv[4], max_side=480)
else:
    name, word, enrolled, photo = album.NAME, album.CLASS_WORD, album.enrolled(), album.scene()

models, link = Models.load(), Link(codec="image8x4", channel="awgn")
Path("K.db").unlink(missing_ok=True)
with Database.create("K.db", models.guard.identity, load_text_encoder().identity) as k:
    enrol(k, name, enrolled, class_word=word, personalise=False)
    sent = Transmitter(models.guard, k, link.transmitter()).send(photo)
    bob = Receiver(link.receiver(), models.recovery, k).receive(link.channel_at(snr_db=10, seed=1)(sent.iq))
eve = Eavesdropper(link.receiver(), models.recovery, word).receive(link.channel_at(snr_db=10, seed=2)(sent.iq))

guarded = sent.truth.guarded
print(f"hidden: {[d.name for d in guarded.detections]}, {100 * guarded.mask.mean():.0f} % of the picture")
for who, seen in (("bob", bob), ("eve", eve)):
    Path(f"{who}.png").write_bytes(encode_png(seen.restored))
    print(f"{who}: {measure(seen, sent)['psnr_private']:.1f} dB in the private region, see {who}.png")
