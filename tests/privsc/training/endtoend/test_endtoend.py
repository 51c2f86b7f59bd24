"""Algorithm 3 on three entities made of scikit-image's photographs; U_theta is small, all else is real."""

import copy
import io
import json

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from skimage import data

from phy.codec.codec import shipped
from phy.training.autoencoder import awgn_channel, export
from privsc.cli import app
from privsc.errors import ConfigError, EntityError, WeightsError
from privsc.evaluation.endtoend.compare import Judge, figures, gains
from privsc.evaluation.endtoend.report import as_bytes, curves
from privsc.evaluation.endtoend.run import check_k
from privsc.images.photo_io import encode_png, strip_photo
from privsc.knowledge.database import Database
from privsc.knowledge.entity import Entity, Sample
from privsc.networks.backbone import load_lite0
from privsc.networks.diffusion import build_scheduler
from privsc.networks.image_encoder import load_encoder
from privsc.networks.mask_decoder import WEIGHTS, read_weights
from privsc.networks.text_encoder import load_text_encoder
from privsc.recovery import painting
from privsc.threads import one_thread
from privsc.training.endtoend import chain as endtoend
from privsc.training.endtoend.chain import Painter, Parts, crop_mask, hear, mask_logits, terms, textured
from privsc.training.endtoend.data import Batches, training_cases
from privsc.training.endtoend.soft_codec import SoftCodec
from privsc.training.endtoend.soft_identity import SoftIdentity, crop_of
from privsc.training.endtoend.trainer import EndToEndTraining, Surroundings, Trainer

THINGS = {"Chelsea": ("chelsea", "cat", (230, 140, 130, 120)), "Brew": ("coffee", "cup", (330, 210, 150, 130)),
          "Eileen": ("astronaut", "person", (220, 130, 110, 120))}  # fmt: skip


def seen(name, turn):
    """A view of one thing, and an ellipse where it is."""
    picture, _, (x, y, w, h) = THINGS[name]
    image = getattr(data, picture)()
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    mask = ((columns - x) / w) ** 2 + ((rows - y) / h) ** 2 <= 1
    if turn == 1:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if turn == 2:
        image = np.clip(image[8:, 12:] * 0.9 + 10, 0, 255).astype(np.uint8)
        mask = mask[8:, 12:]
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def stored(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    return strip_photo(buffer.getvalue())


@pytest.fixture(scope="module", autouse=True)
def single():
    """One thread: bitwise the same weights whatever the machine, and no waiting for one another on a busy one."""
    with one_thread():
        yield


@pytest.fixture(scope="module")
def entities():
    encoder, found = load_text_encoder(), []
    for index, (name, (_, word, _)) in enumerate(THINGS.items(), start=1):
        samples = tuple(Sample(stored(image), encode_png(mask)) for image, mask in (seen(name, 0), seen(name, 1)))
        f_k = np.full(432, 432**-0.5, np.float32)
        prompt = f"a photo of {name}"
        found.append(Entity(name, prompt, word, samples, f_k, f_k[None], encoder.embed(prompt), index=index))
    return tuple(found)


@pytest.fixture(scope="module")
def identity(entities):
    return SoftIdentity.of(entities, load_lite0())


@pytest.fixture(scope="module")
def around(entities, identity):
    cases = training_cases(entities, load_lite0())
    return Surroundings(cases, Batches(entities), load_lite0(), build_scheduler(), identity)


@pytest.fixture(scope="module")
def batch(around):
    return around.batches.training(around.cases, 2, np.random.default_rng(3))


def small_unet(seed):
    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=24,
        in_channels=160,
        out_channels=48,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=384,
        attention_head_dim=32,
        norm_num_groups=8,
    )


@pytest.fixture
def parts():
    return Parts(read_weights(WEIGHTS), SoftCodec(shipped("image8x4")), small_unet(0), small_unet(1))


