"""Windows of streams whose days would not be the product's are refused."""

from __future__ import annotations

import pytest

import caudal as cd
from caudal.graph.check import check


@pytest.mark.parametrize(
    ("tz", "window", "refused"),
    [
        ("America/New_York", "1 day", True),
        ("America/New_York", "2 hours", True),
        ("America/New_York", "1 hour", False),
        ("Asia/Kolkata", "1 hour", True),
        ("Asia/Kolkata", "30 minutes", False),
        ("Asia/Kolkata", "10 seconds", False),
        ("UTC", "1 day", False),
    ],
)
def test_widths_that_are_not_of_the_zones_clocks_are_refused(tz: str, window: str, refused: bool) -> None:
    product = cd.Product("p", tz=tz)
    samples = product.source("samples", cd.stream(channels=("celsius",)))
    product.statistics("readings", of=samples, window=window)
    problems = [problem for problem in check(product) if "cut by UTC" in problem.what]
    assert bool(problems) == refused
    if problems:
        assert tz in problems[0].what
        assert "cd.tumble(samples" in str(problems[0].fix)
