"""Encoders of categories: their tables are what they make of each category."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, Document, NotCompiled

UNKNOWN = "\N{REPLACEMENT CHARACTER} no such category"


def compile_encoder(encoder: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return a table for each column."""
    return CompiledPart({"kind": "categories", "columns": category_tables(encoder, sample, arrays)})


def category_tables(encoder: Any, sample: Any, arrays: Arrays) -> list[Document]:
    """Return the description of an encoder's tables."""
    categories = [list(column) for column in encoder.categories_]
    base = [next((category for category in column if not _is_missing(category)), None) for column in categories]
    if any(category is None for category in base):
        raise NotCompiled("an encoder of a column without any category has no compiled form")
    widths = encoder._n_features_outs if isinstance(encoder, OneHotEncoder) else [1] * len(categories)
    ends = np.cumsum(widths)
    columns: list[Document] = []
    for place, column in enumerate(categories):
        keys = [category for category in column if not _is_missing(category)]
        numeric = not all(isinstance(key, str) for key in keys)
        if numeric and not all(isinstance(key, int | float | np.number) for key in keys):
            raise NotCompiled("categories that are neither texts nor numbers have no compiled form")

        def encoded(values: list[Any], place: int = place) -> np.ndarray | None:
            rows = [[value if at == place else other for at, other in enumerate(base)] for value in values]
            result = _transformed(encoder, rows, sample)
            return None if result is None else result[:, ends[place] - widths[place] : ends[place]]

        of_keys = encoded(keys)
        unknown = encoded([_unknown_number(keys) if numeric else UNKNOWN])
        missing = encoded([np.nan])
        if of_keys is None:
            raise NotCompiled("an encoder that refuses its own categories has no compiled form")
        none = np.zeros((1, widths[place]))
        columns.append(
            {
                "keys": arrays.add(np.array(keys, "float64")) if numeric else [str(key) for key in keys],
                "encoded": arrays.add(
                    np.concatenate([of_keys, none if unknown is None else unknown, none if missing is None else missing])
                ),
                "unknown": unknown is not None,
                "missing": missing is not None,
            }
        )
    return columns


def _transformed(encoder: Any, rows: list[list[Any]], sample: Any) -> np.ndarray | None:
    """Return what an encoder makes of rows, as float64; None where it refuses them."""
    given: Any
    if isinstance(sample, pd.DataFrame):
        given = pd.DataFrame({name: [row[at] for row in rows] for at, name in enumerate(sample.columns)}).astype(sample.dtypes)
    else:
        given = np.array(rows, dtype=sample.dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = encoder.transform(given)
    except ValueError:
        return None
    return np.asarray(result.toarray() if issparse(result) else result, "float64")


def _is_missing(category: object) -> bool:
    return category is None or category != category


def _unknown_number(keys: list[Any]) -> float:
    """Return a number that is not among some, and to which none of them rounds."""
    return float(max([abs(float(key)) for key in keys], default=0.0)) * 2 + 1.5


COMPILER = Compiler("encoders", (OrdinalEncoder, OneHotEncoder), compile_encoder)
