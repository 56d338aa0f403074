"""The step of a monitor, on tables of the lake without Spark: counting what changed, references, predictions and errors, bad input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sqlalchemy import select
from tests.lakes import write
from tests.unit.batch.visits import visits_product

import caudal as cd
from caudal.batch.execute import perform
from caudal.batch.plan import plan
from caudal.batch.run_state import RunState
from caudal.declarations.settings import Settings
from caudal.graph.check import check
from caudal.ledger.measurements import measurements
from caudal.ledger.monitored import COUNTS, KIND, figures_of
from caudal.ledger.records import steps
from caudal.ledger.rows import StepRow
from caudal.report.monitors import monitor_document
from caudal.runtime.run_record import RunRecord
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables.home import Home

pytestmark = pytest.mark.slow  # each test runs a product several times: ten seconds of a processor

FIRST = pd.Timestamp("2024-01-01")
DAY_S = 86_400.0


def days(
    first: int, count: int, seed: int = 0, *, shift: float = 0.0, rows: int = 200, colours: tuple[str, ...] = ("red", "blue")
) -> pd.DataFrame:
    """Return visits of some days, counted from the first of January: an amount, a colour, and how long each stayed."""
    random = np.random.default_rng(seed + first)
    parts = []
    for day in range(first, first + count):
        number = int(random.poisson(rows))
        amount = random.normal(20 + shift, 5, number)
        parts.append(
            pd.DataFrame(
                {
                    "visit": np.arange(number) + day * 10_000,
                    "at": FIRST + pd.to_timedelta(day * DAY_S + random.uniform(0, DAY_S, number).astype(int), unit="s"),
                    "amount": amount,
                    "colour": random.choice(colours, number),
                    "shop": random.choice(["north", "south"], number),
                    "minutes": 3 * amount + random.normal(0, 2, number),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


class Shop:
    """A product whose features are written into the lake, and whose other steps are done as a run does them."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.product, self.model = visits_product(**options)
        self.home = Home(folder / "home")
        self.ledger = self.home.ledger()
        self.rows = pd.DataFrame()
        self.now = (FIRST + pd.Timedelta(days=1000)).timestamp()
        self.runs = 0

    def arrive(self, rows: pd.DataFrame) -> delta.Version:
        """Publish features with further rows; only their days are written."""
        touched = set(rows["at"].dt.strftime("%Y-%m-%d"))
        self.rows = pd.concat([self.rows, rows], ignore_index=True)
        written = self.rows[self.rows["at"].dt.strftime("%Y-%m-%d").isin(touched)]
        table = pa.Table.from_pandas(written, preserve_index=False)
        table = table.set_column(table.schema.get_field_index("at"), "at", table.column("at").cast(pa.timestamp("us")))
        return write(self.home.table("shop", "visits"), table, "at", replace=touched)

    def run(self, kinds: tuple[str, ...] = ("train", "promote", "predict", "monitor")) -> StepRow:
        """Do the steps that come after the features, and return the row of the monitor's."""
        self.work(kinds)
        rows = self.ledger.rows(select(steps).where(steps.c.run_id == f"r{self.runs}", steps.c.kind == "monitor"), steps)
        row: StepRow = rows[-1]
        return row

    def work(self, kinds: tuple[str, ...]) -> None:
        """Do some steps."""
        self.runs += 1
        record = RunRecord("shop", self.ledger, f"r{self.runs}", clock=lambda: self.now)
        ws = Workspace.compose(self.product, self.home, Settings(home=self.home.path), record)
        state = RunState()
        for step in plan(self.product):
            if step.kind in kinds:
                perform(ws, step, state)
        assert not state.failed, state.failed

    def states(self, metric: str, column: str | None = None) -> list[str]:
        """Return the states of a figure, oldest first."""
        return [
            figure.state for figure in figures_of(self.ledger, "shop", "stay")
            if figure.metric == metric and figure.column == column and not figure.group
        ]  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    made: list[Shop] = []

    def make(**options: object) -> Shop:
        made.append(Shop(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.ledger.close()


def test_a_model_is_watched_from_training_to_drift(shop: Callable[..., Shop]) -> None:
    watched = shop(by="shop")
    watched.arrive(days(0, 30))
    first = watched.run()
    assert first["detail"]["note"] == "30 windows counted; nothing to compare yet."
    assert watched.run()["state"] == "skipped"  # nothing new: nothing read

    watched.arrive(days(30, 10))
    row = watched.run()
    assert row["detail"]["note"] == "10 windows counted; no alarm."
    assert row["rows_read"] == len(watched.rows[watched.rows["at"] >= FIRST + pd.Timedelta(days=30)])  # only what is new
    assert set(watched.states("psi", "amount")) <= {"inside", "outside"}
    assert watched.states("psi", "prediction")[:8] == ["learning"] * 8
    assert "alarm" not in watched.states("psi", "prediction")
    figures = {figure["figure"]: figure for figure in monitor_document(watched.ledger, "shop", "stay")["figures"]}
    assert figures["mae"]["value"] == pytest.approx(1.6, abs=0.2)  # of version 1, which had not seen these rows; version 2 has
    assert figures["mae"]["reference"] == 1
    assert figures["estimated mae"]["value"] == pytest.approx(figures["mae"]["value"], rel=0.1)
    assert {"mae where shop = north", "mae where shop = south"} <= set(figures)
    assert "superiority of colour" not in figures

    watched.arrive(days(40, 6, shift=4.0, colours=("red", "blue", "green")))
    row = watched.run()
    in_alarm = {alarm["figure"] for alarm in row["detail"]["alarms"]}
    assert {"psi of amount", "superiority of amount", "new share of colour"} <= in_alarm
    assert "rows" not in in_alarm
    assert "psi of amount is" in row["detail"]["note"]


def test_windows_are_counted_again_only_where_their_day_changed(shop: Callable[..., Shop]) -> None:
    watched = shop()
    watched.arrive(days(0, 20))
    watched.run()
    watched.arrive(days(4, 1, seed=99, rows=30))  # late rows
    row = watched.run()
    assert row["detail"]["note"].startswith("1 window counted")
    kept = measurements(watched.ledger, product="shop", subject_kind=KIND, metric=COUNTS)
    assert len(kept) == 20  # in place of what was kept
    in_window = watched.rows["at"].between("2024-01-05", "2024-01-05 23:59:59")
    assert kept[0].value == in_window.sum()


def test_labels_that_come_later_are_scored_then(shop: Callable[..., Shop]) -> None:
    watched = shop()
    watched.arrive(days(0, 20))
    watched.run()
    late = days(20, 4).assign(minutes=np.nan)
    watched.arrive(late)
    watched.run()
    assert watched.states("mae") == []
    watched.rows = watched.rows[watched.rows["at"] < FIRST + pd.Timedelta(days=20)]
    watched.arrive(days(20, 4))
    watched.run()
    assert watched.states("mae") == ["learning"] * 4


def test_rows_that_stay_away_and_windows_without_rows(shop: Callable[..., Shop]) -> None:
    watched = shop()
    watched.arrive(days(0, 25))
    watched.run()
    watched.arrive(days(25, 3))
    watched.arrive(days(31, 1))  # three days without a row
    watched.run()
    rows = [figure for figure in figures_of(watched.ledger, "shop", "stay") if figure.metric == "rows"]
    assert [figure.value for figure in rows[3:6]] == [0, 0, 0]
    assert rows[4].state == "alarm"
    psi = [
        figure.start
        for figure in figures_of(watched.ledger, "shop", "stay")
        if figure.metric == "psi" and figure.column == "amount"
    ]
    assert len(psi) == 4  # nothing is compared where there are no rows


def test_windows_of_a_part_of_a_day_end_with_the_last_row(shop: Callable[..., Shop]) -> None:
    watched = shop(window="1 hour", reference="12 hours")
    rows = days(0, 4, rows=2000)
    noon = FIRST + pd.Timedelta(days=3, hours=12)
    watched.arrive(rows[rows["at"] < noon])
    watched.run(("monitor",))
    figures = figures_of(watched.ledger, "shop", "stay")
    assert max(figure.end for figure in figures) == noon.timestamp()
    assert {figure.value for figure in figures if figure.metric == "rows"}.isdisjoint({0.0})
    watched.arrive(rows[rows["at"] >= noon])  # the rest of the day
    watched.run(("monitor",))
    assert len(watched.states("rows")) == 96


def test_a_window_that_has_not_ended_waits(shop: Callable[..., Shop]) -> None:
    watched = shop()
    watched.arrive(days(0, 20))
    watched.run()
    watched.now = (FIRST + pd.Timedelta(days=21, hours=12)).timestamp()
    watched.arrive(days(20, 2))
    watched.run()
    assert len(watched.states("rows")) == 1
    assert watched.run()["state"] == "skipped"
    watched.now += DAY_S
    row = watched.run()
    assert row["state"] == "succeeded"
    assert len(watched.states("rows")) == 2


def test_a_column_that_vanishes_or_changes_its_type_is_told(shop: Callable[..., Shop]) -> None:
    watched = shop(columns=["amount", "colour"])
    watched.arrive(days(0, 20))
    watched.run()
    rows = days(20, 2).drop(columns="colour")
    table = pa.Table.from_pandas(rows, preserve_index=False)
    table = table.set_column(table.schema.get_field_index("at"), "at", table.column("at").cast(pa.timestamp("us")))
    write(watched.home.table("shop", "visits"), table, "at")
    row = watched.run(("monitor",))
    assert "column 'colour' has vanished from 'visits'" in row["detail"]["note"]


def test_columns_that_cannot_be_watched_are_told_with_the_reason(shop: Callable[..., Shop]) -> None:
    watched = shop(columns=["amount", "at", "nothing", "empty"])
    watched.arrive(days(0, 20).assign(empty=pd.Series([None] * 6000, dtype="float64")))
    watched.run()
    left_out = monitor_document(watched.ledger, "shop", "stay")["left_out"]
    assert left_out == {
        "nothing": "the table does not have it", "at": "its type is timestamp[us]", "empty": "it has no value",
    }  # fmt: skip


def test_a_constant_column_is_watched(shop: Callable[..., Shop]) -> None:
    watched = shop(columns="same")
    watched.arrive(days(0, 20).assign(same=7.0))
    watched.run()
    watched.arrive(days(20, 3).assign(same=7.0))
    watched.run()
    assert watched.states("psi", "same") == ["inside"] * 3
    watched.arrive(days(23, 3).assign(same=8.0))
    assert "psi of same" in {alarm["figure"] for alarm in watched.run()["detail"]["alarms"]}


def test_without_a_champion_there_is_no_reference(shop: Callable[..., Shop]) -> None:
    watched = shop()
    watched.arrive(days(0, 5))
    row = watched.run(("monitor",))
    assert row["state"] == "skipped"
    assert row["detail"]["why"] == "'stay' has no champion yet, whose training rows would be the reference"


def test_an_empty_table_is_no_error(shop: Callable[..., Shop]) -> None:
    watched = shop(reference="5 days")
    write(watched.home.table("shop", "visits"), pa.Table.from_pandas(days(0, 1).head(0), preserve_index=False))
    assert watched.run(("monitor",))["detail"]["note"] == "0 windows counted; nothing to compare yet."


def test_a_sliding_reference_follows_the_data(shop: Callable[..., Shop]) -> None:
    watched = shop(reference="7 days", measures="ks", thresholds={"amount": {"ks": 0.3}}, patience=1)
    watched.arrive(days(0, 15))
    watched.arrive(days(15, 10, shift=8.0))
    watched.run(("monitor",))
    states = watched.states("ks", "amount")
    assert states[:12] == ["inside"] * 12  # the first three are compared with nothing
    assert states[12] == "alarm"
    assert states[-1] == "inside"


def test_one_class_only_is_no_error(tmp_path: Path) -> None:
    watched = Shop(tmp_path)
    watched.product.models["stay"] = replace(
        watched.model, task="classification", metric="accuracy", candidates={"logistic": LogisticRegression()}
    )
    rows = days(0, 20)
    watched.arrive(rows.assign(minutes=np.where(rows["minutes"] > 60, "long", "short")))
    watched.run()
    watched.arrive(days(20, 9).assign(minutes="short"))
    watched.run()
    figures = {figure["figure"]: figure["value"] for figure in monitor_document(watched.ledger, "shop", "stay")["figures"]}
    assert 0 < figures["selection rate"] < 1
    assert 0 < figures["accuracy"] < 0.9
    assert 0 <= figures["estimated accuracy"] <= 1
    watched.ledger.close()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"measures": "psy"}, "Monitor 'stay' names the measure 'psy', which there is not"),
        ({"window": "7 hours"}, "Monitor 'stay' has windows of 7 hours, which do not fit into days"),
        ({"reference": "2 days"}, "Monitor 'stay' compares windows of 1 day with 2 days before them"),
        ({"patience": 0}, "Monitor 'stay' has a patience of 0 windows"),
        ({"false_alarms": 2.0}, "Monitor 'stay' has false_alarms=2.0, which is no probability"),
        ({"thresholds": {"pssi": 0.2}}, "Monitor 'stay' has a threshold of 'pssi', which is no measure"),
        ({"thresholds": {"psi": -1}}, "Monitor 'stay' has the threshold -1 for 'psi'"),
    ],
)
def test_check_finds_what_is_wrong_with_a_declaration(shop: Callable[..., Shop], options: dict[str, object], sentence: str) -> None:
    assert [sentence in problem.what for problem in check(shop(**options).product)] == [True]


