"""One-hot autoencoder over Sionna's channels (torch): the training side of the learned codecs.

    one-hot m ─► Dense, ReLU ─► Dense ─► power norm ─► x [B, n] ─► AWGN ─► y ─► Dense, ReLU ─► Dense ─► logits [B, 2^k]

After O'Shea and Hoydis, "An Introduction to Deep Learning for the Physical Layer" (2017). Two losses share the
encoder: the network demapper's cross-entropy, and that of the exact posterior over the present codebook,
exp(-|y - c|^2 / N0), which is the demapper that the network converges to and whose gradient has none of the network's
error in it. With ``message_cost`` > 0 the expected squared difference between the sent and the decided message (as
sample values in units of full scale) is added, so that likely confusions are near in value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sionna.phy import config as sionna_config
from sionna.phy.channel import AWGN, RayleighBlockFading
from torch import nn

from phy.codec.codec import Codec
from phy.codec.packing import MAX_BITS
from phy.errors import TrainingError

# (x [B, n] complex64, N0 [B]) to (y [B, n] after a coherent receiver, N0 [B] that the demapper sees)
Channel = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class TrainingPlan:
    """All numbers of a training.

    snr_db: (low, high) [dB], Es/N0 per channel use, drawn uniformly for each codeword; equal values mean a fixed SNR.
    power: "codeword" (each codeword has energy n) or "average" (the codebook has).
    channel: one of CHANNELS.
    The batch grows to ``growth`` / 2 times its size at half and ``growth`` times at three quarters of the steps; the
    learning rate follows a cosine.
    """

    k: int
    n: int
    real: bool = False
    power: str = "codeword"
    snr_db: tuple[float, float] = (5.0, 20.0)
    steps: int = 4000
    batch: int = 1024
    growth: int = 8
    learning_rate: float = 0.01
    hidden: int = 128
    message_cost: float = 0.0
    seed: int = 1
    channel: str = "awgn"

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_BITS:
            raise TrainingError(f"k must be 1 to {MAX_BITS}, got {self.k}")
        if not 1 <= self.n <= 64:
            raise TrainingError(f"n must be 1 to 64, got {self.n}")
        if self.power not in ("codeword", "average"):
            raise TrainingError(f"power must be 'codeword' or 'average', got {self.power!r}")
        if len(self.snr_db) != 2 or not all(math.isfinite(v) for v in self.snr_db) or self.snr_db[0] > self.snr_db[1]:
            raise TrainingError(f"snr_db must be a finite (low, high) in dB, got {self.snr_db}")
        if not (math.isfinite(self.message_cost) and self.message_cost >= 0):
            raise TrainingError(f"message_cost must be 0 or more, got {self.message_cost}")
        if self.channel not in CHANNELS:
            raise TrainingError(f"channel must be one of {', '.join(CHANNELS)}, got {self.channel!r}")
        for name in ("steps", "batch", "growth", "hidden"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}")

    def batch_at(self, step: int) -> int:
        """Codewords of one step, a multiple of 2^k so that every message occurs equally often."""
        half, late = step >= 0.5 * self.steps, step >= 0.75 * self.steps
        growth = self.growth if late else max(1, self.growth // 2) if half else 1
        return max(1, self.batch * growth >> self.k) << self.k

    def rate_at(self, step: int) -> float:
        """Learning rate: a short linear rise, then a cosine to a hundredth."""
        rise = min(1.0, (step + 1) / 50)
        return self.learning_rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / self.steps)))


class Autoencoder(nn.Module):
    """Encoder and network demapper. ``codebook()`` is [2^k, D] float32, D = n (real) or 2n (re, im interleaved)."""

    def __init__(self, plan: TrainingPlan) -> None:
        super().__init__()
        self.plan = plan
        size, width = 1 << plan.k, plan.n * (1 if plan.real else 2)
        self.encoder = nn.Sequential(nn.Linear(size, plan.hidden), nn.ReLU(), nn.Linear(plan.hidden, width))
        self.decoder = nn.Sequential(nn.Linear(width, plan.hidden), nn.ReLU(), nn.Linear(plan.hidden, size))

    def codebook(self) -> torch.Tensor:
        """All codewords under the power constraint: energy 1 per channel use."""
        one_hot = torch.eye(1 << self.plan.k)
        points = self.encoder(one_hot)  # [2^k, D]
        if self.plan.power == "codeword":
            return points * math.sqrt(self.plan.n) / points.norm(dim=1, keepdim=True).clamp_min(1e-9)
        return points * math.sqrt(self.plan.n * len(points)) / points.norm().clamp_min(1e-9)


def awgn_channel() -> Channel:
    """Sionna's AWGN."""
    block = AWGN(device="cpu")
    return lambda x, noise_power: (block(x, noise_power), noise_power)


