"""What a monitor sees of its model in each window: predictions, their error once labels have come, and the error that is expected before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import pyarrow as pa

from caudal.batch.monitor_counts import Counted
from caudal.batch.monitor_rows import PredictedRows, predicted_rows
from caudal.declarations.metrics import METRICS
from caudal.declarations.model import Model
from caudal.declarations.monitor import Monitor
from caudal.declarations.signature import PREDICTION
from caudal.ledger.monitored import KeptFigure
from caudal.runtime.workspace import Workspace
from caudal.stages.monitor.column_counts import ColumnCounts, column_counts_of
from caudal.stages.monitor.count import WindowCounts, Windowed
from caudal.stages.monitor.estimate import ESTIMATED, MOST_ROWS, OF_CLASSES, calibrated, expected_score, loss_model
from caudal.stages.monitor.judge import Figure, Rule
from caudal.stages.monitor.performance import SELECTED, WINDOW, WindowScore, window_scores
from caudal.stages.monitor.watch import Regime, Series
from caudal.stages.monitor.windows import instant
from caudal.storage import delta

if TYPE_CHECKING:
    import pandas as pd

REFERENCE_ROWS = 100_000
PAST_WINDOWS = 30
BLOCK_WINDOWS = 7  # windows whose expected error is learned at once, from those before the block


@dataclass(frozen=True)
class Watched:
    """The windows of one model version.

    Parameters
    ----------
    scores : those measured in this run
    """

    regime: Regime
    scores: tuple[WindowScore, ...]


def watch_model(
    ws: Workspace, monitor: Monitor, counted: Counted, features: delta.Version, regimes: Sequence[Regime], windowed: Windowed
) -> Iterator[Watched]:
    """Yield what was measured in each regime, and count the predictions of its windows into ``counted``."""
    model = ws.product.models[monitor.of]
    for regime in regimes:
        assert regime.version is not None
        wanted = [start for start in regime.watched if start in counted.windows and counted.windows[start].rows]
        todo = [start for start in wanted if start in counted.recounted or PREDICTION not in counted.windows[start].columns]
        needs_reference = regime.version not in counted.references and bool(regime.reference)
        if not todo and not needs_reference:
            yield Watched(regime, ())
            continue
        reader = predicted_rows(ws, model, features, regime.version, windowed, monitor.by)
        if needs_reference:
            _count_reference(reader, regime, counted)
        yield Watched(regime, tuple(_measure(reader, model, counted, wanted, todo)))


def performance_series(
    monitor: Monitor,
    model: Model,
    watched: Iterable[Watched],
    kept: Sequence[KeptFigure],
    windows: Mapping[int, WindowCounts],
    tz: str,
) -> Iterator[Series]:
    """Yield the errors of each regime's windows, those of earlier runs included, not judged yet."""
    directions = METRICS[model.task]
    for entry in watched:
        regime = entry.regime
        figures: dict[tuple[str, tuple[tuple[str, str], ...]], dict[int, Figure]] = {}
        starts_at = {instant(start, tz): start for start in regime.watched}
        for figure in kept:
            if figure.column is None and figure.start in starts_at and _is_score(figure.metric, model):
                group = tuple((column, str(value)) for column, value in figure.group.items())
                figures.setdefault((figure.metric, group), {})[starts_at[figure.start]] = Figure(figure.value, figure.rows)
        for score in entry.scores:
            figures.setdefault((score.metric, score.group), {})[score.start] = Figure(score.value, score.rows)
        for (metric, group), by_start in figures.items():
            if metric == SELECTED:
                rule = Rule("share", "both", monitor.patience)
            else:
                lower = directions[metric.removeprefix(ESTIMATED)] == "lower"
                rule = Rule("score", "high" if lower else "low", monitor.patience)
            listed = tuple(by_start.get(start, Figure(None, 0)) for start in regime.watched)
            yield Series(metric, None, rule, (), regime.watched, listed, versions=regime.versions, group=group)


