"""The puppy of the demo: photographs that ship with the package, and the scene that is sent.

K is made from photographs of other moments (00 to 03, on an orange backdrop). The scene is composed from the last one
(04, on a yellow backdrop), which no network was trained on: the backdrop goes on to the right, and a framed picture of
Chelsea the cat, whom K does not hold, hangs on it. Sources and licences: photographs/dog6/CREDITS.md.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from skimage import data

from privsc.images.photo_io import decode_photo
from privsc.images.regions import Box

NAME = "Biscuit"
CLASS_WORD = "dog"
PROMPT = "a photo of the puppy Biscuit"
ENROLLED = ("00.jpg", "01.jpg", "02.jpg", "03.jpg")
SENT = "04.jpg"
STRANGER = "Chelsea"

SIDE = 400  # [px] of the photograph within the scene
WIDTH = 680  # [px] of the scene
PICTURE = (422, 60, 658, 217)  # x0, y0, x1, y1 [px]: the picture of Chelsea in the scene
MAT, FRAME = 10, 6  # [px] around it


def read(name: str) -> bytes:
    """One of the shipped photographs, encoded."""
    return files("privsc.datasets").joinpath("photographs", "dog6", name).read_bytes()


def enrolled() -> list[bytes]:
    """The photographs that K is made from, encoded."""
    return [read(name) for name in ENROLLED]


def frame_box() -> Box:
    """Where the stranger's picture is in the scene, its frame included: (x0, y0, x1, y1) [px]."""
    x0, y0, x1, y1 = PICTURE
    edge = MAT + FRAME
    return x0 - edge, y0 - edge, x1 + edge, y1 + edge


def scene() -> NDArray[np.uint8]:
    """S of the demo, [SIDE, WIDTH, 3] uint8: the puppy on the left, the stranger's picture on the right."""
    photo = Image.fromarray(decode_photo(read(SENT), SENT)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _with_picture(_continued(np.asarray(photo), WIDTH))


def _continued(photo: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """The photograph [h, w, 3] with its right edge, which is plain backdrop, drawn out to `width` pixels."""
    edge = photo[:, -8:].astype(np.float32).mean(1)  # [h, 3]
    padded = np.pad(edge, ((12, 12), (0, 0)), mode="edge")
    smooth = np.stack([np.convolve(padded[:, c], np.ones(25) / 25, "valid") for c in range(3)], 1)  # [h, 3]
    more = np.repeat(smooth[:, None], width - photo.shape[1], axis=1)  # [h, width - w, 3]
    return np.concatenate([photo, np.rint(more).astype(np.uint8)], axis=1)


def _with_picture(wall: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A framed picture of Chelsea on the wall, with the shadow that it throws."""
    canvas = Image.fromarray(wall)
    x0, y0, x1, y1 = frame_box()
    shadow = Image.new("L", canvas.size, 0)
    shadow.paste(90, (x0 + 3, y0 + 5, x1 + 3, y1 + 5))
    canvas = Image.composite(Image.new("RGB", canvas.size), canvas, shadow.filter(ImageFilter.GaussianBlur(4)))
    canvas.paste((52, 44, 38), (x0, y0, x1, y1))
    canvas.paste((244, 242, 236), (x0 + FRAME, y0 + FRAME, x1 - FRAME, y1 - FRAME))
    left, top, right, bottom = PICTURE
    cat = Image.fromarray(data.chelsea()).resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    canvas.paste(cat, (left, top))
    return np.asarray(canvas)
