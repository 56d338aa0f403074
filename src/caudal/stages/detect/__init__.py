"""Anomalies found online: one detector a file, found by registration; scores first, learns afterwards, never sees the future."""

from caudal.stages.detect.operator import Operator, detectors, operator, restored

__all__ = ["Operator", "detectors", "operator", "restored"]
