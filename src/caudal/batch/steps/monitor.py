"""``monitor:<name>``: count the windows that changed, compare them with what the model learned from, and judge each figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from caudal.batch.monitor_counts import Counted, count, count_changes, kept_counts, leave_out, measurements_of, new_counts
from caudal.batch.monitor_figures import alarms_of, kept_figures, monitor_note, schema_changes
from caudal.batch.monitor_model import Watched, performance_series, watch_model
from caudal.batch.monitor_stream import COUNTED_AS, stream_monitor
from caudal.batch.step import StepResult, skipped
from caudal.declarations.monitor import Monitor
from caudal.errors import LeaseHeld
from caudal.graph.check_monitors import event_time_of, table_of
from caudal.graph.fingerprint import code_in_zone, code_of, digest
from caudal.graph.registered import is_streamed
from caudal.ledger.ledger import Ledger
from caudal.ledger.monitored import KEPT, figures_of, keep_counts, measurement_of
from caudal.ledger.records import decisions, model_versions
from caudal.ledger.rows import ModelVersionRow
from caudal.runtime.workspace import Workspace
from caudal.stages.monitor.count import WindowCounts, Windowed
from caudal.stages.monitor.watch import Regime, Series, drift_series, joined, judged, prediction_series
from caudal.stages.monitor.windows import instant, start_of_window, wall_clock
from caudal.storage import delta
from caudal.storage.lease import lease
from caudal.streaming.sources import stream_lease

MODEL = "model"


def work(ws: Workspace, monitor: Monitor) -> StepResult:
    """Bring a monitor's counts and figures up to date; while the product's streams run, they watch their own tables."""
    ledger, product = ws.record.ledger, ws.product
    table = table_of(product, monitor)
    published = delta.read_version(ws.tables.folder(table))
    versions = promoted_versions(ledger, product.name, monitor.of) if monitor.of in product.models else []
    inputs = {table: published.number} | ({MODEL: versions[-1]["version"]} if versions else {})
    code = code_in_zone(digest("monitor", COUNTED_AS, code_of(monitor)), product.tz)
    fingerprint = digest(code, inputs)
    now = ws.record.clock()
    last_row = ledger.last_success(product.name, f"monitor:{monitor.name}")
    if last_row is not None and last_row["fingerprint"] == fingerprint:
        next_end = (last_row["detail"] or {}).get("next_window_ends")
        if next_end is None or now < next_end:
            return skipped("up to date", fingerprint=fingerprint, inputs=inputs)
    if is_streamed(product, table):
        return _of_stream(ws, monitor)
    if monitor.reference_s is None and not versions:
        return skipped(f"'{monitor.of}' has no champion yet, whose training rows would be the reference")

    event_time = event_time_of(product, monitor)
    windowed = Windowed(event_time, int(monitor.window_s), product.tz)
    kept = kept_counts(ledger, product, monitor, code, published)
    counted = kept or new_counts(product, monitor, published)
    if event_time is None:
        _count_versions(ws, counted, published, versions, windowed)
    else:
        count_changes(counted, published, windowed)
    ended = _ended(counted, windowed, now, product.tz)
    earlier = figures_of(ledger, product.name, monitor.name) if kept else []
    regimes = list(_regimes(monitor, tuple(ended), windowed, versions))
    first_reference = regimes[0].reference if regimes and monitor.reference_s is None else tuple(ended)
    leave_out(counted, first_reference, named=monitor.columns is not None)
    watched: list[Watched] = []
    if monitor.of in product.models and monitor.reference_s is None and event_time is not None:
        watched = list(watch_model(ws, monitor, counted, published, regimes, windowed))
        ended = {start: counted.windows.get(start, counts) for start, counts in ended.items()}
    every = [series for regime in regimes for series in _drift(monitor, counted, ended, regime)]
    if watched:
        every += performance_series(monitor, product.models[monitor.of], watched, earlier, ended, product.tz)
    series = judged(joined(every), monitor.false_alarms)
    figures = list(kept_figures(series, windowed, product.tz))
    before = {(figure.key, figure.start): figure for figure in earlier}
    changed = [figure for figure in figures if before.get((figure.key, figure.start)) != figure]
    new_measurements = measurements_of(
        counted, product=product.name, run_id=ws.record.run_id, at=now, monitor=monitor.name, code=code, table_version=published.number,
        window_s=monitor.window_s, tz=product.tz,
    )  # fmt: skip
    new_figures = (
        measurement_of(figure, product=product.name, run_id=ws.record.run_id, at=now, monitor=monitor.name, code=code)
        for figure in changed
    )
    keep_counts(ledger, product.name, monitor.name, [*new_measurements, *new_figures], anew=kept is None)
    alarms = [*schema_changes(counted, published, table), *alarms_of(figures, changed)]
    return StepResult(
        fingerprint=fingerprint, inputs=inputs, rows_read=sum(counted.windows[start].rows for start in counted.new),
        detail={
            "note": monitor_note(len(counted.new), figures, alarms), "alarms": alarms, "next_window_ends": _next_end(counted, windowed, now, product.tz),
        },
    )  # fmt: skip


def _of_stream(ws: Workspace, monitor: Monitor) -> StepResult:
    """Watch a table that the product's streams write, unless they are running."""
    try:
        with lease(stream_lease(ws.tables.home, ws.product), f"{ws.product.name} (stream)"):
            update = stream_monitor(ws, monitor, by_clock=True)()
    except LeaseHeld:
        return skipped("the product's streams are running")
    if update is None:
        return skipped("up to date")
    return StepResult(
        fingerprint=update.fingerprint, inputs=update.inputs, rows_read=update.rows,
        detail={"note": update.note(update.windows), "alarms": [*update.alarms], "next_window_ends": update.next_window_ends},
    )  # fmt: skip


