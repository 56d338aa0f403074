"""Compile a fitted pipeline, and keep the result only where it predicts the same bits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import NotCompiled, compile_part
from caudal.compiled.model import ARRAYS, DESCRIPTION, FORM, CompiledModel, compiled_model
from caudal.compiled.reference import reference_rows
from caudal.compiled.same_bits import Predict, compare_bits, in_one_thread
from caudal.declarations.signature import coerce_inputs

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.signature import InputDocument

BATCHES = (10, 32, 100, 316, 1000)
TIMED = 32  # rows; the arrays take as long for each of them
# The pipeline brings scikit-learn into the process, which a small gain is not worth.
WORTH_IT = 2.0


@dataclass(frozen=True)
class Compilation:
    """What became of a pipeline.

    Parameters
    ----------
    files : by name, for the folder of its version
    reason : why the pipeline itself is served; None where it is compiled
    rows : number of rows that were compared
    pipeline_from_rows : size of a batch from which the pipeline itself is much faster, timed here; None where it never is. It is in no file: the same
        training gives the same files
    """

    files: dict[str, bytes]
    reason: str | None
    rows: int = 0
    pipeline_from_rows: int | None = None


def compile_model(estimator: Any, predict: Predict, inputs: Sequence[InputDocument], training: pd.DataFrame) -> Compilation:
    """Return a fitted pipeline as arrays, if they predict the same bits as the pipeline from rows of training and from such as are made to go wrong.

    Parameters
    ----------
    predict : returns ``prediction`` and ``probability_<class>`` of a frame, by the pipeline
    inputs : of the signature
    training : DataFrame, the rows of the training; some of them are taken
    """
    described: list[InputDocument] = [{"name": input_["name"], "type": input_["type"]} for input_ in inputs]
    document: dict[str, Any] = {"form": FORM, "reason": None, "inputs": described}
    try:
        arrays = Arrays()
        part = compile_part(estimator, coerce_inputs(training.iloc[:3], inputs), arrays)
        if part.output is None:
            raise NotCompiled(f"{type(estimator).__name__} predicts nothing")
        document |= {"model": part.document, "output": part.output.document()}
        content = arrays.content()
        model = compiled_model(document, Arrays.of(content))
    except NotCompiled as error:
        return _refused(document, f"{error}.")
    # A later scikit-learn may keep its parts elsewhere; the pipeline itself still predicts.
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        return _refused(document, f"It could not be read: {type(error).__name__}: {error}.")
    rows = reference_rows(model, training, described)
    with in_one_thread(estimator):
        compared = compare_bits(model, predict, rows, described)
        if compared.reason is not None:
            return _refused(document, compared.reason, len(rows))
        from_rows = _pipeline_from(model, predict, training, described) if compared.same_in_batches else None
    return Compilation({DESCRIPTION: _json(document), ARRAYS: content}, None, len(rows), from_rows)


def _pipeline_from(model: CompiledModel, predict: Predict, training: pd.DataFrame, inputs: Sequence[InputDocument]) -> int | None:
    """Return the size of a batch from which the pipeline takes less than half of the time; None where there is none up to the greatest."""
    frame = training[[input_["name"] for input_ in inputs]].iloc[:100]
    frame = frame.iloc[[place % len(frame) for place in range(BATCHES[-1])]]
    rows = cast(list[dict[str, Any]], frame.to_dict("records"))
    seconds_per_row = _seconds(model.predict_rows, rows[:TIMED]) / TIMED
    for size in BATCHES:
        if seconds_per_row * size > WORTH_IT * _seconds(predict, frame.iloc[:size]):
            return size
    return None


def _seconds(predict: Callable[[Any], object], rows: Any) -> float:
    """Return the seconds of the faster of two predictions."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        predict(rows)
        times.append(time.perf_counter() - start)
    return min(times)


def _refused(document: dict[str, Any], reason: str, rows: int = 0) -> Compilation:
    return Compilation({DESCRIPTION: _json({"form": FORM, "reason": reason, "inputs": document["inputs"]})}, reason, rows)


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
