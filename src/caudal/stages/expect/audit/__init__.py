"""Frames judged while they are written: ``judge`` before the write, the figures of what was written after it."""

from caudal.stages.expect.audit.judge import Judged, judge
from caudal.stages.expect.audit.outcome import CheckResult, Outcome

__all__ = ["CheckResult", "Judged", "Outcome", "judge"]
