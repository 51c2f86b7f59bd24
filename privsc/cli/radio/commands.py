"""`privsc radio`: real radios and the virtual one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from privsc.cli.options import OutOption, SeedOption, console, number, stages
from privsc.cli.radio import record as recording
from privsc.cli.radio.options import (
    ArgsOption,
    DcBlockOption,
    EveArgsOption,
    EveProfileOption,
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

app = typer.Typer(
    no_args_is_help=True,
    help="Radios: what is connected, a photograph over the air, recordings, and what is wrong when nothing arrives. "
    "Read hardware/README.md first: cable and attenuators before antennas.",
    epilog="Start with: privsc radio doctor --profile virtual",
)


@app.command(epilog="Example: privsc radio probe")
def probe() -> None:
    """What is connected, what it can do, and which profile fits."""
    from hardware.process.client import Station
    from hardware.profiles.profile import available, load

    with stages() as stage:
        stage("asking the drivers")
        with Station() as station:
            devices = station.ask("probe")["devices"]
    for one in devices:
        label = one["device"].get("label") or ", ".join(f"{k}={v}" for k, v in one["device"].items()) or one["api"]
        if "error" in one:
            console.print(f"[bold]{escape(label)}[/bold] ({one['api']}): {escape(one['error'])}")
            continue
        fits = ", ".join(one["fits"]) or "none; write one with the nearest as its base"
        console.print(f"[bold]{escape(label)}[/bold] ({one['api']}), profile: {escape(fits)}")
        console.print(_ranges_table(one["description"]))
    if not any("error" not in one for one in devices):
        console.print("no radio found: is it plugged in, and its driver installed?")
    console.print("profiles: " + ", ".join(f"{name} ({load(name).about})" for name in available()))


def _ranges_table(description: dict[str, Any]) -> Table:
    table = Table("", "frequency", "sample rate", "gain", "stages", "antennas", "formats")
    for side in ("tx", "rx"):
        one = description[side]
        if not one["channels"]:
            continue
        gain = "–" if one["gain"] is None else f"{one['gain'][0]:g} to {one['gain'][1]:g} dB"
        table.add_row(
            f"{side}, {one['channels']} channels" if one["channels"] > 1 else side,
            _spans(one["frequency"], "Hz"),
            _spans(one["sample_rate"], "sps"),
            gain,
            " ".join(f"{k} {v[0]:g}..{v[1]:g}" for k, v in one["gains"].items()),
            " ".join(one["antennas"]),
            " ".join(one["formats"]),
        )
    return table


def _spans(spans: list[list[float]], unit: str) -> str:
    if not spans:
        return "–"
    low, high = min(one[0] for one in spans), max(one[1] for one in spans)
    return f"{low / 1e6:g} to {high / 1e6:g} M{unit}"


@app.command(epilog="Example: privsc radio loopback --profile virtual --image photo.jpg --db K.db --out results/radio")
def loopback(
    image: Annotated[Path, typer.Option("--image", metavar="PHOTO", help="Photograph to send.")],
    database: Annotated[Path, typer.Option("--db", metavar="K.db", help="Privacy database K.")],
    out: OutOption,
    profile: ProfileOption = "virtual",
    rx_profile: RxProfileOption = None,
    eve_profile: EveProfileOption = None,
    args: ArgsOption = None,
    rx_args: RxArgsOption = None,
    eve_args: EveArgsOption = None,
    frequency: FrequencyOption = None,
    rate: RateOption = None,
    tx_gain: TxGainOption = None,
    rx_gain: RxGainOption = None,
    dc_block: DcBlockOption = "no",
    swap_iq: SwapOption = "no",
    transmit: TransmitOption = False,
    snr: Annotated[
        float | None, typer.Option(metavar="DB", help="Es/N0 at Bob; virtual radios only, 15 if left out.")
    ] = None,
    eve_snr: Annotated[float | None, typer.Option(metavar="DB", help="Es/N0 at Eve; virtual radios only.")] = None,
    eve_noise: Annotated[
        float | None, typer.Option(metavar="DBFS", help="Noise added for Eve where she hears Bob's capture.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="NAME", help="Also record Bob's antenna: NAME.sigmf-meta, NAME.sigmf-data.")
    ] = None,
    seed: SeedOption = 0,
    codec: Annotated[str, typer.Option(help="Learned codec that carries the pixels.")] = "image8x4",
    coding: Annotated[str, typer.Option(help="pixels, webp, avif or jpeg.")] = "pixels",
    max_side: Annotated[int, typer.Option(metavar="PX", help="Larger photographs are scaled down to this.")] = 640,
    steps: Annotated[int | None, typer.Option(help="Denoising steps of the recovery.")] = None,
) -> None:
    """Send a photograph with one radio, receive it with Bob's and Eve's; writes what `privsc run` writes.

    frames.csv lists every frame of both receivers. Real radios transmit only with --transmit.
    """
    from privsc.cli.tables import receivers_table
    from privsc.images.photo_io import decode_photo, read_bytes
    from privsc.system.config import RunConfig

    data = read_bytes(image)
    config = RunConfig.build(channel="radio", seed=seed, codec=codec, coding=coding, max_side=max_side, steps=steps)
    photo = decode_photo(data, str(image), config.max_side)
    setup = chosen_setup(
        profile,
        rx_profile,
        eve_profile,
        args,
        rx_args,
        eve_args,
        frequency=frequency,
        rate=rate,
        tx_gain=tx_gain,
        rx_gain=rx_gain,
        dc_block=dc_block,
        swap_iq=swap_iq,
        transmit=transmit,
        eve_noise=eve_noise,
        seed=config.seeds().eve,
    )

    from privsc.files import ResultFolder
    from privsc.knowledge.database import Database
    from privsc.networks.image_encoder import load_encoder
    from privsc.radio.loopback import Air, check_allowed, over_the_air
    from privsc.system.build import Models
    from privsc.system.report import run_files

    check_allowed(setup)
    with (
        Database.open(database, load_encoder().identity) as db,
        ResultFolder(out) as results,
        stages() as stage,
    ):
        stage("networks")
        models = Models.load()
        stage("radios")
        with Air(setup) as air:
            trial, files = over_the_air(photo, db, models, config, air, stage, snr, eve_snr, record)
        for name, content in {**run_files(trial), **files}.items():
            results.add(name, content)
    console.print(receivers_table([trial.figures]))
    told = trial.figures["radio"]
    for who in ("bob", "eve"):
        one, lost = told[who], trial.figures["link"]["frames_lost" if who == "bob" else "eve_frames_lost"]
        carrier = number(one["cfo_hz"] and one["cfo_hz"] / 1e3, 2, " kHz")
        console.print(
            f"{who}: {one['frames']} of {trial.figures['link']['frames_sent']} frames, {lost} lost, "
            f"{one['crc_ok']} exact; carrier {carrier}, clock {number(one['clock_ppm'], 1, ' ppm')}, "
            f"overflows {one['overflows']}"
        )
    trouble = {key: n for key, n in told["sender"]["counts"].items() if key in ("underflow", "late", "sequence") and n}
    if trouble:
        console.print(
            "the transmitter ran dry or came too late (a busy computer?): "
            + ", ".join(f"{n} x {key}" for key, n in trouble.items())
        )
    hidden = ", ".join(entity["name"] for entity in trial.figures["hidden"]) or "nobody of K was found"
    console.print(f"hidden: {escape(hidden)}; results in {escape(str(results.path))}")


InjectOption = Annotated[
    str | None,
    typer.Option(
        metavar="FAULT",
        help="Break the virtual radio, or give its driver a bad habit ('all': every way; a wrong name lists them).",
    ),
]


@app.command(epilog="Example: privsc radio doctor --profile pluto --transmit --out results/doctor")
def doctor(
    out: OutOption = Path("results/doctor"),
    profile: ProfileOption = "virtual",
    rx_profile: RxProfileOption = None,
    args: ArgsOption = None,
    rx_args: RxArgsOption = None,
    frequency: FrequencyOption = None,
    rate: RateOption = None,
    tx_gain: TxGainOption = None,
    rx_gain: RxGainOption = None,
    transmit: TransmitOption = False,
    inject: InjectOption = None,
) -> None:
    """Send known frames and say at which stage the link fails, and what to try; writes doctor.png and doctor.json.

    Leaves with exit code 1 where a stage fails.
    """
    from hardware.diagnosis.doctor import Stage
    from privsc.files import ResultFolder, to_json
    from privsc.radio.examination import Examination, injected, virtual_snr
    from privsc.radio.habits import HABITS
    from privsc.radio.loopback import Air, check_allowed
    from privsc.radio.plots import doctor_picture

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
        transmit=transmit,
    )
    check_allowed(setup)
    if inject in HABITS:
        return _habits(setup, [inject])
    if inject == "all":
        return _practise(setup, out)
    setup = injected(setup, inject)
    with ResultFolder(out) as results, stages() as stage:
        stage("radios")
        with Air(setup) as air:
            stage("a known train of frames")
            told = Examination(air, inject, virtual_snr(air.setup, inject)).diagnose()
        stage("picture")
        names = f"{setup.sender.name if setup.sender else ''} to {setup.bob.name}"
        results.add("doctor.png", doctor_picture(told, setup.bob.sample_rate, f"{names}: {told.verdict}"))
        results.add(
            "doctor.json",
            to_json(
                {
                    "verdict": told.verdict,
                    "measures": told.measures,
                    "stages": [
                        {"name": s.name, "ok": s.ok, "found": s.found, "advice": list(s.advice)} for s in told.stages
                    ],
                }
            ),
        )
    table = Table("stage", "", "found")
    for one in told.stages:
        table.add_row(one.name, {True: "ok", False: "[bold red]fails[/bold red]", None: "–"}[one.ok], escape(one.found))
    console.print(table)
    failed: Stage | None = told.failed
    if failed is None:
        console.print("the link is healthy")
    else:
        console.print(f"[bold]{failed.name}[/bold]: {escape(failed.found)}")
        for line in failed.advice:
            console.print(f"  try: {escape(line)}")
    console.print(f"picture: {escape(str(results.path / 'doctor.png'))}")
    if failed is not None:
        raise typer.Exit(1)


def _practise(setup: Any, out: Path) -> None:
    """Every fault: a table, a picture each, exit code 1 where one is not named right."""
    from privsc.files import ResultFolder
    from privsc.radio.examination import INJECTIONS, practise
    from privsc.radio.habits import HABITS
    from privsc.radio.plots import doctor_picture

    table, wrong = Table("injected", "stage", "named", "found"), 0
    with ResultFolder(out) as results, stages() as stage:
        bar = stage("faults")
        for fault, expected, told in practise(setup, [None, *INJECTIONS], bar):
            right = told.verdict == expected
            wrong += not right
            found = told.failed.found if told.failed else f"{told.measures['frames_good']} frames exact"
            verdict = told.verdict if right else f"[bold red]{told.verdict}[/bold red]"
            table.add_row(fault or "nothing", expected, verdict, escape(found))
            name = fault or "healthy"
            results.add(f"doctor-{name}.png", doctor_picture(told, setup.bob.sample_rate, f"{name}: {told.verdict}"))
    console.print(table)
    console.print(
        f"{len(INJECTIONS) + 1 - wrong} of {len(INJECTIONS) + 1} named right; pictures in {escape(str(results.path))}"
    )
    _habits(setup, list(HABITS))
    if wrong:
        raise typer.Exit(1)


def _habits(setup: Any, names: list[str]) -> None:
    """What becomes of a few frames with each habit of a driver: a table; exit code 1 where one breaks the link."""
    from privsc.radio.habits import habits

    table, wrong = Table("habit of a driver", "", "frames", "", "ended with"), 0
    with stages() as stage:
        bar = stage("habits of drivers")
        for name, habit, told in habits(setup, names, bar):
            good = told.fine(habit)
            wrong += not good
            mark = "ok" if good else "[bold red]fails[/bold red]"
            table.add_row(name, habit.about, f"{told.frames}/{told.sent}", mark, escape(told.line))
    console.print(table)
    if wrong:
        raise typer.Exit(1)


@app.command(epilog="Example: privsc radio calibrate --profile pluto --transmit --out my-pluto.toml")
def calibrate(
    out: Annotated[Path, typer.Option("--out", metavar="FILE.toml", help="Profile to write; its plot is FILE.png.")],
    profile: ProfileOption = "virtual",
    rx_profile: RxProfileOption = None,
    args: ArgsOption = None,
    rx_args: RxArgsOption = None,
    frequency: FrequencyOption = None,
    rate: RateOption = None,
    tx_gain: TxGainOption = None,
    transmit: TransmitOption = False,
    side: Annotated[str, typer.Option(help="Which gain is swept: rx or tx.")] = "rx",
    steps: Annotated[int, typer.Option(min=2, max=100, help="Gains that are tried.")] = 9,
) -> None:
    """Sweep a gain, measure SNR and EVM, estimate the frequency error; writes a profile with the best setting."""
    import datetime

    import numpy as np

    from hardware.errors import ProfileError
    from privsc.files import write_atomic
    from privsc.radio.examination import Examination, best_row, sweep, user_profile
    from privsc.radio.loopback import Air, check_allowed
    from privsc.radio.plots import sweep_picture

    if out.suffix != ".toml":
        raise ProfileError(f"--out: must end in .toml; got {out}")
    if side not in ("rx", "tx"):
        raise ProfileError(f"--side: must be rx or tx; got {side!r}")
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
        transmit=transmit,
    )
    check_allowed(setup)
    used = setup.bob if side == "rx" else setup.sender
    assert used is not None
    limits = used.limits.rx_gain if side == "rx" else used.limits.tx_gain
    if limits is None:
        raise ProfileError(f"{used.name}: limits.{side}_gain: is missing; without it no gain can be swept")
    high = limits[1] if side == "rx" else min(limits[1], used.safety.max_gain)
    with stages() as stage:
        stage("radios")
        with Air(setup) as air:
            virtual = 20.0 if air.setup.bob.virtual else None
            rows = sweep(
                Examination(air, snr_db=virtual),
                [float(g) for g in np.linspace(limits[0], high, steps)],
                side,
                stage(f"{side}.gain"),
            )
    table = Table(f"{side}.gain", "SNR", "EVM", "level", "quiet", "peak", "frames", "carrier", "")
    for row in rows:
        table.add_row(
            f"{row['gain']:g} dB",
            number(row["snr_db"], 1, " dB"),
            number(row["evm_db"], 1, " dB"),
            number(row["level_dbfs"], 1, " dBFS"),
            number(row["background_dbfs"], 1, " dBFS"),
            number(row["peak"], 2),
            f"{row['frames_good']}/{row['preambles']}",
            number(row["carrier_ppm"], 2, " ppm"),
            row["verdict"],
        )
    console.print(table)
    best = best_row(rows)
    write_atomic(out.with_suffix(".png"), sweep_picture(rows, best, side))
    if best is None:
        raise ProfileError(f"{used.name}: at no gain did a frame arrive unclipped; run privsc radio doctor")
    base = {"rx": rx_profile or (setup.bob.name if setup.bob is not setup.sender else profile), "tx": profile}[side]
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    write_atomic(out, user_profile(base, used, side, best, rows, stamp).encode())
    console.print(
        f"best: {best['gain']:g} dB with SNR {best['snr_db']:.1f} dB; receiver's reference "
        f"{-(best['carrier_ppm'] or 0):+.2f} ppm beside the sender's; written to "
        f"{escape(str(out))}"
    )


app.command(epilog="Example: privsc radio record antenna --profile rtlsdr --seconds 10")(recording.record)
app.command(epilog="Example: privsc radio replay antenna --as bob --db K.db --out results/replay")(recording.replay)
app.command(epilog="Example: privsc radio soak --profile virtual --minutes 10")(recording.soak)
