"""Fitted pipelines as arrays and a description: one row is predicted by NumPy alone, without scikit-learn, pandas or SciPy.

``compiling`` and ``estimators`` read fitted pipelines and need scikit-learn; all else here serves.
"""

from caudal.compiled.model import CompiledModel, read_compiled

__all__ = ["CompiledModel", "read_compiled"]
