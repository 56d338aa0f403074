"""Tables by days over changes of clocks and chains of look-backs: an incremental run gives the rows of a fresh one."""

from __future__ import annotations

import datetime as dt
import textwrap
from pathlib import Path
from typing import Any

import pytest

from caudal.batch.batch import run
from caudal.declarations.settings import Settings
from caudal.runtime.progress import NoProgress
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home


class Heard(NoProgress):
    """What was said of the run as a whole."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def noted(self, sentence: str) -> None:
        self.sentences.append(sentence)


def product(folder: Path, body: str, *, tz: str = "UTC", type: str = "timestamp") -> Path:
    folder.mkdir()
    (folder / "product.py").write_text(
        textwrap.dedent(
            f"""
            import caudal as cd
            from pyspark.sql import Window, functions as F
            product = cd.Product("inc", tz="{tz}")
            product.source("x", cd.files("x_*.csv"), schema=cd.schema(k="string", at="{type}", v="double"), event_time="at", partition="day")
            """
        )
        + textwrap.dedent(body)
    )
    return folder


def rows(home: Path, table: str) -> list[dict[str, Any]]:
    found = arrow(delta.read_version(Home(home).table("inc", table))).to_pylist()
    plain = [{name: value for name, value in row.items() if not name.startswith("_")} for row in found]
    return sorted(plain, key=lambda row: [(value is None, str(value)) for value in (row.get("window_start"), *row.values())])


def files(folder: Path, lines: dict[str, list[str]]) -> None:
    for name, held in lines.items():
        (folder / f"x_{name}.csv").write_text("\n".join(["k,at,v", *held]) + "\n")


def incremental_and_fresh(folder: Path, home: Path, steps: list[dict[str, list[str]]]) -> tuple[Path, Path, list[str]]:
    """Run a product once for each delivery of files, then all at once into another home."""
    heard = Heard()
    for number, lines in enumerate(steps):
        files(folder, lines)
        result = run(folder, Settings(home=home / "by_steps"), progress=heard)
        assert result.error is None, (number, result.error)
    assert run(folder, Settings(home=home / "fresh")).error is None
    return home / "by_steps", home / "fresh", heard.sentences


TABLES = """
@product.table(event_time="at", partition="day")
def chained(x):
    return cd.lag(cd.rolling(x, "v", "2 days", "sum", by=["k"], name="v2"), "v2", ["1 day"], by=["k"])

@product.table(event_time="at", partition="day")
def side_by_side(x):
    return cd.lag(cd.rolling(x, "v", "2 days", "sum", by=["k"], name="v2"), "v", ["1 day"], by=["k"])

@product.table(event_time="at", partition="day")
def own_window(x):
    return x.withColumn("before", F.lag("v").over(Window.partitionBy("k").orderBy("at")))

product.sql("in_sql", "SELECT k, at, sum(v) OVER (PARTITION BY k ORDER BY at) AS total FROM x", event_time="at", partition="day")

@product.table(event_time="at", partition="day", lookback="1 day")
def bounded(x):
    return x.withColumn("before", F.lag("v").over(Window.partitionBy("k").orderBy("at")))
"""


def test_look_backs_of_a_chain_are_added_up_and_what_has_none_is_made_whole(small: None, tmp_path: Path) -> None:
    folder = product(tmp_path / "p", TABLES)
    days = [[f"a,2024-01-{day:02}T12:00:00,{day}", f"b,2024-01-{day:02}T06:00:00,{day * day}"] for day in range(1, 9)]
    steps = [
        {"1": days[0] + days[1] + days[2] + days[3] + days[7]},
        {"2": days[4]},
        {"2": days[4][:1], "3": days[5]},
        {"4": days[6]},
    ]
    by_steps, fresh, sentences = incremental_and_fresh(folder, tmp_path, steps)
    for table in ("chained", "side_by_side", "own_window", "in_sql", "bounded"):
        assert rows(by_steps, table) == rows(fresh, table), table
    last = next(row for row in rows(fresh, "chained") if row["k"] == "a" and row["at"] == dt.datetime(2024, 1, 5, 12))
    assert (last["v2"], last["v2_lag_1_day"]) == (7, 5)
    assert {sentence.split("'")[1] for sentence in sentences if "is made whole" in sentence} == {"own_window", "in_sql"}


def test_a_chain_reads_the_days_that_it_needs_and_no_more(spark: Any, tmp_path: Path) -> None:
    from caudal.batch.steps.look_back import lookback_of
    from caudal.runtime.product_tables import ProductTables
    from caudal.runtime.run_spark import RunSpark

    folder = product(tmp_path / "p", TABLES)
    files(folder, {"1": ["a,2024-01-01T12:00:00,1"]})
    home = tmp_path / "home"
    assert run(folder, Settings(home=home)).error is None
    from caudal.graph.load import load

    declared = load(folder)
    tables = ProductTables(declared, Home(home))
    run_spark = RunSpark(declared, Settings(home=home), Home(home).lake, NoProgress(), is_brief=lambda: True)
    reach = {name: lookback_of(tables, run_spark, declared.tables[name]).seconds for name in ("chained", "side_by_side", "bounded")}
    assert reach == {"chained": 3 * 86_400, "side_by_side": 2 * 86_400, "bounded": 86_400}


LOCAL = """
@product.table(event_time="window_start", partition="day")
def days(x):
    return cd.tumble(x, "1 day", by=["k"]).agg(n="count", v="sum")

