"""Stable Diffusion as U_theta, on random pipelines in the true folder layout, of both kinds of U-Net."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from skimage import data
from transformers import CLIPTextConfig, CLIPTextModel

from privsc.cli.app import main
from privsc.errors import ConfigError, Notice, WeightsError
from privsc.images.photo_io import encode_png
from privsc.knowledge.database import Database
from privsc.knowledge.entity import Sample
from privsc.networks import adapters
from privsc.networks.files import catalogue, sd_layout
from privsc.networks.stable_diffusion import find_folder, load_stable_diffusion
from privsc.recovery.sd_personalise import TARGETS, Crops, DreamBooth, dream_booth
from privsc.recovery.sd_recovery import SdRecovery, painting_size, scheduled_steps, start_image
from privsc.system.build import Choice
from tests.fakes.samples import make_entity
from tests.fakes.tiny import save_stable_diffusion


@pytest.fixture(scope="module", params=[9, 4])
def channels(request):
    return request.param


@pytest.fixture(scope="module")
def folder(channels, tmp_path_factory):
    return save_stable_diffusion(tmp_path_factory.mktemp("sd") / "a model", channels)


@pytest.fixture(scope="module")
def model(folder):
    return load_stable_diffusion(str(folder))


@pytest.fixture(scope="module")
def masked():
    image = data.chelsea()
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    mask = ((y - 150) / 90) ** 2 + ((x - 220) / 110) ** 2 < 1
    return np.where(mask[..., None], np.uint8(0), image), mask


@pytest.fixture(scope="module")
def chelsea(masked):
    from tests.fakes.samples import encoded

    sample = Sample(encoded(data.chelsea()), encode_png(masked[1]))
    return make_entity("Chelsea", samples=(sample,), adapter=None, index=1)


def test_it_paints_inside_the_region_only_and_in_as_many_steps_as_asked(model, masked, chelsea, channels):
    image, mask = masked
    calls, told = [], []
    unet = model.pipeline.unet
    hook = unet.register_forward_pre_hook(
        lambda module, given, named: calls.append(given[0].shape[1]), with_kwargs=True
    )
    try:
        out = SdRecovery(model)(image, mask, (chelsea,), steps=3, seed=1, progress=lambda *n: told.append(n))
    finally:
        hook.remove()
    assert out.shape == image.shape and out.dtype == np.uint8
    assert (out[~mask] == image[~mask]).all()
    assert out[mask].std() > 1
    assert calls == [channels] * 3
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_same_seed_same_picture_and_reference_is_not_noise(model, masked, chelsea):
    recovery = SdRecovery(model)
    first, again = (recovery(*masked, (chelsea,), steps=2, seed=7) for _ in range(2))
    other = recovery(*masked, (chelsea,), steps=2, seed=8)
    noise = recovery(*masked, (chelsea,), steps=2, seed=7, init="noise")
    eve = recovery(*masked, None, class_word="cat", steps=2, seed=7)
    assert (first == again).all()
    assert (first != other).any() and (first != noise).any() and (noise != eve).any()


def test_eve_gets_nothing_of_the_entity(model, masked, chelsea):
    """Without K the same picture comes out whatever K holds, and Bob's noise start does not see the sample either."""
    recovery = SdRecovery(model)
    other = replace(chelsea, samples=(Sample(encode_png(data.coffee()[:300, :451]), chelsea.samples[0].mask_png),))
    reference, noise = (
        [recovery(*masked, (entity,), steps=2, init=init) for entity in (chelsea, other)]
        for init in ("reference", "noise")
    )
    assert (reference[0] != reference[1]).any()
    assert (noise[0] == noise[1]).all()


