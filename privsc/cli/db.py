"""`privsc db`: make and fill the privacy database K."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from privsc.cli.options import (
    CheckpointOption,
    DatabaseArgument,
    DeviceOption,
    EncoderOption,
    ModelOption,
    RecoveryOption,
    SeedOption,
    console,
    stages,
)
from privsc.errors import DatabaseError, Notice
from privsc.files import write_atomic
from privsc.knowledge import sharing
from privsc.knowledge.database import Database
from privsc.knowledge.keys import new_seal
from privsc.knowledge.sqlite_file import read_whole

app = typer.Typer(
    no_args_is_help=True, help="The privacy database K: whom to hide, shared by transmitter and authorised receiver."
)


PassphraseOption = Annotated[
    bool,
    typer.Option(
        "--passphrase",
        help="Encrypt the file under a passphrase, which is asked for (or read from the file that "
        "PRIVSC_K_PASSPHRASE_FILE names); every command then asks for it.",
    ),
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Encrypt the file under a key file, made where it does not exist; PRIVSC_K_KEY_FILE names it later.",
    ),
]


@app.command(epilog="Example: privsc db init K.db --passphrase")
def init(
    database: DatabaseArgument,
    passphrase: PassphraseOption = False,
    key_file: KeyFileOption = None,
    encoder: EncoderOption = "lite0",
    checkpoint: CheckpointOption = None,
) -> None:
    """Make an empty K, for one image encoder."""
    from privsc.networks.text_encoder import load_text_encoder
    from privsc.system.build import Choice

    if database.exists():
        raise DatabaseError(f"{database}: exists already; remove it first or choose another name")
    seal = new_seal(database, passphrase, key_file)
    seeing, _ = Choice(encoder, checkpoint).pair()
    Database.create(database, seeing.identity, load_text_encoder().identity, seal).close()
    console.print(
        f"{escape(str(database))}: made; add someone with: privsc db enrol {escape(str(database))} NAME PHOTO..."
    )


@app.command(epilog="Example: privsc db enrol K.db Vicky photos/vicky --class cat --prompt 'a photo of the cat Vicky'")
def enrol(
    database: DatabaseArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the entity.")],
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photographs of it, or folders of them.")],
    prompt: Annotated[
        str | None, typer.Option(help="Text that stands for it; made from name and class if left out.")
    ] = None,
    class_word: Annotated[
        str | None, typer.Option("--class", metavar="WORD", help="What it is in one word: cat, dog, person, cup...")
    ] = None,
    personalise: Annotated[
        bool, typer.Option(help="Fine-tune the recovery on it (Algorithm 2); takes minutes, Bob's picture gains.")
    ] = True,
    steps: Annotated[
        int | None, typer.Option("--personalise-steps", min=1, max=100_000, help="Steps of Algorithm 2.")
    ] = None,
    seed: SeedOption = 0,
    encoder: EncoderOption = "lite0",
    checkpoint: CheckpointOption = None,
    recovery: RecoveryOption = "mini",
    model: ModelOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Add one entity from three or more photographs of it (one is possible)."""
    from privsc.images.photo_search import read_photos
    from privsc.system.build import Choice

    choice = Choice(encoder, checkpoint, recovery, model, device)
    data, found = read_photos(photos)
    for line in found.notices():
        warnings.warn(line, Notice, stacklevel=1)

    from privsc.system.enrol import enrol as enrol_entity

    with Database.open(database, choice.pair()[0].identity) as db, stages() as stage:
        entity = enrol_entity(
            db,
            name,
            data,
            prompt=prompt,
            class_word=class_word,
            personalise=personalise,
            seed=seed,
            progress=stage(f"enrolling {escape(name)}"),
            choice=choice,
            steps=steps,
        )
    console.print(
        f"{escape(entity.name)}: index {entity.index}, {len(entity.samples)} photographs, "
        f'prompt "{escape(entity.prompt)}", personalised: {"yes" if entity.adapter else "no"}'
    )


