"""Split, fit, evaluate, select: features in, a trained model with its gates out."""

from caudal.stages.gates.evidence import GateResult
from caudal.stages.train.evaluate import EvaluatedCandidate
from caudal.stages.train.training import Trained, train

__all__ = ["EvaluatedCandidate", "GateResult", "Trained", "train"]