def chain(parts, batch, identity, scheduler):
    """The terms of one step, as the training makes them."""
    mask = crop_mask(*mask_logits(parts.masker, batch), batch.boxes, hard=False)
    snr_db, noise, channel = torch.full((len(batch.who),), 10.0), torch.randn(batch.clean.shape), awgn_channel()
    ends = []
    for network, with_k in ((parts.bob, True), (parts.eve, False)):
        heard, painter = hear(parts.codec, batch.clean, mask, snr_db, channel), Painter(scheduler, 2, with_k=with_k)
        ends.append(painter.finish(network, batch, heard, painter.approach(network, batch, heard, noise, 1), noise, 1))
    return terms(identity, batch, *ends)


def test_f_is_high_for_the_entity_itself_and_low_for_a_stranger(identity):
    pictures, regions = zip(*(crop_of(*seen(name, 2)) for name in THINGS), strict=True)
    own = identity(torch.stack(pictures), torch.stack(regions), torch.arange(3))
    assert (own > 0.8).all()
    for shift in (1, 2):
        other = identity(torch.stack(pictures), torch.stack(regions), (torch.arange(3) + shift) % 3)
        assert (other < 0.05).all()
    rocket = data.rocket()
    stranger, everywhere = crop_of(rocket, np.ones(rocket.shape[:2], bool))
    probable = identity.probabilities(stranger[None], everywhere[None])[0]
    assert probable[-1] > 0.9 and probable.sum() == pytest.approx(1, abs=1e-5)


def test_f_falls_as_more_of_the_entity_is_hidden(identity):
    picture, region = (plane[None] for plane in crop_of(*seen("Chelsea", 2)))
    found = []
    for left in (0, 30, 60, 96):
        hidden = picture.clone()
        hidden[:, :, :, :left] = -1
        found.append(float(identity(hidden, region, torch.tensor([0]))))
    assert found[0] > 0.8 and found[-1] < 0.05 and found == sorted(found, reverse=True)


@pytest.mark.parametrize("term", ["authorised", "leakage"])
def test_each_term_reaches_every_part_that_it_depends_on(parts, batch, around, term):
    parts.eve.requires_grad_(False)
    getattr(chain(parts, batch, around.identity, around.scheduler), term).mean().backward()
    reached = {
        "neck": parts.masker.neck,
        "prompts": parts.masker.prompt_encoder,
        "decoder": parts.masker.mask_decoder,
        "demapper": parts.codec.decoder,
    } | ({"bob": parts.bob} if term == "authorised" else {})
    gradients = {name: [p.grad for p in part.parameters() if p.grad is not None] for name, part in reached.items()}
    gradients["codebook"] = [parts.codec.points.grad]
    for name, found in gradients.items():
        assert found and all(torch.isfinite(g).all() for g in found), name
        assert sum(float(g.abs().sum()) for g in found) > 0, name
    assert all(p.grad is not None for p in parts.masker.neck.parameters())
    if term == "authorised":
        still = {name for name, p in parts.bob.named_parameters() if p.grad is None or p.grad.abs().max() == 0}
        # i is one token: attention to it has nothing to choose from, so that its query and key cannot matter
        assert all(any(part in name for part in ("attn2.to_q", "attn2.to_k", "norm2")) for name in still), still
    assert all(p.grad is None for p in parts.eve.parameters())  # Eve stands still while we learn


def test_l_a_is_eq_7_with_the_square_of_255():
    clean, restored = torch.full((1, 3, 96, 96), -1.0), torch.full((1, 3, 96, 96), 1.0)
    assert float(endtoend.authorised_loss(clean, restored)) == pytest.approx(1)  # black for white: the largest there is


def test_codec_is_the_shipped_one_and_samples_pass_straight_through(parts):
    codec, numpy_codec = parts.codec, shipped("image8x4")
    assert np.allclose(codec.codebook().detach().numpy(), numpy_codec.features(numpy_codec.codebook), atol=1e-5)
    levels = torch.arange(256.0).view(1, 1, 16, 16).requires_grad_()
    clear, noisy = (codec(levels, torch.tensor([snr_db]), awgn_channel()) for snr_db in (60.0, 0.0))
    assert torch.equal(clear.detach(), levels.detach())
    wrong = float((noisy != levels).float().mean())
    assert wrong > 0.3 and torch.equal(noisy.detach(), noisy.detach().round())
    (slope,) = torch.autograd.grad(noisy.sum(), levels)
    assert torch.allclose(slope, torch.ones_like(slope), atol=1e-4)
    assert export(codec, name="mine", codec_id=101).codebook.shape == (256, 4)


