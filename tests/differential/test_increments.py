"""Incremental equals fresh, and both equal what the documentation says, of instants and of wall times: histories that nobody thought of.

``make differential`` plays them for as long as it is told, each clock by itself; each run of the tests plays ``DIFFERENTIAL_EXAMPLES`` products
of many stretches, whose sources have either clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.differential.campaign import DEPTH, SECONDS, hold
from tests.differential.grammar import CLOCKS, Grammar

pytestmark = [pytest.mark.slow(minutes=2), pytest.mark.timeout(SECONDS + 2400)]


@pytest.mark.parametrize("clocks", [(clock,) for clock in CLOCKS] if SECONDS else [CLOCKS], ids="-".join)
def test_increments_equal_a_fresh_run_and_the_reference(
    clocks: Sequence[str], small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(Grammar(clocks=clocks, depth=DEPTH), tmp_path, capsys)
