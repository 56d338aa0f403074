"""Models that predict from frames, asked for single rows: the frame is built here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from caudal.declarations.signature import PREDICTION, RowPredictions

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.signature import InputDocument, SignatureDocument

_SHARE = "probability_"


class _FrameModel(Protocol):
    @property
    def signature(self) -> SignatureDocument:
        """Its inputs and outputs."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and ``probability_<class>`` of each row."""


class PredictsFrames:
    """What gives a model with ``signature`` and ``predict(frame)`` the rows of callers."""

    def predict_rows(self: _FrameModel, rows: Sequence[Mapping[str, Any]]) -> RowPredictions:
        """Return the prediction of each row, and the probabilities of each class.

        Parameters
        ----------
        rows : values by name of the input; None is a missing one
        """
        predicted = self.predict(row_frame(rows, self.signature["inputs"]))
        shares = {name[len(_SHARE) :]: predicted[name].tolist() for name in predicted.columns if name.startswith(_SHARE)}
        return RowPredictions(predicted[PREDICTION].tolist(), shares)


def row_frame(rows: Sequence[Mapping[str, Any]], inputs: Sequence[InputDocument]) -> pd.DataFrame:
    """Return rows as a frame with the columns and types of training."""
    import pandas as pd

    columns = {input_["name"]: _column([row[input_["name"]] for row in rows], input_["type"]) for input_ in inputs}
    return pd.DataFrame(columns, copy=False)


def _column(values: list[object], type_: str) -> np.ndarray:
    if type_ == "double":
        return np.array(values, dtype="float64")  # None becomes NaN
    if type_ != "string" and None not in values:
        return np.array(values, dtype="int64" if type_ == "long" else "bool")
    if type_ == "long":
        return np.array(values, dtype="float64")
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
