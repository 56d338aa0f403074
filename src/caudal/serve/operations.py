"""The operations of one model: they answer the requests."""

from collections.abc import Callable
from typing import Any

from flask import Response, current_app, g, jsonify, request
from pydantic_core import SchemaValidator, ValidationError, core_schema
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from caudal.ledger.ledger import Ledger
from caudal.serve.card import card_of
from caudal.serve.inputs import input_problem
from caudal.serve.minute_log import SentRows
from caudal.serve.predicting import is_problem, with_lookups
from caudal.serve.request_log import log_answers
from caudal.serve.row_streams import MOST_ROW_ERRORS
from caudal.serve.served import Served
from caudal.serve.streamed_batch import stream_of_request
from caudal.serve.trial import trial_answers, trial_explanation
from caudal.web.access import count_rows

MOST_ROWS = 1000
MOST_ERRORS = 100  # that the answer to a batch describes in full

_TRUE = SchemaValidator(core_schema.bool_schema())

Handler = Callable[[], Response]


def operations(served: Served, ledger: Ledger) -> dict[str, Handler]:
    """Return what answers the requests for one champion, by the last part of the path."""

    def predict(body: object, *, explain: bool) -> Response:
        g.sent = SentRows(served, (body,))
        row = served.row(body)
        if not row.good:
            return _json({"errors": row.problems, "more_errors": row.more}, 422)
        g.sent = SentRows(served, (row.values,))
        answer = trial_answers(served, [row.values], [body], request.environ)[0]
        if is_problem(answer):
            return _json({"errors": [answer], "more_errors": 0}, 422)
        log_answers(served, [(0, row, answer)])
        answer = with_lookups(answer, row)
        if not explain:
            return _json(answer)
        return _json({**answer, "explanation": trial_explanation(served, row.values, answer["version"])})

    def predict_batch(body: object) -> Response:
        if not isinstance(body, list) or not 1 <= len(body) <= MOST_ROWS:
            sent = f"{len(body)} rows" if isinstance(body, list) else body
            error = {
                "row": None,
                **input_problem(None, "The body is not a list of rows.", sent, f"a list of 1 to {MOST_ROWS} rows"),
            }
            return _json({"errors": [error], "more_errors": 0, "predictions": []}, 422)
        count_rows(len(body) - 1)
        return _batch(served, body)

    def card() -> Response:
        return _json(card_of(ledger, served))

    return {
        "predict": lambda: predict(_body(), explain=_query()),
        "predict/batch": lambda: stream_of_request(served) or predict_batch(_body()),
        "card": card,
    }


def _batch(served: Served, body: list[object]) -> Response:
    errors: list[dict[str, Any]] = []
    more = 0
    rows = []
    for index, values in enumerate(body):
        row = served.row(values, most=min(MOST_ROW_ERRORS, MOST_ERRORS - len(errors)))
        rows.append(row)
        errors += [{"row": index, **problem} for problem in row.problems]
        more += row.more
    good = [index for index, row in enumerate(rows) if row.good]
    g.sent = SentRows(served, [row.values if row.good else sent for row, sent in zip(rows, body, strict=True)])
    predictions: list[object] = [None] * len(body)
    logged = []
    answered = trial_answers(served, [rows[index].values for index in good], [body[index] for index in good], request.environ)
    for index, answer in zip(good, answered, strict=True):
        if not is_problem(answer):
            predictions[index] = with_lookups(answer, rows[index])
            logged.append((index, rows[index], answer))
        elif len(errors) < MOST_ERRORS:
            errors.append({"row": index, **answer})
        else:
            more += 1
    log_answers(served, logged)
    if errors:
        errors.sort(key=lambda error: error["row"])
        return _json({"errors": errors, "more_errors": more, "predictions": predictions}, 422)
    return _json({"predictions": predictions})


def _query() -> bool:
    """Return whether the request asks for what each input contributed."""
    text = request.args.get("explain", "false")
    try:
        return bool(_TRUE.validate_python(text))
    except ValidationError:
        raise BadRequest(f"explain is '{text}'; it can be true or false.") from None


def _body() -> object:
    if not request.is_json:
        raise UnsupportedMediaType("The body is not declared as JSON.")
    try:
        return current_app.json.loads(request.get_data(cache=False))
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None


def _json(document: object, status: int = 200) -> Response:
    response = jsonify(document)
    response.status_code = status
    return response