def test_check_finds_what_a_monitor_cannot_watch(shop: Callable[..., Shop]) -> None:
    product = shop().product
    product.monitor("stays", name="a")
    product.monitor("visits", name="b", reference="training")
    product.monitor("raw", name="c")
    product.monitor("visits", name="d", by="shop")
    product.subject("colour")
    product.monitor("visits", name="e", columns=["colour"])
    product.monitor("stay", name="f", by="colour")
    sentences = [problem.what for problem in check(product)]
    assert sentences == [
        "Monitor 'a' watches 'stays', which nothing declares.",
        "Monitor 'b' is to compare table 'visits' with training rows, and no model learns from a table itself.",
        "Monitor 'c' has a reference of 30 days, and 'raw' has no event time.",
        "Monitor 'd' measures errors by shop, and 'visits' is no model.",
        "Monitor 'e' watches 'colour', which identifies a person, and histograms keep its values.",
        "Monitor 'f' measures errors by 'colour', which identifies a person, and figures keep its values.",
    ]


def test_rows_without_a_time_have_a_window_for_each_version(tmp_path: Path) -> None:
    watched = Shop(tmp_path, thresholds={"psi": 0.2}, patience=1)
    node = watched.product.feature_tables["visits"]
    watched.product.nodes["visits"] = replace(node, as_of="", event_time=None, partition=None)
    watched.product.models["stay"] = replace(watched.model, split=cd.hashed(0.25, folds=2))

    def arrive(rows: pd.DataFrame) -> None:
        write(watched.home.table("shop", "visits"), pa.Table.from_pandas(rows.drop(columns="at"), preserve_index=False))

    arrive(days(0, 10))
    watched.run()
    arrive(days(10, 10))
    watched.run()
    assert watched.states("psi", "amount") == ["inside"]
    arrive(days(20, 10, shift=8.0))
    row = watched.run()
    assert "psi of amount" in {alarm["figure"] for alarm in row["detail"]["alarms"]}


