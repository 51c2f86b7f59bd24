"""Which networks a command runs: the embedded defaults, or the full models whose weights the user has.

The numbers of each network live in its builder; this file only says which builder is called. Nothing here loads torch
until a network is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from privsc.errors import ConfigError

if TYPE_CHECKING:
    from privsc.guard.guard import Guard
    from privsc.knowledge.entity import Entity
    from privsc.networks.image_encoder import Encoder
    from privsc.networks.mask_decoder import Segmenter
    from privsc.recovery.recovery import Recovery
    from privsc.system.protocols import GuardLike, RecoveryLike

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what)."""

SAM = ("sam_vit_b", "sam_vit_l", "sam_vit_h")
ENCODERS = ("lite0", *SAM)
RECOVERIES = ("mini", "sd")


@dataclass(frozen=True)
class Choice:
    """Names of the networks and where their weights lie.

    Attributes:
        encoder: S_alpha, and M_chi with it: "lite0" (with sam-lite), "sam_vit_b", "sam_vit_l" or "sam_vit_h".
        checkpoint: weights of a SAM encoder; None takes what `privsc models fetch` has stored.
        recovery: U_theta: "mini" (privsc-mini) or "sd" (Stable Diffusion).
        model: folder of U_theta in diffusers' layout, or an identifier in the local Hugging Face cache; None takes the
            shipped privsc-mini, or the Stable Diffusion that `privsc models fetch` has stored.
        device: torch device of the full models' large networks; the embedded ones run on the processor.

    Raises:
        ConfigError: for a name that is not known, or an option that does not go with the others.
    """

    encoder: str = "lite0"
    checkpoint: Path | None = None
    recovery: str = "mini"
    model: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise ConfigError(f"--encoder: choose one of {', '.join(ENCODERS)}; got {self.encoder!r}")
        if self.recovery not in RECOVERIES:
            raise ConfigError(f"--recovery: choose one of {', '.join(RECOVERIES)}; got {self.recovery!r}")
        if self.checkpoint is not None and self.encoder not in SAM:
            raise ConfigError(f"--checkpoint: goes with --encoder {', '.join(SAM)}; the weights of lite0 come along")

    def pair(self) -> tuple[Encoder, Segmenter]:
        """S_alpha and M_chi, which share the image's features."""
        if self.encoder in SAM:
            from privsc.networks.files.catalogue import fetched
            from privsc.networks.sam import load_sam

            return load_sam(self.encoder, self.checkpoint or fetched(self.encoder), self.device)
        from privsc.networks.image_encoder import load_encoder
        from privsc.networks.mask_decoder import load_segmenter

        return load_encoder(self.encoder), load_segmenter()

    def guard(self) -> Guard:
        """Algorithm 1 on these networks."""
        from privsc.guard.guard import Guard
        from privsc.hints.fit import fit_hint

        return Guard(*self.pair(), fit=fit_hint)

    def recover(self) -> Recovery:
        """The recovery module on the chosen U_theta."""
        if self.recovery == "sd":
            from privsc.networks.stable_diffusion import load_stable_diffusion
            from privsc.recovery.sd_recovery import SdRecovery

            return SdRecovery(load_stable_diffusion(self._sd_folder(), self.device))
        from privsc.networks.diffusion import load_model
        from privsc.recovery.recovery import Recovery

        return Recovery(None if self.model is None else load_model(Path(self.model)))

    def personalise(
        self, entity: Entity, *, seed: int = 0, steps: int | None = None, progress: Progress | None = None
    ) -> bytes:
        """Algorithm 2 on the chosen U_theta: the adapter's bytes for K. ``steps``: None for the model's own number."""
        if self.recovery == "sd":
            from privsc.networks.stable_diffusion import load_stable_diffusion
            from privsc.recovery.sd_personalise import DreamBooth, dream_booth

            loaded = load_stable_diffusion(self._sd_folder(), self.device)
            config = DreamBooth() if steps is None else DreamBooth(steps=steps)
            return dream_booth(entity, loaded, config, seed=seed, progress=progress)
        from privsc.networks.diffusion import load_model
        from privsc.recovery.personalise import Personalisation, personalise

        model = None if self.model is None else load_model(Path(self.model))
        settings = None if steps is None else Personalisation(steps=steps)
        return personalise(entity, model=model, config=settings, seed=seed, progress=progress)

    def _sd_folder(self) -> str:
        from privsc.networks.files.catalogue import fetched

        return self.model or str(fetched("sd15-inpaint"))


DEFAULT = Choice()


@dataclass(frozen=True)
class Models:
    """The networks that transmitter and receivers share."""

    guard: GuardLike
    recovery: RecoveryLike

    @classmethod
    def load(cls, choice: Choice = DEFAULT) -> Models:
        """The networks of a choice; without one the embedded defaults: EfficientNet-Lite0, sam-lite and privsc-mini."""
        return cls(choice.guard(), choice.recover())

    @property
    def names(self) -> dict[str, str | None]:
        """Which networks these are, for a report."""
        parts = {"encoder": self.guard, "recovery": self.recovery}
        return {part: getattr(network, "identity", None) for part, network in parts.items()}