def test_the_known_pixels_are_kept_at_every_step(model, masked, channels, monkeypatch):
    """4 channels: eq. (14) ends with the latents of the known pixels. 9: the network is shown them, masked."""
    pipeline, seen = model.pipeline, {"latents": [], "inputs": []}
    encode, decode = pipeline._encode_vae_image, pipeline.vae.decode
    monkeypatch.setattr(
        pipeline, "_encode_vae_image", lambda *a, **k: seen["latents"].append(encode(*a, **k)) or seen["latents"][-1]
    )
    monkeypatch.setattr(pipeline.vae, "decode", lambda z, **k: seen.update(final=z) or decode(z, **k))
    hook = pipeline.unet.register_forward_pre_hook(lambda module, given: seen["inputs"].append(given[0]))
    try:
        SdRecovery(model)(*masked, None, class_word="cat", steps=2)
    finally:
        hook.remove()
    final = seen["final"] * pipeline.vae.config.scaling_factor
    if channels == 4:
        kept = torch.isclose(final, seen["latents"][0], atol=1e-5).all(dim=1)
        assert 0.1 < kept.float().mean() < 0.9
        assert kept[0, :, 0].all() and kept[0, 0].all()  # the crop's border is known
        assert not kept[0, kept.shape[1] // 2, kept.shape[2] // 2]
    else:
        mask = seen["inputs"][0][0, 4]
        assert set(mask.unique().tolist()) == {0.0, 1.0} and mask[mask.shape[0] // 2, mask.shape[1] // 2] == 1
        assert torch.equal(seen["inputs"][0][:, 5:], seen["inputs"][1][:, 5:])
        assert torch.equal(seen["inputs"][0][:1, 5:], seen["latents"][-1])


def test_the_gap_is_closed_with_the_sample_or_with_its_surroundings(masked, chelsea):
    from privsc.recovery.reference import best_sample

    image, mask = masked
    plain = start_image(image, mask, None)
    assert (plain[~mask] == image[~mask]).all() and plain[mask].min() > 0
    warped = best_sample(chelsea, image, mask)
    closed = start_image(image, mask, warped)
    truth = data.chelsea()[mask].astype(int)
    assert abs(closed[mask] - truth).mean() < 0.3 * abs(plain[mask] - truth).mean()


@pytest.mark.parametrize(("steps", "strength"), [(1, 0.6), (3, 0.6), (7, 0.3), (25, 0.6), (25, 1.0), (9, 0.9)])
def test_the_schedule_leaves_as_many_steps_as_asked(steps, strength):
    length = scheduled_steps(steps, strength, 1000)
    assert min(int(length * strength), length) == steps
    assert scheduled_steps(900, 0.5, 1000) == 1000


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((0, 0, 300, 300), (512, 512)),
        ((0, 0, 640, 320), (512, 256)),
        ((5, 0, 10, 900), (64, 512)),
    ],
)
def test_a_crop_keeps_its_shape(box, size):
    assert painting_size(box, 512, 64) == size


def test_dream_booth_learns_the_entity_and_keeps_the_class(model, chelsea):
    """Eq. (15): on the entity's prompt the loss falls. Eq. (16): with its weight the class word changes less."""
    unet, scheduler = model.pipeline.unet, model.pipeline.scheduler
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    rng = np.random.default_rng(1)
    probes = []
    for t in (100, 500, 900):
        latent, mask, around = Crops(chelsea, model).draw(rng)
        noise = torch.from_numpy(rng.standard_normal(latent.shape, dtype=np.float32))
        seen = scheduler.add_noise(latent, noise, torch.tensor([t]))
        probes.append((torch.cat([seen, mask, around], 1) if model.inpaints else seen, t, noise, mask))

    @torch.no_grad()
    def predicted(prompt, adapter):
        text = model.pipeline.encode_prompt(prompt, unet.device, 1, False)[0]
        with adapters.applied(unet, adapter):
            return [unet(seen, t, encoder_hidden_states=text).sample for seen, t, _, _ in probes]

    def loss(found):
        return np.mean([float(((f - n).square() * m).mean()) for f, (_, _, n, m) in zip(found, probes, strict=True)])

    told = []
    free, kept = (
        dream_booth(chelsea, model, DreamBooth(steps=20, rate=1e-2, prior=prior), progress=lambda *n: told.append(n))
        for prior in (0.0, 20.0)
    )
    assert told[-1] == (20, 20, "personalising") and len(told) == 40
    assert loss(predicted(chelsea.prompt, free)) < 0.9 * loss(predicted(chelsea.prompt, None))
    generic = predicted("a photo of a cat", None)
    drift = []
    for adapter in (free, kept):
        found = predicted("a photo of a cat", adapter)
        drift.append(sum(float((a - b).square().mean()) for a, b in zip(found, generic, strict=True)))
    assert drift[1] < 0.5 * drift[0]
    after = unet.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    head = adapters.read_head(free)
    assert (head.rank, head.targets, head.model) == (8, TARGETS, model.identity)


