"""Rows that a compiled model is compared on: rows of training, and such as are made to go wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from caudal.compiled.model import CompiledModel
from caudal.compiled.part import Part
from caudal.compiled.parts.chain import PartChain
from caudal.compiled.parts.single_trees import SinglePrecisionTrees
from caudal.compiled.parts.trees import TreeScores
from caudal.declarations.signature import NUMBERS

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.signature import InputDocument

FROM_TRAINING = 200
BASES = 3
THRESHOLDS = 16  # of each input
ODD_NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, -5e-324, 3.4e38, -3.4e38, 3.5e38, 1e300, -1.7e308, math.inf, -math.inf, math.nan)
ODD_TEXTS = (None, "", " ", "nan", "None", "a category that training has not seen", "ß\N{REPLACEMENT CHARACTER}")
_PROBE = 12345.678

Row = dict[str, Any]


def reference_rows(model: CompiledModel, training: pd.DataFrame, inputs: Sequence[InputDocument]) -> list[Row]:
    """Return the rows to compare on: rows of training spread evenly, each input in turn missing, unknown or extreme, and both sides of thresholds."""
    names = [input_["name"] for input_ in inputs]
    places = np.unique(np.linspace(0, len(training) - 1, FROM_TRAINING).astype(int))
    rows: list[Row] = [_plain(row) for row in training[names].iloc[places].to_dict("records")]
    bases = [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, BASES).astype(int))]
    for number, input_ in enumerate(inputs):
        name, is_number = input_["name"], input_["type"] in NUMBERS
        odd = (*ODD_NUMBERS, None, *_boundaries(model, bases[0], name)) if is_number else ODD_TEXTS
        rows += [{**bases[(number + place) % len(bases)], name: value} for place, value in enumerate(odd)]
    rows.append(dict.fromkeys(names))
    return rows


def _plain(row: Mapping[Any, Any]) -> Row:
    """Return a row with None in place of what pandas writes for a missing value."""
    return {str(name): None if value is None or value != value else value for name, value in row.items()}


def _boundaries(model: CompiledModel, base: Row, name: str) -> Iterator[float]:
    """Yield thresholds of an input that reaches the trees unchanged, and the numbers next to them, in double and in single precision."""
    trees, before = _trees_of(model.model)
    if trees is None:
        return
    try:
        row = [math.nan if value is None else value for value in ({**base, name: _PROBE}[input_] for input_, _ in model.inputs)]
        for part in before:
            row = part.values(row)
    except ValueError:
        return
    thresholds = sorted(
        {threshold for place, value in enumerate(row) if value == _PROBE for threshold in trees.search.thresholds(place)}
    )
    for place in np.unique(np.linspace(0, len(thresholds) - 1, THRESHOLDS).astype(int)).tolist() if thresholds else ():
        threshold = thresholds[place]
        yield from (threshold, math.nextafter(threshold, math.inf), math.nextafter(threshold, -math.inf))
        if trees.single_precision and abs(threshold) < 3e38:
            single = np.float32(threshold)
            above, below = np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf))
            # Halfway between two numbers of single precision it is decided to which a double is rounded.
            for neighbour in (above, below):
                middle = (float(single) + float(neighbour)) / 2
                yield from (float(neighbour), middle, math.nextafter(middle, math.inf), math.nextafter(middle, -math.inf))


def _trees_of(part: Part) -> tuple[TreeScores | SinglePrecisionTrees | None, list[Part]]:
    """Return a model's trees, None if it has none, and the parts before them."""
    if isinstance(part, TreeScores | SinglePrecisionTrees):
        return part, []
    if isinstance(part, PartChain) and part.parts:
        trees, before = _trees_of(part.parts[-1])
        return trees, [*part.parts[:-1], *before]
    return None, []
