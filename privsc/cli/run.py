"""`privsc guard`, `privsc run` and `privsc demo`: what happens to an image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from privsc.cli.options import (
    CheckpointOption,
    DatabaseOption,
    DeviceOption,
    EncoderOption,
    HintOption,
    MaskInPayloadOption,
    MaskOption,
    ModelOption,
    OutOption,
    RecoveryOption,
    RemoveOption,
    SeedOption,
    SendOption,
    WaveformOption,
    console,
    stages,
)
from privsc.cli.tables import receivers_table

if TYPE_CHECKING:
    from privsc.system.config import RunConfig
    from privsc.system.trial import Carrier

ImageArgument = Annotated[Path, typer.Argument(metavar="IMAGE", help="Photograph to send.")]


def guard(
    image: ImageArgument,
    database: DatabaseOption,
    out: OutOption,
    mask: MaskOption = "silhouette",
    remove: RemoveOption = None,
    encoder: EncoderOption = "lite0",
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Hide the entities of K in a photograph: writes masked.png, mask.png and guard.json."""
    from privsc.files import ResultFolder
    from privsc.guard.masking import MaskShape
    from privsc.images.photo_io import read_photo
    from privsc.system.build import Choice

    shape, choice = MaskShape.parse(mask), Choice(encoder, checkpoint, device=device)
    photo = read_photo(image)

    from privsc.knowledge.database import (
        Database,  # the networks take seconds to load: not for a photograph that is none
    )
    from privsc.system.chain import chosen, hide
    from privsc.system.report import guard_files

    finder = choice.guard()
    with Database.open(database, finder.identity) as db:
        guarded = hide(photo, finder, db, shape, chosen(db, remove or ()))
    with ResultFolder(out) as results:
        for name, data in guard_files(guarded).items():
            results.add(name, data)
    names = ", ".join(f"{d.name} ({d.score:.2f})" for d in guarded.detections) or "nobody of K found"
    console.print(
        f"{escape(str(image))}: {escape(names)}; {100 * guarded.mask.mean():.1f} % of the pixels hidden; "
        f"results in {escape(str(results.path))}"
    )


def run(
    image: ImageArgument,
    database: DatabaseOption,
    out: OutOption,
    channel: Annotated[str, typer.Option(help="Channel to both receivers.")] = "awgn",
    waveform: WaveformOption = "burst",
    snr: Annotated[float, typer.Option(metavar="DB", help="Es/N0 at Bob in dB.")] = 10.0,
    eve_snr: Annotated[float | None, typer.Option(metavar="DB", help="Es/N0 at Eve in dB; Bob's if left out.")] = None,
    seed: SeedOption = 0,
    codec: Annotated[str, typer.Option(help="Learned codec that carries the pixels.")] = "image8x4",
    coding: Annotated[str, typer.Option(help="pixels, webp, avif or jpeg.")] = "pixels",
    quality: Annotated[int, typer.Option(help="1 to 100, of webp, avif and jpeg.")] = 80,
    max_side: Annotated[int, typer.Option(metavar="PX", help="Larger photographs are scaled down to this.")] = 640,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; the model's own number if left out.")] = None,
    init: Annotated[str, typer.Option(help="Where Bob's recovery starts: reference or noise.")] = "reference",
    mask: MaskOption = "silhouette",
    remove: RemoveOption = None,
    hint: HintOption = "pose",
    send: SendOption = "index",
    mask_in_payload: MaskInPayloadOption = False,
    eve_class: Annotated[
        str | None, typer.Option(metavar="WORD", help="Class word that Eve knows; the true one if left out.")
    ] = None,
    tx_endpoint: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Of --channel zmq: where the flowgraph takes samples.")
    ] = "tcp://127.0.0.1:5560",
    bob_endpoint: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Of --channel zmq: where it gives Bob's.")
    ] = "tcp://127.0.0.1:5561",
    eve_endpoint: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Of --channel zmq: where it gives Eve's.")
    ] = "tcp://127.0.0.1:5562",
    encoder: EncoderOption = "lite0",
    checkpoint: CheckpointOption = None,
    recovery: RecoveryOption = "mini",
    model: ModelOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Send a photograph to Bob and to Eve; writes pictures and report.json.

    With --channel zmq a flowgraph is the channel (flowgraphs/channel_zmq.grc): it sets the SNR, --snr does not.
    """
    from privsc.images.photo_io import decode_photo, read_bytes
    from privsc.system.build import Choice
    from privsc.system.config import RunConfig

    choice = Choice(encoder, checkpoint, recovery, model, device)
    data = read_bytes(image)
    config = RunConfig.build(
        channel=channel,
        waveform=waveform,
        snr_db=snr,
        eve_snr_db=eve_snr,
        seed=seed,
        codec=codec,
        coding=coding,
        quality=quality,
        max_side=max_side,
        steps=steps,
        init=init,
        mask=mask,
        eve_class_word=eve_class,
        remove=tuple(remove or ()),
        hint=hint,
        send=send,
        mask_in_payload=mask_in_payload,
    )
    photo = decode_photo(data, str(image), config.max_side)

    from privsc.files import ResultFolder
    from privsc.knowledge.database import Database
    from privsc.system.build import Models
    from privsc.system.report import run_files
    from privsc.system.trial import run_trial

    models = Models.load(choice)
    with (
        _carrier(config, tx_endpoint, bob_endpoint, eve_endpoint) as carrier,
        Database.open(database, models.guard.identity) as db,
        ResultFolder(out) as results,
        stages() as stage,
    ):
        trial = run_trial(photo, db, models, config, stage, carrier)
        stage("pictures")
        for name, data in run_files(trial).items():
            results.add(name, data)
    console.print(receivers_table([trial.figures]))
    hidden = ", ".join(entity["name"] for entity in trial.figures["hidden"]) or "nobody of K was found"
    console.print(f"hidden: {escape(hidden)}; results in {escape(str(results.path))}")


@contextmanager
def _carrier(config: RunConfig, tx: str, bob: str, eve: str) -> Iterator[Carrier | None]:
    """A carrier over the bridge where the configuration says so, None for a simulated channel."""
    if config.channel != "zmq":
        yield None
        return
    from phy.net.bridge import Bridge, BridgeChannel
    from privsc.system.trial import BOB, EVE, LinkCarrier

    link = config.link()
    with Bridge(tx, {BOB: bob, EVE: eve}) as bridge:
        channels = {who: BridgeChannel(bridge, who) for who in (BOB, EVE)}
        yield LinkCarrier(link.transmitter(), link.receiver(), channels)


def demo(
    out: OutOption = Path("results/demo"),
    seed: SeedOption = 0,
    chelsea: Annotated[
        bool, typer.Option("--chelsea", help="Send a view of the very photograph that K is made of: easier than life.")
    ] = False,
) -> None:
    """The whole chain on a photograph of a puppy that comes with the package; no download, no radio."""
    from privsc.system import demo as demos

    story = demos.chelsea(seed) if chelsea else demos.biscuit(seed)
    with stages() as stage:
        rows = demos.run_demo(out, story, seed, stage)
    console.print(receivers_table(rows))
    share = f"{100 * rows[0]['private_share']:.0f} % of the picture"
    hidden = ", ".join(entity["name"] for entity in rows[0]["hidden"]) or "nobody"
    console.print(f"hidden: {escape(hidden)}, {share}; [dim]{escape(story.note)}[/dim]")
    console.print(f"pictures: {escape(str(out / 'fig4.png'))}; figures: {escape(str(out / 'report.json'))}")
