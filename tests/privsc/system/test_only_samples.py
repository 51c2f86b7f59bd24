"""Bob and Eve are given samples and nothing else."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import phy.link
import phy.modem.waveform
import privsc.system.chain
import privsc.system.heard
from phy.link import Link
from privsc.system.chain import Eavesdropper, Receiver, Transmitter
from tests.fakes.networks import BOX, COLOURS, BoxGuard, ColourRecovery

ROOT = Path(__file__).parents[3]

BOB = """
import sys
import numpy as np
from phy.link import Link
from privsc.knowledge.database import Database
from privsc.system.chain import Receiver, Eavesdropper
from tests.fakes.networks import ColourRecovery
samples = np.fromfile(sys.argv[1], np.complex64)
link = Link()
with Database.open(sys.argv[2]) as k:
    bob = Receiver(link.receiver(), ColourRecovery(), k).receive(samples)
eve = Eavesdropper(link.receiver(), ColourRecovery(), "cat").receive(samples)
np.save(sys.argv[3], np.stack([bob.restored, eve.restored]))
print(bob.heard.k_digest_matches, list(bob.heard.indices))
"""


def test_bob_in_a_process_of_his_own_has_a_file_of_samples_and_k(k, image, tmp_path):
    link = Link()
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, link.transmitter()).send(image)
    rng = np.random.default_rng(4)
    silence = (rng.standard_normal((5001, 2)) @ [1, 1j] * 0.05).astype(np.complex64)
    np.concatenate([silence, link.channel_at(18, 1)(sent.iq), silence]).tofile(tmp_path / "heard.c64")
    files = [str(tmp_path / "heard.c64"), str(k.path), str(tmp_path / "seen.npy")]
    done = subprocess.run([sys.executable, "-c", BOB, *files], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "True [1]"
    bob, eve = np.load(files[2])
    mask = sent.truth.guarded.mask
    assert (bob[mask] == COLOURS["Vicky"]).mean() > 0.98 and (eve[mask] == 128).mean() > 0.98
    assert np.abs(bob[~mask].astype(int) - image[~mask]).mean() < 1


class Poisoned:
    """Fails whoever looks at it."""

    def __getattribute__(self, name):
        pytest.fail(f"a receiver looked at {name} of what was sent")


@pytest.mark.parametrize("waveform", ["burst", "symbols"])
def test_nothing_of_sent_reaches_a_receiver(k, image, waveform):
    """Every attribute of the ground truth but what the channel needs is poison while the receivers work."""
    link = Link(waveform=waveform)
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, link.transmitter()).send(image)
    samples = [sent.through(link.channel_at(18, seed)) for seed in (1, 2)]
    on_air = sent.truth.on_air
    for owner, names in (
        (sent, ("iq", "truth")),
        (on_air, ("iq", "head", "body", "image_id", "frames", "codec", "payload_bytes", "starts", "channel_uses")),
    ):
        for name in names:
            object.__setattr__(owner, name, Poisoned())
    bob = Receiver(link.receiver(), ColourRecovery(), k).receive(samples[0])
    eve = Eavesdropper(link.receiver(), ColourRecovery(), "cat").receive(samples[1])
    assert bob.restored.shape == eve.restored.shape == image.shape
    assert (bob.restored[20:50, 25:55] == COLOURS["Vicky"]).mean() > 0.98


FORBIDDEN = {"Sent", "Truth", "Transmission", "Sending", "Packed"}
RECEIVERS = [
    (privsc.system.chain, ("Receiver", "Eavesdropper")),
    (phy.link, ("LinkReceiver",)),
    (phy.modem.waveform, ("BurstWaveform", "SymbolWaveform")),
]


def names_in(node):
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)
    }


@pytest.mark.parametrize(("module", "classes"), RECEIVERS, ids=lambda value: getattr(value, "__name__", None))
def test_no_receiver_names_what_was_sent(module, classes):
    tree = ast.parse(inspect.getsource(module))
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in classes]
    assert len(found) == len(classes)
    for node in found:
        assert not names_in(node) & FORBIDDEN, node.name
    for name in classes:  # and every parameter of a receiving method is samples, a reception, or its own business
        for method in ("receive", "listen", "hear"):
            function = getattr(getattr(module, name), method, None)
            if function is not None:
                parameters = set(inspect.signature(function).parameters) - {"self", "seed", "refusals"}
                assert parameters <= {"samples", "reception"}, (name, method)


def test_what_is_heard_comes_from_a_reception_alone():
    tree = ast.parse(inspect.getsource(privsc.system.heard))
    assert not names_in(tree) & FORBIDDEN
    assert set(inspect.signature(privsc.system.heard.read).parameters) == {"reception", "k_digest", "grey_size"}
