"""Plots of measures as the inside of SVG elements: horizontal places are percentages, so that they fit a phone and a sheet of paper."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from caudal.report.charts import Scale

ROW, BAR = 38, 16
HUES = 8
_CURVE_HEIGHT, _CURVE_TOP, _CURVE_FOOT = 230.0, 26.0, 36.0
_CURVE_LEFT, _CURVE_WIDTH = 0.09, 0.86
_STEPS = 48


@dataclass(frozen=True)
class DotRow:
    """The repetitions of a platform: their values, their median, and what is written of them."""

    label: str
    values: Sequence[float]
    median: float
    text: str


@dataclass(frozen=True)
class BarRow:
    """Parts of a whole, one after the other: number of the colour, length, what it is."""

    label: str
    parts: Sequence[tuple[int, float, str]]
    text: str


@dataclass(frozen=True)
class Mark:
    """A point of a curve's plot; ``kind`` is fitted, held_out or prediction."""

    x: float
    y: float
    kind: str


def dot_plot(rows: Sequence[DotRow], write: Callable[[float], str]) -> tuple[str, float]:
    """Return the inside and the height of a plot with a row for each platform: dots, their spread as a line, their median as a bar."""
    scale = Scale(0.0, max((max(row.values) for row in rows), default=1.0) * 1.04 or 1.0)
    inner = ""
    for number, row in enumerate(rows):
        top = number * ROW
        y = top + 25
        inner += _row_texts(row.label, row.text, top)
        low, high = _at(scale.at(min(row.values))), _at(scale.at(max(row.values)))
        inner += f'<line class="track" x1="0" x2="100%" y1="{y}" y2="{y}"/><line class="spread" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>'
        inner += "".join(f'<circle class="dot" cx="{_at(scale.at(value))}" cy="{y}" r="4"/>' for value in row.values)
        middle = _at(scale.at(row.median))
        inner += f'<line class="median" x1="{middle}" x2="{middle}" y1="{y - 8}" y2="{y + 8}"/>'
    foot = len(rows) * ROW
    return inner + _axis(scale, foot, write), foot + 22


def bar_plot(rows: Sequence[BarRow], write: Callable[[float], str], *, whole: float | None = None) -> tuple[str, float]:
    """Return the inside and the height of a plot with a row for each platform: what its time was made of.

    Parameters
    ----------
    whole : the length that fills the width; the longest row's when left out
    """
    longest = whole or max((sum(length for _, length, _ in row.parts) for row in rows), default=1.0) or 1.0
    scale, inner = Scale(0.0, longest * (1.0 if whole else 1.02)), ""
    for number, row in enumerate(rows):
        top, begin = number * ROW, 0.0
        inner += _row_texts(row.label, row.text, top)
        for hue, length, title in row.parts:
            inner += (
                f'<rect class="hue{hue % HUES}" x="{_at(scale.at(begin))}" y="{top + 18}" width="{_at(scale.at(length))}" height="{BAR}">'
                f"<title>{escape(title)}</title></rect>"
            )
            begin += length
    foot = len(rows) * ROW
    return inner + _axis(scale, foot, write), foot + 22


def timeline_plot(
    events: Sequence[tuple[float, str]], end_s: float, shaded: tuple[float, float] | None, write: Callable[[float], str]
) -> tuple[str, float]:
    """Return the inside and the height of a line of time on which events have the numbers that a table beside it explains.

    Parameters
    ----------
    events : seconds and kind
    shaded : from when to when results did not come
    """
    lanes: list[float] = []  # until where each lane of numbers is taken
    scale, places = Scale(0.0, end_s * 1.03 or 1.0), []
    for at_s, kind in events:
        x = scale.at(at_s)
        lane = next((number for number, until in enumerate(lanes) if x - until > 0.055), len(lanes))
        lanes[lane : lane + 1] = [x]
        places.append((x, lane, kind))
    line = len(lanes) * 20 + 14
    inner = ""
    if shaded is not None:
        begin, end = scale.at(shaded[0]), min(scale.at(shaded[1]), 1.0)
        inner += f'<rect class="shaded" x="{_at(begin)}" y="0" width="{_at(max(end - begin, 0.002))}" height="{line + 8}"/>'
    inner += f'<line class="spread" x1="0" x2="{_at(scale.at(end_s))}" y1="{line}" y2="{line}"/>'
    for number, (x, lane, kind) in enumerate(places, 1):
        y = line - 20 - 20 * lane
        inner += f'<line class="stem" x1="{_at(x)}" x2="{_at(x)}" y1="{y + 8}" y2="{line}"/>'
        inner += f'<circle class="event {escape(kind)}" cx="{_at(x)}" cy="{y}" r="8.5"/><text class="number" x="{_at(x)}" y="{y + 4}" text-anchor="middle">{number}</text>'
    return inner + _axis(scale, line + 10, write), line + 34


