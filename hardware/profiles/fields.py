"""Fields of a profile's tables, checked one by one; each refusal names its field: ``pluto: tx.gain: must be ...``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hardware.errors import ProfileError

Span = tuple[float, float]


class Reader:
    """Fields out of tables, each refusal with the field's name."""

    def __init__(self, where: str):
        self.where = where

    def error(self, name: str, rule: str, got: Any) -> ProfileError:
        shown = "" if got is None else f"; got {got!r}"
        return ProfileError(f"{self.where}: {name}: {rule}{shown}")

    def only(self, table: Mapping[str, Any], known: Sequence[str] | Mapping[str, Any], at: str) -> None:
        for key in table:
            if key not in known:
                raise self.error(at + key, f"is no field of a profile; known here are {', '.join(known)}", None)

    def table(self, tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        if not isinstance(tables[name], Mapping):
            raise self.error(name, "must be a table", tables[name])
        return tables[name]

    def number(
        self,
        table: Mapping[str, Any],
        name: str,
        at: str = "",
        *,
        default: float | None = None,
        low: float,
        high: float,
    ) -> float:
        value = table.get(name, default)
        if value is None:
            raise self.error(at + name, "is missing", None)
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good or not low <= value <= high:
            raise self.error(at + name, f"must be a number from {low:g} to {high:g}", value)
        return float(value)

    def whole(self, table: Mapping[str, Any], name: str, at: str, *, default: int, low: int, high: int) -> int:
        value = table.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(at + name, f"must be a whole number from {low} to {high}", value)
        return value

    def flag(self, table: Mapping[str, Any], name: str, at: str, *, default: bool) -> bool:
        value = table.get(name, default)
        if not isinstance(value, bool):
            raise self.error(at + name, "must be true or false", value)
        return value

    def text(self, table: Mapping[str, Any], name: str, at: str = "", *, default: str) -> str:
        value = table.get(name, default)
        if not isinstance(value, str):
            raise self.error(at + name, "must be text", value)
        return value

    def choice(
        self, table: Mapping[str, Any], name: str, known: Sequence[str], at: str = "", *, default: str | None = None
    ) -> str:
        value = table.get(name, default)
        if value not in known:
            raise self.error(at + name, f"must be one of {', '.join(known)}", value)
        return str(value)

    def strings(
        self, table: Mapping[str, Any], name: str, at: str = "", *, default: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        value = table.get(name, default)
        if not isinstance(value, Mapping):
            raise self.error(at + name, "must be a table of text", value)
        for key, one in value.items():
            if not isinstance(one, str | int | float):
                raise self.error(f"{at}{name}.{key}", "must be text or a number", one)
        return {key: as_text(one) for key, one in value.items()}

    def span(self, table: Mapping[str, Any], name: str, at: str) -> Span | None:
        if name not in table:
            return None
        value = table[name]
        good = isinstance(value, list | tuple) and len(value) == 2
        if not good or not all(isinstance(v, int | float) and math.isfinite(v) for v in value) or value[0] > value[1]:
            raise self.error(at + name, "must be [lowest, highest]", value)
        return float(value[0]), float(value[1])

    def spans(
        self, table: Mapping[str, Any], name: str, at: str, *, default: tuple[Span, ...] | None = None
    ) -> tuple[Span, ...]:
        value = table.get(name, default)
        if value is None:
            raise self.error(at + name, "is missing", None)
        if not isinstance(value, list | tuple):
            raise self.error(at + name, "must be a list of [lowest, highest]", value)
        found = []
        for one in value:
            span = self.span({name: one}, name, at)
            assert span is not None
            found.append(span)
        return tuple(found)


def as_text(value: str | float) -> str:
    """As drivers expect it: true and false in small letters, numbers without exponent."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def within(value: float, spans: Sequence[Span]) -> bool:
    return any(low <= value <= high for low, high in spans)


def shown(spans: Sequence[Span], unit: str) -> str:
    """Ranges for a message."""

    def one(value: float) -> str:
        for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if unit != "dB" and abs(value) >= factor:
                return f"{value / factor:.10g} {prefix}{'Hz' if unit == 'Hz' else 'sps'}"
        return f"{value:.10g} {'samples/s' if unit == '/s' else unit}"

    return " or ".join(f"{one(low)} to {one(high)}" for low, high in spans)
