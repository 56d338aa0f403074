"""Choose the times of made-up rows, so that for any length that a feature may look back or ahead, two rows have this distance.

Close to the dividing moment the rows lie on consecutive steps; further out, on both sides, the distance between them is the number of
the consecutive steps. A close row and a far one are then apart by every number of steps up to 400 days (baby steps and giant steps;
with steps under five minutes, up to 60,000 steps), so that a lead or a join at exactly that distance finds its row. Lengths that the
features name are tried exactly, a step nearer and a step further; without a grid, more rows lie at odd seconds; and some rows lie
years away.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from caudal.stages.features.reaches import Reaches

DAY_S = 86400
FAR_S = 400 * DAY_S
BEYOND_S = tuple(DAY_S * 1.5**power for power in range(1, 21))  # two days to nine years
MOST_CLOSE, MOST_FAR = 200, 300
ODD_STEP_S = 1800.0  # used as the step where there is no grid
NEAR_S = (1, 2, 10, 60, 300, 600)


@dataclass(frozen=True)
class RowTime:
    """One time of made-up rows.

    Parameters
    ----------
    all_keys : whether every key has a row at this time
    exact : whether it is an exact length apart from another time, so that the rows agree in every column that groups them
    late : whether values known late are known only after the dividing moment, as far as their bound allows
    """

    time: dt.datetime
    all_keys: bool
    exact: bool
    late: bool


def row_times(
    at: dt.datetime, step_s: float | None, reach: Reaches, delays_s: Sequence[float], draw: random.Random
) -> Iterator[RowTime]:
    """Return the times of an input's rows, in order.

    Parameters
    ----------
    at : the dividing moment, which lies on the grid
    step_s : length of a step of the grid; None for rows that may lie anywhere
    reach : how far the features may look
    delays_s : how late values may become known
    """
    step = step_s or ODD_STEP_S
    close = min(max(math.ceil(math.sqrt(FAR_S / step)), 24), MOST_CLOSE)
    giant_steps = min(math.ceil(FAR_S / close / step), MOST_FAR)
    ahead = max(close, reach.rows + 8)
    whole_offsets = {number * step for number in range(-close, ahead + 1)}
    far = {side * number * close * step for side in (-1, 1) for number in range(1, giant_steps + 1)}
    far |= {side * math.ceil(length / step) * step for side in (-1, 1) for length in BEYOND_S}
    lengths_tried = set()
    for length in _lengths(at, reach, delays_s):
        smallest_step = step if step_s else 1.0
        on_grid = {math.floor(length / step) * step, math.ceil(length / step) * step} if step_s else {length}
        lengths_tried |= {
            side * (base + near) for side in (-1, 1) for base in on_grid for near in (-smallest_step, 0, smallest_step)
        }
    odd: set[float] = set()
    if not step_s:
        whole_offsets |= {0.0}
        far |= {float(side * near) for side in (-1, 1) for near in NEAR_S}
        for day in (-28, -14, -8, -7, -2, -1, 0, 1, 2, 7, 14):
            odd |= {float(day * DAY_S + draw.randrange(-10_800, 10_800)) for _ in range(8)}
    for offset in sorted(whole_offsets | far | lengths_tried | odd):
        exact = offset in whole_offsets or offset in far or offset in lengths_tried
        late = offset in lengths_tried or draw.random() < 0.6
        yield RowTime(
            at + dt.timedelta(seconds=offset), offset in whole_offsets, exact and (bool(step_s) or draw.random() < 0.8), late
        )


def _lengths(at: dt.datetime, reach: Reaches, delays_s: Sequence[float]) -> list[float]:
    lengths = dict.fromkeys((*reach.lengths_s, *delays_s))
    for months in reach.months:
        for side in (-1, 1):
            year, month = divmod(at.year * 12 + at.month - 1 + side * months, 12)
            lengths[abs((at.replace(year=year, month=month + 1) - at).total_seconds())] = None
    return list(lengths)
