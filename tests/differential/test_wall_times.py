"""Incremental equals fresh, and both equal what the documentation says, where event times are wall times: histories that nobody thought of.

``make differential`` plays them for as long as it is told; each run of the tests plays ``DIFFERENTIAL_EXAMPLES`` products of many stretches.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.differential.campaign import DEPTH, SECONDS, hold
from tests.differential.grammar import Grammar

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(SECONDS + 2400),
]


def test_increments_equal_a_fresh_run_and_the_reference(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold(Grammar(clocks=("timestamp",), depth=DEPTH), tmp_path, capsys)
