"""Whether a compiled model predicts the same bits as its pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from caudal.compiled.model import CompiledModel
from caudal.declarations.signature import NUMBERS, PREDICTION, RowPredictions

if TYPE_CHECKING:
    from caudal.declarations.signature import InputDocument

Predict = Callable[[pd.DataFrame], pd.DataFrame]
Row = dict[str, Any]

# A prediction by a pipeline takes some ten milliseconds, so that few rows are predicted one by one.
SINGLY = 6  # in any case
MOST_SINGLY = 24  # of those that differ in a batch
REFUSED = 6  # of those that the compiled form refuses


@dataclass(frozen=True)
class BitComparison:
    """The result of a comparison.

    Parameters
    ----------
    reason : what differs; None where nothing does
    same_in_batches : whether the pipeline also gives the same bits for rows in a batch; dot products may be summed in another order there
    """

    reason: str | None
    same_in_batches: bool = False


def compare_bits(model: CompiledModel, predict: Predict, rows: Sequence[Row], inputs: Sequence[InputDocument]) -> BitComparison:
    """Return whether a compiled model does as its pipeline does: refuses the same rows, and predicts the same bits from each of the others alone."""
    own: list[RowPredictions | None] = [_own(model, row) for row in rows]
    taken = [place for place, predictions in enumerate(own) if predictions is not None]
    refused = [place for place, predictions in enumerate(own) if predictions is None]
    for place in _spread(refused, REFUSED):
        if _of_pipeline(predict, [rows[place]], inputs) is not None:
            return BitComparison("The compiled form refuses a reference row that the pipeline takes.")
    batch = _of_pipeline(predict, [rows[place] for place in taken], inputs)
    if batch is None:
        return BitComparison("The pipeline refuses a reference row that the compiled form takes.")
    differing = [place for number, place in enumerate(taken) if _bits(own[place], 0) != _bits(batch, number)]
    singly = sorted({*_spread(taken, SINGLY), *_spread(differing, MOST_SINGLY)})
    wrong = [place for place in singly if _bits(own[place], 0) != _bits(_of_pipeline(predict, [rows[place]], inputs), 0)]
    if wrong:
        return BitComparison(f"The compiled form gives other bits for {len(wrong)} of {len(singly)} reference rows.")
    return BitComparison(None, same_in_batches=not differing)


@contextmanager
def in_one_thread(estimator: Any) -> Iterator[None]:
    """Have an estimator predict in one thread within the block: several threads add a forest's trees in the order in which they get ready."""
    threads = {
        name: value
        for name, value in estimator.get_params(deep=True).items()
        if name.rpartition("__")[2] == "n_jobs" and value not in (None, 1)
    }
    estimator.set_params(**dict.fromkeys(threads, 1))
    try:
        with threadpool_limits(1):  # beside other work, threads of few rows wait for one another
            yield
    finally:
        estimator.set_params(**threads)


def _own(model: CompiledModel, row: Row) -> RowPredictions | None:
    try:
        with np.errstate(all="ignore"):
            return model.predict_rows([row])
    except ValueError:
        return None


def _of_pipeline(predict: Predict, rows: Sequence[Row], inputs: Sequence[InputDocument]) -> RowPredictions | None:
    """Return a pipeline's predictions; None where it refuses the rows."""
    columns = {
        input_["name"]: pd.Series([row[input_["name"]] for row in rows], dtype="float64" if input_["type"] in NUMBERS else object)
        for input_ in inputs
    }
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            predicted = predict(pd.DataFrame(columns))
    except Exception:  # noqa: BLE001  an estimator may raise anything
        return None
    prefix = "probability_"
    shares = {name.removeprefix(prefix): predicted[name].tolist() for name in predicted.columns if name.startswith(prefix)}
    return RowPredictions(predicted[PREDICTION].tolist(), shares)


def _bits(predictions: RowPredictions | None, place: int) -> tuple[object, ...] | None:
    """Return the prediction and the probabilities of a row so that they are equal only if every bit is."""
    if predictions is None:
        return None
    numbers = (predictions.values[place], *((label, shares[place]) for label, shares in predictions.shares.items()))
    return tuple(_exact(number) for number in numbers)


def _exact(value: Any) -> object:
    if isinstance(value, tuple):
        return tuple(map(_exact, value))
    return value.hex() if isinstance(value, float) else (type(value).__name__, value)


def _spread(places: Sequence[int], most: int) -> list[int]:
    """Return at most so many of some places, spread evenly."""
    if len(places) <= most:
        return list(places)
    return [places[at] for at in np.linspace(0, len(places) - 1, most).astype(int)]
