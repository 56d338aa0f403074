"""Turn partials of whole windows into rows: one per device, window and sensor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from caudal.declarations.statistics import Statistics
from caudal.stages.statistics.merge import merge_partials
from caudal.stages.statistics.numbering import Flags, Floats, Integers, Readings
from caudal.stages.statistics.partial import FINER, LARGEST, SQUARE_UNITS, SUM_UNITS, Partials, group_of
from caudal.stages.statistics.sketch import merge_sketch, quantiles_of_counted, quantiles_of_loose, sketch_of

_MOST_MISSING = 0.1  # of a window's samples
_CANCELS = (
    2.0**-20
)  # of the mean square: a smaller variance is computed in integers, since doubles would keep half of its digits or less
_TINY = 2.0**-26  # a window whose readings are all smaller keeps fewer than 24 bits of their mean
_TINY_VARIANCE = 2.0**-54  # below it, rounding squares to multiples of 2^-70 would be visible


def window_schema(declared: Statistics) -> pa.Schema:
    """Return the schema of the rows."""
    moment = pa.timestamp("us", "UTC")
    fields = [
        ("device", pa.int64()), ("sensor", pa.string()), ("window_start", moment), ("window_end", moment), ("readings", pa.int64()),
        ("missing", pa.int64()), ("min", pa.float64()), ("max", pa.float64()), ("mean", pa.float64()), ("std", pa.float64()),
        *((quantile_name(q), pa.float64()) for q in declared.quantiles),
        *([("ranges", pa.list_(pa.int64()))] if declared.ranges else []),
        *((f"{name}_power", pa.float64()) for name in declared.bands),
    ]  # fmt: skip
    return pa.schema(fields)


def quantile_name(q: float) -> str:
    """Return the column of a quantile.

    Examples
    --------
    >>> quantile_name(0.05), quantile_name(0.999)
    ('q05', 'q999')
    """
    return "q" + f"{q:.4f}".partition(".")[2].rstrip("0").ljust(2, "0")


def windows(parts: Partials, declared: Statistics) -> Partials:
    """Return partials whose ``pane`` is the last pane of a window, each the sum of the window's panes."""
    if declared.panes == 1:
        return parts
    shifted = []
    for ahead in range(declared.panes):
        sketch, kept_samples = parts.sketch.copy(), parts.kept.copy()
        sketch[0] += ahead
        kept_samples[:, 1] += ahead
        shifted.append(replace(parts, pane=parts.pane + ahead, loose=parts.loose + ahead, sketch=sketch, kept=kept_samples))
    return merge_partials(shifted)


def window_rows(parts: Partials, declared: Statistics) -> pa.Table:
    """Return the rows of windows (see `windows`), in order of device, window and sensor."""
    g, c = parts.count.shape
    end = parts.newest + declared.gap_us if declared.gap_us else (parts.pane + 1) * declared.pane_us
    start = parts.oldest if declared.gap_us else end - declared.width_us
    n = parts.count
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = _number(parts.sums, SUM_UNITS) / n
        differences = _squared_differences(parts)
        std = np.sqrt(differences / (n - 1))
        magnitude = np.maximum(np.abs(parts.low), np.abs(parts.high))
    has, is_constant = n > 0, parts.low == parts.high
    has_mean = has & ((magnitude == 0) | (magnitude >= _TINY))
    has_std = (n > 1) & (is_constant | (differences >= n * _TINY_VARIANCE))
    columns: list[Integers | pa.Array] = [
        np.repeat(parts.device, c), pa.array(list(declared.channels) * g, pa.string()),
        _moments(np.repeat(start, c)), _moments(np.repeat(end, c)),
        n.ravel(), (parts.samples[:, None] - n).ravel(),
        _nullable(parts.low, has), _nullable(parts.high, has), _nullable(mean, has_mean), _nullable(std, has_std),
    ]  # fmt: skip
    if declared.quantiles:
        quantiles = _quantiles(parts, declared)
        columns += [_nullable(quantiles[:, :, i], has) for i in range(len(declared.quantiles))]
    if declared.ranges:
        width = len(declared.ranges) + 1
        columns.append(pa.ListArray.from_arrays(np.arange(0, g * c * width + 1, width, dtype=np.int32), parts.ranges.ravel()))
    if declared.bands:
        power = band_power(parts, declared)
        columns += [_nullable(power[name], np.isfinite(power[name])) for name in declared.bands]
    return pa.table(
        [pa.array(column) if isinstance(column, np.ndarray) else column for column in columns], schema=window_schema(declared)
    )


