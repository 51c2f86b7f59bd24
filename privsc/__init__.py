"""Private entities are removed from a photograph before it is sent, and painted back by whoever shares K.

images ─► knowledge ─► networks ─► guard ─► hints ─► transport ─► (phy) ─► recovery; `system` is the chain, and
`worker`, `radio`, `training`, `evaluation`, `experiments`, `cli` stand on it, in this order.

The names of `PUBLIC` can be had from here: `from privsc import open_k, Transmitter`. Each is imported when it is first
asked for, so that `import privsc` loads neither numpy nor torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same table for type checkers and editors; a test compares the two
    from phy.channel import sionna_channel as channels
    from privsc.knowledge.database import Database
    from privsc.system.build import Models
    from privsc.system.chain import Eavesdropper, Receiver, Transmitter
    from privsc.system.measure import measure

    open_k, load_networks = Database.open, Models.load
    __version__: str

PUBLIC = {  # name here: module, or module:attribute
    "open_k": "privsc.knowledge.database:Database.open",
    "load_networks": "privsc.system.build:Models.load",
    "Transmitter": "privsc.system.chain:Transmitter",
    "Receiver": "privsc.system.chain:Receiver",
    "Eavesdropper": "privsc.system.chain:Eavesdropper",
    "channels": "phy.channel.sionna_channel",
    "measure": "privsc.system.measure:measure",
}

__all__ = ["Eavesdropper", "Receiver", "Transmitter", "__version__", "channels", "load_networks", "measure", "open_k"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from privsc.provenance import version

        found: Any = version("privsc")
    elif name in PUBLIC:
        module, _, attributes = PUBLIC[name].partition(":")
        found = import_module(module)
        for attribute in filter(None, attributes.split(".")):
            found = getattr(found, attribute)
    else:
        raise AttributeError(f"module 'privsc' has no attribute {name!r}")
    globals()[name] = found  # asked for once
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _prefer_own_packages(folder: Path) -> None:
    """Put the folder in which a wheel holds phy, hardware and flowgraphs (see setup.py) first on the path.

    `privsc.pth` puts it last, so that packages of the same names by others are not shadowed where privsc is not used.

    Raises:
        ImportError: another package of one of these names has been imported already.
    """
    if not folder.is_dir():  # a checkout: they lie beside privsc
        return
    sys.path[:] = [str(folder), *(entry for entry in sys.path if entry != str(folder))]
    for name in ("phy", "hardware", "flowgraphs"):
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin is not None and folder not in Path(origin).parents:
            raise ImportError(f"{name}: privsc has a package of this name, but {origin} is loaded; import privsc first")


_prefer_own_packages(Path(__file__).with_name("_lib"))
