"""What an eavesdropper has: her picture with and without the class word, the outline, and a photograph out of K."""

from pathlib import Path

from phy.link import Link
from privsc.datasets import album
from privsc.images.photo_io import encode_png
from privsc.knowledge.database import Database
from privsc.networks.text_encoder import load_text_encoder
from privsc.system.build import Models
from privsc.system.chain import Eavesdropper, Receiver, Transmitter
from privsc.system.enrol import make_entity
from privsc.system.measure import measure

models, link = Models.load(), Link(codec="image8x4", channel="awgn")
puppy = make_entity(album.NAME, album.enrolled(), class_word=album.CLASS_WORD)
for path in ("K.db", "stolen.db"):
    Path(path).unlink(missing_ok=True)
text = load_text_encoder().identity
with (
    Database.create("K.db", models.guard.identity, text) as k,
    Database.create("stolen.db", models.guard.identity, text) as stolen,
):
    known = k.add(puppy)
    stolen.add(make_entity("somebody", album.enrolled()[:1]))  # the first of the four photographs of K, nothing else
    for mask in ("silhouette", "box"):
        sent = Transmitter(models.guard, k, link.transmitter(), mask=mask, hint="none").send(album.scene()[::2, ::2])
        samples = link.channel_at(snr_db=20, seed=2)(sent.iq)
        attackers = {
            "no word": Eavesdropper(link.receiver(), models.recovery),
            "class word": Eavesdropper(link.receiver(), models.recovery, album.CLASS_WORD),
            "stolen photograph": Receiver(link.receiver(), models.recovery, stolen, any_version=True),
        }
        for label, eve in attackers.items():
            seen = eve.receive(samples)
            who = models.guard.identify(seen.restored, [known], mask=sent.truth.guarded.mask)
            Path(f"eve-{mask}-{label.replace(' ', '-')}.png").write_bytes(encode_png(seen.restored))
            private = measure(seen, sent)["psnr_private"]
            print(f"{mask:<10} {label:<17} {private:4.1f} dB, recognised as {who.name if who else 'nobody'}")
