"""Small charts as inline SVG: horizontal positions are percentages, so that a chart fills its table cell on any screen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from markupsafe import Markup

from caudal.report.figures import number_text

if TYPE_CHECKING:
    from caudal.report.documents.audit import FigureDocument
    from caudal.report.run_document import CandidateDocument

BAR_HEIGHT = 14
ROW_HEIGHT = 34
TICKS = 4


def bar(begin: float, length: float, kind: str, label: str) -> Markup:
    """Return a bar that begins at one share of the width and is as long as another; never too thin to be seen."""
    width = max(length, 0.004)
    x = min(max(begin, 0.0), 1.0 - min(width, 1.0))
    return _svg(
        "bar",
        BAR_HEIGHT,
        label,
        f'<rect class="{kind}" x="{_per_cent(x)}" y="0" width="{_per_cent(min(width, 1.0))}" height="{BAR_HEIGHT}" rx="3"/>',
    )


@dataclass(frozen=True)
class Scale:
    """The range of scores that a chart shows."""

    low: float
    high: float

    @classmethod
    def of(cls, candidates: Sequence[CandidateDocument]) -> Scale | None:
        """Return the scale on which all candidates with a score fit, whiskers included."""
        scored = [(candidate["score"], candidate["spread"] or 0.0) for candidate in candidates if candidate["score"] is not None]
        if not scored:
            return None
        low, high = min(mean - spread for mean, spread in scored), max(mean + spread for mean, spread in scored)
        room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
        return cls(low - room, high + room)

    def at(self, score: float) -> float:
        """Return where a score lies, as a share of the width."""
        return (score - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return round scores along the scale.

        Examples
        --------
        >>> Scale(3.1, 7.0).ticks()
        [4.0, 5.0, 6.0, 7.0]
        """
        rough = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough * 0.999)
        return [round(step * index, 10) for index in range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)]


def whisker(scale: Scale, candidate: CandidateDocument, baseline: float | None, label: str) -> Markup:
    """Return a candidate's mean as a dot and its spread as a whisker, with a dashed line where the baseline lies."""
    middle_y, shapes = ROW_HEIGHT / 2, ""
    if baseline is not None:
        x = _per_cent(scale.at(baseline))
        shapes += f'<line class="reference" x1="{x}" x2="{x}" y1="0" y2="{ROW_HEIGHT}"/>'
    kind = "chosen" if candidate["chosen"] else "baseline" if candidate["baseline"] else "other"
    if candidate["score"] is not None:
        mean, spread = candidate["score"], candidate["spread"] or 0.0
        low, high = _per_cent(scale.at(mean - spread)), _per_cent(scale.at(mean + spread))
        if spread:
            shapes += f'<line class="whisker {kind}" x1="{low}" x2="{high}" y1="{middle_y:g}" y2="{middle_y:g}"/>'
            for end in (low, high):
                shapes += f'<line class="whisker {kind}" x1="{end}" x2="{end}" y1="{middle_y - 5:g}" y2="{middle_y + 5:g}"/>'
        shapes += f'<circle class="{kind}" cx="{_per_cent(scale.at(mean))}" cy="{middle_y:g}" r="6"/>'
    return _svg("dots", ROW_HEIGHT, label, shapes)


def interval(scale: Scale, figure: FigureDocument | None, kind: str, label: str) -> Markup:
    """Return a figure as a dot and its interval as a bar; ends beyond the scale are cut off."""
    middle_y, shapes = BAR_HEIGHT / 2, ""
    if figure is not None and figure["value"] is not None:
        if figure["low"] is not None and figure["high"] is not None:
            low, high = (_per_cent(min(max(scale.at(end), 0.0), 1.0)) for end in (figure["low"], figure["high"]))
            shapes += f'<line class="whisker {kind}" x1="{low}" x2="{high}" y1="{middle_y:g}" y2="{middle_y:g}"/>'
        shapes += (
            f'<circle class="{kind}" cx="{_per_cent(min(max(scale.at(figure["value"]), 0.0), 1.0))}" cy="{middle_y:g}" r="4"/>'
        )
    return _svg("dots", BAR_HEIGHT, label, shapes)


def axis(scale: Scale) -> Markup:
    """Return the scale's axis."""
    inner = '<line class="axis" x1="0" x2="100%" y1="0.5" y2="0.5"/>'
    for tick in scale.ticks():
        x = scale.at(tick)
        anchor = "start" if x < 0.04 else "end" if x > 0.96 else "middle"
        inner += f'<line class="axis" x1="{_per_cent(x)}" x2="{_per_cent(x)}" y1="0" y2="5"/>'
        inner += f'<text x="{_per_cent(x)}" y="18" text-anchor="{anchor}">{escape(number_text(tick), quote=False)}</text>'
    return _svg("dots", 22, "scale", inner)


def window_bars(values: Sequence[float], states: Sequence[str], low: float | None, high: float | None, label: str) -> Markup:
    """Return a bar for each window, in the colour of its state, with the thresholds as dashed lines."""
    highest = max([*values, high or 0.0, 1e-12])
    base = 0.0 if low is None else min(*values, low)  # where both directions count, the range of what was seen is shown
    base = max(base - 0.1 * (highest - base), 0.0)
    span = max(1.08 * (highest - base), 1e-12)
    shapes, width = "", 1 / max(len(values), 1)
    for place, (value, state) in enumerate(zip(values, states, strict=True)):
        length = min(max(ROW_HEIGHT * (value - base) / span, 1.0), float(ROW_HEIGHT))
        shapes += (
            f'<rect class="{escape(state)}" x="{_per_cent(place * width + width * 0.1)}" y="{ROW_HEIGHT - length:.1f}" '
            f'width="{_per_cent(width * 0.8)}" height="{length:.1f}"/>'
        )
    for limit in (low, high):
        if limit is not None:
            y = ROW_HEIGHT * (1 - (limit - base) / span)
            shapes += f'<line class="limit" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
    return _svg("history", ROW_HEIGHT, label, shapes)


def curve(heights: Sequence[float], label: str) -> Markup:
    """Return points from left to right, joined by lines; the least at the bottom, the greatest at the top."""
    low, high = min(heights), max(heights)
    points = [
        (
            _per_cent(0.03 + 0.94 * number / max(len(heights) - 1, 1)),
            ROW_HEIGHT - 6 - (ROW_HEIGHT - 12) * ((height - low) / (high - low) if high > low else 0.5),
        )
        for number, height in enumerate(heights)
    ]
    lines = "".join(
        f'<line class="whisker other" x1="{x}" y1="{y:.1f}" x2="{next_x}" y2="{next_y:.1f}"/>'
        for (x, y), (next_x, next_y) in itertools.pairwise(points)
    )
    return _svg(
        "dots", ROW_HEIGHT, label, lines + "".join(f'<circle class="other" cx="{x}" cy="{y:.1f}" r="3"/>' for x, y in points)
    )


def _svg(kind: str, height: float, label: str, inner: str) -> Markup:
    escaped = escape(label)
    return Markup(f'<svg class="{kind}" width="100%" height="{height:g}" role="img" aria-label="{escaped}">{inner}</svg>')  # noqa: S704 all text in it is escaped


def _per_cent(share: float) -> str:
    return f"{100 * share:.2f}%"
