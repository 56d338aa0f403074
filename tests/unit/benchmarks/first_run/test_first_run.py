"""The comparison of first runs believes a contender only if its hour table is right, and every project declares the rules of the sample product."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from benchmarks.environment import Environment
from benchmarks.first_run.__main__ import middle, table
from benchmarks.first_run.contenders import CONTENDERS, PROJECTS
from benchmarks.first_run.hours import difference, hours
from benchmarks.first_run.measure import Cost
from benchmarks.first_run.projects.tables import BrokenRule, by_hour, cleaned, features

HOURS = "shop,window_start,visitors,celsius\nsouth,2024-03-04 01:00:00,3,4.5\nnorth,2024-03-04 00:00:00,1,\nsouth,2024-03-04 00:00:00,0,0.1\n"


def read(folder: Path, text: str) -> pd.DataFrame:
    file = folder / "hours.csv"
    file.write_text(text)
    return hours(file)


def test_an_hour_table_is_compared_row_by_row_in_any_order(tmp_path: Path) -> None:
    truth = read(tmp_path, HOURS)
    heading, *rows = HOURS.splitlines(keepends=True)
    assert difference(read(tmp_path, heading + "".join(reversed(rows))), truth) is None
    assert difference(read(tmp_path, HOURS.replace("00:00,0,0.1", "00:00,0,0.10000000000000003")), truth) is None
    assert difference(read(tmp_path, HOURS.replace("00:00,0,0.1", "00:00,0,0.2")), truth) == "other values in 'celsius'"
    assert difference(read(tmp_path, HOURS.replace(",3,", ",4,")), truth) == "other values in 'visitors'"
    assert difference(read(tmp_path, heading + rows[0]), truth) == "1 hours instead of 3"


def counts(**columns: list[object]) -> pd.DataFrame:
    at = pd.to_datetime(["2024-03-04 00:00", "2024-03-04 00:30", "2024-03-04 01:00"])
    rows = pd.DataFrame({"counted_at": at, "shop": "north", "visitors": [1, 2, 3], "celsius": [1.0, 2.0, 4.0]})
    return rows.assign(**columns).astype({"visitors": "Int64"})


def test_the_rules_of_projects_without_sql_are_those_of_the_sample_product() -> None:
    many = pd.concat([counts(), *(counts(shop=[f"shop {number}"] * 3) for number in range(10))], ignore_index=True)
    wild, missing = counts(shop=["wild"] * 3, visitors=[99_999, 1, 1]), counts(shop=["missing"] * 3, visitors=[None, 1, 1])
    kept = cleaned(pd.concat([many, counts(), wild, missing], ignore_index=True))
    assert len(kept) == len(many) + 4
    with pytest.raises(BrokenRule, match="out of range"):
        cleaned(wild)


def test_a_lag_counts_hours_and_not_rows() -> None:
    at = pd.to_datetime(["2024-03-04 00:00", "2024-03-04 01:00", "2024-03-04 03:00"])
    rows = features(by_hour(counts(counted_at=list(at)).astype({"visitors": "int64"})))
    assert rows["visitors_lag_1"].fillna(-1).tolist() == [-1, 1, -1]
    assert rows["visitors_lag_2"].fillna(-1).tolist() == [-1, -1, 2]


def test_every_contender_has_its_project_and_its_versions() -> None:
    for contender in CONTENDERS:
        if not contender.new:
            assert (PROJECTS / contender.environment).is_dir()
            assert all("==" in line for line in (PROJECTS / f"{contender.environment}.txt").read_text().splitlines())
            assert all((PROJECTS / name).is_file() for name in contender.shared)


def test_the_table_has_medians_and_ratios_and_says_what_broke(tmp_path: Path) -> None:
    def rounds(*processor: float) -> list[dict[str, Cost]]:
        return [{phase: Cost(2 * spent, spent, 100, 0.5) for phase in ("first run", "second run")} for spent in processor]

    made = Environment(tmp_path, 60.0, 20.0)
    rows = [
        {"name": "caudal", "environment": made, "rounds": rounds(1.0, 2.0, 4.0)},
        {"name": "other", "environment": made, "rounds": rounds(2.0, 2.0, 2.0)},
        {"name": "broken", "environment": made, "rounds": [], "problem": "a long story\nno room"},
    ]
    assert middle(rows[0]["rounds"], "first run", "wall_s") == 4.0
    text = table(rows)
    assert "| caudal | 0 | 60.0, 20.0 | – | 4.0, 2.0, 100 | 4.0, 2.0, 100 | – | 1.00, 1.00 |" in text
    assert "| other | 0 | 60.0, 20.0 | – | 4.0, 2.0, 100 | 4.0, 2.0, 100 | – | 1.00, 1.00 |" in text
    assert "broken: no room" in text