@product.table(event_time="window_start", partition="day")
def hours(x):
    made = cd.tumble(x, "1 hour", by=["k"]).agg(n="count", fill=0)
    return cd.rolling(cd.lag(made, "n", [1, "1 day"]), "n", "1 day", "sum", name="in_a_day")

@product.features(entity="k", as_of="window_start", partition="day", labels=["n"])
def lagged(days):
    return cd.calendar(cd.rolling(cd.lag(days, "n", ["1 day"]), "n", "2 days", "sum", name="two"), parts=["weekday"]).drop("window_end", "v")

@product.table(event_time="start", partition="day")
def own(x):
    return x.groupBy("k", F.window("at", "1 day")).agg(F.count("*").alias("n")).select("k", "n", F.col("window.start").alias("start"))
"""


def test_days_of_instants_are_the_zones_in_every_window(spark: Any, tmp_path: Path) -> None:
    held_in_a_zone(tmp_path, "America/New_York", "2024-03-08", [("1",), ("2", "4"), ("3",)])


@pytest.mark.slow
@pytest.mark.parametrize(("tz", "first"), [("Europe/Berlin", "2024-10-25"), ("America/Asuncion", "2023-09-29")])
def test_days_of_instants_are_those_of_other_zones(small: None, tmp_path: Path, tz: str, first: str) -> None:
    held_in_a_zone(tmp_path, tz, first, [("1",), ("2", "3", "4")])


def held_in_a_zone(tmp_path: Path, tz: str, first: str, deliveries: list[tuple[str, ...]]) -> None:
    """Hold that five days around a change of clocks are the zone's in every kind of window, whatever files come together."""
    from zoneinfo import ZoneInfo

    folder = product(tmp_path / "p", LOCAL, tz=tz, type="timestamp_utc")
    date = dt.date.fromisoformat(first)
    begin = dt.datetime.combine(date, dt.time(), ZoneInfo(tz)).timestamp()
    by_day: dict[str, list[str]] = {}
    for number in range(5 * 24):
        at = dt.datetime.fromtimestamp(begin + number * 3600 + 1800, dt.UTC)
        day = at.astimezone(ZoneInfo(tz)).date().isoformat()
        by_day.setdefault(day, []).append(f"a,{at:%Y-%m-%dT%H:%M:%SZ},1")
    parts = list(by_day.values())
    held = {"1": parts[0] + parts[1] + parts[3], "2": parts[2], "3": parts[3][:-2], "4": parts[4]}
    steps = [{name: held[name] for name in names} for names in deliveries]
    by_steps, fresh, sentences = incremental_and_fresh(folder, tmp_path, steps)
    for table in ("days", "hours", "lagged", "own"):
        assert rows(by_steps, table) == rows(fresh, table), table
    lengths = [len(part) for part in parts[:5]]
    lengths[3] += lengths[3] - 2  # the day came once more, without its last two rows
    assert [row["n"] for row in rows(fresh, "days")][:5] == lengths
    assert {23, 25} & set(lengths)
    assert [row["n_lag_1_day"] for row in rows(fresh, "lagged")][:5] == [None, *lengths[:4]]
    assert any("'own' is made whole" in sentence for sentence in sentences)


def test_in_another_zone_days_are_others(spark: Any, tmp_path: Path) -> None:
    body = LOCAL[: LOCAL.index("@product.table", 5)]
    folder = product(tmp_path / "p", body, type="timestamp_utc")
    files(folder, {"1": ["a,2024-01-01T23:30:00Z,1", "a,2024-01-02T12:00:00Z,1"]})
    settings = Settings(home=tmp_path / "home")
    assert run(folder, settings).error is None
    assert [row["n"] for row in rows(tmp_path / "home", "days")] == [1, 1]
    code = folder / "product.py"
    code.write_text(code.read_text().replace('tz="UTC"', 'tz="Asia/Tokyo"'))
    assert run(folder, settings).error is None
    assert [row["n"] for row in rows(tmp_path / "home", "days")] == [2]


def test_wall_times_that_clocks_showed_twice_or_never_are_told_with_their_number(spark: Any, tmp_path: Path) -> None:
    hours = """
@product.table(event_time="window_start", partition="day")
def hours(x):
    return cd.tumble(x, "1 hour", by=["k"]).agg(n="count", fill=0)
"""
    folder = product(tmp_path / "p", hours, tz="Europe/Berlin")
    files(folder, {
        "1": ["a,2024-03-31T01:59:00,1", "a,2024-03-31T03:01:00,1"],
        "2": ["b,2024-10-27T02:30:00+02:00,1", "b,2024-10-27T02:30:00+01:00,1"],
        "3": ["c,2024-03-31T02:30:00,1"],
        "4": ["d,2024-06-01T02:30:00,1"],
    })  # fmt: skip
    heard = Heard()
    assert run(folder, Settings(home=tmp_path / "home"), progress=heard).error is None
    twice, never = (next(sentence for sentence in heard.sentences if word in sentence) for word in ("showed twice", "left out"))
    assert twice.startswith("2 rows have a time in 'at'")
    assert "timestamp_utc" in twice
    assert never.startswith("1 row has a time in 'at'")
    starts = [(row["k"], row["window_start"].isoformat()) for row in rows(tmp_path / "home", "hours")]
    assert ("a", "2024-03-31T02:00:00") not in starts
    assert ("c", "2024-03-31T02:00:00") in starts  # it is there because a row says so
    assert sum(key == "a" for key, _ in starts) == 23
    assert sum(key == "b" for key, _ in starts) == 24
