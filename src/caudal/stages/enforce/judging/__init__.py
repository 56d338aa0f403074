"""Judge frames while they are written: ``judge`` before the write, the figures of the written rows after it."""

from caudal.stages.enforce.judging.judge import Judged, judge
from caudal.stages.enforce.judging.outcome import CheckResult, Outcome

__all__ = ["CheckResult", "Judged", "Outcome", "judge"]
