"""A monitor of a table that streams write: each update counts the windows that the stream has passed since, and judges them, from what was added alone.

What is counted and judged depends on the published rows only, so that a stream that was killed has the figures of one that nobody disturbed: a window is
counted once a row of a later one is published, and judged by the windows of its block and of the block before, whatever else is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from caudal.batch.monitor_counts import (
    Counted,
    arrow_schema,
    kept_counts,
    leave_out,
    measurements_of,
    new_counts,
    take_counts,
)
from caudal.batch.monitor_figures import alarms_of, kept_figures, outcome_of, schema_changes
from caudal.declarations.join import Join
from caudal.declarations.monitor import Monitor
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.errors import StepFailed
from caudal.graph.check_monitors import event_time_of
from caudal.graph.fingerprint import code_in_zone, code_of, digest
from caudal.ledger.monitored import COLUMNS, KeptFigure, figures_of, keep_counts, kept_of, measurement_of
from caudal.runtime.workspace import Workspace
from caudal.stages.monitor.column_counts import FEWER_KEYS, MOST_KEYS
from caudal.stages.monitor.count import Counter, WindowCounts, Windowed
from caudal.stages.monitor.judge import Figure
from caudal.stages.monitor.watch import ROWS, Regime, Series, beginnings_of, drift_series, judged
from caudal.stages.monitor.windows import DAY_S, instant, start_of_window, wall_clock, windows_of_day
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.streaming.monitoring import MonitorUpdate
from caudal.tables import changes
from caudal.tables.added import Lookup, added_files

COUNTED_AS = "values"  # another word where what is kept changes: everything is counted again then
BLOCK = 180  # windows; a window is judged by those of its block and of the one before
_AT_ONCE = 64  # windows that are counted at a time
_MOST_VERSIONS = 20_000  # commits that are read one by one


def stream_monitor(ws: Workspace, monitor: Monitor, *, by_clock: bool = False) -> StreamMonitor:
    """Return the function that brings a monitor of a streamed table up to date; it remembers what it has read.

    Parameters
    ----------
    by_clock : whether a window has ended when the clock has passed it, as after the end of a stream, or only when a later row is published
    """
    return StreamMonitor(ws, monitor, by_clock)


def lateness_s(product: Product, name: str) -> float:
    """Return how much later than a row others of an earlier time may be published, in seconds of event time."""
    node = product.nodes[name]
    if isinstance(node, Join):
        return max(lateness_s(product, input_) for input_ in node.inputs) + (node.within_s or 0.0)
    return node.late_s if isinstance(node, Source) else 0.0


@dataclass
class StreamMonitor:
    """Keeps the counts and the figures of a monitor between updates, as the ledger has them.

    Parameters
    ----------
    ws : of the stream, or of the run
    """

    ws: Workspace
    monitor: Monitor
    by_clock: bool
    _counted: Counted | None = None
    _figures: dict[int, dict[object, KeptFigure]] = field(default_factory=dict)
    _open_from: int | None = None
    _version: int | None = None
    _lookup: Lookup | None = None

    def __post_init__(self) -> None:
        product, monitor = self.ws.product, self.monitor
        self._code = code_in_zone(digest("monitor", COUNTED_AS, code_of(monitor)), product.tz)
        self._folder = self.ws.tables.folder(monitor.of)
        self._windowed = Windowed(event_time_of(product, monitor), int(monitor.window_s), product.tz)
        self._reference_s = int(monitor.reference_s or 0)
        self._late_s = lateness_s(product, monitor.of)
        length = self._windowed.window_s
        self._counts_s = self._reference_s + BLOCK * length  # rows that come later than that are not counted any more
        self._figures_s = 3 * BLOCK * length

    def __call__(self) -> MonitorUpdate | None:
        """Count and judge the windows that have ended since, and keep them in the ledger; None where nothing is new."""
        try:
            return self._update()
        except BaseException:
            self._counted, self._version = None, None  # what the ledger has is read again
            raise

    def _update(self) -> MonitorUpdate | None:
        number = delta.version_of(self._folder)
        if number is None or (number == self._version and not self.by_clock):
            return None
        published = delta.read_version(self._folder, number)
        counted, anew = self._known(published)
        lookup = self._lookup_of(counted, published)
        span = lookup.span(number)
        if span is None:
            return None
        open_to = self._open_to(span)
        first = int(start_of_window(wall_clock(span[0] / 1e6, self._windowed.tz), self._windowed.window_s))
        starts = self._to_count(published, lookup, max(first, open_to - self._counts_s), open_to)
        counted.new, counted.recounted = set(), set()
        for place in range(0, len(starts), _AT_ONCE):
            self._count(counted, lookup, number, frozenset(starts[place : place + _AT_ONCE]))
        self._version, self._open_from = number, open_to
        inputs = {self.monitor.of: number}
        figures, changed = self._judge(counted) if counted.new else (self._all_figures(), [])
        alarms = (*schema_changes(counted, published, self.monitor.of), *alarms_of(figures, changed))
        if counted.new or anew:
            self._keep(counted, changed, number, open_to, anew)
        self._forget(counted)
        return MonitorUpdate(
            self.monitor.name, outcome_of(figures, alarms), alarms, len(counted.new),
            sum(counted.windows[start].rows for start in counted.new if start in counted.windows), digest(self._code, inputs), inputs,
            self._next_end(span, open_to), frozenset(figure.label for figure in _newest(figures) if figure.state == "alarm"),
        )  # fmt: skip

    def _known(self, published: delta.Version) -> tuple[Counted, bool]:
        """Return what is known of the windows, and whether it is nothing yet; read from the ledger at the first update."""
        ledger, product, name = self.ws.record.ledger, self.ws.product, self.monitor.name
        present = new_counts(product, self.monitor, published)
        self._left_out = dict(present.left_out)
        if self._counted is not None and not set(present.columns) - set(self._counted.columns):
            return self._counted, False
        self._figures, self._open_from, self._version = {}, None, None
        kept = kept_counts(
            ledger, product, self.monitor, self._code, published, windows=self._counts_s // self._windowed.window_s + 1
        )
        place = next(iter(kept_of(ledger, product.name, name, code=self._code, metric=COLUMNS)), None)
        open_from = None if place is None else place.detail.get("open_from")
        if kept is None or place is None or not isinstance(open_from, int):
            self._counted = present
            return present, True
        self._counted, self._open_from, self._version = kept, open_from, place.version
        for figure in figures_of(ledger, product.name, name):
            self._figures.setdefault(self._wall(figure.start), {})[figure.key] = figure
        return kept, False

    def _lookup_of(self, counted: Counted, published: delta.Version) -> Lookup:
        at = self._windowed.event_time
        assert at is not None
        kinds = arrow_schema(published)
        schema = pa.schema([(name, kinds[name]) for name in dict.fromkeys((at, *counted.columns)) if name in kinds])
        if self._lookup is None or not self._lookup.reads(schema):
            self._lookup = Lookup(self._folder, at, schema)
        return self._lookup

    def _open_to(self, span: tuple[int, int]) -> int:
        """Return the start of the first window that has not ended."""
        tz, length = self._windowed.tz, self._windowed.window_s
        if not self.by_clock:
            passed = int(start_of_window(wall_clock(span[1] / 1e6 - self._late_s, tz), length))
            return passed if self._open_from is None else max(passed, self._open_from)
        last = int(start_of_window(wall_clock(span[1] / 1e6, tz), length))
        ended = int(start_of_window(wall_clock(self.ws.record.clock(), tz), length))
        return max(min(ended, last + length), self._open_from or 0)

    def _to_count(self, published: delta.Version, lookup: Lookup, first: int, open_to: int) -> list[int]:
        """Return the windows that have ended since the last update, and earlier ones of which rows came, or went, since; in order."""
        length = self._windowed.window_s
        begin = first if self._open_from is None else max(first, self._open_from)
        starts = set(range(begin, open_to, length))
        if self._version is not None and self._open_from is not None and self._version != published.number:
            starts |= set(self._changed(published, lookup, self._version, range(first, self._open_from, length)))
        return sorted(starts)

    def _changed(self, published: delta.Version, lookup: Lookup, since: int, earlier: range) -> Iterator[int]:
        """Yield earlier windows whose rows came or went since a version; those of a file are between its least and its greatest time."""
        length, tz = self._windowed.window_s, self._windowed.tz
        files = _added_since(self._folder, since, published.number)
        if files is None and published.partitioned:
            days = changes.changed_days(self._folder, since, published.number) - {None}
            yield from (start for day in days for start in windows_of_day(str(day), length) if start in earlier)
        elif files is None:
            yield from earlier
        begin = max(earlier.start, earlier.stop - BLOCK * length)
        for file in files or ():
            span = lookup.span_of([file])
            if span is not None:
                low, high = (int(start_of_window(wall_clock(at / 1e6, tz), length)) for at in span)
                yield from range(max(low, begin), min(high + length, earlier.stop), length)

    def _count(self, counted: Counted, lookup: Lookup, number: int, starts: frozenset[int]) -> None:
        """Count windows of a version."""
        length, tz = self._windowed.window_s, self._windowed.tz
        ends = np.array([(instant(start, tz), instant(start + length, tz)) for start in sorted(starts)])
        low, high = np.rint(ends * 1e6).astype(np.int64).T
        present = set(lookup.columns)
        counter = Counter(
            [name for name in counted.columns if name in present], self._windowed, starts, MOST_KEYS if length >= DAY_S else FEWER_KEYS
        )  # fmt: skip
        for batch in lookup.batches(number, low, high - 1):
            counter.add(batch)
        take_counts(counted, counter.result(), starts)

    def _judge(self, counted: Counted) -> tuple[list[KeptFigure], list[KeptFigure]]:
        """Return all figures, and those that have changed; windows before the first that was counted anew keep theirs."""
        monitor, length = self.monitor, self._windowed.window_s
        with_rows = [start for start, counts in counted.windows.items() if counts.rows]
        known = [*with_rows, *self._figures]
        if not known:
            return [], []
        last = max(known)
        first = max(min(known), last - self._figures_s + length)
        oldest = max(
            first, min([*counted.new, *([max(self._figures) + length] if self._figures else [])])
        )  # with windows without a row
        if len(with_rows) <= BLOCK:
            counted.left_out = dict(self._left_out)
            leave_out(counted, with_rows, named=monitor.columns is not None)
        elif counted.kept_left_out is not None:
            counted.left_out = dict(counted.kept_left_out)
        watched = tuple(range(oldest, last + length, length))
        windows = {start: counts for start, counts in counted.windows.items() if start >= oldest - self._reference_s}
        windows |= {start: WindowCounts(0, {}) for start in watched if start not in windows}
        regime = Regime(None, (), watched, self._reference_s)
        every = drift_series(counted.watched, windows, regime, monitor.measures, monitor.thresholds, monitor.patience)
        # Which groups have figures of their own would depend on the first window that is compared, hence on when the stream looks.
        new = [entry for entry in every if not entry.group]
        figures = list(self._judged(new, first, oldest))
        changed = [figure for figure in figures if self._figures.get(self._wall(figure.start), {}).get(figure.key) != figure]
        for start in [start for start in self._figures if start >= oldest]:
            del self._figures[start]
        for figure in figures:
            self._figures.setdefault(self._wall(figure.start), {})[figure.key] = figure
        return self._all_figures(), changed

    def _judged(self, new: Sequence[Series], first: int, oldest: int) -> Iterator[KeptFigure]:
        """Yield the figures from ``oldest`` on, each judged by its block and the one before."""
        block_s = BLOCK * self._windowed.window_s
        rows = {start: figures[_ROWS_KEY].value for start, figures in self._figures.items() if _ROWS_KEY in figures}
        for entry in new:
            if entry.metric == ROWS:
                rows |= {start: figure.value or 0.0 for start, figure in zip(entry.starts, entry.figures, strict=True)}
        for block in range(oldest // block_s, max(rows) // block_s + 1):
            begin = max(first, (block - 1) * block_s)
            starts = tuple(range(begin, min((block + 1) * block_s - 1, max(rows)) + 1, self._windowed.window_s))
            beginnings = frozenset(beginnings_of(rows, starts, self._reference_s))
            whole = [self._over(entry, starts, oldest, beginnings) for entry in new]
            for figure in kept_figures(judged(whole, self.monitor.false_alarms), self._windowed, self._windowed.tz):
                start = self._wall(figure.start)
                if start >= max(oldest, block * block_s):
                    yield figure

    def _over(self, entry: Series, starts: tuple[int, ...], oldest: int, beginnings: frozenset[int]) -> Series:
        """Return a series over some windows: those before ``oldest`` as they are kept."""
        now = dict(zip(entry.starts, entry.figures, strict=True))
        key = (entry.metric, entry.column, entry.group)
        figures = []
        for start in starts:
            kept = self._figures.get(start, {}).get(key) if start < oldest else None
            figures.append(
                now.get(start, Figure(None, 0)) if start >= oldest
                else Figure(None, 0) if kept is None else Figure(kept.value, kept.rows)
            )  # fmt: skip
        return replace(entry, starts=starts, figures=tuple(figures), versions=(None,) * len(starts), beginnings=beginnings)

    def _keep(self, counted: Counted, changed: Sequence[KeptFigure], number: int, open_to: int, anew: bool) -> None:
        record, product, name, tz = self.ws.record, self.ws.product, self.monitor.name, self._windowed.tz
        now, last = record.clock(), max(counted.windows, default=0)
        new = measurements_of(
            counted, product=product.name, run_id=record.run_id, at=now, monitor=name, code=self._code, table_version=number,
            window_s=self.monitor.window_s, tz=tz, open_from=open_to,
        )  # fmt: skip
        figures = (
            measurement_of(figure, product=product.name, run_id=record.run_id, at=now, monitor=name, code=self._code)
            for figure in changed
        )
        keep_counts(
            record.ledger, product.name, name, [*new, *figures], anew=anew, counts_from=instant(last - self._counts_s, tz),
            figures_from=instant(last - self._figures_s, tz),
        )  # fmt: skip
        counted.kept_left_out = dict(counted.left_out)

    def _forget(self, counted: Counted) -> None:
        """Drop what no later window is compared with."""
        last = max(counted.windows, default=0)
        for start in [start for start in counted.windows if start < last - self._counts_s]:
            del counted.windows[start]
        for start in [start for start in self._figures if start < last - self._figures_s]:
            del self._figures[start]

    def _all_figures(self) -> list[KeptFigure]:
        return [figure for start in sorted(self._figures) for figure in self._figures[start].values()]

    def _next_end(self, span: tuple[int, int], open_to: int) -> float | None:
        """Return when, by the clock, the first window ends that has rows and is not counted yet."""
        tz, length = self._windowed.tz, self._windowed.window_s
        has_rows = span[1] / 1e6 >= instant(open_to, tz)
        return instant(open_to + length, tz) if has_rows else None

    def _wall(self, at: float) -> int:
        return wall_clock(at, self._windowed.tz)


def _added_since(folder: Place, since: int, until: int) -> list[str] | None:
    """Return the files whose rows came after a version; None where rows were taken out, or the table was made anew, or too much has happened."""
    if since > until or until - since > _MOST_VERSIONS:
        return None
    try:
        return [str(file) for number in range(since + 1, until + 1) for file in added_files(folder, number)]
    except (StepFailed, FileNotFoundError):
        return None


_ROWS_KEY = (ROWS, None, ())


def _newest(figures: Sequence[KeptFigure]) -> list[KeptFigure]:
    """Return of each series the figure of the newest window; they come in order of time."""
    return list({figure.key: figure for figure in figures}.values())