def rayleigh_channel() -> Channel:
    """Sionna's Rayleigh block fading, one gain a codeword, known to the receiver: y = x + noise / h."""
    fading = RayleighBlockFading(num_rx=1, num_rx_ant=1, num_tx=1, num_tx_ant=1, device="cpu")
    block = AWGN(device="cpu")

    def channel(x: torch.Tensor, noise_power: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        power = fading(len(x), 1)[0].reshape(-1).abs().square().clamp_min(1e-4)
        return block(x, noise_power / power), noise_power / power

    return channel


CHANNELS: dict[str, Callable[[], Channel]] = {"awgn": awgn_channel, "rayleigh": rayleigh_channel}


def transmit(
    points: torch.Tensor, noise_power: torch.Tensor, real: bool, channel: Channel
) -> tuple[torch.Tensor, torch.Tensor]:
    """points [B, D] through a complex channel with N0 [B] per complex symbol; back as features [B, D], and N0 [B]."""
    if real:
        y, seen = channel(torch.complex(points, torch.zeros_like(points)), noise_power)
        return y.real, seen
    y, seen = channel(torch.view_as_complex(points.unflatten(1, (-1, 2))), noise_power)
    return torch.view_as_real(y).flatten(1), seen


def losses(model: Autoencoder, channel: Channel, sent: torch.Tensor, noise_power: torch.Tensor) -> torch.Tensor:
    """Scalar loss of the messages ``sent`` [B] int64 at N0 [B]: both cross-entropies [nat] plus the message cost."""
    plan = model.plan
    book = model.codebook()  # [2^k, D]
    y, noise_power = transmit(book[sent], noise_power, plan.real, channel)  # [B, D], [B]
    network = nn.functional.cross_entropy(model.decoder(y), sent)
    distance = (y * y).sum(1, keepdim=True) - 2 * y @ book.T + (book * book).sum(1)  # [B, 2^k]
    exact = torch.log_softmax(-distance / noise_power[:, None], dim=1)
    loss = network + nn.functional.nll_loss(exact, sent)
    if plan.message_cost > 0:
        value = torch.arange(len(book), dtype=y.dtype) / (len(book) - 1)
        squared = (value[None, :] - value[sent][:, None]) ** 2
        loss = loss + plan.message_cost * (exact.exp() * squared).sum(1).mean()
    return loss


def train(
    plan: TrainingPlan,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    progress: Callable[[int, int, float], Any] | None = None,
) -> tuple[Autoencoder, list[float]]:
    """Train one autoencoder; returns it and its learning curve (mean loss of each hundredth of the steps).

    checkpoint: safetensors file, written every hundredth of the steps and removed by nobody here; with ``resume`` the
    training goes on from it and ends in the same weights as an uninterrupted one, since every step draws from its own
    seed. ``progress(step, steps, loss)`` is called after every step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        model = Autoencoder(plan)
    channel = CHANNELS[plan.channel]()
    optimiser = torch.optim.Adam(model.parameters(), lr=plan.learning_rate)
    curve: list[float] = []
    first = load_checkpoint(checkpoint, model, optimiser, curve) if resume and checkpoint is not None else 0
    low, high = plan.snr_db
    every = max(1, plan.steps // 100)
    total = 0.0
    noise_source = sionna_config.torch_rng("cpu")
    outer_state = noise_source.get_state()
    try:
        for step in range(first, plan.steps):
            noise_source.manual_seed((plan.seed << 32) + step)  # every step has its own seed: resuming is exact
            sent = torch.arange(1 << plan.k).repeat(plan.batch_at(step) >> plan.k)
            snr_db = low + (high - low) * torch.rand(len(sent), generator=noise_source)
            for group in optimiser.param_groups:
                group["lr"] = plan.rate_at(step)
            loss = losses(model, channel, sent, 10 ** (-snr_db / 10))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total += loss.item()
            if progress is not None:
                progress(step + 1, plan.steps, loss.item())
            if (step + 1) % every == 0:
                curve.append(total / every)
                total = 0.0
                if checkpoint is not None:
                    save_checkpoint(checkpoint, model, optimiser, curve, step + 1)
    finally:
        noise_source.set_state(outer_state)
    return model, curve


def save_checkpoint(path: Path, model: Autoencoder, optimiser: torch.optim.Adam, curve: list[float], step: int) -> None:
    """Weights, Adam moments and learning curve as safetensors, through a temporary name."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": value for name, value in state.items()}
    tensors["curve"] = torch.tensor(curve, dtype=torch.float64)
    temporary = path.with_name(path.name + ".part")
    save_file(tensors, temporary, metadata={"plan": repr(asdict(model.plan)), "step": str(step)})
    temporary.replace(path)


def load_checkpoint(path: Path, model: Autoencoder, optimiser: torch.optim.Adam, curve: list[float]) -> int:
    """Fill model, optimiser and curve from a checkpoint of the same plan; returns the number of steps done."""
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            info = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"checkpoint {path.name} cannot be read ({type(error).__name__}): delete it") from None
    if info.get("plan") != repr(asdict(model.plan)):
        raise TrainingError(f"checkpoint {path.name} belongs to other settings: delete it or change --out")
    model.load_state_dict({n.removeprefix("model."): v for n, v in tensors.items() if n.startswith("model.")})
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    curve.extend(tensors["curve"].tolist())
    return int(info["step"])


def export(model: Autoencoder, *, name: str, codec_id: int, extra: dict[str, Any] | None = None) -> Codec:
    """The trained autoencoder as a numpy codec."""
    plan = model.plan
    with torch.no_grad():
        book = model.codebook().double().numpy()
    codebook = book.astype("complex64") if plan.real else (book[:, 0::2] + 1j * book[:, 1::2]).astype("complex64")
    layers = tuple(
        (layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy())
        for layer in model.decoder
        if isinstance(layer, nn.Linear)
    )
    return Codec(name, codec_id, plan.k, codebook, plan.real, layers, {**asdict(plan), **(extra or {})})