def figures_after(folder: Path, arrivals: list[pd.DataFrame], runs_at: set[int], **options: object) -> list[tuple[object, ...]]:
    """Return all figures with their states after rows have arrived part by part, with a run after some of them; the model stays the first one."""
    watched = Shop(folder, **options)
    for place, rows in enumerate(arrivals):
        watched.arrive(rows.assign(counter=rows["visit"]))
        if place == 0:
            watched.work(("train", "promote"))
        if place in runs_at:
            watched.run(("monitor",))
    left_out = monitor_document(watched.ledger, "shop", "stay")["left_out"]
    assert left_out == {"counter": "it only grows, as a number of rows or a clock does"}
    figures = [
        (figure.key, figure.start, figure.value, figure.rows, figure.state, figure.low, figure.high, figure.evidence)
        for figure in figures_of(watched.ledger, "shop", "stay")
    ]
    watched.ledger.close()
    return sorted(figures, key=repr)


@pytest.mark.parametrize("options", [{"reference": "10 days"}, {"by": "shop"}])
def test_many_runs_give_the_figures_of_one(tmp_path: Path, options: dict[str, object]) -> None:
    late = days(31, 1, seed=50, rows=40)
    arrivals = [days(0, 25), days(25, 7), days(32, 1), late, days(33, 9, shift=3.0, colours=("red", "blue", "green")), days(42, 4)]
    once = figures_after(tmp_path / "once", arrivals, {5}, **options)
    often = figures_after(tmp_path / "often", arrivals, {1, 2, 3, 4, 5}, **options)
    assert {figure[4] for figure in once} >= {"inside", "alarm"}
    assert often == once


