"""Detectors of a stream after a restart."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import caudal as cd
from caudal.declarations.detector import Detection, Detector
from caudal.streaming.watch import DetectionWatch


def watch(detector: Detector) -> DetectionWatch:
    return DetectionWatch(Detection("odd", "x", detector), 1)


def test_a_detector_that_was_declared_otherwise_starts_anew_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    before, values = watch(cd.robust_z(window=64)), np.arange(20, dtype=np.float32)[:, None]
    before.score([0] * 20, range(20), values)
    states = before.states()
    same, other = watch(cd.robust_z(window=64)), watch(cd.robust_z(window=128))
    with caplog.at_level(logging.WARNING):
        same.restore(states)
        assert not caplog.records
        other.restore(states)
    assert "'odd' starts anew for device 0" in caplog.text
    same.score([0], [20], values[:1])
    before.score([0], [20], values[:1])
    assert same.states() == before.states()
    fresh = watch(cd.robust_z(window=128))
    assert other.score([0], [0], values[:1]).equals(fresh.score([0], [0], values[:1]))
    assert other.states() == fresh.states()
