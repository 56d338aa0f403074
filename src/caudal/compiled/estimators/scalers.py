"""Scalers of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, NotCompiled


def compile_scaler(scaler: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return the operations of a scaler, in its own order."""
    steps: list[tuple[str, Any]] = []
    if isinstance(scaler, MinMaxScaler):
        if scaler.clip:
            raise NotCompiled("MinMaxScaler with clip has no compiled form")
        steps += [("multiply", scaler.scale_), ("add", scaler.min_)]
    else:
        shift = {StandardScaler: "mean_", RobustScaler: "center_"}.get(type(scaler))
        shifted = shift is not None and (scaler.with_mean if shift == "mean_" else scaler.with_centering)
        scaled = getattr(scaler, "with_std", True) if isinstance(scaler, StandardScaler) else getattr(scaler, "with_scaling", True)
        if shifted and shift is not None:
            steps.append(("subtract", getattr(scaler, shift)))
        if scaled and scaler.scale_ is not None:
            # A sparse matrix is multiplied by the reciprocal, which rounds differently.
            steps.append(("multiply", 1 / scaler.scale_) if issparse(sample) else ("divide", scaler.scale_))
    return CompiledPart({"kind": "scale", "steps": [[name, arrays.add(np.asarray(numbers, "float64"))] for name, numbers in steps]})


COMPILER = Compiler("scalers", (StandardScaler, MinMaxScaler, RobustScaler, MaxAbsScaler), compile_scaler)