def test_a_codec_of_other_messages_is_refused():
    with pytest.raises(ConfigError, match="must have 8 bits a message and a network demapper; got 4 bits"):
        SoftCodec(shipped("real-7-4"))


@pytest.mark.parametrize("with_k", [True, False])
def test_two_steps_with_gradients_are_the_sampler_of_recovery(parts, batch, around, with_k):
    painter = Painter(around.scheduler, 2, with_k=with_k)
    mask = torch.nn.functional.max_pool2d(batch.region, 13, stride=1, padding=6)  # all that the sample covers
    assert (mask >= batch.covered).all()
    heard = endtoend.Heard(batch.clean * (1 - mask), mask)
    noise = torch.randn(batch.clean.shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        x = painter.approach(parts.bob, batch, heard, noise, 1)
        ours = painter.finish(parts.bob, batch, heard, x, noise, 1)
        assert torch.allclose(ours, painter.sample(parts.bob, batch, heard, seed=5), atol=1e-5)


def test_texture_is_that_of_recovery(batch):
    painted = torch.rand(batch.clean.shape) * 2 - 1
    ours = textured(painted, batch.reference, batch.covered, batch.fade)
    for n in range(len(painted)):
        planes = [(plane[n].permute(1, 2, 0).numpy() + 1) * 127.5 for plane in (painted, batch.reference)]
        wanted = painting.textured(planes[0], planes[1].round().astype(np.uint8), batch.covered[n, 0].numpy() > 0)
        assert np.allclose((ours[n].permute(1, 2, 0).numpy() + 1) * 127.5, wanted, atol=0.7)


def test_joint_training_lowers_its_loss_and_eves(parts, batch, around, tmp_path):
    def total():
        torch.manual_seed(0)
        with torch.no_grad():
            return float(chain(parts, batch, around.identity, around.scheduler).total(0.1).mean())

    before, eve_before = total(), copy.deepcopy(parts.eve.state_dict())
    config = EndToEndTraining(steps=8, batch=1, painting=1, bob_rate=3e-3, eve_rate=3e-3, warmup=1, messages=256)
    trainer = Trainer(tmp_path, config, parts, around, "joint")
    trainer.run(lambda *_: None)
    assert total() < 0.8 * before
    eves = [row["eve"] for row in trainer.history]
    assert np.mean(eves[-3:]) < np.mean(eves[:3])
    assert any(not torch.equal(value, eve_before[name]) for name, value in parts.eve.state_dict().items())


@pytest.mark.parametrize("mode", ["joint", "separate", "eve"])
def test_a_resumed_training_ends_in_the_same_weights(around, tmp_path, mode):
    config, ends = EndToEndTraining(steps=2, batch=1, painting=1, messages=256, save_every=1), []
    for name, stops in (("whole", (None,)), ("parts", (1, None))):
        for stop in stops:
            parts = Parts(read_weights(WEIGHTS), SoftCodec(shipped("image8x4")), small_unet(0), small_unet(1))
            before = copy.deepcopy(parts.state_dict())
            trainer = Trainer(tmp_path / name, config, parts, around, mode)
            trainer.run(lambda *_: None, stop)
        ends.append(trainer)
    whole, resumed = (end.parts.state_dict() for end in ends)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert ends[0].history == ends[1].history and len(ends[0].history) == 2
    changed = {name.split(".")[0] for name in whole if not torch.equal(whole[name], before[name])}
    assert (
        changed
        == {"joint": {"masker", "codec", "bob", "eve"}, "separate": {"masker", "codec", "bob"}, "eve": {"eve"}}[mode]
    )
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["state-2.safetensors", "state.json"]


def test_a_state_of_other_settings_or_damaged_is_refused(around, parts, tmp_path):
    config = EndToEndTraining(steps=1, batch=1, painting=1, messages=256)
    Trainer(tmp_path, config, parts, around, "eve").run(lambda *_: None)
    with pytest.raises(ConfigError, match=r"begun with other settings \(seed, steps\)"):
        Trainer(tmp_path, EndToEndTraining(steps=2, batch=1, painting=1, messages=256, seed=1), parts, around, "eve")
    (tmp_path / "state-1.safetensors").write_bytes(b"cut")
    with pytest.raises(WeightsError, match="state is damaged"):
        Trainer(tmp_path, config, parts, around, "eve")


def test_the_same_parts_are_judged_the_same(around, parts, entities, batch):
    judge = Judge(batch, entities, around.identity, around.scheduler, 1, 10.0, 2)
    one, other = (judge(parts, {"generic": parts.eve}) for _ in range(2))
    assert one.authorised.shape == (2, 2) and (one.authorised[:, 0] != one.authorised[:, 1]).any()
    assert [figure.value for figure in gains(one, other, 0.1, "generic")] == [0, 0, 0]
    named = {figure.name: figure.value for figure in figures(one, 0.1, "generic")}
    assert named["L_total"] == pytest.approx(named["L_a, eq. (7)"] + 0.1 * named["f, eq. (8), smooth"])
    history = [{"step": n, "loss": 1.0, "L_a": 0.9, "f": 1.0} for n in range(3)]
    drawn = curves(history, {"separate": one, "joint": other}, 0.1, "generic", gains(one, other, 0.1, "generic")[0])
    assert as_bytes(drawn, "svg").startswith(b"<?xml") and as_bytes(drawn, "png").startswith(b"\x89PNG")


def test_k_must_not_hold_the_photograph_that_judges(entities, tmp_path):
    folder = tmp_path / "subjects" / "Chelsea"
    folder.mkdir(parents=True)
    for number in range(2):
        (folder / f"0{number}.jpg").write_bytes(stored(seen("Chelsea", number)[0]))
    held = [Sample(strip_photo((folder / "01.jpg").read_bytes()), entities[0].samples[0].mask_png)]
    spoilt = Entity(**{**vars(entities[0]), "samples": tuple(held)})
    with pytest.raises(EntityError, match=r"Chelsea: K holds 01\.jpg, the photograph of the test"):
        check_k((spoilt, entities[1]), tmp_path)
    with pytest.raises(EntityError, match="two entities or more"):
        check_k(entities[:1], tmp_path)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--photos", "/nowhere"], "no folder of photographs at /nowhere"),
        (["--snr-low", "20", "--snr-high", "5"], "snr: must be a range"),
        (["--snr-low", "nan"], "snr: must be a range"),
        (["--lambda", "nan"], "'--lambda'"),
        (["--at", "nan"], "at: must be -20 to 60 dB"),
        (["--steps", "0"], "steps"),
        ([], "K must hold two entities or more"),
    ],
)
def test_errors_of_the_command_are_one_line(entities, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.setenv("PRIVSC_PHOTOS", str(tmp_path))
    with Database.create(tmp_path / "K.db", load_encoder().identity, load_text_encoder().identity) as k:
        k.add(entities[0])
    out = tmp_path / "out"
    given = ["train", "endtoend", "--db", str(tmp_path / "K.db"), "--out", str(out), "--state", str(tmp_path / "st")]
    assert app.main([*given, *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and "Traceback" not in error
    assert not list(out.glob("*")) and not (tmp_path / "st").exists()


def test_settings_are_refused_when_they_are_made():
    for bad in ({"steps": 0}, {"batch": 0}, {"painting": 0}, {"weight": -1.0}, {"snr_db": (9.0, 1.0)}):
        with pytest.raises(ConfigError):
            EndToEndTraining(**bad)
    assert json.loads(json.dumps(EndToEndTraining().snr_db)) == [5.0, 20.0]
