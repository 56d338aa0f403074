"""Imputers with one value for each column."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, NotCompiled


def compile_imputer(imputer: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return what stands in place of a missing value, by column."""
    missing = imputer.missing_values
    if not (isinstance(missing, float) and missing != missing):
        raise NotCompiled("SimpleImputer has a compiled form for NaN alone")
    if imputer.add_indicator:
        raise NotCompiled("SimpleImputer with add_indicator has no compiled form")
    statistics = list(imputer.statistics_)
    constant = imputer.strategy == "constant" or imputer.keep_empty_features
    kept = [place for place, filling in enumerate(statistics) if constant or filling == filling]
    chosen = [statistics[place] for place in kept]
    texts = [isinstance(filling, str) for filling in chosen]
    if any(texts) and not all(texts):
        raise NotCompiled("an imputer of texts and numbers together has no compiled form")
    fillings = [str(filling) for filling in chosen] if any(texts) else arrays.add(np.array(chosen, "float64"))
    return CompiledPart({"kind": "fill", "kept": kept, "fillings": fillings})


COMPILER = Compiler("imputers", (SimpleImputer,), compile_imputer)
