"""Frames judged while they are written: ``judge`` before the write, the figures of what was written after it."""

from caudal.stages.enforce.judging.judge import Judged, judge
from caudal.stages.enforce.judging.outcome import CheckResult, Outcome

__all__ = ["CheckResult", "Judged", "Outcome", "judge"]
