"""Monitors of tables that streams write: what is counted when, restarts, late rows, rows that were taken out, and who may write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.lakes import write

import caudal as cd
from caudal.batch import monitor_stream
from caudal.batch.monitor_stream import StreamMonitor, stream_monitor
from caudal.batch.steps.monitor import work
from caudal.declarations.settings import Settings
from caudal.graph.check import check
from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import measurements
from caudal.ledger.monitored import COLUMNS, COUNTS, KIND, figures_of
from caudal.report.monitors import monitor_document
from caudal.runtime.run_record import RunRecord
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.storage.lease import lease
from caudal.streaming.append import append, compact
from caudal.streaming.monitoring import MonitorUpdate, StreamMonitors
from caudal.streaming.sources import stream_lease
from caudal.tables.home import Home

T0 = 1_700_006_400  # a midnight
MINUTE = 60


def rows_of(first: int, minutes: int, *, shift: float = 0.0, seed: int = 0) -> pa.Table:
    """Return 40 readings a minute, counted from the first; late ones and others."""
    parts = []
    for minute in range(first, first + minutes):
        random = np.random.default_rng((seed, minute))
        at = (T0 + minute * MINUTE + np.sort(random.uniform(0, MINUTE, 40))) * 1e6
        parts.append(
            pa.table(
                {
                    "device": np.zeros(40, np.int64),
                    "at": pa.array(at.astype(np.int64)).cast(pa.timestamp("us", "UTC")),
                    "x": random.normal(20 + shift, 5, 40),
                }
            )
        )
    return pa.concat_tables(parts)


class Lab:
    """A product with a stream whose captured samples are watched minute by minute."""

    def __init__(self, folder: Path) -> None:
        self.product = product = cd.Product("lab")
        samples = product.source("samples", cd.stream(channels=("x",)), late="1 second", partition="day")
        self.monitor = product.monitor(samples, window="1 minute", reference="15 minutes", columns=["x"])
        self.home = Home(folder)
        self.ledger: Ledger = self.home.ledger()
        self.batch = 0

    @property
    def ws(self) -> Workspace:
        return Workspace.compose(self.product, self.home, Settings(home=self.home.path), RunRecord("lab", self.ledger, "r"))

    @property
    def folder(self) -> Any:
        return self.home.table("lab", "samples")

    def publish(self, rows: pa.Table) -> None:
        """Append rows as the stream does."""
        self.batch += 1
        identity = {"run_id": "r", "step": "stream:samples", "upto": self.batch, "code": "stream"}
        append(self.folder, [rows], [], moment="at", tz="UTC", partitioned=True, identity=identity)
        compact(self.folder, partitioned=True, identity=identity)

    def figures(self) -> list[tuple[Any, ...]]:
        """Return all figures, in order of time."""
        return sorted(
            (
                (figure.key, figure.start, figure.value, figure.rows, figure.state, figure.low, figure.high, figure.evidence)
                for figure in figures_of(self.ledger, "lab", "samples")
            ),
            key=repr,
        )

    def states(self, metric: str) -> list[str]:
        return [figure.state for figure in figures_of(self.ledger, "lab", "samples") if figure.metric == metric]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.ledger.close()


def done(update: StreamMonitor) -> MonitorUpdate:
    """Return what an update has found; there is something new."""
    result = update()
    assert result is not None
    return result


def test_a_window_is_counted_once_a_row_of_a_later_one_is_there(lab: Lab) -> None:
    update = stream_monitor(lab.ws, lab.monitor)
    assert update() is None  # nothing is published
    rows = rows_of(0, 12)
    lab.publish(rows.slice(0, 12 * 40 - 20))
    first = done(update)
    assert (first.windows, first.note(11)) == (11, "11 windows counted; no alarm.")
    assert update() is None
    lab.publish(rows.slice(12 * 40 - 20))
    assert done(update).windows == 0
    lab.publish(rows_of(12, 1))
    later = done(update)
    assert (later.windows, later.rows) == (1, 40)
    (counted,) = measurements(lab.ledger, product="lab", metric=COLUMNS)
    assert counted.version == lab.batch - 1
    assert monitor_document(lab.ledger, "lab", "samples")["windows"] == 12


@pytest.mark.slow
def test_a_change_is_an_alarm_while_the_stream_goes_on(lab: Lab) -> None:
    update = stream_monitor(lab.ws, lab.monitor)
    for first in range(0, 40, 2):
        lab.publish(rows_of(first, 2))
        assert not getattr(update(), "alarms", ())
    found = set()
    for first in range(40, 48, 2):
        lab.publish(rows_of(first, 2, shift=8))
        found |= {alarm["figure"] for alarm in done(update).alarms}
    assert "psi of x" in found
    assert "rows" not in found


def figures_after(folder: Path, updates: list[int], restarts: set[int]) -> list[tuple[Any, ...]]:
    """Return the figures after an hour and a half, with updates after some of 45 commits, by a new process where it says so."""
    lab = Lab(folder)
    update: StreamMonitor | None = None
    late = rows_of(30, 1, seed=5).slice(0, 10)
    for place in range(45):
        shift = 4.0 if 25 <= place < 35 else 0.0
        lab.publish(rows_of(2 * place, 2, shift=shift))
        if place == 20:
            lab.publish(late)
        if place in updates:
            update = stream_monitor(lab.ws, lab.monitor) if update is None or place in restarts else update
            update()
    figures = lab.figures()
    lab.ledger.close()
    return figures


@pytest.mark.slow
def test_figures_are_those_of_a_stream_that_nobody_disturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_stream, "BLOCK", 40)  # several blocks, and figures that are forgotten
    often = figures_after(tmp_path / "often", list(range(45)), set())
    killed = figures_after(tmp_path / "killed", [0, 3, 4, 17, 18, 21, 29, 30, 36, 44], {4, 18, 29, 44})
    assert {figure[4] for figure in often} >= {"learning", "inside", "alarm"}
    assert killed == often


def test_an_update_that_could_not_be_kept_is_made_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    update = stream_monitor(lab.ws, lab.monitor)
    lab.publish(rows_of(0, 20))
    update()
    lab.publish(rows_of(20, 5))
    with monkeypatch.context() as away:
        away.setattr(monitor_stream, "keep_counts", lambda *_, **__: (_ for _ in ()).throw(OSError("the ledger is away")))
        with pytest.raises(OSError, match="away"):
            update()
    assert done(update).windows == 5
    assert len(lab.states("rows")) == 24


@pytest.mark.slow
def test_what_is_kept_does_not_grow_with_the_stream(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_stream, "BLOCK", 10)
    update = stream_monitor(lab.ws, lab.monitor)
    for first in range(0, 80, 4):
        lab.publish(rows_of(first, 4))
        update()
    kept = measurements(lab.ledger, product="lab", subject_kind=KIND)
    assert len([row for row in kept if row.metric == COUNTS]) <= 26
    assert len([row for row in kept if row.metric == "rows"]) <= 31


def test_rows_that_were_taken_out_leave_the_ledger(lab: Lab) -> None:
    update = stream_monitor(lab.ws, lab.monitor)
    rows = rows_of(0, 20)
    lab.publish(rows)
    update()
    less = rows.filter(pc.less(rows.column("x"), 25.0))
    write(lab.folder, less, "at", replace={"2023-11-15"})
    update()
    figures = [figure for figure in figures_of(lab.ledger, "lab", "samples") if figure.metric == "rows"]
    assert sum(figure.value for figure in figures) == len(less.filter(pc.less(less.column("at"), rows_of(19, 1).column("at")[0])))


def test_a_run_counts_the_last_window_by_the_clock_and_leaves_the_table_alone_while_the_stream_runs(lab: Lab) -> None:
    lab.publish(rows_of(0, 20))
    with lease(stream_lease(lab.home, lab.product), "lab (stream)"):
        result = work(lab.ws, lab.monitor)
        assert result.detail["why"] == "the product's streams are running"
    assert work(lab.ws, lab.monitor).detail["note"].startswith("20 windows counted")
    lab.publish(rows_of(20, 2))  # the stream goes on where the run has ended
    assert done(stream_monitor(lab.ws, lab.monitor)).windows == 1


def test_what_fails_is_told_and_the_stream_goes_on(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise OSError("no room")

    lab.publish(rows_of(0, 12))
    monitors = StreamMonitors(lab.ws, {"broken": broken, "samples": stream_monitor(lab.ws, lab.monitor)}, every_s=0.01)
    monitors.start()
    monitors.stop()
    monitors.finish()
    assert monitors.documents() == {
        "broken": {"windows": 0, "alarms": [], "trouble": "OSError: no room"},
        "samples": {"windows": 11, "alarms": [], "trouble": None},
    }
    assert caplog.text.count("Monitor 'broken' could not be brought up to date: OSError: no room") == 1
    assert delta.version_of(lab.folder) is not None


def test_check_finds_what_cannot_be_watched_in_a_stream() -> None:
    product = cd.Product("lab")
    samples = product.source("samples", cd.stream(channels=("x",)), partition="day")
    wide = product.statistics("wide", of=samples, window="10 minutes")
    product.detect("odd", wide, cd.robust_z(window=32), threshold=0.7, column="mean")
    product.monitor("odd", window="1 hour")
    product.monitor(wide, window="1 minute")
    product.monitor(samples, window="1 minute", reference="30 days")
    product.monitor(wide, window="1 hour", name="right")
    assert [problem.what for problem in check(product)] == [
        "Monitor 'odd' watches the detector 'odd', which has no table of windows.",
        "Monitor 'wide' has windows of 1 minute, and 'wide' has a row every 10 minutes.",
        "Monitor 'samples' compares windows of 1 minute with 30 days before them, which are more than 730.",
    ]