def test_a_category_that_no_row_has_any_more_leaves_the_ledger(shop: Callable[..., Shop]) -> None:
    watched = shop()
    watched.arrive(days(0, 20))
    watched.run()
    watched.arrive(days(20, 1, colours=("red", "blue", "Jane Doe")))
    watched.run()
    kept = measurements(watched.ledger, product="shop", subject_kind=KIND)
    assert any("Jane Doe" in repr(row.detail) for row in kept)
    watched.rows = watched.rows[watched.rows["colour"] != "Jane Doe"]
    table = pa.Table.from_pandas(watched.rows[watched.rows["at"] >= FIRST + pd.Timedelta(days=20)], preserve_index=False)
    table = table.set_column(table.schema.get_field_index("at"), "at", table.column("at").cast(pa.timestamp("us")))
    write(watched.home.table("shop", "visits"), table, "at", replace={"2024-01-21"})
    watched.run(("monitor",))
    kept = measurements(watched.ledger, product="shop", subject_kind=KIND)
    assert not any("Jane Doe" in repr(row.detail) for row in kept)


def test_a_new_column_is_watched_from_the_beginning(shop: Callable[..., Shop]) -> None:
    watched = shop(reference="7 days")
    watched.arrive(days(0, 20))
    watched.run(("monitor",))
    watched.rows["weight"] = 1.0 + watched.rows["amount"]
    watched.arrive(days(20, 2).assign(weight=2.0))
    row = watched.run(("monitor",))
    assert row["detail"]["note"].startswith("22 windows counted")
    assert len(watched.states("psi", "weight")) == 1  # the others' days have it from now on only