def band_power(parts: Partials, declared: Statistics) -> dict[str, Floats]:
    """Return the power in each band, float64 [g, c], in the unit of the values squared; NaN where too many samples are missing.

    The one-sided periodogram of the window without its mean, under a Hann window (Harris 1978, Proc. IEEE 66(1), table 1). Up to
    a tenth of a sensor's samples may be missing: each is interpolated linearly between its neighbours.
    """
    g, c = parts.count.shape
    length = round(declared.rate_hz * declared.width_s)
    signal = np.full((g, length, c), np.nan)
    owner = np.searchsorted(parts.group, group_of(parts.kept[:, 0], parts.kept[:, 1]))
    start_us = (parts.pane[owner] + 1) * declared.pane_us - declared.width_us
    place = np.rint((parts.kept[:, 2] - start_us) * (declared.rate_hz / 1e6)).astype(int)
    inside = (place >= 0) & (place < length)
    signal[owner[inside], place[inside]] = parts.values[inside]
    signal = np.ascontiguousarray(signal.transpose(0, 2, 1))  # [windows, sensors, samples]
    signal[~(np.abs(signal) < LARGEST)] = np.nan
    gaps = np.isnan(signal)
    enough = gaps.mean(axis=2) <= _MOST_MISSING
    for window, sensor in zip(*np.nonzero(enough & gaps.any(axis=2)), strict=True):
        gap, line = gaps[window, sensor], signal[window, sensor]
        line[gap] = np.interp(np.flatnonzero(gap), np.flatnonzero(~gap), line[~gap])
    signal -= signal.mean(axis=2, keepdims=True)
    taper = np.hanning(length + 1)[:-1]
    density = np.abs(np.fft.rfft(signal * taper, axis=2)) ** 2 * (2 / (declared.rate_hz * np.sum(taper**2)))
    hertz = np.fft.rfftfreq(length, 1 / declared.rate_hz)
    power = {}
    for name, (low, high) in declared.bands.items():
        total = density[:, :, (hertz >= low) & (hertz < high)].sum(axis=2) * (hertz[1] - hertz[0])
        power[name] = np.where(enough, total, np.nan)
    return power


def _number(pieces: Integers, units: tuple[float, ...]) -> Floats:
    """Return the sum of pieces as doubles; the same however the sum was split into pieces."""
    pieces = pieces.copy()
    for place in range(len(units) - 1, 0, -1):
        carry = (pieces[place] + (1 << (FINER - 1))) >> FINER
        pieces[place] -= carry << FINER
        pieces[place - 1] += carry
    total: Floats = sum(piece * unit for piece, unit in zip(pieces, units, strict=True))
    return total


def _squared_differences(parts: Partials) -> Floats:
    """Return Σ(x − m)² about the mean, float64 [g, c]: Σx² − (Σx)²/n, in integers where most digits would cancel."""
    n = parts.count
    squares, total = _number(parts.squares, SQUARE_UNITS), _number(parts.sums, SUM_UNITS)
    differences: Floats = squares - total * (total / n)
    differences[parts.low == parts.high] = 0.0
    for cell in np.argwhere((parts.low < parts.high) & (n > 0) & (differences < squares * _CANCELS)):
        place = (slice(None), *cell)
        exact_total, exact_squares = (_exact_integer(pieces[place]) for pieces in (parts.sums, parts.squares))
        count = int(n[tuple(cell)])
        # Units: of the sum 2^-50, of squares 2^-70. Python divides integers of any length with one rounding.
        differences[tuple(cell)] = max(0, ((exact_squares * count) << 30) - exact_total**2) / (count << 100)
    return differences


def _exact_integer(pieces: Integers) -> int:
    """Return the sum of pieces as an integer in the finest unit."""
    total = 0
    for piece in pieces.tolist():
        total = (total << FINER) + piece
    return total


def _quantiles(parts: Partials, declared: Statistics) -> Floats:
    """Return the quantiles, float64 [g, c, quantiles]; a group that is partly in the sketch is counted as a whole."""
    g, c = parts.count.shape
    settings = (declared.quantiles, declared.centre, declared.resolution)
    is_counted = np.isin(parts.group, parts.sketch[0])
    place = np.searchsorted(parts.group, parts.loose)
    loose = ~is_counted[place]
    quantiles = quantiles_of_loose(place[loose], parts.keys[loose], np.where(is_counted[:, None], 0, parts.count), *settings)
    if is_counted.any():
        sketch = merge_sketch(np.concatenate([parts.sketch, sketch_of(parts.loose[~loose], parts.keys[~loose])], axis=1))
        quantiles[is_counted] = quantiles_of_counted(np.searchsorted(parts.group, sketch[0]), sketch, g, c, *settings)[is_counted]
    return quantiles


def _nullable(values: Readings | Floats, is_known: Flags) -> pa.Array:
    return pa.array(values.ravel().astype(np.float64), mask=~is_known.ravel())


def _moments(micros: Integers) -> pa.Array:
    return pa.array(micros, pa.int64()).cast(pa.timestamp("us", "UTC"))
