"""Anomalies found online: one detector a file, found by registration. A detector scores a reading first and learns it afterwards, so it never sees the future."""

from caudal.stages.detect.operator import Operator, detectors, operator, restore_operator

__all__ = ["Operator", "detectors", "operator", "restore_operator"]
