"""Bounds and lists are compared in the column's own type; nulls in keys are one value or none, on every way that rows are judged."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caudal import expect as ex
from caudal.errors import DeclarationProblem
from caudal.stages.enforce.judging import judge, repeats
from caudal.stages.enforce.judging.profile import profile

LONG, DIGITS = 9007199254740993, "9" * 30


def good(spark: Any, columns: str, rows: list[tuple[Any, ...]], rule: Any, folder: Path) -> list[Any]:
    judged = judge(spark.createDataFrame(rows, columns), [rule.quarantine()])
    judged.write(folder / "written")
    back = spark.read.parquet(str(folder / "written")).where("_verdict = 'good'").drop("_verdict", "_reasons", "_raw")
    return sorted((tuple(row) for row in back.collect()), key=repr)


# A type, values, a rule for a column of them, and those that it keeps.
BOUNDS = [
    ("float", [0.1, 0.2, 0.05], lambda x: ex.between(x, 0, 0.1), [0.1, 0.05]),
    ("float", [0.1, 0.2, 0.3], lambda x: ex.one_of(x, 0.1, 0.2), [0.1, 0.2]),
    ("float", [0.1, 0.2], lambda x: ex.between(x, 0.2), [0.2]),
    ("float", [1.0, -1.0], lambda x: ex.between(x, -1, 10**30), [1.0, -1.0]),
    ("double", [0.1, 0.2, 0.30000000000000004], lambda x: ex.one_of(x, 0.1, 0.3), [0.1]),
    ("long", [LONG, LONG - 1], lambda x: ex.between(x, 0, float(LONG - 1)), [LONG - 1]),
    ("long", [LONG, LONG - 1], lambda x: ex.one_of(x, LONG), [LONG]),
    ("long", [LONG, 1], lambda x: ex.between(x, 0.5, 10**30), [LONG, 1]),
    ("decimal(38,2)", [Decimal(f"{DIGITS}.01"), Decimal(f"{DIGITS}.02")], lambda x: ex.between(x, 0, Decimal(f"{DIGITS}.01")), [Decimal(f"{DIGITS}.01")]),
    ("decimal(10,2)", [Decimal("0.10"), Decimal("0.11")], lambda x: ex.between(x, 0, 0.1), [Decimal("0.10")]),
    ("decimal(10,2)", [Decimal("0.10"), Decimal("0.20")], lambda x: ex.one_of(x, 0.1), [Decimal("0.10")]),
    ("decimal(38,0)", [Decimal(6), Decimal(5)], lambda x: ex.between(x, Decimal("4.6"), Decimal("5.5")), [Decimal(5)]),
    ("decimal(38,0)", [Decimal(6), Decimal(5), Decimal(7)], lambda x: ex.one_of(x, Decimal("5.5"), Decimal(7)), [Decimal(7)]),
    ("decimal(38,2)", [Decimal("0.01"), Decimal("0.02")], lambda x: ex.between(x, 0, Decimal("0.019")), [Decimal("0.01")]),
]  # fmt: skip


def test_bounds_are_of_the_columns_type(spark, tmp_path):
    """All columns lie in one frame, and each row's reasons name the rules that it breaks."""
    rules = [rule(f"x{place}") for place, (_, _, rule, _) in enumerate(BOUNDS)]
    columns = ", ".join(f"x{place} {type}" for place, (type, *_) in enumerate(BOUNDS))
    rows = [(n, *(values[n] if n < len(values) else None for _, values, _, _ in BOUNDS)) for n in range(3)]
    judge(spark.createDataFrame(rows, f"n int, {columns}"), [rule.quarantine() for rule in rules]).write(tmp_path / "written")
    written = spark.read.option("basePath", str(tmp_path / "written")).parquet(str(tmp_path / "written"))
    reasons = {row["n"]: set(row["_reasons"] or ()) for row in written.select("n", "_reasons").collect()}
    for rule, (_, values, _, kept) in zip(rules, BOUNDS, strict=True):
        assert [n for n in range(len(values)) if rule.name not in reasons[n]] == [
            n for n, value in enumerate(values) if value in kept
        ], rule.name


def test_the_profile_of_a_float_column_says_what_is_written(tmp_path):
    pq.write_table(pa.table({"x": pa.array([0.1, 0.7], pa.float32())}), tmp_path / "rows.parquet")
    figures = profile([tmp_path / "rows.parquet"]).columns["x"]
    assert (figures["min"], figures["max"]) == (0.1, 0.7)


KEYS = [
    (1, None, 0),
    (1, None, 1),
    (None, None, 2),
    (None, None, 3),
    (1, "a", 4),
    (1, "a", 5),
    (None, "a", 6),
    (0, "a", 7),
    (1, "", 8),
]
KEPT = {"distinct": [0, 1, 2, 3, 4, 6, 7, 8], "equal": [0, 2, 4, 6, 7, 8]}


@pytest.mark.slow
@pytest.mark.parametrize("nulls", KEPT)
@pytest.mark.parametrize("compared", ["by Arrow", "by Spark"])
@pytest.mark.parametrize("measured", [False, True])
def test_nulls_in_a_key_are_one_value_or_none(spark, tmp_path, monkeypatch, nulls, compared, measured):
    if compared == "by Spark":
        monkeypatch.setattr(repeats, "MANY", 0)
    extra = [float("1.5")] * 200 if measured else 0
    rule = ex.unique("a", "b", first_by="n", nulls=nulls)
    rows = good(
        spark, f"a int, b string, n int, m {'array<float>' if measured else 'int'}", [(*key, extra) for key in KEYS], rule, tmp_path
    )
    assert sorted(row[2] for row in rows) == KEPT[nulls]


def test_nulls_are_said_in_the_name_and_another_word_is_refused():
    assert ex.unique("a", nulls="equal").name == "unique(a, nulls=equal)"
    assert ex.unique("a").name == "unique(a)"
    with pytest.raises(DeclarationProblem, match="distinct, equal"):
        ex.unique("a", nulls="same")
