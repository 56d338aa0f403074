"""A table by days whose columns are others than before is made whole, for rows of two kinds are no one table."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.differential.fresh import Place, rows_of

PRODUCT = """
import caudal as cd

product = cd.Product("drawn")
product.source("s", cd.files("s_*.csv"), schema=cd.schema(at="timestamp", v="long"), event_time="at", partition="day")


@product.table(event_time="at", partition="day", lookback="1 hour")
def whole_or_not(s):
    frame = s.select("at", "v").toPandas()
    return frame{more}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "first", "second", "columns"),
    [
        ("", "1", "", {"at", "v"}),  # whole numbers, and on the next day none: pandas makes numbers with a point of them
        ('.rename(columns={"v": "_".join(["sum", *sorted(set(map(str, frame["v"])))])})', "1", "2", {"at", "sum_1_2"}),
    ],
)
def test_a_table_with_other_columns_is_made_whole(
    small: None, tmp_path: Path, more: str, first: str, second: str, columns: set[str]
) -> None:
    place, fresh = Place(tmp_path, tmp_path / "data", tmp_path / "home"), Place(tmp_path, tmp_path / "data", tmp_path / "fresh")
    for folder in (place.data, place.product):
        folder.mkdir()
    (place.product / "product.py").write_text(PRODUCT.format(more=more))
    (place.data / "s_1.csv").write_text(f"at,v\n2024-01-01 10:00:00,{first}\n")
    place.run()
    (place.data / "s_2.csv").write_text(f"at,v\n2024-01-02 10:00:00,{second}\n2024-01-02 11:00:00,2\n")
    place.run()
    fresh.run()
    published, expected = (rows_of(home, "drawn", "whole_or_not") for home in (place.home, fresh.home))
    assert published is not None
    assert expected is not None
    assert set(published[0]) - {"_day"} == columns
    assert published[0] == expected[0]
    assert sorted(map(repr, published[1])) == sorted(map(repr, expected[1]))
