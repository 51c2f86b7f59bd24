"""The semantic coding: a picture as messages of a learned code, and back from soft symbols.

    picture, mask ──fill, encoder──► features ──mixing──► symbols ──nearest of 256──► body, one byte a message
                                        └─energies──► SemanticHead ──► bytes of the head
    head, frames ──soft_body──► symbols, noise ──posterior, linear MMSE──► features, reliability ──decoder──► picture

The body crosses the modem as bytes of a codec with k = 8 and n = 1 (one message, one byte, one complex symbol), best
effort: the decoder is given the equalised symbols and their noise power, not the bytes that the modem decided on, and a
frame that did not arrive is 32 × less harm than its share, since the frames' interleaver and the mixing spread it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from phy.frame.frame import CRC_BYTES, MAX_PAYLOAD, Header, interleaver
from phy.frame.tx import HEADER_SYMBOLS, scrambling
from phy.modem.burst import Layout
from privsc.errors import PayloadError
from privsc.images.fill import fill_hidden
from privsc.networks.picture_code import BLOCK, ENERGY_STEPS, energies_of, energy_levels
from privsc.networks.picture_code_file import DIGEST_BYTES, PictureCodeFile
from privsc.networks.picture_mixing import GRAIN, LOST, Placement, mix, unmix

VERSION = 1
MAX_SIDE = 16_384  # [px]
MAX_PIXELS = 16_000_000  # [px]
_FIXED = struct.Struct(f"<BHHI{DIGEST_BYTES}sB")  # version, width, height, symbols, digest of the model, features
_LEVEL_BITS = 6


class SoftFrame(Protocol):
    """What the soft path needs of a received body frame (``phy``'s ReceivedFrame has it)."""

    @property
    def header(self) -> Header: ...
    @property
    def snr_db(self) -> float: ...
    @property
    def symbols(self) -> np.ndarray | None: ...


@dataclass(frozen=True)
class SemanticHead:
    """What the decoder must know: size [px], number of symbols, the model's digest, levels of features' energies."""

    width: int
    height: int
    symbols: int
    digest: bytes
    levels: tuple[int, ...]

    def __post_init__(self) -> None:
        if not (
            1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE and self.width * self.height <= MAX_PIXELS
        ):
            raise PayloadError(
                f"a picture of {self.width}×{self.height} px is not one of 1 to {MAX_SIDE} px a side and at most "
                f"{MAX_PIXELS} px; scale it down"
            )
        if len(self.digest) != DIGEST_BYTES:
            raise PayloadError(f"the model's digest must be {DIGEST_BYTES} bytes, got {len(self.digest)}")
        if not 2 <= len(self.levels) <= 192 or len(self.levels) % 2:
            raise PayloadError(f"the head must name 2 to 192 features, an even number, got {len(self.levels)}")
        if not all(0 <= level < ENERGY_STEPS for level in self.levels):
            raise PayloadError(
                f"levels of energy must be 0 to {ENERGY_STEPS - 1}, got {min(self.levels)} to {max(self.levels)}"
            )
        if self.symbols % GRAIN or not GRAIN <= self.symbols <= self.blocks * len(self.levels) // 2:
            raise PayloadError(
                f"{len(self.levels)} features of {self.blocks} blocks do not make {self.symbols} symbols, "
                f"which must be a multiple of {GRAIN}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return -(-self.height // BLOCK), -(-self.width // BLOCK)

    @property
    def blocks(self) -> int:
        """Blocks of the picture, hidden ones included."""
        return self.grid[0] * self.grid[1]

    def to_bytes(self) -> bytes:
        """14 bytes and 6 bits a feature."""
        bits = np.unpackbits(np.array(self.levels, np.uint8)[:, None], axis=1)[:, 8 - _LEVEL_BITS :]
        fixed = _FIXED.pack(VERSION, self.width, self.height, self.symbols, self.digest, len(self.levels))
        return fixed + np.packbits(bits.reshape(-1)).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> SemanticHead:
        """Inverse of ``to_bytes``; PayloadError where no sender would have written ``data``."""
        if len(data) < _FIXED.size:
            raise PayloadError(f"a semantic head has at least {_FIXED.size} bytes, got {len(data)}")
        version, width, height, symbols, digest, features = _FIXED.unpack_from(data)
        if version != VERSION:
            raise PayloadError(f"the semantic head is of version {version}, this receiver reads {VERSION}; update it")
        rest = np.frombuffer(data[_FIXED.size :], np.uint8)
        if len(rest) != -(-features * _LEVEL_BITS // 8):
            raise PayloadError(f"a semantic head with {features} features has another length than {len(data)} bytes")
        bits = np.unpackbits(rest)[: features * _LEVEL_BITS].reshape(features, _LEVEL_BITS)
        levels = bits @ (1 << np.arange(_LEVEL_BITS - 1, -1, -1))
        return cls(width, height, symbols, digest, tuple(int(level) for level in levels))


def head_bytes(symbols: int, blocks: int) -> int:
    """Length of the head of a picture of so many symbols and sent blocks."""
    return _FIXED.size + -(-2 * -(-symbols // blocks) * _LEVEL_BITS // 8)


def body_uses(symbols: int, payload_bytes: int, layout: Layout) -> int:
    """Channel uses of a body, everything counted: preambles, frame headers, pilots, payload, checksums."""
    frames = -(-symbols // payload_bytes)
    return frames * layout.num_symbols(HEADER_SYMBOLS + -(-symbols // frames) + CRC_BYTES)


def symbols_within(
    uses: int, blocks: int, features: int, payload_bytes: int = MAX_PAYLOAD, layout: Layout | None = None
) -> int:
    """The most symbols, a multiple of 32, whose body stays within so many channel uses; 0 where none fits.

    Args:
        uses: channel uses left for the body: CBR × 3HW less what the head's frames take.
        blocks: blocks that are sent.
        features: real features of a block.
        payload_bytes: at most, a frame.
        layout: of the bursts.
    """
    layout = Layout() if layout is None else layout
    low, high = 0, blocks * features // 2 // GRAIN
    while low < high:  # uses grow with symbols but for a few symbols where a frame is added
        middle = (low + high + 1) // 2
        if body_uses(middle * GRAIN, payload_bytes, layout) <= uses:
            low = middle
        else:
            high = middle - 1
    return low * GRAIN


def _hidden_blocks(hidden: np.ndarray | None, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Hidden pixels padded to whole blocks [8h, 8w] bool, and which blocks have a visible pixel [h, w] bool."""
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    wide = np.zeros((height, width), bool) if hidden is None else np.asarray(hidden, bool)
    if wide.shape != (height, width):
        raise PayloadError(f"the mask must be [{height}, {width}] like the picture, got {list(wide.shape)}")
    padded = np.pad(wide, ((0, rows * BLOCK - height), (0, columns * BLOCK - width)), constant_values=True)
    visible: np.ndarray = np.any(~padded.reshape(rows, BLOCK, columns, BLOCK), axis=(1, 3))
    if not visible.any():
        raise PayloadError("all of the picture is hidden: there is nothing to send")
    return np.pad(wide, ((0, rows * BLOCK - height), (0, columns * BLOCK - width)), mode="edge"), visible


def visible_blocks(hidden: np.ndarray | None, height: int, width: int) -> int:
    """V: blocks with at least one visible pixel."""
    return int(np.count_nonzero(_hidden_blocks(hidden, height, width)[1]))


@torch.no_grad()
def encode_picture(
    code: PictureCodeFile, picture: np.ndarray, hidden: np.ndarray | None, symbols: int
) -> tuple[SemanticHead, bytes]:
    """A picture to its head and messages. Nothing of either depends on a hidden pixel.

    Args:
        code: networks and points.
        picture: [H, W, 3] uint8.
        hidden: [H, W] bool, True where the picture is not to be seen, known to the receiver too; or None.
        symbols: N, a multiple of 32 (``symbols_within``).

    Returns:
        The head, and one byte for each message [N].
    """
    height, width = picture.shape[:2]
    wide, visible = _hidden_blocks(hidden, height, width)
    padding = ((0, wide.shape[0] - height), (0, wide.shape[1] - width), (0, 0))
    filled = fill_hidden(np.pad(picture.astype(np.float32) / 255 - 0.5, padding, mode="edge"), wide)
    features = code.model.encode(
        torch.from_numpy(filled)[None], torch.from_numpy(wide.astype(np.float32))[None, ..., None]
    )
    sent = features[0][torch.from_numpy(visible)]  # [V, features]
    placement = Placement(len(sent), symbols, sent.shape[1])
    levels = energy_levels(sent.square().mean(0) + 2.0**-24)[: placement.used]
    head = SemanticHead(width, height, symbols, code.digest, tuple(levels.tolist()))
    messages = code.points.round(mix(sent.numpy(), _all_energies(head, sent.shape[1]), placement))
    return head, messages.tobytes()


def _all_energies(head: SemanticHead, features: int) -> np.ndarray:
    """[features] float32; of features that are not sent the smallest value, which no power goes to."""
    levels = torch.zeros(features, dtype=torch.int64)
    levels[: len(head.levels)] = torch.tensor(head.levels)
    return energies_of(levels).numpy()


@torch.no_grad()
def decode_picture(
    code: PictureCodeFile, head: SemanticHead, received: np.ndarray, noise: np.ndarray, hidden: np.ndarray | None
) -> np.ndarray:
    """Soft symbols to the picture; under the mask it holds what the decoder makes of the surroundings.

    Args:
        code: networks and points.
        head: as received.
        received: [N] complex64, equalised symbols.
        noise: [N] float, noise power of each; ``picture_mixing.LOST`` or more where none arrived.
        hidden: the sender's mask, or None where the sender had none.

    Returns:
        [H, W, 3] uint8.
    """
    if head.digest != code.digest:
        raise PayloadError(
            f"the picture was sent with the picture code {head.digest.hex()}, here is {code.digest.hex()}; "
            "use the sender's weights"
        )
    features = code.model.config.features
    if len(head.levels) > features or len(received) != head.symbols or len(noise) != head.symbols:
        raise PayloadError(
            f"the head names {len(head.levels)} features and {head.symbols} symbols, the code has {features} and "
            f"{len(received)} arrived"
        )
    _, visible = _hidden_blocks(hidden, head.height, head.width)
    placement = Placement(int(visible.sum()), head.symbols, features)
    if placement.used != len(head.levels):
        raise PayloadError(
            f"{placement.used} features of {placement.blocks} visible blocks are sent, the head names "
            f"{len(head.levels)}: sender and receiver have different masks"
        )
    z, spoilt = code.points.soft(received, noise)
    estimate, reliability = unmix(z, spoilt, _all_energies(head, features), placement)
    planes = torch.zeros(2, *visible.shape, features)
    planes[:, torch.from_numpy(visible)] = torch.from_numpy(np.stack([estimate, reliability]))
    decoded = code.model.decode(planes[:1], planes[1:])[0, : head.height, : head.width]
    return ((decoded + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def soft_body(frames: Iterable[SoftFrame], total: int) -> tuple[np.ndarray, np.ndarray]:
    """Received body frames to symbols in the messages' order.

    Args:
        frames: body frames of one picture, each with its equalised symbols, still scrambled; their checksums do not
            matter. Frames of another geometry are left out; of two copies the SNR-weighted mean is taken.
        total: N, messages of the body.

    Returns:
        symbols [N] complex64 and noise power [N] float64, ``picture_mixing.LOST`` where no frame arrived.
    """
    order = interleaver(total)
    weight, mean = np.zeros(total), np.zeros(total, np.complex128)
    for frame in frames:
        header = frame.header
        width = header.payload_bytes
        if header.total != total or frame.symbols is None or len(frame.symbols) != width + CRC_BYTES:
            continue
        places = order[header.sequence * width : (header.sequence + 1) * width]
        plain = frame.symbols * scrambling(len(frame.symbols)).conj()
        trust = 10 ** (np.clip(frame.snr_db, -30, 60) / 10) if np.isfinite(frame.snr_db) else 0.0
        weight[places] += trust
        mean[places] += trust * plain[: len(places)]
    there = weight > 0
    mean[there] /= weight[there]
    noise = np.full(total, LOST)
    noise[there] = 1 / weight[there]
    return mean.astype(np.complex64), noise
