"""Which windows are compared with what: stray rows, a beginning, long gaps."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from caudal.stages.monitor.column_counts import column_counts_of
from caudal.stages.monitor.count import WindowCounts
from caudal.stages.monitor.watch import Regime, Series, drift_series, judged

DAY_S = 86_400
OPTIONS = (("psi", "superiority"), dict[str, float](), 2)


def windows_of(rows: dict[int, int]) -> dict[int, WindowCounts]:
    """Return windows by day with numbers of one distribution; the days between have no row."""
    random = np.random.default_rng(7)
    windows = {day * DAY_S: WindowCounts(0, {}) for day in range(min(rows), max(rows) + 1)}
    for day, count in rows.items():
        windows[day * DAY_S] = WindowCounts(count, {"amount": column_counts_of([pa.array(random.normal(20, 5, count))])})
    return windows


def series_of(rows: dict[int, int], regime: Regime) -> dict[str, Series]:
    """Return the judged series by their names."""
    return {entry.label: entry for entry in judged(drift_series(["amount"], windows_of(rows), regime, *OPTIONS), 0.05)}


def states(series: Series) -> dict[int, str]:
    """Return the state of each day."""
    return {start // DAY_S: verdict.state for start, verdict in zip(series.starts, series.verdicts, strict=True)}


STRAY = {0: 2, 1: 1, 3: 1}  # rows of clocks that were wrong
USUAL = {day: 1000 + day % 7 * 20 for day in range(30, 61)}
LATER = {day: 2000 + day % 7 * 40 for day in range(300, 330)} | {330: 1}


def test_stray_rows_and_a_gap_of_months_are_no_alarm() -> None:
    rows = STRAY | USUAL | LATER
    found = series_of(rows, Regime(None, (), tuple(range(0, 331 * DAY_S, DAY_S)), 14 * DAY_S))
    of_rows = states(found["rows"])
    assert "alarm" not in {of_rows[day] for day in (*USUAL, *LATER)}
    assert {of_rows[day] for day in range(300, 310)} == {"learning"}  # nothing of the year before
    assert {of_rows[day] for day in range(65, 72)} == {"alarm"}  # rows stay away
    psi = states(found["psi of amount"])
    assert psi[330] == "no rows"  # one row is compared with nothing
    assert {psi[day] for day in (*STRAY, *range(30, 33))} == {"no rows"}
    assert {psi[day] for day in range(320, 330)} <= {"inside", "outside"}


def test_a_fixed_reference_learns_nothing_from_strays_and_gaps() -> None:
    rows = STRAY | USUAL | LATER | dict.fromkeys(range(331, 340), 1900) | {340: 40, 341: 40, 342: 40}
    reference = tuple(range(0, 330 * DAY_S, DAY_S))
    found = series_of(rows, Regime(1, reference, tuple(range(331 * DAY_S, 343 * DAY_S, DAY_S))))
    of_rows = found["rows"]
    assert len(of_rows.history) == 61  # both months
    assert states(of_rows)[342] == "alarm"
    assert sum(figure.value is None for figure in found["psi of amount"].history) == 3
    assert states(found["psi of amount"])[339] in ("inside", "outside")
    assert states(found["psi of amount"])[342] == "no rows"


def test_figures_do_not_depend_on_which_windows_are_looked_at_together() -> None:
    random = np.random.default_rng(3)
    windows = {}
    for day in range(60):  # half-way another colour becomes the commonest; for some days nobody gave one
        odds = [0.7, 0.2, 0.1] if day < 30 else [0.2, 0.7, 0.1]
        colours = random.choice(["red", "blue", "green"], 200, p=odds)
        column = pa.nulls(200, pa.string()) if 40 <= day < 44 else pa.array(colours)
        windows[day * DAY_S] = WindowCounts(200, {"colour": column_counts_of([column])})

    def figures(starts: range) -> dict[tuple[str, int], object]:
        regime = Regime(None, (), tuple(day * DAY_S for day in starts), 10 * DAY_S)
        entries = list(drift_series(["colour"], windows, regime, *OPTIONS))
        assert {entry.label for entry in entries} == {
            "psi of colour", "null share of colour", "new share of colour", "commonest share of colour", "rows",
        }  # fmt: skip
        return {
            (entry.label, start): figure for entry in entries for start, figure in zip(entry.starts, entry.figures, strict=True)
        }

    apart = [figures(range(first, min(first + 7, 60))) for first in range(0, 60, 7)]
    assert {key: figure for part in apart for key, figure in part.items()} == figures(range(60))
