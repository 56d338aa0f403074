"""Figures of anything are kept in one table and asked for by what they are of; an old ledger gets the table and keeps its rows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect

from caudal.ledger.ledger import Ledger, open_ledger
from caudal.ledger.measurements import Measurement, add_measurements, measurements
from caudal.ledger.migrations.upgrade import config, exclusive_transaction
from caudal.ledger.records import runs


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


def figure(metric: str = "mae", value: float = 1.5, at: float = 10.0, **more: object) -> Measurement:
    return Measurement(
        **{
            "product": "p",
            "run_id": "r",
            "at": at,
            "subject_kind": "model",
            "subject": "m",
            "metric": metric,
            "value": value,
            **more,
        }
    )  # type: ignore[arg-type]


def test_a_figure_comes_back_as_it_was_given(ledger: Ledger) -> None:
    given = figure(
        value=0.1 + 0.2, low=-1.5, high=2.5, count=2**40, window_start=1_700_000_000.123456, window_end=1_700_000_060.5,
        group_by=("sex", "age", "member", "zone"), group_value=("f", "60+ \"ü\"", True, None), version=3, detail={"of": ["a", 1, None]},
    )  # fmt: skip
    add_measurements(ledger, given)
    assert measurements(ledger, product="p") == [given]
    assert given.group == {"sex": "f", "age": '60+ "ü"', "member": True, "zone": None}


def test_figures_are_found_by_what_they_are_of_newest_first(ledger: Ledger) -> None:
    women, men = ({"group_by": ("sex",), "group_value": (value,)} for value in ("f", "m"))
    older_women = {"group_by": ("sex", "age"), "group_value": ("f", 60)}
    given = [
        figure(at=1.0), figure(at=2.0, **women), figure(at=3.0, **men), figure(at=4.0, **older_women), figure("rmse", at=5.0, version=2),
        figure(at=6.0, subject="other"), figure(at=7.0, subject_kind="table"), figure(at=8.0, run_id="r2"), figure(at=9.0, product="q"),
    ]  # fmt: skip
    add_measurements(ledger, *given)

    def times(**asked: object) -> list[float]:
        return [found.at for found in measurements(ledger, **{"product": "p", **asked})]  # type: ignore[arg-type]

    assert times() == [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    assert times(subject="other") == [6.0]
    assert times(subject_kind="table") == [7.0]
    assert times(metric="rmse") == [5.0] == times(version=2)
    assert times(metric=["rmse", "mae"], subject="m", limit=2) == [8.0, 7.0]
    assert times(run_id="r2") == [8.0]
    assert times(since=3.0, until=6.0) == [5.0, 4.0, 3.0]
    assert times(group={"sex": "f"}) == [2.0]
    assert times(group={"sex": "f", "age": 60}) == [4.0]
    assert times(group={}, metric="mae", subject="m", subject_kind="model", run_id="r") == [1.0]
    assert times(product="q") == [9.0]


def test_the_order_is_that_of_entry_whatever_the_clock_said(ledger: Ledger) -> None:
    add_measurements(ledger, figure(at=100.0))
    add_measurements(ledger, figure(at=50.0))
    assert [found.at for found in measurements(ledger, product="p")] == [50.0, 100.0]


@pytest.mark.parametrize("wrong", [{"value": math.nan}, {"value": math.inf}, {"low": -math.inf}, {"high": math.nan}])
def test_what_is_no_number_is_no_figure(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="only finite numbers are kept"):
        figure(**wrong)  # type: ignore[arg-type]


def test_a_group_has_a_value_for_each_name() -> None:
    with pytest.raises(ValueError, match="is grouped by"):
        figure(group_by=("sex", "age"), group_value=("f",))


def test_all_figures_of_a_call_or_none(ledger: Ledger) -> None:
    with pytest.raises(Exception, match=r"(?i)null"):
        add_measurements(ledger, figure(), figure(subject=None))
    assert measurements(ledger, product="p") == []


def test_an_old_ledger_gets_the_table_and_keeps_its_rows(ledger_url: str) -> None:
    engine = create_engine(ledger_url)
    with exclusive_transaction(engine) as connection:
        command.upgrade(config(connection), "0008")
    with engine.begin() as connection:
        assert not inspect(connection).has_table("measurements")
        connection.execute(
            runs.insert(), {"run_id": "old", "product": "p", "command": "run", "state": "succeeded", "started_at": 1.0}
        )
    engine.dispose()
    opened = open_ledger(ledger_url)
    assert [row["run_id"] for row in opened.find(runs)] == ["old"]
    add_measurements(opened, figure())
    assert len(measurements(opened, product="p")) == 1
    opened.close()