def promoted_versions(ledger: Ledger, product: str, model: str) -> list[ModelVersionRow]:
    """Return the versions of a model that were ever in production, oldest first."""
    promoted = {
        row["version"] for row in ledger.find(decisions, product=product, model=model) if row["decision"] in ("promoted", "rolled back")
    }  # fmt: skip
    rows = [row for row in ledger.find(model_versions, product=product, model=model) if row["version"] in promoted]
    return sorted(rows, key=lambda row: row["version"])


def _count_versions(
    ws: Workspace, counted: Counted, published: delta.Version, versions: Sequence[ModelVersionRow], windowed: Windowed
) -> None:
    """Count the whole table as one window, under the number of its version, and so the versions that models have learned from."""
    for number in dict.fromkeys([*(row["training_version"] for row in versions), published.number]):
        if number not in counted.windows:
            version = published if number == published.number else delta.read_version(published.folder, number)
            count(counted, version, windowed, key=number)


def _ended(counted: Counted, windowed: Windowed, now: float, tz: str) -> dict[int, WindowCounts]:
    """Return the windows that have ended, in order, from the first with rows to the last, with those without rows between them; only the newest."""
    starts = sorted(start for start, counts in counted.windows.items() if counts.rows or windowed.event_time is None)
    if windowed.event_time is None or not starts:
        return {start: counted.windows[start] for start in starts}
    wall, length = wall_clock(now, tz), windowed.window_s
    newest = min(starts[-1], start_of_window(wall - length, length))
    every = range(max(starts[0], newest - (KEPT - 1) * length), newest + 1, length)
    return {start: counted.windows.get(start) or WindowCounts(0, {}) for start in every}


def _next_end(counted: Counted, windowed: Windowed, now: float, tz: str) -> float | None:
    """Return when the next window ends that has rows already; None where none is open."""
    if windowed.event_time is None:
        return None
    ends = (instant(start + windowed.window_s, tz) for start in counted.windows)
    return min((end for end in ends if end > now), default=None)


def _drift(monitor: Monitor, counted: Counted, windows: dict[int, WindowCounts], regime: Regime) -> Iterator[Series]:
    """Yield the figures of the columns, of the number of rows, and of the predictions, which are compared with those for the training rows."""
    options = (monitor.measures, monitor.thresholds, monitor.patience)
    yield from drift_series(counted.watched, windows, regime, *options)
    reference = None if regime.version is None else counted.references.get(regime.version)
    if reference is not None:
        yield from prediction_series(reference, windows, regime, *options)


def _regimes(
    monitor: Monitor, starts: tuple[int, ...], windowed: Windowed, versions: Sequence[ModelVersionRow]
) -> Iterator[Regime]:
    """Yield the references: a window is compared with the training rows of the newest version that had learned from nothing later."""
    if monitor.reference_s is not None:
        yield Regime(None, (), starts, int(monitor.reference_s))
        return
    spans = [span for row in versions if (span := _training_span(row, windowed)) is not None]
    for place, (version, first, last) in enumerate(spans):
        until = next((later for _, _, later in spans[place + 1 :] if later > last), None)
        if any(other_last == last for _, _, other_last in spans[place + 1 :]):
            continue  # the later of two that learned from the same time stands for both
        watched = tuple(start for start in starts if start > last and (until is None or start <= until))
        yield Regime(version, tuple(start for start in starts if first <= start <= last), watched)


def _training_span(row: ModelVersionRow, windowed: Windowed) -> tuple[int, int, int] | None:
    """Return a version with the first and the last window of its training rows."""
    if windowed.event_time is None:
        return row["version"], row["training_version"], row["training_version"]
    if row["training_from"] is None or row["training_until"] is None:
        return None
    first, last = (
        int(start_of_window(_wall_seconds(text, windowed.tz), windowed.window_s))
        for text in (row["training_from"], row["training_until"])
    )
    return row["version"], first, last


def _wall_seconds(text: str, tz: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        return wall_clock(moment.timestamp(), tz)
    return int((moment - datetime(1970, 1, 1)).total_seconds())


STEPS = {("monitor", "monitor"): work}