def test_an_adapter_of_another_model_is_left_out_with_a_notice(model, masked, chelsea):
    mine = dream_booth(chelsea, model, DreamBooth(steps=3, rate=1e-2))
    recovery = SdRecovery(model)
    without = recovery(*masked, (chelsea,), steps=1)
    assert (recovery(*masked, (replace(chelsea, adapter=mine),), steps=1) != without).any()
    with adapters.applied(model.pipeline.unet, mine):
        foreign = adapters.to_bytes(model.pipeline.unet, 8, "stable-diffusion:ffffffffffff", TARGETS)
    with pytest.warns(Notice, match=r"Chelsea: the adapter in K was made for stable-diffusion:ffff.*, not for stable"):
        assert (recovery(*masked, (replace(chelsea, adapter=foreign),), steps=1) == without).all()
    with pytest.warns(Notice, match="not for privsc-mini:0123"):
        assert adapters.fits(mine, "privsc-mini:0123", "Chelsea") is None


def test_published_numbers_are_those_of_the_true_networks():
    """Sizes of the official float16 files agree with the networks that our configuration files describe."""
    with torch.device("meta"):
        networks = {
            "unet": UNet2DConditionModel.from_config(dict(sd_layout.UNET)),
            "vae": AutoencoderKL.from_config(dict(sd_layout.VAE)),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**sd_layout.TEXT)),
        }
    published = {file.name.split("/")[0]: file.size for file in catalogue.SOURCES["sd15-inpaint"].files}
    for part, network in networks.items():
        tensors = 2 * sum(parameter.numel() for parameter in network.parameters())
        assert 0 < published[part] - tensors < 100_000, part  # the header with the names


def test_a_fetched_folder_is_read_with_our_configuration_files(folder, tmp_path, monkeypatch):
    """As after `privsc models fetch sd15-inpaint`: float16 files under their published names, our JSON files."""
    fetched = save_stable_diffusion(tmp_path / "sd15-inpaint", variant="fp16")
    small = {name: json.loads((fetched / name).read_text()) for name in sd_layout.FILES}
    (fetched / "model_index.json").unlink()
    monkeypatch.setattr(sd_layout, "FILES", {**sd_layout.FILES, **{n: c for n, c in small.items() if "config" in n}})
    sd_layout.write_configs(fetched)
    monkeypatch.setenv(catalogue.ENVIRONMENT, str(tmp_path))
    with pytest.raises(WeightsError, match="run 'privsc models fetch sd15-inpaint'"):
        Choice(recovery="sd").recover()  # the tiny files have not the sizes of the list
    monkeypatch.setattr(catalogue, "is_fetched", lambda source, models: True)
    assert Choice(recovery="sd").recover()._sd.inpaints


