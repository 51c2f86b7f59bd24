"""How every figure writes the names that users give: literally, in whatever script, and without a word where no font
has a letter (a box stands in its place)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import matplotlib
from matplotlib import font_manager

_FALLBACKS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR",
    "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAGothic", "NanumGothic",
    "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "Arial Unicode MS", "Noto Sans Arabic",
    "Noto Naskh Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Symbols2",
    "Noto Emoji", "Symbola", "Segoe UI Symbol", "Unifont",
)  # fmt: skip
"""Asked in this order for letters that DejaVu Sans, which comes with matplotlib, has not; those that are there."""


@cache
def families() -> list[str]:
    """Font families for text of any script, the ordinary one first."""
    there = set(font_manager.fontManager.get_font_names())
    return ["sans-serif", *(name for name in _FALLBACKS if name in there)]


@contextmanager
def literal_text() -> Iterator[None]:
    """Within it, or in a function that it decorates, text made or saved by matplotlib is taken as it is.

    A ``$`` begins no formula, and letters that no font has are boxes without a warning.
    """
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with matplotlib.rc_context({"text.parse_math": False, "font.family": families()}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
            warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support")
            yield
    finally:
        log.setLevel(level)
