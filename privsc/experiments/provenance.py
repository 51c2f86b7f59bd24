"""What is written beside every result, so that it can be made again: revision, versions, digests of weights."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from privsc.networks.files.weights import weights_sha256
from privsc.provenance import PACKAGES, revision, version
from privsc.system.build import Choice


def identities(choice: Choice) -> Identities:
    """Which networks the choice means; loads them."""
    from privsc.networks.text_encoder import load_text_encoder

    encoder, _ = choice.pair()
    segmenter = weights_sha256("sam-lite") + weights_sha256("strangers")
    painter = str(getattr(choice.recover(), "identity", choice.recovery))
    return Identities(encoder.identity, load_text_encoder().identity, painter, segmenter)


def stamps(found: Identities) -> tuple[tuple[str, str], ...]:
    """Columns of every row."""
    return (
        ("encoder", found.encoder),
        ("text", found.text),
        ("recovery", found.painter),
        ("weights_sha256", weights_sha256()),
        ("revision", revision() or "unknown"),
        ("privsc", version("privsc")),
        ("python", platform.python_version()),
        *((name, version(name)) for name in PACKAGES),
    )


@dataclass(frozen=True)
class Identities:
    """Which networks make an entry of K: S_alpha, M_chi, text encoder, U_theta."""

    encoder: str
    text: str
    painter: str
    segmenter: str
