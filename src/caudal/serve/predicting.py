"""Rows in, answers out: the only module of this package that uses a model."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import cast

from caudal.declarations.signature import RowPredictions
from caudal.registry.row_frames import row_frame
from caudal.serve.inputs import Problem, Row, input_problem, unusual, validate_row
from caudal.serve.served import NoChampion, Served

log = logging.getLogger(__name__)

Answer = dict[str, object]


def answers(served: Served, rows: Sequence[Mapping[str, object]]) -> list[Answer | Problem]:
    """Return one answer per row, or a problem for a row from which the model cannot predict.

    Raises
    ------
    NoChampion
        the model also fails on its own example, so the fault is not the caller's
    """
    if not rows:
        return []
    try:
        return _answers_from(served, served.loaded.predict_rows(rows), rows)
    except Exception as error:  # a model may raise anything
        if len(rows) > 1:  # find the rows on which it fails
            return [answers(served, [row])[0] for row in rows]
        log.warning("%s version %s cannot predict from %s", served.title, served.version, rows[0], exc_info=error)
        if not _healthy(served):
            raise NoChampion(
                f"Version {served.version} of '{served.product}/{served.model}' fails on its own example.",
                fix=f"Go back with 'caudal model rollback {served.model} --product {served.product}'; the log has the reason.",
            ) from error
        return [
            input_problem(None, "The model cannot predict from these values together.", None, "values like those it was trained on")
        ]


def answer_or_none(served: Served, row: Mapping[str, object]) -> Answer | None:
    """Return the answer to a valid row; None where ``answers`` would have a problem or an error, and says which."""
    try:
        answer = _answers_from(served, served.loaded.predict_rows([row]), [row])[0]
    except Exception:  # noqa: BLE001  a model may raise anything, and `answers` finds out what
        return None
    return None if is_problem(answer) else answer


def answers_or_none(served: Served, rows: Sequence[Mapping[str, object]]) -> list[Answer | None]:
    """Return one answer per row; None for a row from which the version cannot predict."""
    try:
        answered = _answers_from(served, served.loaded.predict_rows(rows), rows)
    except Exception as error:  # a model may raise anything
        if len(rows) > 1:  # find the rows on which it fails
            return [answers_or_none(served, [row])[0] for row in rows]
        log.info("%s version %s cannot predict from %s", served.title, served.version, rows[0], exc_info=error)
        return [None]
    return [None if is_problem(answer) else answer for answer in answered]


def explanation(served: Served, row: Mapping[str, object]) -> dict[str, object] | None:
    """Return what each input contributed to the prediction of a row, against a typical row; None where the model has no complete typical row.

    For classes it is the probability of the predicted class that is explained; a classifier without probabilities has no explanation.
    """
    from caudal.stages.explain.shapley import explain_prediction

    typical = _example(served)
    predicted = served.loaded.predict_rows([row])
    label = None if served.signature.output.classes is None else str(predicted.values[0])
    if typical is None or (label is not None and label not in predicted.shares):
        return None
    column = "prediction" if label is None else f"probability_{label}"
    inputs = served.loaded.signature["inputs"]
    explained = explain_prediction(
        lambda frame: served.loaded.predict(frame)[column].to_numpy("float64"),
        row_frame([row], inputs),
        row_frame([typical], inputs),
    )
    contributions = [
        {"input": name, "value": row[name], "typical": typical[name], "contribution": contribution}
        for name, contribution in explained.contributions.items()
    ]
    contributions.sort(key=lambda each: -abs(cast(float, each["contribution"])))
    return {"of": column, "typical": explained.typical, "contributions": contributions, "exact": explained.exact}


def with_lookups(answer: Answer, row: Row) -> Answer:
    """Return an answer that also says what the server has found."""
    return answer if row.looked_up is None else {**answer, "looked_up": row.looked_up}


def is_problem(answer: Answer | Problem) -> bool:
    """Return whether a row got a problem instead of an answer."""
    return "problem" in answer


def _answers_from(served: Served, predicted: RowPredictions, rows: Sequence[Mapping[str, object]]) -> list[Answer | Problem]:
    values, shares = predicted.values, predicted.shares
    if len(values) != len(rows):
        raise ValueError(f"{len(rows)} rows gave {len(values)} predictions")
    output = served.signature.output
    results: list[Answer | Problem] = []
    for index, value in enumerate(values):
        if not _is_finite(value) or (shares and not all(_is_finite(column[index]) for column in shares.values())):
            results.append(
                input_problem(None, "The prediction is not a finite number.", None, "values like those the model was trained on")
            )
            continue
        answer: Answer = {
            "prediction": value,
            "unit": output.unit,
            "name": output.name,
            "product": served.product,
            "model": served.model,
            "version": served.version,
            "candidate": served.loaded.candidate,
            "warnings": unusual(rows[index], served.signature),
        }
        if shares:
            answer["probabilities"] = {label: column[index] for label, column in shares.items()}
        results.append(answer)
    return results


def _is_finite(number: object) -> bool:
    return number is not None and (not isinstance(number, float) or math.isfinite(number))


def try_out(served: Served) -> None:
    """Predict from the model's own example, so that errors and slow first calls occur before it is served."""
    example = _example(served)
    if example is not None:
        _answers_from(served, served.loaded.predict_rows([example]), [example])


def _healthy(served: Served) -> bool:
    try:
        try_out(served)
    except Exception:  # noqa: BLE001  a model may raise anything
        return False
    return True


def _example(served: Served) -> dict[str, object] | None:
    """Return a valid row; None if the signature has no complete example."""
    start = {name: value for name, value in served.signature.starting_values.items() if value is not None}
    row = validate_row(start, served.signature, served.own_inputs)
    return row.values if row.good else None
