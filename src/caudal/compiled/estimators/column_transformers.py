"""Transformers of columns."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, Document, NotCompiled, compile_part


def compile_columns(transformer: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return the parts of a column transformer beside one another."""
    parts: list[Document] = []
    for name, of_columns, _ in transformer.transformers_:
        places = transformer._transformer_to_input_indices[name]
        if isinstance(of_columns, str) and of_columns == "drop":
            continue
        if len(places) == 0:
            continue
        if isinstance(of_columns, str):
            part: Document = {"kind": "chain", "parts": []}
        else:
            if not isinstance(sample, pd.DataFrame):
                raise NotCompiled("a ColumnTransformer of anything but named columns has no compiled form")
            part = compile_part(of_columns, sample.iloc[:, list(places)], arrays).document
        parts.append({"columns": [int(place) for place in places], "part": part})
    return CompiledPart({"kind": "columns", "parts": parts})


COMPILER = Compiler("column_transformers", (ColumnTransformer,), compile_columns)