@app.command("list", epilog="Example: privsc db list K.db")
def list_(database: DatabaseArgument) -> None:
    """Show the entities of K."""
    table = Table("index", "name", "class", "photographs", "Gamma", "personalised", "prompt")
    with Database.open(database) as db:
        entities = db.entities()
    for entity in entities:
        gamma = "–" if entity.gamma is None else f"{entity.gamma:.3f}"
        table.add_row(
            str(entity.index),
            escape(entity.name),
            escape(entity.class_word),
            str(len(entity.samples)),
            gamma,
            "yes" if entity.adapter else "no",
            escape(entity.prompt),
        )
    console.print(table if entities else f"{escape(str(database))}: holds nobody yet")


@app.command(epilog="Example: privsc db remove K.db Vicky")
def remove(
    database: DatabaseArgument, name: Annotated[str, typer.Argument(metavar="NAME", help="The entity to forget.")]
) -> None:
    """Forget one entity; its index is never given to another."""
    with Database.open(database) as db:
        entity = db.remove(name)
    console.print(f"{escape(entity.name)}: removed")


@app.command(epilog="Example: privsc db info K.db")
def info(database: DatabaseArgument) -> None:
    """Show version, encoder, size and digest of K."""
    with Database.open(database) as db:
        facts = db.info()
    for key, value in facts.items():
        console.print(f"{key:10s} {escape(str(value))}", soft_wrap=True)


@app.command(epilog="Example: privsc db rotate K.db --passphrase")
def rotate(database: DatabaseArgument, passphrase: PassphraseOption = False, key_file: KeyFileOption = None) -> None:
    """Give K a new secret and epoch; with an option, also a new passphrase or key, or the first one."""
    with Database.open(database) as db:
        epoch = db.rotate(new_seal(database, passphrase, key_file))
        digest, sealed = db.digest().hex(), db.sealed
    console.print(f"{escape(str(database))}: epoch {epoch}, {'sealed' if sealed else 'not sealed'}, digest {digest}")
    console.print("copies of it that others have are of an older epoch: export it anew to whom you trust")


@app.command(epilog="Example: privsc db keygen keys/bob")
def keygen(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="PATH.pub and PATH.key are made; send PATH.pub.")],
) -> None:
    """Make a receiver's keys: with PATH.pub a sender exports K, with PATH.key the receiver imports it."""
    for made in sharing.make_pair(path):
        console.print(escape(str(made)))


@app.command(epilog="Example: privsc db export K.db --to bob.pub --out K-for-bob")
def export(
    database: DatabaseArgument,
    to: Annotated[Path, typer.Option("--to", metavar="BOB.pub", help="Public key of the receiver.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The copy, which may travel by any way.")],
) -> None:
    """Write a copy of K that one receiver can open and nobody else."""
    with Database.open(database) as db:
        write_atomic(out, sharing.seal_to(to, db.contents()))
        digest = db.digest().hex()
    console.print(
        f"{escape(str(out))}: for the owner of {escape(str(to))}; digest {digest}: let the receiver compare it"
    )


@app.command("import", epilog="Example: privsc db import K-for-bob K.db --key bob.key --passphrase")
def import_(
    copy: Annotated[Path, typer.Argument(metavar="FILE", help="What 'privsc db export' made.")],
    database: DatabaseArgument,
    key: Annotated[Path, typer.Option("--key", metavar="BOB.key", help="Your secret key, of 'privsc db keygen'.")],
    passphrase: PassphraseOption = False,
    key_file: KeyFileOption = None,
) -> None:
    """Open a copy of K that was exported to you, check it, and write it where you want it."""
    if database.exists():
        raise DatabaseError(f"{database}: exists already; remove it first or choose another name")
    data = sharing.open_copy(copy, read_whole(copy), key)
    with Database.from_bytes(copy, data) as db:
        digest = db.digest().hex()
    seal = new_seal(database, passphrase, key_file)
    write_atomic(database, data if seal is None else seal.close(data))
    console.print(f"{escape(str(database))}: digest {digest}; compare it with the sender's before you use it")
