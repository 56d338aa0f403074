"""Incremental equals fresh, and both equal what the documentation says, where event times are instants: histories that nobody thought of.

``make differential`` plays them for as long as it is told, or ``DIFFERENTIAL_EXAMPLES`` of them where that many seconds are given.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.differential.campaign import SECONDS, hold
from tests.differential.grammar import Grammar

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(SECONDS + 2400),
    pytest.mark.skipif(not SECONDS, reason="takes minutes: make differential"),
]


def test_increments_equal_a_fresh_run_and_the_reference(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold(Grammar(clocks=("timestamp_utc",)), tmp_path, capsys)