HARM = {
    "tokenizer": (lambda f: shutil.rmtree(f / "tokenizer"), "has no tokenizer; a Stable Diffusion has the parts"),
    "vae": (lambda f: shutil.rmtree(f / "vae"), "has no vae"),
    "index": (lambda f: (f / "model_index.json").unlink(), "no model_index.json"),
    "index cut": (lambda f: (f / "model_index.json").write_text('{"_cl'), "not that of a diffusers pipeline"),
    "index of another": (
        lambda f: (f / "model_index.json").write_text('{"_class_name": "FluxPipeline"}'),
        "is a FluxPipeline",
    ),
    "unet without weights": (
        lambda f: (f / "unet" / "diffusion_pytorch_model.safetensors").unlink(),
        "no diffusion_pytorch_model.safetensors; fetch",
    ),
    "pickled": (
        lambda f: (f / "vae" / "diffusion_pytorch_model.safetensors").rename(f / "vae" / "diffusion_pytorch_model.bin"),
        "only pickled ones, which are never read",
    ),
    "unet cut": (lambda f: cut(f / "unet" / "diffusion_pytorch_model.safetensors"), "unet: truncated or not a unet"),
    "vae cut": (lambda f: cut(f / "vae" / "diffusion_pytorch_model.safetensors"), "vae: truncated or not a vae"),
    "text cut": (lambda f: cut(f / "text_encoder" / "model.safetensors"), "text_encoder: truncated or not a text_enc"),
    "text lost": (lambda f: lose(f / "text_encoder" / "model.safetensors"), "(1 tensors are missing, first "),
    "unet lost": (lambda f: lose(f / "unet" / "diffusion_pytorch_model.safetensors"), "(1 tensors are missing, first "),
    "unet config": (lambda f: (f / "unet" / "config.json").write_text("{"), "unet: truncated or not a unet"),
    "scheduler": (lambda f: (f / "scheduler" / "scheduler_config.json").write_text("?"), "scheduler: truncated or not"),
    "vocabulary": (lambda f: (f / "tokenizer" / "vocab.json").write_text("?"), "tokenizer: truncated or not a token"),
}


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose(path):
    tensors = load_file(path)
    tensors.pop(next(name for name in sorted(tensors) if name.endswith("weight")))
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize("harm", HARM)
def test_a_harmed_model_is_one_line(harm, tmp_path, capsys):
    folder = save_stable_diffusion(tmp_path / "sd")
    change, words = HARM[harm]
    change(folder)
    with pytest.raises(WeightsError) as caught:
        load_stable_diffusion(str(folder))
    assert words in " ".join(str(caught.value).split()) and str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("channels", "harm", "words"),
    [
        (5, None, "must have 4 or 9 input channels; it has 5"),
        (9, "text", "parts are of different models"),
    ],
)
def test_parts_that_do_not_fit_are_refused(channels, harm, words, tmp_path):
    folder = save_stable_diffusion(tmp_path / "sd", channels)
    if harm:
        config = CLIPTextConfig(
            vocab_size=200, hidden_size=16, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
        )
        shutil.rmtree(folder / "text_encoder")
        CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    with pytest.raises(WeightsError, match=words):
        load_stable_diffusion(str(folder))


def test_what_is_no_model_is_one_line(tmp_path):
    (tmp_path / "sd.ckpt").write_bytes(b"x")
    with pytest.raises(WeightsError, match="is one file; give a folder in diffusers' layout"):
        find_folder(str(tmp_path / "sd.ckpt"))
    with pytest.raises(WeightsError, match="neither a folder nor a model in this machine's Hugging Face cache"):
        find_folder("nobody/no-such-model")
    with pytest.raises(ConfigError, match="--device: 'abacus' cannot be used here"):
        load_stable_diffusion(str(tmp_path), "abacus")


def test_an_identifier_is_found_in_the_local_cache(folder, tmp_path, monkeypatch):
    from huggingface_hub import constants

    snapshot = tmp_path / "models--someone--something" / "snapshots" / ("0" * 40)
    shutil.copytree(folder, snapshot)
    (tmp_path / "models--someone--something" / "refs").mkdir()
    (tmp_path / "models--someone--something" / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert find_folder("someone/something").resolve() == snapshot.resolve()


def test_enrol_and_run_from_the_command_line(chelsea_folder, tmp_path, capsys):
    folder, k, out = save_stable_diffusion(tmp_path / "sd"), tmp_path / "K.db", tmp_path / "out"
    sd = ["--recovery", "sd", "--model", str(folder)]
    assert main(["db", "init", str(k)]) == 0
    photos = str(chelsea_folder / "chelsea")
    enrol = ["db", "enrol", str(k), "Chelsea", photos, "--class", "cat", "--personalise-steps", "2", *sd]
    assert main(enrol) == 0
    with Database.open(k) as db:
        head = adapters.read_head(db.entities()[0].adapter)
    run = ["run", str(chelsea_folder / "sent.jpg"), "--db", str(k), "--steps", "1", "--max-side", "200"]
    assert main([*run, *sd, "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["config"]["models"]["recovery"] == head.model == load_stable_diffusion(str(folder)).identity
    assert "privsc:" not in capsys.readouterr().err
    assert main([*run, "--out", str(out)]) == 0  # the embedded model cannot use that adapter
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("privsc:")]
    assert len(said) == 1 and "Chelsea: the adapter in K was made for stable-diffusion" in said[0]
    (folder / "unet" / "config.json").unlink()
    load_stable_diffusion.cache_clear()
    assert main([*run, *sd, "--out", str(tmp_path / "no")]) == 2
    assert f"{folder / 'unet'}: truncated or not a unet" in capsys.readouterr().err and not (tmp_path / "no").exists()
