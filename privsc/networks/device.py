"""The device on which a network runs."""

from __future__ import annotations

import torch

from privsc.errors import ConfigError


def torch_device(name: str) -> torch.device:
    """A device by torch's name for it, where a tensor can be put on it.

    Raises:
        ConfigError: for an unknown name or a device that this machine or this torch does not have.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ConfigError(
            f"--device: {name!r} cannot be used here ({reason}); leave it out for the processor"
        ) from error
    return device
