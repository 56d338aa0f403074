"""The small charts: in their scale, in their cell, round ticks."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from caudal.report.charts import Scale, axis, bar, whisker

scores = st.floats(-1e6, 1e6).filter(lambda score: abs(score) > 1e-6)
spreads = st.floats(0, 1e4)


def candidate(score: float | None, spread: float | None, **more: Any) -> dict[str, Any]:
    return {"candidate": "c", "score": score, "spread": spread, "chosen": False, "baseline": False, **more}


def places(svg: str) -> list[float]:
    return [float(place) for place in re.findall(r'(?:x1|x2|cx|x)="(-?[\d.]+)%"', svg)]


@given(st.lists(st.tuples(scores, spreads), min_size=1, max_size=6))
def test_all_that_is_drawn_lies_in_the_chart(scored: list[tuple[float, float]]) -> None:
    candidates = [candidate(score, spread) for score, spread in scored]
    scale = Scale.of(candidates)
    assert scale is not None
    for one in candidates:
        assert all(0 <= place <= 100 for place in places(whisker(scale, one, scored[0][0], "said")))
    assert all(-0.01 <= place <= 100.01 for place in places(axis(scale)))
    assert 1 <= len(scale.ticks()) <= 7


def test_without_a_score_there_is_no_scale_and_no_dot() -> None:
    assert Scale.of([candidate(None, None)]) is None
    assert "circle" not in whisker(Scale(0, 1), candidate(None, None), None, "no score")


def test_the_whisker_reaches_one_spread_to_either_side() -> None:
    drawn = places(whisker(Scale(0, 10), candidate(5.0, 1.0), None, "5 ± 1"))
    assert sorted(set(drawn)) == [40.0, 50.0, 60.0]


@pytest.mark.parametrize(("begin", "length"), [(0.0, 0.0), (0.999, 0.001), (0.5, 0.5), (0.0, 1.0), (1.0, 0.0)])
def test_a_bar_can_be_seen_and_stays_in_its_cell(begin: float, length: float) -> None:
    drawn = str(bar(begin, length, "succeeded", 'from "here"'))
    x, width = (float(re.findall(rf'{name}="([\d.]+)%"', drawn.split("<rect")[1])[0]) for name in ("x", "width"))
    assert width >= 0.4
    assert x >= 0
    assert x + width <= 100.01
    assert "&quot;here&quot;" in drawn