def curve_plot(
    marks: Sequence[Mark], model: Callable[[float], float], axis: str, write: Callable[[float], str]
) -> tuple[str, float]:
    """Return the inside and the height of a plot of measured and predicted seconds over cores or sizes, with the model as a line."""
    low, high = min(mark.x for mark in marks), max(mark.x for mark in marks)
    inner = ""
    across = Scale(low - 0.04 * (high - low), high + 0.04 * (high - low)) if high > low else Scale(low - 1, low + 1)
    values = [model(low + (high - low) * step / _STEPS) for step in range(_STEPS + 1)]
    up = Scale(0.0, 1.06 * max([*values, *(mark.y for mark in marks)]))

    def place(x: float, y: float) -> tuple[str, float]:
        return _at(_CURVE_LEFT + _CURVE_WIDTH * across.at(x)), _CURVE_TOP + (_CURVE_HEIGHT - _CURVE_TOP - _CURVE_FOOT) * (
            1 - up.at(y)
        )

    base = _CURVE_HEIGHT - _CURVE_FOOT
    for tick in up.ticks():
        level = place(low, tick)[1]
        inner += f'<line class="track" x1="{_at(_CURVE_LEFT)}" x2="{_at(_CURVE_LEFT + _CURVE_WIDTH)}" y1="{level:.1f}" y2="{level:.1f}"/>'
        inner += f'<text x="{_at(_CURVE_LEFT - 0.012)}" y="{level + 4:.1f}" text-anchor="end">{escape(write(tick))}</text>'
    # Predictions reach far: a label that would lie on the one before is left out.
    last = -1.0
    for tick in sorted({mark.x for mark in marks}):
        across_at = _CURVE_LEFT + _CURVE_WIDTH * across.at(tick)
        inner += f'<line class="axis" x1="{_at(across_at)}" x2="{_at(across_at)}" y1="{base}" y2="{base + 5}"/>'
        if across_at - last >= 0.05:
            inner += f'<text x="{_at(across_at)}" y="{base + 17}" text-anchor="middle">{tick:g}</text>'
            last = across_at
    inner += f'<text x="{_at(_CURVE_LEFT + _CURVE_WIDTH)}" y="{_CURVE_HEIGHT - 3}" text-anchor="end">{escape(axis)}</text>'
    points = [place(low + (high - low) * step / _STEPS, value) for step, value in enumerate(values)]
    for (x, y), (next_x, next_y) in itertools.pairwise(points):
        inner += f'<line class="model" x1="{x}" y1="{y:.1f}" x2="{next_x}" y2="{next_y:.1f}"/>'
    for mark in marks:
        cx, cy = place(mark.x, mark.y)
        if mark.kind == "prediction":
            inner += f'<svg x="{cx}" y="{cy:.1f}" overflow="visible"><rect class="prediction" x="-4.5" y="-4.5" width="9" height="9"/></svg>'
        else:
            inner += f'<circle class="{mark.kind}" cx="{cx}" cy="{cy:.1f}" r="5"/>'
    return inner, _CURVE_HEIGHT


def _row_texts(label: str, text: str, top: float) -> str:
    return (
        f'<text class="label" x="0" y="{top + 12}">{escape(label, quote=False)}</text>'
        f'<text class="value" x="100%" y="{top + 12}" text-anchor="end">{escape(text, quote=False)}</text>'
    )


def _axis(scale: Scale, y: float, write: Callable[[float], str]) -> str:
    inner = f'<line class="axis" x1="0" x2="100%" y1="{y + 0.5}" y2="{y + 0.5}"/>'
    for tick in scale.ticks():
        x = scale.at(tick)
        anchor = "start" if x < 0.04 else "end" if x > 0.94 else "middle"
        inner += f'<line class="axis" x1="{_at(x)}" x2="{_at(x)}" y1="{y}" y2="{y + 5}"/>'
        inner += f'<text x="{_at(x)}" y="{y + 18}" text-anchor="{anchor}">{escape(write(tick), quote=False)}</text>'
    return inner


def _at(share: float) -> str:
    return f"{100 * (share if math.isfinite(share) else 0.0):.2f}%"
