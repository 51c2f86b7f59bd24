"""How thoroughly the guard looks, and what becomes of what it only suspects."""

from __future__ import annotations

from dataclasses import dataclass

from privsc.errors import ConfigError

EFFORTS = ("fast", "normal", "thorough")
SUSPECTS = ("mask", "refuse", "send")
SUSPECT = 0.06
"""How far below an entity's Gamma a region is still suspect [cosine similarity]. Chosen on 119 pets for training, of
which 5.0 % came so near, 7.6 % within 0.1; of pets outside training more do (`privsc eval guard`)."""
SHOWN = 0.2
"""How far below Gamma evidence is still kept for an operator [cosine similarity]."""


@dataclass(frozen=True)
class GuardConfig:
    """What the guard does beyond Algorithm 1 of the paper.

    Attributes:
        effort: `fast` looks at the whole picture, and in small at its four turns; `normal` at the turns in full
            and at three times the size; `thorough` also turned at twice the size (privsc.guard.looks).
        suspect: what becomes of a region that nearly matches: `mask` hides it as nobody in particular, `refuse` raises
            `SuspectError`, `send` leaves it in the picture.
        margin: how far below an entity's Gamma a region is suspect [cosine similarity].
        gamma: threshold for every entity [cosine similarity]; None uses the one that enrolment calibrated for each.

    Raises:
        ConfigError: for a word that is not known, or a number out of its range.
    """

    effort: str = "normal"
    suspect: str = "mask"
    margin: float = SUSPECT
    gamma: float | None = None

    def __post_init__(self) -> None:
        if self.effort not in EFFORTS:
            raise ConfigError(f"effort: choose one of {', '.join(EFFORTS)}; got {self.effort!r}")
        if self.suspect not in SUSPECTS:
            raise ConfigError(f"suspect: choose one of {', '.join(SUSPECTS)}; got {self.suspect!r}")
        if not 0 <= self.margin <= 1:
            raise ConfigError(f"margin: how far below Gamma is suspect, 0 to 1; got {self.margin!r}")
        if self.gamma is not None and not -1 <= self.gamma <= 1:
            raise ConfigError(f"gamma: a cosine similarity of -1 to 1; got {self.gamma!r}")
