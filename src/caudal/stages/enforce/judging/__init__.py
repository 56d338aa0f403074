"""Judge frames while they are written: ``judge`` before the write, the figures of the written rows after it."""

from caudal.stages.enforce.judging.judge import JudgedFrame, judge
from caudal.stages.enforce.judging.outcome import CheckResult, JudgingOutcome

__all__ = ["CheckResult", "JudgedFrame", "JudgingOutcome", "judge"]