def _is_score(metric: str, model: Model) -> bool:
    return metric in (SELECTED, model.metric, f"{ESTIMATED}{model.metric}")


def _count_reference(reader: PredictedRows, regime: Regime, counted: Counted) -> None:
    """Count the predictions for the newest training rows."""
    chosen, rows = list[int](), 0
    for start in reversed(regime.reference):
        chosen.append(start)
        rows += counted.windows[start].rows if start in counted.windows else 0
        if rows >= REFERENCE_ROWS:
            break
    frame = reader.rows(sorted(chosen))
    if frame is None or frame.empty:
        return
    counted.references[reader.champion.version] = _predictions(frame)
    counted.new_references.add(reader.champion.version)


def _predictions(frame: pd.DataFrame) -> ColumnCounts:
    return column_counts_of([pa.array(frame[PREDICTION], from_pandas=True)])


def _measure(
    reader: PredictedRows, model: Model, counted: Counted, wanted: Sequence[int], todo: Sequence[int]
) -> Iterator[WindowScore]:
    """Yield the scores of the windows ``todo``, and count their predictions."""
    import pandas as pd

    if not todo:
        return
    rows_of = {start: counted.windows[start].rows for start in wanted}
    block_s = BLOCK_WINDOWS * reader.windowed.window_s
    past: dict[int, pd.DataFrame] = {}
    for _, block in groupby(sorted(todo), key=lambda start: start // block_s):
        starts = list(block)
        before = [start for start in wanted if start < starts[0] // block_s * block_s][-PAST_WINDOWS:]
        past = {start: past[start] for start in before if start in past}
        for chunk in reader.chunks([start for start in before if start not in past], rows_of):
            past |= _samples(reader.rows(chunk))
        known = pd.concat([past[start] for start in before if start in past] or [pd.DataFrame()], ignore_index=True)
        for chunk in reader.chunks(starts, rows_of):
            frame = reader.rows(chunk)
            if frame is None or frame.empty:
                continue
            yield from window_scores(
                frame, label=model.label, task=model.task, metric=model.metric, classes=reader.classes, by=[name for name in reader.by if name in frame]
            )  # fmt: skip
            yield from _estimates(reader, model, known, frame)
            for start, window in frame.groupby(WINDOW):
                counts = counted.windows[int(str(start))]
                columns = {**counts.columns, PREDICTION: _predictions(window)}
                counted.windows[int(str(start))] = replace(counts, columns=columns)
                counted.new.add(int(str(start)))
            past |= _samples(frame)


def _samples(frame: pd.DataFrame | None) -> dict[int, pd.DataFrame]:
    """Return rows of each window that an estimate is learned from: the same ones whichever run takes them."""
    if frame is None or frame.empty:
        return {}
    most = 2 * MOST_ROWS // PAST_WINDOWS
    return {
        int(str(start)): window if len(window) <= most else window.sample(most, random_state=0)
        for start, window in frame.groupby(WINDOW)
    }


def _estimates(reader: PredictedRows, model: Model, past: pd.DataFrame, frame: pd.DataFrame) -> Iterator[WindowScore]:
    """Yield the error that is expected of each window, by what was known before it."""
    metric = f"{ESTIMATED}{model.metric}"
    if model.task == "classification":
        if model.metric not in OF_CLASSES or f"probability_{reader.classes[0]}" not in frame:
            return
        share = calibrated(past, model.label, reader.classes, frame)
        for start, places in frame.reset_index(drop=True).groupby(WINDOW).groups.items():
            at = places.to_numpy()
            value = expected_score(model.metric, share[at], frame.iloc[at], reader.classes)
            if value is not None:
                yield WindowScore(int(str(start)), metric, value, len(at))
        return
    losses = loss_model(past, model.label, reader.inputs, model.metric)
    if losses is not None:
        for start, window in frame.groupby(WINDOW):
            yield WindowScore(int(str(start)), metric, losses.expected(window), len(window))
