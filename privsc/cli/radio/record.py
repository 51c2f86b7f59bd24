"""`privsc radio record`, `replay` and `soak`."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from privsc.cli.options import OutOption, SeedOption, console, errors, number, stages
from privsc.cli.radio.options import (
    ArgsOption,
    DcBlockOption,
    FrequencyOption,
    ProfileOption,
    RateOption,
    RxArgsOption,
    RxGainOption,
    RxProfileOption,
    SwapOption,
    TransmitOption,
    TxGainOption,
)
from privsc.radio.setup import chosen_setup

NameArgument = Annotated[Path, typer.Argument(metavar="NAME", help="Recording: NAME.sigmf-meta and NAME.sigmf-data.")]


def record(
    name: NameArgument,
    profile: ProfileOption = "virtual",
    args: ArgsOption = None,
    rx_profile: RxProfileOption = None,
    rx_args: RxArgsOption = None,
    frequency: FrequencyOption = None,
    rate: RateOption = None,
    tx_gain: TxGainOption = None,
    rx_gain: RxGainOption = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=3600, help="How long, where nothing is sent; Ctrl-C ends it earlier.")
    ] = 10.0,
    image: Annotated[Path | None, typer.Option(metavar="PHOTO", help="Send this meanwhile; needs --db.")] = None,
    database: Annotated[Path | None, typer.Option("--db", metavar="K.db", help="Privacy database K.")] = None,
    dc_block: DcBlockOption = "no",
    swap_iq: SwapOption = "no",
    transmit: TransmitOption = False,
    snr: Annotated[float | None, typer.Option(metavar="DB", help="Es/N0 of virtual radios.")] = None,
    seed: SeedOption = 0,
    codec: Annotated[str, typer.Option(help="Learned codec that carries the pixels.")] = "image8x4",
) -> None:
    """Record what Bob's antenna hears as SigMF, with an annotation for each frame that his chain finds.

    Without --image nothing is sent: the profile is the receiver's.
    """
    from hardware import sigmf_io
    from hardware.errors import RecordingError
    from privsc.radio.loopback import Air, check_allowed, save, set_noise
    from privsc.radio.setup import BOB

    if (image is None) != (database is None):
        raise RecordingError("--image and --db belong together: a photograph is guarded before it is sent")
    data = sigmf_io.partial_data(name)
    setup = chosen_setup(
        profile,
        rx_profile,
        "none",
        args,
        rx_args,
        None,
        frequency=frequency,
        rate=rate,
        tx_gain=tx_gain,
        rx_gain=rx_gain,
        dc_block=dc_block,
        swap_iq=swap_iq,
        transmit=transmit,
        send=image is not None,
        seed=seed,
    )
    check_allowed(setup)
    shown = Line()
    try:
        with stages() as stage:
            sent, config, db = _to_send(image, database, seed, codec, stage)
            stage("radios")
            with Air(setup, on_statistics=shown) as air:
                if sent is not None:
                    iq, factor = air.scaled(sent.iq)
                    set_noise(air, factor, snr, None)
                started = datetime.datetime.now(datetime.UTC)
                bar = stage("recording")
                air.listen(data, expect=0 if sent is None else len(iq))
                if sent is not None:
                    air.send(iq, progress=bar)
                else:
                    _pass(air, seconds, bar)
                ended = air.finish()
                meta = save(name, data, air, ended, config, db, started)
            if db is not None:
                db.close()
    finally:
        data.unlink(missing_ok=True)
    told = ended[BOB]["chains"][BOB]
    size = meta.with_suffix(".sigmf-data").stat().st_size
    console.print(
        f"{ended[BOB]['samples']} samples ({size / 1e6:.1f} MB), {told['frames']} frames, "
        f"{told['crc_ok']} exact, SNR {number(told['snr_db'], 1, ' dB')}, {len(air.gaps)} gaps; "
        f"{escape(str(meta))}"
    )


def _to_send(image: Path | None, database: Path | None, seed: int, codec: str, stage: Any) -> tuple[Any, Any, Any]:
    """(Sent, configuration, K); None each where nothing is sent."""
    if image is None or database is None:
        return None, None, None
    from privsc.images.photo_io import read_photo
    from privsc.knowledge.database import Database
    from privsc.networks.image_encoder import load_encoder
    from privsc.system.build import Models
    from privsc.system.config import RunConfig
    from privsc.system.trial import send

    config = RunConfig.build(channel="radio", seed=seed, codec=codec)
    photo = read_photo(image, config.max_side)
    db = Database.open(database, load_encoder().identity)
    stage("guard and transmitter")
    return send(photo, db, Models.load(), config, real=True)[0], config, db


def _pass(air: Any, seconds: float, bar: Any) -> None:
    """Let time pass; Ctrl-C ends it and keeps what there is."""
    begun = time.monotonic()
    try:
        while (done := time.monotonic() - begun) < seconds:
            air.wait(0.1)
            bar(min(done, seconds), seconds)
    except KeyboardInterrupt:
        errors.print("ending the recording")


RecordingArgument = Annotated[
    Path, typer.Argument(metavar="NAME", help="SigMF, its .sigmf archive, .wav, or raw .cu8, .cs8, .cs16, .cf32 …")
]


def replay(
    name: RecordingArgument,
    out: OutOption,
    who: Annotated[str, typer.Option("--as", help="Whose chain: bob or eve.")] = "bob",
    database: Annotated[
        Path | None, typer.Option("--db", metavar="K.db", help="Privacy database K; Bob needs it.")
    ] = None,
    eve_class: Annotated[str | None, typer.Option(metavar="WORD", help="Class word that Eve knows.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="Of raw samples: cu8, cs16, ci16_be, cf32, cf64 …")
    ] = None,
    sample_rate: Annotated[
        float | None, typer.Option(metavar="SPS", help="Of the recording, where it does not say it or says it wrong.")
    ] = None,
    signal_rate: Annotated[
        float | None, typer.Option(metavar="SPS", help="The sender's sample rate; looked for if left out.")
    ] = None,
    channel: Annotated[int, typer.Option(min=0, help="Which channel of an interleaved recording.")] = 0,
    seconds: Annotated[float | None, typer.Option(metavar="S", help="Only so much from the start.")] = None,
    dc_block: Annotated[str | None, typer.Option(metavar="auto|yes|no", help="Remove DC. As live, else auto.")] = None,
    swap_iq: Annotated[
        str | None, typer.Option(metavar="auto|yes|no", help="Exchange I and Q. As live, else auto.")
    ] = None,
    seed: SeedOption = 0,
    steps: Annotated[int | None, typer.Option(help="Denoising steps of the recovery.")] = None,
) -> None:
    """A recording through Bob's or Eve's chain; says whether the payloads equal those of the live run, bit by bit.

    Anybody's recordings are read. At another rate than the signal's they are resampled.
    """
    from hardware.errors import RecordingError
    from hardware.recordings.opening import open_recording
    from privsc.files import ResultFolder, to_json
    from privsc.images.photo_io import encode_png
    from privsc.radio.replay import ReplayOptions, front_end_lines, heard_again, restored_by

    if who not in ("bob", "eve"):
        raise RecordingError(f"--as: must be bob or eve; got {who!r}")
    if who == "bob" and database is None:
        raise RecordingError("--db: Bob needs K to paint back what was hidden; give the sender's file")
    options = ReplayOptions(signal_rate, dc_block, swap_iq, seconds)
    with stages() as stage:
        stage("recording")
        found = open_recording(name, form=form, sample_rate=sample_rate, channel=channel)
        ear, figures = heard_again(found, who, options, stage("receive chain"))
        with ResultFolder(out) as results:
            seen, more = restored_by(who, ear, database, eve_class, seed, steps, stage)
            results.add("received.png", encode_png(seen.heard.image))
            results.add(f"{who}.png", encode_png(seen.restored))
            results.add("report.json", to_json({**figures, **more}))
    same = {
        True: "bit by bit those of the live run",
        False: "NOT those of the live run",
        None: "not held against a live run",
    }
    for line in front_end_lines(figures):
        console.print(line)
    console.print(
        f"{who}: {figures['frames']} frames, {figures['crc_ok']} exact; payloads are "
        f"{same[figures['identical']]} (SHA-256 {figures['payload_sha256'][:16]})"
    )
    console.print(f"results in {escape(str(results.path))}" + (f"; {more['failure']}" if more["failure"] else ""))
    if figures["identical"] is False:
        raise RecordingError(
            f"{name}: the payloads differ from those of the live run; another version of numpy, scipy "
            "or of this program?"
        )


class Line:
    """Statistics of the receiving process, a line on stderr each second."""

    def __init__(self, chain: str = "bob"):
        self.chain, self.rows = chain, []  # type: ignore[var-annotated]
        self._before = (time.monotonic(), 0, 0)

    def __call__(self, who: str, told: dict[str, Any]) -> None:
        if "receiving" not in told or self.chain not in told["chains"]:
            return
        now, samples = time.monotonic(), told["receiving"].get("samples", 0)
        frames = told["chains"][self.chain]["frames"]
        then, had, known = self._before
        self._before = (now, samples, frames)
        self.rows.append((now, told))
        span, radio = max(now - then, 1e-3), told["radio"]
        errors.print(
            f"{(samples - had) / span / 1e6:.2f} Msps, {number(told['receiving']['level']['dbfs'], 1, ' dBFS')}, "
            f"{(frames - known) / span:.0f} frames/s, waiting {told['receiving']['waiting']}, overflow "
            f"{radio.get('overflow', 0)}, underflow {radio.get('underflow', 0)}, late {radio.get('late', 0)}, "
            f"memory {told['memory_kib'] / 1024:.1f} MiB"
        )


def soak(
    profile: ProfileOption = "virtual",
    rx_profile: RxProfileOption = "same",
    args: ArgsOption = None,
    rx_args: RxArgsOption = None,
    frequency: FrequencyOption = None,
    rate: RateOption = None,
    tx_gain: TxGainOption = None,
    rx_gain: RxGainOption = None,
    dc_block: DcBlockOption = "no",
    swap_iq: SwapOption = "no",
    transmit: TransmitOption = False,
    minutes: Annotated[float, typer.Option(min=0.05, max=1440, help="How long.")] = 10.0,
    overflows: Annotated[
        int, typer.Option(min=0, max=10000, help="Overflows to inject on the way (virtual radio).")
    ] = 0,
    snr: Annotated[float | None, typer.Option(metavar="DB", help="Es/N0 of the virtual radio; 20 if left out.")] = None,
) -> None:
    """Send and receive at once for minutes; tells frames, overflows and the growth of memory.

    Leaves with exit code 1 where samples were lost that nobody injected, or where an overflow cost more than its frame.
    """
    from privsc.radio.soak import run_soak, verdict

    setup = chosen_setup(
        profile,
        rx_profile,
        "none",
        args,
        rx_args,
        None,
        frequency=frequency,
        rate=rate,
        tx_gain=tx_gain,
        rx_gain=rx_gain,
        dc_block=dc_block,
        swap_iq=swap_iq,
        transmit=transmit,
    )

    from privsc.radio.loopback import check_allowed

    check_allowed(setup)
    told = run_soak(setup, 60.0 * minutes, overflows, snr, Line(), lambda: errors.print("ending"))
    for line in told.lines():
        console.print(line)
    if (trouble := verdict(told)) is not None:
        console.print(f"[bold red]{trouble}[/bold red]")
        raise typer.Exit(1)
